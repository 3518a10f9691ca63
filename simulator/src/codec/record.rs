//! The records as values.

use super::gauges::Gauges;
use super::report::Stamp;
use super::series::Series;

/// A meter: its slot and the generation of meters in that slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeterRef {
    /// 0 to 15.
    pub slot: u8,
    /// 0 to 15.
    pub generation: u8,
}

impl MeterRef {
    /// The generation that follows in this slot; after 15 the slot is used up.
    // spec: REC-14
    #[must_use]
    pub fn next_generation(self) -> Option<Self> {
        if self.generation >= 15 {
            return None;
        }
        Some(Self {
            slot: self.slot,
            generation: self.generation + 1,
        })
    }
}

/// A unit octet: quantity class and decimal exponent plus 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit(pub u8);

impl Unit {
    /// One litre of gas or water.
    pub const LITRE: Self = Self(0x15);
    /// A tenth of a litre.
    pub const DECILITRE: Self = Self(0x14);
    /// Ten pascals.
    pub const TEN_PASCAL: Self = Self(0x59);
}

/// A register and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// The unit.
    pub unit: Unit,
    /// The value, at most 2^48 - 1.
    pub value: u64,
}

/// Six octets of health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// 20 mV units, 255 unknown.
    pub battery: u8,
    /// Percent, 255 unknown.
    pub remaining: u8,
    /// Negative dBm, 255 unknown.
    pub rsrp: u8,
    /// dB, -128 unknown.
    pub snr: i8,
    /// Degrees Celsius, -128 unknown.
    pub temperature: i8,
    /// Transmissions of the last session, 15 = 15 or more.
    pub sends: u8,
    /// Cause of the last reset: 0 to 5, 15 unknown.
    pub reset: u8,
}

/// One day of one meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Everyday {
    /// Valve state, 0 to 9.
    pub valve: u8,
    /// The meter.
    pub meter: MeterRef,
    /// Unit of its registers.
    pub unit: Unit,
    /// Days since 1970 in the terminal's zone.
    pub day: u16,
    /// The register at mark 24, if it was measured.
    pub daily: Option<u64>,
    /// Hourly registers, 24 marks.
    pub registers: Option<Series>,
    /// Hourly pressures, 24 marks.
    pub pressures: Option<Gauges>,
    /// Health of the terminal.
    pub health: Option<Health>,
}

/// One alarm of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm {
    /// Code of the registry; 255 for what cannot be mapped.
    pub alarm: u8,
    /// 1 raised, 2 cleared, 3 present.
    pub state: u8,
    /// The meter's own two characters, or zero.
    pub code: [u8; 2],
}

impl Alarm {
    /// An alarm from the meter's own code; what cannot be mapped is kept as alarm 255.
    // spec: REC-23
    #[must_use]
    pub fn from_meter(code: [u8; 2], mapped: Option<u8>, state: u8) -> Self {
        Self {
            alarm: mapped.filter(|a| *a != 0).unwrap_or(255),
            state,
            code,
        }
    }
}

/// An event or a snapshot with one to six alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmNotice {
    /// When.
    pub stamp: Stamp,
    /// Which meter.
    pub meter: MeterRef,
    /// A state at a moment, not an event.
    pub snapshot: bool,
    /// Valve state, 0 to 9.
    pub valve: u8,
    /// Flow category character, or 0.
    pub flow_category: u8,
    /// Register at that time.
    pub register: Option<Register>,
    /// What the display shows, up to 8 printable characters.
    pub panel: Vec<u8>,
    /// One to six alarms.
    pub alarms: Vec<Alarm>,
}

/// A MAC under a command key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Command key version, 1 to 255.
    pub key_version: u8,
    /// The MAC; all zero until the record is stored.
    pub mac: [u8; 16],
}

/// What a valve is and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValveState {
    /// When it was read.
    pub stamp: Stamp,
    /// Which meter.
    pub meter: MeterRef,
    /// Valve state, 0 to 9.
    pub valve: u8,
    /// 1 command, 2 safety function, 3 locally, 4 unknown.
    pub cause: u8,
    /// Last command sequence executed, or 0.
    pub command: u32,
    /// MAC, if a command asked.
    pub proof: Option<Proof>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// When.
    pub stamp: Stamp,
    /// Command sequence.
    pub command: u32,
    /// Its kind.
    pub kind: u8,
    /// The meter it was for.
    pub meter: MeterRef,
    /// Valve state after it.
    pub valve: u8,
    /// Outcome code.
    pub outcome: u8,
    /// Up to 64 octets.
    pub data: Vec<u8>,
    /// MAC under the command key.
    pub proof: Option<Proof>,
}

/// What binds a meter octet to a real meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterTable {
    /// When.
    pub stamp: Stamp,
    /// Slot and generation.
    pub meter: MeterRef,
    /// EN 13757-3 device type.
    pub medium: u8,
    /// Unit of its register.
    pub unit: Unit,
    /// Digits of its register, 1 to 14.
    pub digits: u8,
    /// Serial number, 1 to 16 printable characters.
    pub serial: Vec<u8>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// 0x01
    Everyday(Everyday),
    /// 0x02
    RegisterReading {
        /// When.
        stamp: Stamp,
        /// Which meter.
        meter: MeterRef,
        /// 1 to 6.
        cause: u8,
        /// The value.
        register: Register,
    },
    /// 0x03
    IntervalSeries {
        /// Of mark 1.
        stamp: Stamp,
        /// Which meter.
        meter: MeterRef,
        /// Unit of the registers.
        unit: Unit,
        /// Minutes, 1 to 1,440.
        step_min: u16,
        /// The registers.
        series: Series,
    },
    /// 0x04
    IntervalGauges {
        /// Of mark 1.
        stamp: Stamp,
        /// Which meter.
        meter: MeterRef,
        /// Unit of the gauges.
        unit: Unit,
        /// Minutes, 1 to 1,440.
        step_min: u16,
        /// The gauges.
        gauges: Gauges,
    },
    /// 0x05
    AlarmNotice(AlarmNotice),
    /// 0x06
    ValveState(ValveState),
    /// 0x07
    Health {
        /// When.
        stamp: Stamp,
        /// The six octets.
        health: Health,
        /// Transmissions in all.
        sends_total: u32,
        /// Seconds since boot.
        uptime_s: u32,
    },
    /// 0x08
    ResidualGas {
        /// When.
        stamp: Stamp,
        /// Which meter.
        meter: MeterRef,
        /// 0 to 3.
        level: u8,
        /// Register at that time.
        register: Option<Register>,
    },
    /// 0x09
    MeterExchange {
        /// When.
        stamp: Stamp,
        /// The meter that went.
        old: MeterRef,
        /// The meter that came.
        new: MeterRef,
        /// Last register of the old one.
        old_register: Option<Register>,
        /// First register of the new one.
        new_register: Option<Register>,
    },
    /// 0x0A
    MeterTable(MeterTable),
    /// 0x0B
    CommandResult(CommandResult),
    /// 0x0C
    ClockChange {
        /// The old clock's now.
        before: Stamp,
        /// The new clock's now.
        after: Stamp,
        /// 1 an answer, 2 a technician, 3 a restart.
        cause: u8,
    },
    /// 0x0D
    OpaquePayload {
        /// When.
        stamp: Stamp,
        /// Maker number.
        maker: u16,
        /// The maker's own type.
        payload_type: u8,
        /// The octets.
        payload: Vec<u8>,
    },
    /// 0x0E
    TerminalInfo {
        /// When.
        stamp: Stamp,
        /// Model.
        model: u16,
        /// Firmware.
        firmware: u32,
        /// Capability bits.
        capabilities: u16,
        /// Quarter hours from UTC.
        zone: i8,
    },
    /// 0x60 to 0x6F: a maker's own record.
    Maker {
        /// The number.
        number: u8,
        /// Its body after the sequence.
        body: Vec<u8>,
    },
}
