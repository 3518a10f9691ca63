//! When a terminal calls, and how often.

use std::collections::VecDeque;

use super::{DAY_MS, Terminal};
use crate::meter::Meter;
use crate::nvm::Nvm;
use crate::random::Random;

/// Transmissions in 24 hours.
const DAILY_FRAMES: usize = 96;
/// The spread of a call after one that failed.
const SPREAD_MS: u64 = 15 * 60_000;
/// A slot this soon after a call of the same slot is the next day's.
const SAME_CALL_MS: u64 = 3_600_000;

/// The pause after the n-th transmission of an alarm notice, n from 1.
// spec: SES-3
#[must_use]
pub fn alarm_pause_ms(transmissions: u32) -> u64 {
    let seconds = match transmissions {
        0 | 1 => 10,
        2 => 30,
        n => 60_u64
            .checked_shl(n.min(20) - 3)
            .unwrap_or(3_600)
            .min(3_600),
    };
    seconds * 1_000
}

/// The pause after the n-th transmission of another frame; `None` is the end of the session.
// spec: SES-2
pub(super) fn pause_ms(transmissions: u32) -> Option<u64> {
    match transmissions {
        0 | 1 => Some(4_000),
        2 => Some(10_000),
        3 => Some(30_000),
        _ => None,
    }
}

/// Where the sending of an alarm notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlarmRetry {
    /// When it is due.
    pub next_ms: u64,
    /// Transmissions so far.
    pub transmissions: u32,
    /// The notice was not transmitted yet.
    pub fresh: bool,
}

impl AlarmRetry {
    pub(super) fn fresh(now_ms: u64) -> Self {
        Self {
            next_ms: now_ms,
            transmissions: 0,
            fresh: true,
        }
    }

    pub(super) fn due(now_ms: u64) -> Self {
        Self {
            fresh: false,
            ..Self::fresh(now_ms)
        }
    }
}

/// A time at which the server wants the terminal back.
#[derive(Debug, Clone, Copy)]
pub(super) struct ComeBack {
    pub(super) at_ms: u64,
    /// Nothing was acknowledged: no ordinary call before it.
    pub(super) wait: bool,
}

#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) next_call_ms: u64,
    pub(super) last_call_ms: Option<u64>,
    pub(super) alarm: Option<AlarmRetry>,
    pub(super) come_back: Option<ComeBack>,
    pub(super) refused_in_a_row: u32,
    sent_ms: VecDeque<u64>,
}

impl Schedule {
    pub(super) fn at_boot(now_ms: u64) -> Self {
        Self {
            next_call_ms: now_ms,
            last_call_ms: None,
            alarm: None,
            come_back: None,
            refused_in_a_row: 0,
            sent_ms: VecDeque::new(),
        }
    }

    /// Takes one transmission from the day's budget; gives the time to wait for if it is used up.
    // spec: SES-4
    pub(super) fn spend(&mut self, now_ms: u64) -> Result<(), u64> {
        while self.sent_ms.front().is_some_and(|t| *t + DAY_MS <= now_ms) {
            self.sent_ms.pop_front();
        }
        match self.sent_ms.front() {
            Some(oldest) if self.sent_ms.len() >= DAILY_FRAMES => Err(*oldest + DAY_MS),
            _ => {
                self.sent_ms.push_back(now_ms);
                Ok(())
            }
        }
    }

    pub(super) fn due(&self) -> u64 {
        let alarm = self.alarm.map_or(u64::MAX, |a| a.next_ms);
        self.next_call_ms.min(alarm)
    }
}

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// The next time at which the UTC day reaches the wake slot.
    // spec: ANS-18
    fn next_slot_ms(&self, now_ms: u64) -> u64 {
        let second = self.slot.map_or(self.config.factory_slot_s, |s| s.second);
        let called = self.schedule.last_call_ms;
        let Some(utc) = self.clock.utc_ms(now_ms) else {
            return called.unwrap_or(now_ms).saturating_add(DAY_MS).max(now_ms);
        };
        let target = u64::from(second) * 1_000;
        let mut wait = (target + DAY_MS - utc % DAY_MS) % DAY_MS;
        let recent = called.is_some_and(|c| now_ms.saturating_sub(c) < SAME_CALL_MS);
        if wait == 0 || (recent && wait < SAME_CALL_MS) {
            wait += DAY_MS;
        }
        now_ms.saturating_add(wait)
    }

    /// Sets the time of the next ordinary call.
    // spec: SES-2, OVL-2
    pub(super) fn plan(&mut self, now_ms: u64, failed: bool) {
        let mut next = self.next_slot_ms(now_ms);
        if failed {
            next = next.saturating_add(self.random.up_to(SPREAD_MS));
        }
        self.schedule.next_call_ms = match self.schedule.come_back {
            Some(back) if back.wait => back.at_ms,
            Some(back) => next.min(back.at_ms),
            None => next,
        };
    }
}
