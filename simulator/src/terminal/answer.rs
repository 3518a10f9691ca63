//! What a terminal does with what it receives.

use super::schedule::ComeBack;
use super::{Asked, Event, Handled, OUTSTANDING_MS, Outstanding, Suite, Terminal, TerminalError};
use crate::clock::{ClockChange, is_step};
use crate::codec::Refusal;
use crate::codec::answer::{self, Answer, Downlink, Items, split};
use crate::codec::frame::aead_nonce;
use crate::codec::record::Record;
use crate::crypto::open;
use crate::keys::{Direction, Mode, traffic_key};
use crate::meter::Meter;
use crate::nvm::{Nvm, Write};
use crate::random::Random;

/// Rounds of a session that changed nothing before it ends.
const STALLS: u32 = 1;
/// How often MORE is followed in a session.
const MORE: u32 = 8;
/// How far a floor may lie above a counter that was not lost.
const FLOOR_REACH: u32 = 16_777_216;

/// Either the frame is as if it had not come, or the machine is dead.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(Refusal),
    Dead(TerminalError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<E: Into<TerminalError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Dead(error.into())
    }
}

impl Outstanding {
    /// The header of the uplink and its tag, which every answer to it is bound to.
    // spec: SEC-7
    pub(crate) fn binding(&self) -> Option<(&[u8], &[u8])> {
        let header = self.frame.get(..self.header)?;
        let tag_from = self.frame.len().checked_sub(self.suite.mode.tag_octets())?;
        Some((header, self.frame.get(tag_from..)?))
    }
}

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// Takes one received frame. Whatever does not verify changes nothing.
    ///
    /// # Errors
    /// A write that fails; the machine is then dead until it is built anew from its memory.
    // spec: SES-5, SES-8, GEN-5, ERR-1, ERR-4
    pub fn handle(&mut self, now_ms: u64, frame: &[u8]) -> Result<Handled, TerminalError> {
        match self.receive(now_ms, frame) {
            Ok(()) => Ok(Handled::Accepted),
            Err(Stop::Refused(refusal)) => {
                self.events.push(Event::Refused(refusal));
                Ok(Handled::Ignored(refusal))
            }
            Err(Stop::Dead(error)) => Err(error),
        }
    }

    fn receive(&mut self, now_ms: u64, frame: &[u8]) -> Result<(), Stop> {
        let (head, header, rest) = split(frame)?;
        match head {
            Downlink::Close { .. } => Err(Refusal::NotOutstanding.into()),
            Downlink::CallNow {
                mode,
                key_version,
                identity,
                counter,
            } => {
                let suite = Suite { key_version, mode };
                self.call_now(now_ms, suite, identity, counter, (header, rest))
            }
            Downlink::Answer { mode, counter, ns } => {
                let o = self.awaited(now_ms, Asked::Uplink { counter }, mode)?;
                let plain = match ns {
                    None => rest.to_vec(),
                    Some(ns) => self.unseal(o, Direction::Answer, ns, counter, (header, rest))?,
                };
                let answer = self.or_refuse(now_ms, answer::answer(mode, &plain))?;
                self.accept(now_ms, counter, ns, answer)
            }
            Downlink::ResyncAnswer { mode, ns } => {
                let o = self.awaited(now_ms, Asked::Resync, mode)?;
                let plain = self.unseal(o, Direction::ResyncAnswer, ns, 0, (header, rest))?;
                let read = answer::resync_answer(&plain);
                let (floor, items) = self.or_refuse(now_ms, read)?;
                self.accept_resync(now_ms, ns, floor, &items)
            }
        }
    }

    /// A verified answer with an unknown critical item ends the session: its uplink is not sent
    /// again, and the next one names the item.
    // spec: ANS-12, ANS-20
    fn or_refuse<T>(&mut self, now_ms: u64, read: Result<T, Refusal>) -> Result<T, Stop> {
        if let Err(Refusal::UnknownCriticalItem(number)) = read {
            self.finish(now_ms, false);
            self.refused_item = Some(number);
        }
        Ok(read?)
    }

    /// The outstanding uplink, if this is what it waits for.
    // spec: SEC-1, SEC-2, SEC-7, SES-1, SES-5
    fn awaited(&self, now_ms: u64, asked: Asked, mode: Mode) -> Result<&Outstanding, Refusal> {
        let o = self.outstanding.as_ref().ok_or(Refusal::NotOutstanding)?;
        if mode != o.suite.mode {
            return Err(Refusal::ModeMismatch);
        }
        let open = o
            .first_ms
            .is_some_and(|t| now_ms.saturating_sub(t) <= OUTSTANDING_MS);
        if o.asked != asked || !open {
            return Err(Refusal::NotOutstanding);
        }
        Ok(o)
    }

    // spec: SEC-2, SEC-5, SEC-7, NON-1
    fn unseal(
        &self,
        o: &Outstanding,
        direction: Direction,
        ns: [u8; 8],
        counter: u32,
        (header, sealed): (&[u8], &[u8]),
    ) -> Result<Vec<u8>, Refusal> {
        let base = self.keys.link.version(o.suite.key_version);
        let base = base.ok_or(Refusal::UnknownKeyVersion)?;
        let cipher = o.suite.mode.cipher().ok_or(Refusal::ModeMismatch)?;
        let key = traffic_key(base, &self.config.owner, o.suite.mode, direction, &o.nonces)
            .map_err(|_| Refusal::UnknownKeyVersion)?;
        let (uplink_header, uplink_tag) = o.binding().ok_or(Refusal::NotOutstanding)?;
        let aad = [header, uplink_header, uplink_tag].concat();
        open(cipher, &key, &aead_nonce(&ns, counter), &aad, sealed)
            .map_err(|_| Refusal::TagMismatch)
    }

    /// What every accepted answer does first: it gives the ticket, proves the suite, tells the
    /// time.
    // spec: FRS-1, ANS-16, ANS-22, ROT-3, ROT-10
    fn verified(&mut self, now_ms: u64, ns: Option<[u8; 8]>) -> Result<(), TerminalError> {
        let (Some(o), Some(ns)) = (self.outstanding.as_ref(), ns) else {
            return Ok(());
        };
        let (suite, first_ms) = (o.suite, o.first_ms.unwrap_or(now_ms));
        self.nvm.write(Write::Ticket(ns))?;
        self.ticket = ns;
        self.prove(suite)?;
        let [a, b, c, d, ..] = ns;
        let seconds = u32::from_be_bytes([a, b, c, d]);
        let since_ms = now_ms.saturating_sub(first_ms);
        if let ClockChange::Taken { before, after } = self.clock.compare(now_ms, seconds, since_ms)
        {
            self.events.push(Event::ClockTaken);
            if is_step(&before, &after) {
                self.push(Record::ClockChange {
                    before,
                    after,
                    cause: 1,
                })?;
            }
        }
        Ok(())
    }

    // spec: ANS-2, ANS-4, ANS-8, ANS-22, OVL-3, REC-2, SES-1, SES-6, SES-7
    fn accept(
        &mut self,
        now_ms: u64,
        counter: u32,
        ns: Option<[u8; 8]>,
        answer: Answer,
    ) -> Result<(), Stop> {
        let items = &answer.items;
        let refused = items.come_back_s.is_some() && !answer.ack;
        if refused && self.schedule.refused_in_a_row >= 2 {
            self.schedule.refused_in_a_row = 0;
            return Err(Refusal::NotOutstanding.into());
        }
        self.verified(now_ms, ns)?;
        self.events.push(Event::Answered {
            counter,
            ack: answer.ack,
        });
        let safe = self.acknowledge(counter, &answer)?;
        let behind = self.take_floor(items.floor)?;
        if answer.new_epoch {
            self.renew_epoch(true)?;
            self.push_info(now_ms)?;
        }
        self.take_slot(items)?;
        let mut results = 0;
        if let Some(ns) = ns {
            for command in &items.commands {
                results += self.obey(now_ms, ns, command)?;
            }
        }
        self.take_come_back(now_ms, items, answer.ack);
        self.outstanding = None;
        if items.come_back_s.is_some() {
            self.finish(now_ms, false);
            return Ok(());
        }
        let new = safe > 0 || results > 0 || behind || answer.new_epoch;
        self.go_on(now_ms, answer.more, results > 0, new)?;
        Ok(())
    }

    /// After an answer without a come-back: another uplink, or the end.
    ///
    /// A session goes on as long as records wait, but not when answers change nothing.
    // spec: ANS-8, SES-6, SES-7, SES-16
    fn go_on(
        &mut self,
        now_ms: u64,
        more: bool,
        results: bool,
        new: bool,
    ) -> Result<(), TerminalError> {
        let Some(session) = self.session.as_mut() else {
            return Ok(());
        };
        session.stalls = if new { 0 } else { session.stalls + 1 };
        let mut follow = false;
        if more && session.more < MORE {
            session.more += 1;
            follow = true;
        }
        let rest = !self.store.is_empty() && session.stalls <= STALLS;
        if follow || results || rest {
            self.build(now_ms)
        } else {
            self.finish(now_ms, false);
            Ok(())
        }
    }

    /// Says whether the counter was behind. A floor that is out of reach is ignored.
    // spec: REP-7, NON-5
    fn take_floor(&mut self, floor: Option<u32>) -> Result<bool, TerminalError> {
        let Some(floor) = floor else { return Ok(false) };
        if floor.saturating_sub(self.counter.next) > FLOOR_REACH {
            return Ok(false);
        }
        let next = self.raise_counter(floor)?;
        self.events.push(Event::Floored { next });
        Ok(true)
    }

    /// Forgets the records of the frames that are acknowledged, and of no others.
    // spec: ANS-2, ANS-4, REC-10
    fn acknowledge(&mut self, counter: u32, answer: &Answer) -> Result<usize, TerminalError> {
        let mut counters = Vec::new();
        if answer.ack {
            counters.push(counter);
        }
        for bit in 0..16_u32 {
            if answer.map >> bit & 1 == 1 {
                counters.extend(counter.checked_sub(1 + bit));
            }
        }
        let mut safe = Vec::new();
        self.sent.retain_mut(|sent| {
            let known = counters.contains(&sent.counter);
            if known {
                safe.append(&mut sent.keys);
            }
            !known
        });
        let mut count = 0;
        for (epoch, sequence) in safe {
            if let Some(told) = self.store.told_safe(epoch, sequence) {
                self.nvm.write(Write::Forget(sequence))?;
                self.told_safe.push(told);
                count += 1;
            }
        }
        if !self.store.has_urgent() {
            self.schedule.urgent = None;
        }
        self.drop_old_command_key()?;
        Ok(count)
    }

    // spec: ANS-18, SEC-4
    fn take_slot(&mut self, items: &Items) -> Result<(), TerminalError> {
        if let Some(slot) = items.slot
            && self.slot.is_none_or(|s| s.version != slot.version)
        {
            self.nvm.write(Write::Slot(slot))?;
            self.slot = Some(slot);
        }
        Ok(())
    }

    // spec: OVL-2, SES-3
    fn take_come_back(&mut self, now_ms: u64, items: &Items, ack: bool) {
        let Some(seconds) = items.come_back_s else {
            self.schedule.refused_in_a_row = 0;
            return;
        };
        let wait = u64::from(seconds) * 1_000;
        let at_ms = now_ms
            .saturating_add(wait)
            .saturating_add(self.random.up_to(wait / 4));
        self.schedule.come_back = Some(ComeBack { at_ms, wait: !ack });
        self.schedule.refused_in_a_row = if ack {
            0
        } else {
            self.schedule.refused_in_a_row + 1
        };
        self.events.push(Event::ComeBack { at_ms });
    }

    // spec: RSY-2, FRS-1, REP-7
    fn accept_resync(
        &mut self,
        now_ms: u64,
        ns: [u8; 8],
        floor: u32,
        items: &Items,
    ) -> Result<(), Stop> {
        self.verified(now_ms, Some(ns))?;
        let lost = self.counter.resync == Some(1);
        let reach = self.counter.next.saturating_add(FLOOR_REACH);
        let next = self.raise_counter(if floor > reach && !lost { 0 } else { floor })?;
        self.events.push(Event::Resynced { next });
        self.take_slot(items)?;
        self.outstanding = None;
        if items.come_back_s.is_some() {
            self.take_come_back(now_ms, items, false);
            self.finish(now_ms, false);
            return Ok(());
        }
        self.build(now_ms)?;
        Ok(())
    }
}
