//! What frames say, in small pieces, and how a row takes them in.

use super::meter_rows::{AlarmRow, Latest, MeterRow, Mounted};
use super::rows::{HealthCells, Moment, TerminalRow};
use crate::model::{Lsn, TerminalId};
use crate::wire::otl::record::AlarmState;

/// What a session changed of its terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Session {
    pub(super) received_utc_s: u32,
    pub(super) counter: u32,
    /// The store epoch, 0 if the report cannot be read.
    pub(super) epoch: u32,
    /// The highest sequence of a record that was kept, 0 if none was.
    pub(super) highest_sequence: u32,
    pub(super) takes_report: bool,
    pub(super) version: Option<u8>,
    pub(super) mode: Option<u8>,
    pub(super) offers_mode: Option<u8>,
}

/// What changed of a terminal's registration, keys and counters. These have the order of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Put {
        utility: TerminalId,
        mode: u8,
        customer: Option<Box<str>>,
    },
    Removed,
    Readmitted(u8),
    Promoted {
        version: Option<u8>,
        mode: Option<u8>,
    },
    Session(Session),
}

/// One alarm of a notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AlarmSaid {
    pub(super) meter: u8,
    pub(super) alarm: u8,
    pub(super) code: u16,
    pub(super) state: AlarmState,
}

/// One piece of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fact {
    /// Something of the terminal, at a position.
    Change(Lsn, Change),
    /// Its health.
    Health(Moment, HealthCells),
    /// A register of a meter, and whether the record binds the meter.
    Register(u8, Latest, bool),
    /// The state of a meter's valve, as its code.
    Valve(u8, Moment, u8),
    /// What is mounted.
    Mounted(u8, Moment, Box<Mounted>),
    /// An exchange bound a meter.
    Bound(u8),
    /// An alarm, in the step at a position.
    Alarm(Moment, AlarmSaid, Lsn),
}

impl TerminalRow {
    /// Takes a change in. A row that begins with what is in memory has seen some of the log.
    pub(super) fn change(&mut self, lsn: Lsn, change: &Change) {
        if let Change::Session(session) = change {
            self.last_contact_utc_s = self.last_contact_utc_s.max(session.received_utc_s);
            self.counter = self.counter.max(session.counter);
        }
        if lsn <= self.applied {
            return;
        }
        self.applied = lsn;
        match change {
            Change::Put {
                utility,
                mode,
                customer,
            } => {
                self.utility = *utility;
                self.registered = true;
                self.customer = customer.as_deref().map(str::to_owned);
                if self.mode != *mode {
                    self.mode = *mode;
                    self.pending_mode = None;
                }
            }
            Change::Removed => {
                self.registered = false;
                self.customer = None;
            }
            Change::Readmitted(version) => self.readmitted_version = *version,
            Change::Promoted { version, mode } => self.promote(*version, *mode),
            Change::Session(session) => self.session(session),
        }
    }

    fn session(&mut self, session: &Session) {
        self.promote(session.version, session.mode);
        if session.offers_mode.is_some() {
            self.pending_mode = session.offers_mode;
        }
        if session.epoch == 0 {
            return;
        }
        let may_begin = session.takes_report || self.epoch == 0;
        if may_begin && self.epoch != session.epoch {
            self.epoch = session.epoch;
            self.highest_sequence = 0;
        }
        if self.epoch == session.epoch {
            self.highest_sequence = self.highest_sequence.max(session.highest_sequence);
        }
    }

    // spec: ROT-5, ROT-7, ROT-11
    fn promote(&mut self, version: Option<u8>, mode: Option<u8>) {
        if let Some(version) = version.filter(|version| *version > self.key_version) {
            self.key_version = version;
            self.readmitted_version = 0;
        }
        if let Some(mode) = mode.filter(|mode| self.pending_mode == Some(*mode)) {
            self.mode = mode;
            self.pending_mode = None;
        }
    }

    pub(super) fn healthy(&mut self, at: Moment, health: HealthCells) {
        if (at, health) > (self.health_at, self.health) {
            self.health_at = at;
            self.health = health;
        }
    }
}

impl MeterRow {
    pub(super) fn register(&mut self, latest: Latest, binds: bool) {
        self.bound |= binds;
        self.latest = self.latest.max(latest);
    }

    pub(super) fn valve(&mut self, at: Moment, valve: u8) {
        if (at, Some(valve)) > (self.valve_at, self.valve) {
            self.valve_at = at;
            self.valve = Some(valve);
        }
    }

    pub(super) fn mount(&mut self, at: Moment, mounted: &Mounted) {
        self.bound = true;
        if (at, mounted) > (self.mounted_at, &self.mounted) {
            self.mounted_at = at;
            self.mounted.clone_from(mounted);
        }
    }
}

impl AlarmRow {
    pub(super) fn said(&mut self, at: Moment, state: AlarmState, position: Lsn) {
        let cell = match state {
            AlarmState::Raised => &mut self.raised,
            AlarmState::Present => &mut self.present,
            AlarmState::Cleared => &mut self.cleared,
        };
        *cell = (*cell).max(at);
        self.position = self.position.max(position);
    }
}
