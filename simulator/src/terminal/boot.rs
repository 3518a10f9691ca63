//! Power-on, and records that come from the meter side.

use std::collections::VecDeque;

use super::schedule::Schedule;
use super::{Action, AlarmRetry, Config, Counter, Event, Mounted, Phase, Terminal, TerminalError};
use crate::clock::{Clock, is_step};
use crate::codec::frame::ladder;
use crate::codec::record::{Alarm, AlarmNotice, Everyday, MeterRef, MeterTable, Record, Register};
use crate::codec::report::{Report, Stamp};
use crate::codec::wire::Writer;
use crate::crypto::SecretKey;
use crate::keys::{Identity, Mode, command_key};
use crate::meter::Meter;
use crate::nvm::{CounterCell, Nvm, Write};
use crate::random::Random;
use crate::rotation::Trial;
use crate::store::{ProofKey, Store, ToldSafe};

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
    /// Power-on with what memory kept. The first session is due at once.
    ///
    /// # Errors
    /// A terminal without keys, or a write that fails.
    // spec: NON-3, NON-4, REC-2, RSY-3, KEY-9
    pub fn new(
        config: Config,
        mut nvm: N,
        mut random: R,
        meters: Vec<Mounted<M>>,
        now_ms: u64,
    ) -> Result<Self, TerminalError> {
        let protected = nvm.protected()?.clone();
        let boot = protected.boot.wrapping_add(1);
        nvm.write(Write::Boot(boot))?;
        let working = nvm.working().clone();
        let counter = match working.counter {
            CounterCell::Reserved(below) => Counter {
                next: below,
                below,
                resync: None,
            },
            CounterCell::Lost if *protected.mode.latest() == Mode::Clear => Counter {
                next: 1,
                below: 1,
                resync: None,
            },
            CounterCell::Lost => Counter {
                next: 0,
                below: 0,
                resync: Some(1),
            },
            CounterCell::Unproven => Counter {
                next: 0,
                below: 0,
                resync: Some(2),
            },
        };
        let kept = Store::load(&working, config.store_capacity);
        let fresh = kept.is_none();
        let store = match kept {
            Some(store) => store,
            None => {
                let epoch = draw_epoch(&mut random, 0);
                let write = Write::Epoch {
                    epoch,
                    next_sequence: 1,
                    records: Vec::new(),
                };
                nvm.write(write)?;
                Store::empty(epoch, config.store_capacity)
            }
        };
        let mut terminal = Self {
            clock: Clock::unset(boot, now_ms, config.drift_ppm),
            config,
            nvm,
            random,
            meters,
            store,
            keys: protected.keys,
            mode: protected.mode,
            routine: protected.routine,
            counter,
            ticket: working.ticket.unwrap_or_default(),
            mark: working.command,
            slot: working.slot,
            last_call: working.last_call,
            trial: Trial::default(),
            phase: Phase::Asleep,
            session: None,
            outstanding: None,
            outbox: VecDeque::new(),
            sent: VecDeque::new(),
            calls: VecDeque::new(),
            call_waiting: false,
            schedule: Schedule::at_boot(now_ms),
            last_sends: 0,
            sends_total: 0,
            told_safe: Vec::new(),
            events: Vec::new(),
        };
        if fresh {
            terminal.introduce(now_ms)?;
        }
        if terminal.store.has_alarm() {
            terminal.schedule.alarm = Some(AlarmRetry::due(now_ms));
        }
        terminal.look_for_begun_command(now_ms)?;
        Ok(terminal)
    }

    /// The first records of a store: what the terminal is and which meters it serves.
    // spec: REC-13
    fn introduce(&mut self, now_ms: u64) -> Result<(), TerminalError> {
        let stamp = self.clock.stamp(now_ms);
        let (model, firmware) = (self.config.model, self.config.firmware);
        let (capabilities, zone) = (self.config.capabilities, self.config.zone_quarter_hours);
        self.push(Record::TerminalInfo {
            stamp,
            model,
            firmware,
            capabilities,
            zone,
        })?;
        let slots: Vec<MeterRef> = self.meters.iter().map(|m| m.meter).collect();
        for meter in slots {
            self.push_meter_table(meter, stamp)?;
        }
        Ok(())
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

    /// Stores a record; it goes out with the next session. Returns its sequence.
    ///
    /// # Errors
    /// A record without an encoding, a full store, a write that fails.
    // spec: REC-6, REC-10, NON-3
    pub fn push(&mut self, record: Record) -> Result<u32, TerminalError> {
        if self.store.refuses(&record) {
            return Err(TerminalError::StoreFull);
        }
        while let Some(oldest) = self.store.to_drop() {
            self.nvm.write(Write::Forget(oldest))?;
            if let Some(gone) = self.store.forget(oldest) {
                let (epoch, sequence) = (self.store.epoch(), gone.sequence);
                let (record, body) = (gone.record, gone.body);
                self.events.push(Event::Dropped(ToldSafe {
                    epoch,
                    sequence,
                    record,
                    body,
                }));
            }
        }
        if self.store.exhausted() {
            self.renew_epoch()?;
        }
        let key = match record.proof() {
            Some(proof) => self.result_key(proof.key_version)?,
            None => None,
        };
        let proof = key.as_ref().map(|(_, key, identity)| ProofKey {
            key,
            identity: *identity,
        });
        let stored = self.store.prepare(record, proof.as_ref())?;
        self.nvm.write(Write::Record(stored.clone()))?;
        let sequence = stored.sequence;
        if matches!(stored.record.as_ref(), Record::Everyday(_)) {
            self.grow_routine(stored.item_len())?;
        }
        self.store.insert(stored);
        Ok(sequence)
    }

    /// The routine size never shrinks; it covers a frame with one day's record alone.
    // spec: FRM-11
    fn grow_routine(&mut self, item: usize) -> Result<(), TerminalError> {
        let mode = *self.mode.latest();
        let report = self.report_octets()?;
        let needed = mode.uplink_header_octets() + report + item + mode.tag_octets();
        let routine = ladder(needed).unwrap_or(self.routine);
        if routine > self.routine {
            self.nvm.write(Write::Routine(routine))?;
            self.routine = routine;
        }
        Ok(())
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
            self.schedule.alarm = Some(AlarmRetry::fresh(now_ms));
        }
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

    /// A technician orders a RESYNC; the next session begins with one.
    // spec: RSY-4
    pub fn order_resync(&mut self, now_ms: u64) {
        if *self.mode.latest() != Mode::Clear {
            self.counter.resync = Some(3);
            self.wake(now_ms);
        }
    }

    /// Begins a session at the next poll, unless one is running.
    pub fn wake(&mut self, now_ms: u64) {
        self.schedule.next_call_ms = self.schedule.next_call_ms.min(now_ms);
    }

    /// Polls until the machine waits or sleeps; returns the frames and the last action.
    ///
    /// # Errors
    /// As [`Self::poll`].
    pub fn run(&mut self, now_ms: u64) -> Result<(Vec<Vec<u8>>, Action), TerminalError> {
        let mut frames = Vec::new();
        loop {
            match self.poll(now_ms)? {
                Action::Transmit { frame, .. } => frames.push(frame),
                other => return Ok((frames, other)),
            }
        }
    }

    /// A new store epoch with the records that are not told safe.
    // spec: REC-2, REC-28
    pub(crate) fn renew_epoch(&mut self) -> Result<(), TerminalError> {
        let epoch = draw_epoch(&mut self.random, self.store.epoch());
        let keys = &self.keys.command;
        let owner = self.config.owner;
        let renewed = self.store.renewed(epoch, |version| {
            let base = keys.version(version).unwrap_or(&keys.current);
            let key = command_key(base, &owner, 1).ok()?;
            Some((base.version, key, owner.identity))
        })?;
        self.nvm.write(Write::Epoch {
            epoch,
            next_sequence: renewed.next_sequence(),
            records: renewed.records().cloned().collect(),
        })?;
        self.store = renewed;
        self.events.push(Event::NewEpoch(epoch));
        Ok(())
    }

    fn result_key(&self, version: u8) -> Result<Option<(u8, SecretKey, Identity)>, TerminalError> {
        let Some(base) = self.keys.command.version(version) else {
            return Ok(None);
        };
        let key = command_key(base, &self.config.owner, 1)?;
        Ok(Some((version, key, self.config.owner.identity)))
    }

    /// The report as it would be sent now.
    // spec: REC-1, ANS-18
    #[must_use]
    pub fn report(&self, now_ms: u64, following: usize) -> Report {
        Report {
            stamp: self.clock.stamp(now_ms),
            epoch: self.store.epoch(),
            slot_version: self.slot.map_or(0, |s| s.version),
            following: u8::try_from(following).unwrap_or(15).min(15),
            command: self.mark.map(|m| (m.sequence, m.outcome)),
        }
    }

    fn report_octets(&self) -> Result<usize, TerminalError> {
        let mut w = Writer::new();
        self.report(u64::MAX, 0).encode(&mut w)?;
        Ok(w.len())
    }
}

/// A store epoch: random, never 0, never the one before.
// spec: REC-2
fn draw_epoch(random: &mut impl Random, before: u32) -> u32 {
    loop {
        let epoch = random.u32();
        if epoch != 0 && epoch != before {
            return epoch;
        }
    }
}
