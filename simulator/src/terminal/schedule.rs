//! When a terminal calls, and how often.

use std::collections::VecDeque;

use super::{DAY_MS, Terminal};
use crate::meter::Meter;
use crate::nvm::{Nvm, Spent};
use crate::random::Random;

/// Transmissions in 24 hours.
const DAILY_FRAMES: usize = 96;
/// Those that are left to alarm notices and results.
const URGENT_FRAMES: usize = 32;
/// Frame counters in 24 hours.
const DAILY_COUNTERS: usize = 256;
/// The spread of a call after one that failed.
const SPREAD_MS: u64 = 15 * 60_000;
/// A slot this soon after a call of the same slot is the next day's.
const SAME_CALL_MS: u64 = 3_600_000;

/// The middle of the pause after the n-th transmission of what is urgent, n from 1.
// spec: SES-3
#[must_use]
pub fn urgent_pause_ms(transmissions: u32) -> u64 {
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

/// Where the sending of an alarm notice or of a dangerous command's result stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Urgent {
    /// When it is due.
    pub next_ms: u64,
    /// Transmissions so far.
    pub transmissions: u32,
    /// It was not transmitted yet.
    pub fresh: bool,
}

impl Urgent {
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

    /// One more transmission; gives the pause after it, from three to five quarters of the middle.
    // spec: SES-3
    pub(super) fn transmitted(&mut self, now_ms: u64, random: &mut impl Random) -> u64 {
        self.fresh = false;
        self.transmissions += 1;
        let middle = urgent_pause_ms(self.transmissions);
        let pause = middle - middle / 4 + random.up_to(middle / 2);
        self.next_ms = now_ms.saturating_add(pause);
        pause
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
    pub(super) urgent: Option<Urgent>,
    pub(super) come_back: Option<ComeBack>,
    pub(super) refused_in_a_row: u32,
    frames_ms: VecDeque<u64>,
    counters_ms: VecDeque<u64>,
}

/// How a transmission counts against the day's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// The first transmission of a new alarm notice.
    Free,
    /// An alarm notice or a result.
    Urgent,
    /// Anything else.
    Ordinary,
}

fn forget_old(times: &mut VecDeque<u64>, now_ms: u64) {
    while times.front().is_some_and(|t| *t + DAY_MS <= now_ms) {
        times.pop_front();
    }
}

impl Schedule {
    /// After a restart all that was spent counts as spent right now.
    // spec: SES-4
    pub(super) fn at_boot(now_ms: u64, spent: Spent) -> Self {
        Self {
            next_call_ms: now_ms,
            last_call_ms: None,
            urgent: None,
            come_back: None,
            refused_in_a_row: 0,
            frames_ms: std::iter::repeat_n(now_ms, spent.frames).collect(),
            counters_ms: std::iter::repeat_n(now_ms, spent.counters).collect(),
        }
    }

    /// Whether the day's budget has room for a transmission; else the time to wait for.
    // spec: SES-4
    pub(super) fn room(&mut self, now_ms: u64, cost: Cost) -> Result<(), u64> {
        forget_old(&mut self.frames_ms, now_ms);
        let limit = match cost {
            Cost::Free => return Ok(()),
            Cost::Urgent => DAILY_FRAMES,
            Cost::Ordinary => DAILY_FRAMES - URGENT_FRAMES,
        };
        match self.frames_ms.len().checked_sub(limit) {
            Some(over) => {
                let frees = self.frames_ms.get(over).copied().unwrap_or(now_ms);
                Err(frees.saturating_add(DAY_MS))
            }
            None => Ok(()),
        }
    }

    /// Takes one transmission from the day's budget.
    // spec: SES-4
    pub(super) fn spend(&mut self, now_ms: u64, cost: Cost) -> Result<(), u64> {
        self.room(now_ms, cost)?;
        if cost != Cost::Free {
            self.frames_ms.push_back(now_ms);
        }
        Ok(())
    }

    /// Frame counters that may still be used today.
    // spec: SES-4
    pub(super) fn counters_left(&mut self, now_ms: u64) -> usize {
        forget_old(&mut self.counters_ms, now_ms);
        DAILY_COUNTERS.saturating_sub(self.counters_ms.len())
    }

    pub(super) fn counter_used(&mut self, now_ms: u64) {
        self.counters_ms.push_back(now_ms);
    }

    /// When the oldest of the day's frame counters is forgotten.
    pub(super) fn counters_free_ms(&self) -> u64 {
        self.counters_ms
            .front()
            .map_or(0, |t| t.saturating_add(DAY_MS))
    }

    pub(super) fn spent(&self) -> Spent {
        Spent {
            frames: self.frames_ms.len(),
            counters: self.counters_ms.len(),
        }
    }

    /// Nothing before this time.
    pub(super) fn not_before(&mut self, at_ms: u64) {
        self.next_call_ms = self.next_call_ms.max(at_ms);
        if let Some(urgent) = self.urgent.as_mut() {
            urgent.next_ms = urgent.next_ms.max(at_ms);
            urgent.fresh = false;
        }
    }

    pub(super) fn due(&self) -> u64 {
        let urgent = self.urgent.map_or(u64::MAX, |a| a.next_ms);
        self.next_call_ms.min(urgent)
    }
}

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// The second of the UTC day at which the terminal wakes.
    // spec: ANS-18, ANS-21
    #[must_use]
    pub fn slot_second(&self) -> u32 {
        let [_, _, a, b, c, d, e, f] = self.config.owner.identity.0;
        let serial = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let own = u32::try_from(serial % 86_400).unwrap_or(0);
        self.slot.map_or(own, |s| s.second)
    }

    /// The next time at which the UTC day reaches the wake slot.
    // spec: ANS-18, ANS-21
    fn next_slot_ms(&self, now_ms: u64) -> u64 {
        let called = self.schedule.last_call_ms;
        let Some(utc) = self.clock.utc_ms(now_ms) else {
            return called.unwrap_or(now_ms).saturating_add(DAY_MS).max(now_ms);
        };
        let target = u64::from(self.slot_second()) * 1_000;
        let mut wait = (target + DAY_MS - utc % DAY_MS) % DAY_MS;
        let recent = called.is_some_and(|c| now_ms.saturating_sub(c) < SAME_CALL_MS);
        let ran = called.is_some_and(|c| c > self.booted_ms());
        if wait == 0 || (recent && ran && wait < SAME_CALL_MS) {
            wait += DAY_MS;
        }
        now_ms.saturating_add(wait)
    }

    fn booted_ms(&self) -> u64 {
        self.clock.booted_ms()
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
