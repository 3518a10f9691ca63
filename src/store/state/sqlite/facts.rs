//! What frames say, in small pieces, and how a row takes them in.

use super::meter_rows::{AlarmRow, Latest, MeterRow, Mounted};
use super::rows::{HealthCells, HealthRow, Moment};
use crate::model::Lsn;
use crate::wire::otl::record::AlarmState;

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

impl HealthRow {
    pub(super) fn said(&mut self, at: Moment, health: HealthCells) {
        if (at, health) > (self.at, self.health) {
            self.at = at;
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
