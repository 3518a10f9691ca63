//! Sending, waiting, giving up.

use super::schedule::{Cost, pause_ms};
use super::{Action, Event, OUTSTANDING_MS, Outgoing, Phase, Terminal, TerminalError, Urgent};
use crate::meter::Meter;
use crate::nvm::{Nvm, Write};
use crate::random::Random;

/// Transmissions of the same octets of something urgent.
const URGENT_REPEATS: u32 = 4;
/// How long the last transmission waits for an answer.
const LAST_WAIT_MS: u64 = 30_000;
/// Room for an answer to a repeat before its uplink is no longer outstanding.
const ANSWER_MS: u64 = 5_000;

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// What to do now. Call again after each transmission, at the given times, and after each
    /// datagram.
    ///
    /// # Errors
    /// A write that fails, or frame counters that are used up; the machine is then dead until it
    /// is built anew from its memory.
    // spec: SES-6
    pub fn poll(&mut self, now_ms: u64) -> Result<Action, TerminalError> {
        loop {
            if self.alarm_interrupts(now_ms) {
                self.build(now_ms)?;
            }
            if let Some(out) = self.outbox.pop_front() {
                if let Some(action) = self.transmit(now_ms, out)? {
                    return Ok(action);
                }
                continue;
            }
            match self.phase {
                Phase::Waiting { deadline } if now_ms >= deadline => self.no_answer(now_ms),
                Phase::Waiting { deadline } => return Ok(Action::WaitUntil(deadline)),
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
        self.build(now_ms)
    }

    /// An alarm that was not sent yet does not wait for the answer to something older.
    // spec: SES-1, SES-3
    fn alarm_interrupts(&self, now_ms: u64) -> bool {
        let fresh = self
            .schedule
            .urgent
            .is_some_and(|a| a.fresh && a.next_ms <= now_ms);
        let queued = self.outbox.iter().any(|o| o.urgent);
        let waiting = matches!(self.phase, Phase::Waiting { .. } | Phase::Sending);
        fresh && waiting && self.counter.resync.is_none() && !queued
    }

    // spec: SES-2, SES-3, SES-4
    fn transmit(&mut self, now_ms: u64, out: Outgoing) -> Result<Option<Action>, TerminalError> {
        let cost = match (out.new_alarm, out.urgent) {
            (true, _) => Cost::Free,
            (_, true) => Cost::Urgent,
            _ => Cost::Ordinary,
        };
        if let Err(free_ms) = self.schedule.spend(now_ms, cost) {
            self.over_budget(now_ms, free_ms);
            return Ok(None);
        }
        self.nvm.write(Write::Spent(self.schedule.spent()))?;
        self.sends_total = self.sends_total.saturating_add(1);
        if let Some(session) = self.session.as_mut() {
            session.transmissions += 1;
        }
        let mut pause = None;
        if out.urgent
            && let Some(urgent) = self.schedule.urgent.as_mut()
        {
            pause = Some(urgent.transmitted(now_ms, &mut self.random));
        }
        if out.asks
            && let Some(o) = self.outstanding.as_mut()
        {
            let first_ms = *o.first_ms.get_or_insert(now_ms);
            o.transmissions += 1;
            let wait = match pause {
                Some(pause) if o.transmissions < URGENT_REPEATS => pause,
                Some(pause) => pause.min(LAST_WAIT_MS),
                None => pause_ms(o.transmissions).unwrap_or(LAST_WAIT_MS),
            };
            let last_ms = first_ms
                .saturating_add(OUTSTANDING_MS - ANSWER_MS)
                .max(now_ms);
            let deadline = now_ms.saturating_add(wait);
            let deadline = if pause.is_some() {
                deadline.min(last_ms)
            } else {
                deadline
            };
            self.phase = Phase::Waiting {
                deadline: deadline.max(now_ms + 1),
            };
        }
        Ok(Some(Action::Transmit {
            frame: out.frame,
            alarm: out.alarm,
        }))
    }

    // spec: SES-4
    pub(super) fn over_budget(&mut self, now_ms: u64, free_ms: u64) {
        self.events.push(Event::OverBudget);
        self.finish(now_ms, true);
        self.schedule.not_before(free_ms.max(now_ms + 1));
    }

    /// The wait is over: the same octets again, or the end of the session.
    // spec: SES-2, SES-3, SES-15, NON-2
    fn no_answer(&mut self, now_ms: u64) {
        let Some(o) = self.outstanding.as_ref() else {
            self.finish(now_ms, true);
            return;
        };
        let again = if o.urgent {
            let total = self
                .schedule
                .urgent
                .map_or(URGENT_REPEATS, |u| u.transmissions);
            let open = o
                .first_ms
                .is_some_and(|t| now_ms.saturating_sub(t) < OUTSTANDING_MS);
            open && o.transmissions < URGENT_REPEATS && total < URGENT_REPEATS
        } else {
            pause_ms(o.transmissions + 1).is_some()
        };
        if again {
            self.outbox.push_back(Outgoing {
                frame: o.frame.clone(),
                alarm: o.alarm,
                urgent: o.urgent,
                new_alarm: false,
                asks: true,
            });
        } else {
            self.events.push(Event::GaveUp);
            self.finish(now_ms, true);
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
        if !self.store.has_urgent() {
            self.schedule.urgent = None;
        } else if self.schedule.urgent.is_none() {
            self.schedule.urgent = Some(Urgent::due(now_ms));
        }
        if let Some(urgent) = self.schedule.urgent.as_mut()
            && failed
            && urgent.next_ms <= now_ms
        {
            urgent.transmitted(now_ms, &mut self.random);
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
