//! Building of frames.

use super::{Asked, Outgoing, Outstanding, Sent, Session, Terminal, TerminalError};
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

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// The next frame counter; the block that holds it is reserved first.
    // spec: NON-2, NON-3, NON-5
    fn take_counter(&mut self) -> Result<u32, TerminalError> {
        let next = self.counter.next;
        if next > LAST_COUNTER {
            return Err(TerminalError::CountersUsedUp);
        }
        if next >= self.counter.below {
            self.reserve(next)?;
        }
        self.counter.next = next + 1;
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
            transmissions: 0,
        };
        self.session = Some(session);
        session
    }

    /// Puts the next frames of the session into the outbox: a RESYNC when the counter is not
    /// proven, else a batch of uplinks.
    // spec: NON-4, NON-6, RSY-4, SES-1
    pub(super) fn build(&mut self, now_ms: u64, alarms_alone: bool) -> Result<(), TerminalError> {
        let session = self.session_now();
        self.outbox.clear();
        self.outstanding = None;
        match self.counter.resync {
            Some(reason) if session.suite.mode != Mode::Clear => {
                self.build_resync(now_ms, session, reason)
            }
            _ => self.build_batch(now_ms, session, alarms_alone),
        }
    }

    // spec: NON-4, NON-6, RSY-1, RSY-4
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
        self.put(frame, Asked::Resync, session, nr, false, RESYNC_HEADER);
        Ok(())
    }

    fn put(
        &mut self,
        frame: Vec<u8>,
        asked: Asked,
        session: Session,
        nonces: [u8; 16],
        alarm: bool,
        header: usize,
    ) {
        let new_alarm = alarm && self.schedule.alarm.is_some_and(|a| a.fresh);
        self.outbox.push_back(Outgoing {
            frame: frame.clone(),
            alarm,
            new_alarm,
            asks: true,
        });
        self.outstanding = Some(Outstanding {
            asked,
            frame,
            header,
            suite: session.suite,
            nonces,
            alarm,
            first_ms: None,
            last_ms: 0,
            transmissions: 0,
            heard: Vec::new(),
            answered: false,
        });
    }

    /// Groups records into frames, in the order of sending.
    // spec: REC-30, REC-31, FRM-4
    fn group(&self, room: usize, first_room: usize, alarms_alone: bool) -> Vec<Vec<Stored>> {
        let mut groups: Vec<Vec<Stored>> = Vec::new();
        let mut open: Vec<Stored> = Vec::new();
        let mut left = first_room;
        for stored in self.store.order() {
            let alarm = matches!(stored.record.as_ref(), Record::AlarmNotice(_));
            let apart = alarms_alone && groups.is_empty() && !alarm && !open.is_empty();
            let len = stored.item_len();
            if (len > left || apart) && !(open.is_empty() && groups.is_empty()) {
                groups.push(std::mem::take(&mut open));
                left = room;
            }
            left = left.saturating_sub(len);
            open.push(stored);
        }
        groups.push(open);
        groups
    }

    // spec: REC-1, REC-30, REC-31, SES-1, FRM-6
    fn build_batch(
        &mut self,
        now_ms: u64,
        session: Session,
        alarms_alone: bool,
    ) -> Result<(), TerminalError> {
        let mode = session.suite.mode;
        let left_epoch = self.store.take_left_epoch();
        let mut report = Writer::new();
        self.report(now_ms, 0).encode(&mut report)?;
        let fixed = mode.uplink_header_octets() + mode.tag_octets() + report.len();
        let room = MAX_FRAME.saturating_sub(fixed);
        let first_room = room.saturating_sub(if left_epoch.is_some() { 6 } else { 0 });
        let groups = self.group(room, first_room, alarms_alone);
        let total = groups.len();
        let count = if alarms_alone { 1 } else { total.min(BATCH) };
        for (index, group) in groups.into_iter().take(count).enumerate() {
            let following = total - 1 - index;
            let left = left_epoch.filter(|_| index == 0);
            self.build_uplink(
                now_ms,
                session,
                &group,
                (following, index + 1 == count),
                left,
            )?;
        }
        Ok(())
    }

    // spec: FRS-1, NON-2, FRM-6, FRM-8, FRM-9, FRM-11, REC-28, REC-31
    fn build_uplink(
        &mut self,
        now_ms: u64,
        session: Session,
        group: &[Stored],
        (following, asks): (usize, bool),
        left_epoch: Option<u32>,
    ) -> Result<(), TerminalError> {
        let suite = session.suite;
        let mut w = Writer::new();
        self.report(now_ms, following).encode(&mut w)?;
        if let Some(epoch) = left_epoch {
            w.item(0x70, &epoch.to_be_bytes())?;
        }
        for stored in group {
            w.bytes(&stored.item()?);
        }
        let alarm = group
            .iter()
            .any(|s| matches!(s.record.as_ref(), Record::AlarmNotice(_)));
        let owner = self.config.owner;
        let header = UplinkHeader {
            mode: suite.mode,
            alarm,
            answer: asks,
            key_version: suite.key_version,
            identity: owner.identity,
            counter: self.take_counter()?,
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
        let frame = uplink(&header, w.into_vec(), self.routine, key.as_ref())?;
        let epoch = self.store.epoch();
        let keys = group.iter().map(|s| (epoch, s.sequence)).collect();
        if self.sent.len() >= REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent {
            counter: header.counter,
            keys,
        });
        if asks {
            let octets = suite.mode.uplink_header_octets();
            let asked = Asked::Uplink {
                counter: header.counter,
            };
            self.put(frame, asked, session, nonces, alarm, octets);
        } else {
            let new_alarm = alarm && self.schedule.alarm.is_some_and(|a| a.fresh);
            self.outbox.push_back(Outgoing {
                frame,
                alarm,
                new_alarm,
                asks: false,
            });
        }
        Ok(())
    }
}
