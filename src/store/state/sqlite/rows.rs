//! What the database keeps of a terminal and a meter, and how two pieces of knowledge are joined.
//!
//! Each value carries the *rank* of the fact that it came from: the instant, and the record
//! sequence where two facts have the same instant. The higher rank stays, so that facts end in the
//! same rows in whatever order they come, and however often.

use crate::keyring::UtilityId;
use crate::model::Lsn;
use crate::model::step::Observation;
use crate::wire::otl::health::Health;

/// When a fact was, and its place among those of the same second. Fits a positive SQL integer.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rank(i64);

const SEQUENCE_BITS: u32 = 31;
const SEQUENCE_MAX: u32 = u32::MAX >> 1;

impl Rank {
    /// The rank of a fact of a second, UTC, that a record of this sequence tells.
    #[must_use]
    pub fn new(utc_s: u32, sequence: u32) -> Self {
        Self(i64::from(utc_s) << SEQUENCE_BITS | i64::from(sequence.min(SEQUENCE_MAX)))
    }

    /// A rank as the database has it.
    #[must_use]
    pub const fn from_sql(number: i64) -> Self {
        Self(number)
    }

    /// The rank as the database has it.
    #[must_use]
    pub const fn sql(self) -> i64 {
        self.0
    }

    /// The second, UTC.
    #[must_use]
    pub fn utc_s(self) -> u32 {
        u32::try_from(self.0 >> SEQUENCE_BITS).unwrap_or(0)
    }

    /// Whether there is a fact at all.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// What is registered of a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registered {
    /// Its utility.
    pub utility: UtilityId,
    /// Its customer number.
    pub customer: Option<String>,
}

/// Health as it was last told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HealthRow {
    /// When.
    pub rank: Rank,
    /// Battery in mV.
    pub battery_mv: Option<u16>,
    /// Charge that remains, in percent.
    pub remaining_percent: Option<u8>,
    /// Received power in dBm.
    pub rsrp_dbm: Option<i16>,
    /// Signal to noise ratio in dB.
    pub snr_db: Option<i8>,
    /// Temperature in °C.
    pub temperature_degc: Option<i8>,
    /// Transmissions that the last session needed.
    pub sends: u8,
    /// The code of why the terminal last began anew.
    pub reset_cause: u8,
}

impl HealthRow {
    /// The row of a health that was told with a rank.
    #[must_use]
    pub fn of(health: &Health, rank: Rank) -> Self {
        Self {
            rank,
            battery_mv: health.battery_mv(),
            remaining_percent: health.remaining_percent(),
            rsrp_dbm: health.rsrp_dbm(),
            snr_db: health.snr_db(),
            temperature_degc: health.temperature_degc(),
            sends: health.sends(),
            reset_cause: health.reset_cause().code(),
        }
    }
}

/// What is known of a terminal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TerminalRow {
    /// What is registered of it; none if that did not change.
    pub registered: Option<Box<Registered>>,
    /// Its mode, if that changed.
    pub mode: Option<u8>,
    /// Whether it is registered, if that changed.
    pub is_registered: Option<bool>,
    /// When its last frame was received, UTC seconds.
    pub last_contact_utc_s: u32,
    /// The position of the last frame that was about it.
    pub position: Lsn,
    /// Its health.
    pub health: HealthRow,
}

impl TerminalRow {
    /// Takes later knowledge in.
    pub fn join(&mut self, later: Self) {
        self.registered = later.registered.or_else(|| self.registered.take());
        self.mode = later.mode.or(self.mode);
        self.is_registered = later.is_registered.or(self.is_registered);
        self.last_contact_utc_s = self.last_contact_utc_s.max(later.last_contact_utc_s);
        self.position = self.position.max(later.position);
        if later.health.rank > self.health.rank {
            self.health = later.health;
        }
    }
}

/// What is mounted, as a meter table says.
// spec: REC-15
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binding {
    /// Since when.
    pub rank: Rank,
    /// The serial.
    pub serial: String,
    /// The device type.
    pub medium: u8,
    /// The code of the unit.
    pub unit: u8,
    /// The digits of the register.
    pub digits: u8,
}

/// The state of a valve.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ValveRow {
    /// When.
    pub rank: Rank,
    /// The code of the state.
    pub state: u8,
    /// The code of why, 0 if it was not told.
    pub cause: u8,
}

/// What is known of a meter of a terminal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MeterRow {
    /// When the register was measured, UTC seconds; 0 if none was.
    pub measured_at_utc_s: u32,
    /// The register in units of `unit`.
    pub register: u64,
    /// The code of the unit.
    pub unit: u8,
    /// Its valve.
    pub valve: ValveRow,
    /// What is mounted.
    pub binding: Option<Box<Binding>>,
}

impl MeterRow {
    /// Takes an observation in. The latest measurement stays, in whatever order they come.
    pub fn observe(&mut self, seen: &Observation) {
        let is_later = (seen.at_utc_s, seen.register) > (self.measured_at_utc_s, self.register);
        if seen.at_utc_s != 0 && is_later {
            self.measured_at_utc_s = seen.at_utc_s;
            self.register = seen.register;
            self.unit = seen.unit;
        }
    }

    /// Takes the state of its valve in.
    pub fn see_valve(&mut self, valve: ValveRow) {
        if (valve.rank, valve.state) > (self.valve.rank, self.valve.state) {
            self.valve = valve;
        }
    }

    /// Takes in what is mounted.
    pub fn bind(&mut self, binding: Box<Binding>) {
        if self
            .binding
            .as_ref()
            .is_none_or(|known| binding.rank > known.rank)
        {
            self.binding = Some(binding);
        }
    }

    /// Takes other knowledge in.
    pub fn join(&mut self, other: Self) {
        let seen = (other.measured_at_utc_s, other.register);
        if other.measured_at_utc_s != 0 && seen > (self.measured_at_utc_s, self.register) {
            (self.measured_at_utc_s, self.register) = seen;
            self.unit = other.unit;
        }
        self.see_valve(other.valve);
        if let Some(binding) = other.binding {
            self.bind(binding);
        }
    }
}

/// Which alarm of a terminal.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AlarmKey {
    /// Slot and generation.
    pub meter: u8,
    /// The code of the alarm.
    pub alarm: u8,
    /// The meter's own two characters, or zeros.
    pub code: [u8; 2],
}

/// An alarm: open if it was seen after it was last cleared.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AlarmRow {
    /// When it was last raised.
    pub raised: Rank,
    /// When it was last raised or present.
    pub seen: Rank,
    /// When it was last cleared.
    pub cleared: Rank,
    /// What the display showed at the last of these.
    pub panel: String,
}

impl AlarmRow {
    /// When it was last heard of.
    #[must_use]
    pub fn last(&self) -> Rank {
        self.seen.max(self.cleared)
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.seen > self.cleared
    }

    /// Since when it is open, UTC seconds, as far as that is known.
    #[must_use]
    pub fn first_seen_utc_s(&self) -> u32 {
        if self.raised > self.cleared {
            self.raised.utc_s()
        } else {
            self.seen.utc_s()
        }
    }

    /// Takes other knowledge in.
    pub fn join(&mut self, other: Self) {
        if (other.last(), &other.panel) > (self.last(), &self.panel) {
            self.panel = other.panel;
        }
        self.raised = self.raised.max(other.raised);
        self.seen = self.seen.max(other.seen);
        self.cleared = self.cleared.max(other.cleared);
    }
}
