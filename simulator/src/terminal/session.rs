//! Sending, waiting, giving up.

use super::schedule::{alarm_pause_ms, pause_ms};
use super::{Action, AlarmRetry, Asked, Event, Outgoing, Phase, Terminal, TerminalError};
use crate::meter::Meter;
use crate::nvm::Nvm;
use crate::random::Random;

/// Transmissions of one frame with an alarm notice before the session ends.
const ALARM_REPEATS: u32 = 4;
/// The longest wait for an answer.
const LONGEST_WAIT_MS: u64 = 30_000;

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// What to do now. Call again after each transmission, at the given times, and after each
    /// datagram.
    ///
    /// # Errors
    /// A write that fails, or frame counters that are used up; the machine is then dead until it
    /// is built anew from its memory.
    pub fn poll(&mut self, now_ms: u64) -> Result<Action, TerminalError> {
        loop {
            if self.alarm_interrupts(now_ms) {
                self.build(now_ms, true)?;
                self.phase = Phase::Sending;
            }
            if let Some(out) = self.outbox.pop_front() {
                if let Some(action) = self.transmit(now_ms, out) {
                    return Ok(action);
                }
                continue;
            }
            match self.phase {
                Phase::Waiting { deadline } if now_ms >= deadline => self.no_answer(now_ms),
                Phase::Waiting { deadline } => return Ok(Action::WaitUntil(deadline)),
                Phase::Listening { until } if now_ms >= until => self.finish(now_ms, false),
                Phase::Listening { until } => return Ok(Action::WaitUntil(until)),
                Phase::Sending => self.finish(now_ms, true),
                Phase::Asleep => {
                    let until_ms = self.schedule.due();
                    if until_ms > now_ms {
                        return Ok(Action::Sleep { until_ms });
                    }
                    self.begin(now_ms)?;
                }
            }
        }
    }

    fn begin(&mut self, now_ms: u64) -> Result<(), TerminalError> {
        if self.schedule.next_call_ms <= now_ms {
            self.schedule.last_call_ms = Some(now_ms);
            self.schedule.come_back = None;
            self.call_waiting = false;
            self.plan(now_ms, false);
        }
        self.build(now_ms, self.store.has_alarm())?;
        self.phase = Phase::Sending;
        Ok(())
    }

    /// An alarm that was not sent yet does not wait for the answer to something older.
    // spec: SES-1, SES-3
    fn alarm_interrupts(&self, now_ms: u64) -> bool {
        let fresh = self
            .schedule
            .alarm
            .is_some_and(|a| a.fresh && a.next_ms <= now_ms);
        let resync = self
            .outstanding
            .as_ref()
            .is_some_and(|o| o.asked == Asked::Resync);
        let queued = self.outbox.iter().any(|o| o.new_alarm);
        fresh && self.phase != Phase::Asleep && !resync && !queued
    }

    // spec: SES-2, SES-3, SES-4
    fn transmit(&mut self, now_ms: u64, out: Outgoing) -> Option<Action> {
        if !out.new_alarm
            && let Err(free_ms) = self.schedule.spend(now_ms)
        {
            self.events.push(Event::OverBudget);
            self.finish(now_ms, true);
            self.schedule.next_call_ms = self.schedule.next_call_ms.max(free_ms);
            if let Some(alarm) = self.schedule.alarm.as_mut() {
                alarm.next_ms = alarm.next_ms.max(free_ms);
            }
            return None;
        }
        self.sends_total = self.sends_total.saturating_add(1);
        if let Some(session) = self.session.as_mut() {
            session.transmissions += 1;
        }
        let mut alarm_wait = None;
        if out.alarm
            && let Some(retry) = self.schedule.alarm.as_mut()
        {
            retry.fresh = false;
            retry.transmissions += 1;
            let pause = alarm_pause_ms(retry.transmissions);
            retry.next_ms = now_ms.saturating_add(pause);
            alarm_wait = Some(pause);
        }
        if out.asks
            && let Some(o) = self.outstanding.as_mut()
        {
            o.first_ms.get_or_insert(now_ms);
            o.last_ms = now_ms;
            o.transmissions += 1;
            let wait = match alarm_wait {
                Some(pause) => pause,
                None => pause_ms(o.transmissions).unwrap_or(LONGEST_WAIT_MS),
            };
            let wait = if o.transmissions < ALARM_REPEATS {
                wait
            } else {
                LONGEST_WAIT_MS
            };
            let wait = if alarm_wait.is_none() {
                wait.min(LONGEST_WAIT_MS)
            } else {
                wait
            };
            self.phase = Phase::Waiting {
                deadline: now_ms.saturating_add(wait),
            };
        }
        Some(Action::Transmit {
            frame: out.frame,
            alarm: out.alarm,
        })
    }

    /// The wait is over: the same octets again, or the end of the session.
    // spec: SES-2, SES-3, NON-2
    fn no_answer(&mut self, now_ms: u64) {
        let first_sends = self
            .schedule
            .alarm
            .is_some_and(|a| a.transmissions < ALARM_REPEATS);
        let again = match self.outstanding.as_ref() {
            Some(o) if o.alarm => first_sends && o.transmissions < ALARM_REPEATS,
            Some(o) => pause_ms(o.transmissions + 1).is_some(),
            None => false,
        };
        match self.outstanding.as_ref() {
            Some(o) if again => self.outbox.push_back(Outgoing {
                frame: o.frame.clone(),
                alarm: o.alarm,
                new_alarm: false,
                asks: true,
            }),
            _ => {
                self.events.push(Event::GaveUp);
                self.finish(now_ms, true);
            }
        }
    }

    /// The session ends and the radio is released.
    // spec: SES-2, SES-6
    pub(super) fn finish(&mut self, now_ms: u64, failed: bool) {
        if let Some(session) = self.session.take() {
            self.last_sends = session.transmissions;
            self.trial
                .session_over(&self.keys.link, &self.mode, session.suite);
        }
        self.outbox.clear();
        self.outstanding = None;
        self.phase = Phase::Asleep;
        self.plan(now_ms, failed);
        if failed
            && let Some(alarm) = self.schedule.alarm.as_mut()
            && alarm.next_ms <= now_ms
        {
            alarm.transmissions += 1;
            alarm.fresh = false;
            alarm.next_ms = now_ms.saturating_add(alarm_pause_ms(alarm.transmissions));
        }
        if self.schedule.alarm.is_none() && self.store.has_alarm() {
            self.schedule.alarm = Some(AlarmRetry::due(now_ms));
        }
        if self.call_waiting {
            self.schedule.next_call_ms = now_ms;
        }
    }

    /// Transmissions that the last session needed, for a health record.
    #[must_use]
    pub fn last_sends(&self) -> u32 {
        self.last_sends
    }

    /// Transmissions since power-on, for a health record.
    #[must_use]
    pub fn sends_total(&self) -> u32 {
        self.sends_total
    }
}
