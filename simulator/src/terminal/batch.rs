//! Building of frames.

use super::schedule::Cost;
use super::{Asked, Outgoing, Outstanding, Phase, Sent, Session, Terminal, TerminalError};
use crate::codec::EncodeError;
use crate::codec::frame::{MAX_FRAME, RESYNC_HEADER, ResyncHeader, UplinkHeader, resync, uplink};
use crate::codec::record::Record;
use crate::codec::wire::Writer;
use crate::crypto::CryptoError;
use crate::keys::{Direction, Mode, traffic_key};
use crate::meter::Meter;
use crate::nvm::{Nvm, Write};
use crate::random::Random;
use crate::store::Stored;

/// Frames of one batch.
const BATCH: usize = 8;
/// Counters of one reservation.
const BLOCK: u32 = 64;
/// The last counter that may be used.
const LAST_COUNTER: u32 = 0xFFFF_0000;
/// Frames whose records are remembered for an acknowledgement map.
const REMEMBERED: usize = 32;
/// Octets of the session items: previous epoch and answer refused.
const SESSION_ITEMS: usize = 6 + 3;

/// What a frame of a batch needs to know beside its records.
#[derive(Debug, Clone, Copy)]
struct Place {
    following: usize,
    asks: bool,
}

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// The next frame counter; the block that holds it is reserved first.
    // spec: NON-2, NON-3, NON-5, SES-4
    fn take_counter(&mut self, now_ms: u64) -> Result<u32, TerminalError> {
        let next = self.counter.next;
        if next > LAST_COUNTER {
            return Err(TerminalError::CountersUsedUp);
        }
        if next >= self.counter.below {
            self.reserve(next)?;
        }
        self.counter.next = next + 1;
        self.schedule.counter_used(now_ms);
        Ok(next)
    }

    fn reserve(&mut self, from: u32) -> Result<(), TerminalError> {
        let below = from.saturating_add(BLOCK).min(LAST_COUNTER + 1);
        self.nvm.write(Write::Counter(below))?;
        self.counter.below = below;
        Ok(())
    }

    /// Goes on from the larger of the own next counter and a floor; never backwards.
    // spec: RSY-2, REP-7, NON-2, NON-5
    pub(super) fn raise_counter(&mut self, floor: u32) -> Result<u32, TerminalError> {
        let next = self.counter.next.max(floor);
        self.reserve(next)?;
        self.counter.next = next;
        self.counter.resync = None;
        Ok(next)
    }

    fn session_now(&mut self) -> Session {
        if let Some(session) = self.session {
            return session;
        }
        let mut nt = [0; 8];
        self.random.fill(&mut nt);
        let suite = self.trial.suite(&self.keys.link, &self.mode);
        let session = Session {
            nt,
            suite,
            stalls: 0,
            more: 0,
            transmissions: 0,
        };
        self.session = Some(session);
        session
    }

    /// Puts the next frames of the session into the outbox: a RESYNC when the counter is not
    /// proven, else a batch of uplinks.
    // spec: NON-4, NON-6, RSY-4, SES-1
    pub(super) fn build(&mut self, now_ms: u64) -> Result<(), TerminalError> {
        let fresh = self.schedule.urgent.is_some_and(|a| a.fresh) && self.store.has_alarm();
        let cost = match (fresh, self.store.has_urgent()) {
            (true, _) => Cost::Free,
            (_, true) => Cost::Urgent,
            _ => Cost::Ordinary,
        };
        if let Err(free_ms) = self.schedule.room(now_ms, cost) {
            self.over_budget(now_ms, free_ms);
            return Ok(());
        }
        let session = self.session_now();
        self.outbox.clear();
        self.phase = Phase::Sending;
        match self.counter.resync {
            Some(reason) if session.suite.mode != Mode::Clear => {
                self.build_resync(now_ms, session, reason)
            }
            _ => self.build_batch(now_ms, session),
        }
    }

    // spec: NON-4, NON-6, RSY-1, RSY-4, SES-15
    fn build_resync(
        &mut self,
        now_ms: u64,
        session: Session,
        reason: u8,
    ) -> Result<(), TerminalError> {
        let mut nr = [0; 16];
        self.random.fill(&mut nr);
        let suite = session.suite;
        let owner = self.config.owner;
        let base = self
            .keys
            .link
            .version(suite.key_version)
            .ok_or(CryptoError::KeyLength)?;
        let key = traffic_key(base, &owner, suite.mode, Direction::Resync, &nr)?;
        let header = ResyncHeader {
            mode: suite.mode,
            key_version: suite.key_version,
            identity: owner.identity,
            nr,
        };
        let frame = resync(&header, &self.report(now_ms, 0), reason, &key)?;
        let (alarm, urgent) = (self.store.has_alarm(), self.store.has_urgent());
        self.await_answer(Outstanding {
            asked: Asked::Resync,
            frame,
            header: RESYNC_HEADER,
            suite,
            nonces: nr,
            alarm,
            urgent,
            first_ms: None,
            transmissions: 0,
        });
        Ok(())
    }

    fn await_answer(&mut self, o: Outstanding) {
        let fresh = self.schedule.urgent.is_some_and(|a| a.fresh);
        let new_alarm = o.alarm && fresh && o.asked != Asked::Resync;
        let (frame, alarm, urgent) = (o.frame.clone(), o.alarm, o.urgent);
        self.outbox.push_back(Outgoing {
            frame,
            alarm,
            urgent,
            new_alarm,
            asks: true,
        });
        self.outstanding = Some(o);
    }

    /// Groups records into frames, in the order of sending; a frame ends at the first record that
    /// does not fit.
    // spec: REC-30, REC-31, FRM-4
    fn group(&self, room: usize) -> Vec<Vec<Stored>> {
        let mut groups: Vec<Vec<Stored>> = Vec::new();
        let mut open: Vec<Stored> = Vec::new();
        let mut left = room;
        for stored in self.store.order() {
            let len = stored.item_len();
            if len > left {
                groups.push(std::mem::take(&mut open));
                left = room;
            }
            left = left.saturating_sub(len);
            open.push(stored);
        }
        groups.push(open);
        groups
    }

    // spec: REC-1, REC-30, REC-31, SES-1, SES-4, FRM-6
    fn build_batch(&mut self, now_ms: u64, session: Session) -> Result<(), TerminalError> {
        let mode = session.suite.mode;
        let mut report = Writer::new();
        self.report(now_ms, 0).encode(&mut report)?;
        let fixed = mode.uplink_header_octets() + mode.tag_octets() + report.len();
        let groups = self.group(MAX_FRAME.saturating_sub(fixed + SESSION_ITEMS));
        let total = groups.len();
        let urgent = groups.first().is_some_and(|g| g.iter().any(Stored::urgent));
        let allowed = self.schedule.counters_left(now_ms);
        let count = if urgent { 1 } else { total.min(BATCH) }.min(allowed);
        if count == 0 {
            let free_ms = self.schedule.counters_free_ms();
            self.over_budget(now_ms, free_ms);
            return Ok(());
        }
        for (index, group) in groups.into_iter().take(count).enumerate() {
            let place = Place {
                following: total - 1 - index,
                asks: index + 1 == count,
            };
            self.build_uplink(now_ms, session, &group, place)?;
        }
        Ok(())
    }

    /// Report, records, session items.
    // spec: REC-1, REC-28, REC-34, ANS-20
    fn plaintext(
        &mut self,
        now_ms: u64,
        group: &[Stored],
        place: Place,
    ) -> Result<Vec<u8>, TerminalError> {
        let mut w = Writer::new();
        self.report(now_ms, place.following).encode(&mut w)?;
        for stored in group {
            w.bytes(&stored.item()?);
        }
        if let Some(epoch) = self.store.left_epoch() {
            w.item(0x70, &epoch.to_be_bytes())?;
        }
        if let Some(number) = self.refused_item.filter(|_| place.asks) {
            self.refused_item = None;
            w.item(0x72, &[number])?;
        }
        Ok(w.into_vec())
    }

    // spec: FRS-1, NON-2, FRM-6, FRM-8, FRM-9, FRM-11, REC-31
    fn build_uplink(
        &mut self,
        now_ms: u64,
        session: Session,
        group: &[Stored],
        place: Place,
    ) -> Result<(), TerminalError> {
        let suite = session.suite;
        let plaintext = self.plaintext(now_ms, group, place)?;
        let alarm = group
            .iter()
            .any(|s| matches!(s.record.as_ref(), Record::AlarmNotice(_)));
        let owner = self.config.owner;
        let header = UplinkHeader {
            mode: suite.mode,
            alarm,
            answer: place.asks,
            key_version: suite.key_version,
            identity: owner.identity,
            counter: self.take_counter(now_ms)?,
            ticket: self.ticket,
            nt: session.nt,
        };
        let nonces = header.key_nonces();
        let key = match suite.mode {
            Mode::Clear => None,
            mode => {
                let base = self.keys.link.version(suite.key_version);
                let base = base.ok_or(EncodeError::BadValue("link key version"))?;
                Some(traffic_key(base, &owner, mode, Direction::Uplink, &nonces)?)
            }
        };
        let frame = uplink(&header, plaintext, self.routine, key.as_ref())?;
        let epoch = self.store.epoch();
        let keys = group.iter().map(|s| (epoch, s.sequence)).collect();
        if self.sent.len() >= REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent {
            counter: header.counter,
            keys,
        });
        if !place.asks {
            let (alarm, urgent, new_alarm) = (false, false, false);
            self.outbox.push_back(Outgoing {
                frame,
                alarm,
                urgent,
                new_alarm,
                asks: false,
            });
            return Ok(());
        }
        self.await_answer(Outstanding {
            asked: Asked::Uplink {
                counter: header.counter,
            },
            frame,
            header: suite.mode.uplink_header_octets(),
            suite,
            nonces,
            alarm,
            urgent: group.iter().any(Stored::urgent),
            first_ms: None,
            transmissions: 0,
        });
        Ok(())
    }
}
