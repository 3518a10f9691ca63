//! Records that come from the meter side and from the site.

use super::schedule::Urgent;
use super::{Event, Mounted, Terminal, TerminalError};
use crate::clock::is_step;
use crate::codec::frame::ladder;
use crate::codec::record::{Alarm, AlarmNotice, Everyday, MeterRef, MeterTable, Record, Register};
use crate::codec::report::Stamp;
use crate::codec::wire::varint_len;
use crate::crypto::SecretKey;
use crate::keys::{Identity, command_key};
use crate::meter::Meter;
use crate::nvm::{Nvm, Write};
use crate::random::Random;
use crate::store::{ProofKey, Stored, ToldSafe};

/// What an alarm notice says beside its alarms.
#[derive(Debug, Clone, Default)]
pub struct NoticeDetail {
    /// A state at a moment, not an event.
    pub snapshot: bool,
    /// Flow category character, or 0.
    pub flow_category: u8,
    /// What the display shows.
    pub panel: Vec<u8>,
    /// Register at that time.
    pub register: Option<Register>,
}

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// Stores a record; it goes out with the next session. Returns its sequence.
    ///
    /// # Errors
    /// A record without an encoding, an everyday record while the clock is unset, a write that
    /// fails, sequences that are used up.
    // spec: REC-6, REC-10, REC-32
    pub fn push(&mut self, record: Record) -> Result<u32, TerminalError> {
        if matches!(record, Record::Everyday(_)) && !self.clock.is_set() {
            return Err(TerminalError::ClockUnset);
        }
        if self.store.exhausted() {
            return Err(TerminalError::SequencesUsedUp);
        }
        let key = match record.proof() {
            Some(proof) => self.result_key(proof.key_version)?,
            None => None,
        };
        let proof = key.as_ref().map(|(key, identity)| ProofKey {
            key,
            identity: *identity,
        });
        let stored = self.store.prepare(record, proof.as_ref())?;
        while let Some(oldest) = self.store.to_drop() {
            self.nvm.write(Write::Forget(oldest))?;
            if let Some(gone) = self.store.forget(oldest) {
                let Stored {
                    sequence,
                    record,
                    body,
                } = gone;
                let epoch = self.store.epoch();
                self.events.push(Event::Dropped(ToldSafe {
                    epoch,
                    sequence,
                    record,
                    body,
                }));
            }
        }
        self.nvm.write(Write::Record(stored.clone()))?;
        let sequence = stored.sequence;
        self.grow_routine(&stored)?;
        self.store.insert(stored);
        Ok(sequence)
    }

    /// The routine size never shrinks; it covers one day's records of all meters and nothing else.
    // spec: FRM-11
    fn grow_routine(&mut self, stored: &Stored) -> Result<(), TerminalError> {
        let Record::Everyday(day) = stored.record.as_ref() else {
            return Ok(());
        };
        let (of, before) = self.day_octets;
        let items = if of == day.day { before } else { 0 } + stored.item_len();
        self.day_octets = (day.day, items);
        let report = self.report_octets();
        let mode = *self.mode.latest();
        let needed = mode.uplink_header_octets() + report + items + mode.tag_octets();
        let routine = ladder(needed).unwrap_or(self.routine);
        if routine > self.routine {
            self.nvm.write(Write::Routine(routine))?;
            self.routine = routine;
        }
        Ok(())
    }

    /// Octets of a report with a set clock.
    fn report_octets(&self) -> usize {
        let command = self
            .mark
            .map_or(1, |m| varint_len(u64::from(m.sequence)) + 1);
        5 + 4 + 1 + command
    }

    /// A day's record.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_day(&mut self, day: Everyday) -> Result<u32, TerminalError> {
        self.push(Record::Everyday(day))
    }

    /// Alarms of one event: stored and sent at once, in notices of up to six.
    ///
    /// # Errors
    /// As [`Self::push`], or a meter that is not mounted.
    // spec: REC-22, SES-3
    pub fn raise(
        &mut self,
        now_ms: u64,
        slot: u8,
        alarms: &[Alarm],
        detail: &NoticeDetail,
    ) -> Result<(), TerminalError> {
        let stamp = self.clock.stamp(now_ms);
        let mounted = self.mounted_mut(slot).ok_or(TerminalError::NoMeter)?;
        let (meter, valve) = (mounted.meter, mounted.device.valve(now_ms));
        for part in alarms.chunks(6) {
            self.push(Record::AlarmNotice(AlarmNotice {
                stamp,
                meter,
                snapshot: detail.snapshot,
                valve,
                flow_category: detail.flow_category,
                register: detail.register,
                panel: detail.panel.clone(),
                alarms: part.to_vec(),
            }))?;
        }
        if !alarms.is_empty() {
            self.send_at_once(now_ms);
        }
        Ok(())
    }

    /// Something is stored that must be told safe soon: an alarm, or the result of a dangerous
    /// command.
    // spec: SES-3
    pub(crate) fn send_at_once(&mut self, now_ms: u64) {
        self.schedule.urgent = Some(Urgent::fresh(now_ms));
    }

    pub(crate) fn push_meter_table(
        &mut self,
        meter: MeterRef,
        stamp: Stamp,
    ) -> Result<(), TerminalError> {
        let mounted = self
            .meters
            .iter()
            .find(|m| m.meter == meter)
            .ok_or(TerminalError::NoMeter)?;
        let table = MeterTable {
            stamp,
            meter,
            medium: mounted.medium,
            unit: mounted.unit,
            digits: mounted.digits,
            serial: mounted.serial.clone(),
        };
        self.push(Record::MeterTable(table))?;
        Ok(())
    }

    /// Another meter is mounted in a slot: a new generation, its table, the exchange.
    ///
    /// # Errors
    /// As [`Self::push`]; no meter in the slot, or its generations are used up.
    // spec: REC-13, REC-14, REC-25
    pub fn exchange_meter(
        &mut self,
        now_ms: u64,
        mut new: Mounted<M>,
    ) -> Result<MeterRef, TerminalError> {
        let stamp = self.clock.stamp(now_ms);
        let mounted = self
            .mounted_mut(new.meter.slot)
            .ok_or(TerminalError::NoMeter)?;
        let old = mounted.meter;
        let old_register = mounted.device.register(now_ms);
        let next = old.next_generation().ok_or(TerminalError::NoMeter)?;
        new.meter = next;
        let new_register = new.device.register(now_ms);
        self.meters.push(new);
        self.push_meter_table(next, stamp)?;
        self.push(Record::MeterExchange {
            stamp,
            old,
            new: next,
            old_register,
            new_register,
        })?;
        Ok(next)
    }

    /// A technician sets the clock.
    ///
    /// # Errors
    /// As [`Self::push`].
    // spec: REC-5
    pub fn set_clock(&mut self, now_ms: u64, utc_s: u32) -> Result<(), TerminalError> {
        let before = self.clock.stamp(now_ms);
        self.clock.set(now_ms, u64::from(utc_s) * 1_000, 1_000);
        let after = self.clock.stamp(now_ms);
        if is_step(&before, &after) {
            self.push(Record::ClockChange {
                before,
                after,
                cause: 2,
            })?;
        }
        self.plan(now_ms, false);
        Ok(())
    }

    fn result_key(&self, version: u8) -> Result<Option<(SecretKey, Identity)>, TerminalError> {
        let Some(base) = self.keys.command.version(version) else {
            return Ok(None);
        };
        let key = command_key(base, &self.config.owner, 1)?;
        Ok(Some((key, self.config.owner.identity)))
    }
}
