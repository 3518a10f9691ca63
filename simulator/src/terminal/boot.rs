//! Power-on, a new epoch, a new utility.

use std::collections::VecDeque;

use super::schedule::{Schedule, Urgent};
use super::{Action, Config, Counter, Event, Mounted, Phase, Terminal, TerminalError};
use crate::clock::Clock;
use crate::codec::record::{MeterRef, Record};
use crate::codec::report::Report;
use crate::keys::{KeyRing, Mode, Utility, command_key};
use crate::meter::Meter;
use crate::nvm::{CounterCell, Nvm, Write};
use crate::random::Random;
use crate::rotation::Trial;
use crate::store::Store;

/// What is known of the counter after a restart, and whether a RESYNC must come first.
// spec: NON-3, NON-4, NON-5, RSY-2
fn counter_of(cell: CounterCell, mode: Mode) -> Counter {
    let at = |next: u32, resync| Counter {
        next,
        below: next,
        resync,
    };
    match cell {
        CounterCell::Reserved(below) => at(below.max(1), None),
        CounterCell::Lost if mode == Mode::Clear => at(1, None),
        CounterCell::Lost => at(1, Some(1)),
        CounterCell::Unproven(below) if mode == Mode::Clear => at(below.max(1), None),
        CounterCell::Unproven(below) => at(below.max(1), Some(2)),
    }
}

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// Power-on with what memory kept. The first session is due at once.
    ///
    /// # Errors
    /// A terminal without keys, or a write that fails.
    // spec: NON-3, NON-4, REC-2, RSY-3, KEY-9, ANS-21, SES-4
    pub fn new(
        config: Config,
        mut nvm: N,
        mut random: R,
        mut meters: Vec<Mounted<M>>,
        now_ms: u64,
    ) -> Result<Self, TerminalError> {
        let protected = nvm.protected()?.clone();
        let boot = protected.boot.wrapping_add(1);
        nvm.write(Write::Boot(boot))?;
        let working = nvm.working().clone();
        for mounted in &mut meters {
            mounted.device.restarted(now_ms);
        }
        let kept = Store::load(&working, config.store_capacity);
        let fresh = kept.is_none();
        let store = match kept {
            Some(store) => store,
            None => new_store(&mut nvm, &mut random, config.store_capacity)?,
        };
        let mut terminal = Self {
            clock: Clock::unset(boot, now_ms, config.drift_ppm),
            counter: counter_of(working.counter, *protected.mode.latest()),
            config,
            nvm,
            random,
            meters,
            store,
            keys: protected.keys,
            mode: protected.mode,
            routine: protected.routine,
            day_octets: (0, 0),
            ticket: working.ticket.unwrap_or_default(),
            mark: working.command,
            slot: working.slot,
            last_call: working.last_call,
            trial: Trial::default(),
            command_key_proven: false,
            refused_item: None,
            phase: Phase::Asleep,
            session: None,
            outstanding: None,
            outbox: VecDeque::new(),
            sent: VecDeque::new(),
            calls: VecDeque::new(),
            call_waiting: false,
            schedule: Schedule::at_boot(now_ms, working.spent),
            last_sends: 0,
            sends_total: 0,
            told_safe: Vec::new(),
            events: Vec::new(),
        };
        if fresh {
            terminal.introduce(now_ms)?;
        }
        terminal.look_for_begun_command(now_ms)?;
        if terminal.store.has_urgent() {
            terminal.schedule.urgent = Some(Urgent::due(now_ms));
        }
        Ok(terminal)
    }

    /// What the terminal is and which meters it serves: the first records of a store.
    // spec: REC-13, REC-32
    pub(crate) fn introduce(&mut self, now_ms: u64) -> Result<(), TerminalError> {
        self.push_info(now_ms)?;
        let stamp = self.clock.stamp(now_ms);
        let meters: Vec<MeterRef> = self.meters.iter().map(|m| m.meter).collect();
        for meter in meters {
            self.push_meter_table(meter, stamp)?;
        }
        Ok(())
    }

    // spec: REC-32, CMD-10
    pub(crate) fn push_info(&mut self, now_ms: u64) -> Result<(), TerminalError> {
        let stamp = self.clock.stamp(now_ms);
        let (model, firmware) = (self.config.model, self.config.firmware);
        let open = u16::from(self.config.valve_open_enabled) << 2;
        let capabilities = (self.config.capabilities & !0b100) | open;
        let zone = self.config.zone_quarter_hours;
        self.push(Record::TerminalInfo {
            stamp,
            model,
            firmware,
            capabilities,
            zone,
        })?;
        Ok(())
    }

    /// Switches remote opening on or off, at the terminal, on site.
    ///
    /// # Errors
    /// As [`Self::push`].
    // spec: CMD-10, REC-32
    pub fn switch_valve_open(&mut self, now_ms: u64, on: bool) -> Result<(), TerminalError> {
        self.config.valve_open_enabled = on;
        self.push_info(now_ms)
    }

    /// Another utility takes the terminal over, on site. Frame counter and command sequence stay.
    ///
    /// # Errors
    /// A write that fails, or keys whose versions do not go on counting.
    // spec: ID-1, ID-5, NON-5, KEY-7
    pub fn change_utility(
        &mut self,
        now_ms: u64,
        utility: Utility,
        keys: KeyRing,
    ) -> Result<(), TerminalError> {
        let above = |new: &KeyRing, old: &KeyRing| {
            new.link.current.version > old.link.latest().version
                && new.command.current.version > old.command.latest().version
                && new.key_encryption.current.version > old.key_encryption.latest().version
        };
        if !above(&keys, &self.keys) {
            return Err(TerminalError::KeyVersion);
        }
        self.finish(now_ms, false);
        self.nvm.write(Write::Keys(keys.clone()))?;
        self.keys = keys;
        self.config.owner.utility = utility;
        self.nvm.write(Write::Ticket([0; 8]))?;
        self.ticket = [0; 8];
        self.renew_epoch(false)?;
        self.push_info(now_ms)?;
        self.wake(now_ms);
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

    /// A new store epoch with the records that are not told safe, their sequences and contents.
    // spec: REC-2, REC-28, ID-5
    pub(crate) fn renew_epoch(&mut self, asked: bool) -> Result<(), TerminalError> {
        let epoch = draw_epoch(&mut self.random, self.store.epoch());
        let keys = &self.keys.command;
        let owner = self.config.owner;
        let renewed = self.store.renewed(epoch, asked, |version| {
            let base = keys.version(version).unwrap_or(&keys.current);
            let key = command_key(base, &owner, 1).ok()?;
            Some((base.version, key, owner.identity))
        })?;
        self.nvm.write(Write::Epoch {
            epoch,
            left: renewed.left(),
            next_sequence: renewed.next_sequence(),
            records: renewed.records().cloned().collect(),
        })?;
        self.store = renewed;
        self.events.push(Event::NewEpoch(epoch));
        Ok(())
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
}

/// A store without records, under an epoch of its own.
// spec: REC-2, RSY-3
fn new_store(
    nvm: &mut impl Nvm,
    random: &mut impl Random,
    capacity: usize,
) -> Result<Store, TerminalError> {
    let epoch = draw_epoch(random, 0);
    let records = Vec::new();
    nvm.write(Write::Epoch {
        epoch,
        left: None,
        next_sequence: 1,
        records,
    })?;
    Ok(Store::empty(epoch, capacity))
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
