//! The rows about what terminals serve: meters and their alarms.

use serde::Serialize;

use super::cells::{Cells, Row, Table, Taker};
use super::rows::Moment;
use crate::model::{Lsn, TerminalId};

/// What a meter table said of a meter.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Mounted {
    /// The device type of EN 13757-3: 2 electricity, 3 gas, 4 heat, 7 water.
    pub medium: Option<u8>,
    /// The code of the unit of its register.
    pub unit: Option<u8>,
    /// The digits of its register.
    pub digits: Option<u8>,
    /// Its serial.
    pub serial: Option<String>,
}

/// The latest register of a meter. The order of the fields is that of the latest: by when it was
/// measured, and the highest of one instant.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Latest {
    /// When it was measured, UTC seconds; 0 if none was seen.
    pub measured_at_utc_s: u32,
    /// The register in units of [`Self::unit`].
    pub register: u64,
    /// The code of its unit.
    pub unit: u8,
    /// When its frame was received, UTC seconds.
    pub received_utc_s: u32,
    /// What ingest noted about its record, as bits.
    pub flags: u16,
    /// The position of its step.
    pub position: Lsn,
}

/// A meter: one generation of one slot of a terminal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct MeterRow {
    /// The terminal.
    pub terminal: TerminalId,
    /// Slot in bits 7 to 4, generation in bits 3 to 0.
    pub meter: u8,
    /// Whether a meter table or an exchange has bound it.
    pub bound: bool,
    /// When [`Self::mounted`] was said.
    pub mounted_at: Moment,
    /// What is mounted.
    pub mounted: Mounted,
    /// Its latest register.
    pub latest: Latest,
    /// When the valve state was said.
    pub valve_at: Moment,
    /// The code of the state of its valve; none if that was never said.
    pub valve: Option<u8>,
}

impl MeterRow {
    pub(super) fn new(terminal: TerminalId, meter: u8) -> Self {
        Self {
            terminal,
            meter,
            bound: false,
            mounted_at: Moment::default(),
            mounted: Mounted::default(),
            latest: Latest::default(),
            valve_at: Moment::default(),
            valve: None,
        }
    }
}

impl Row for MeterRow {
    const TABLE: Table = Table {
        name: "meter",
        columns: &[
            "terminal",
            "meter",
            "bound",
            "table_at_utc_s",
            "table_sequence",
            "medium",
            "table_unit",
            "digits",
            "serial",
            "register",
            "unit",
            "measured_at_utc_s",
            "received_utc_s",
            "flags",
            "position",
            "valve_at_utc_s",
            "valve_sequence",
            "valve",
        ],
        keys: 2,
    };

    fn put(&self, cells: &mut Cells) {
        cells.terminal(self.terminal);
        cells.int(self.meter);
        cells.int(self.bound);
        self.mounted_at.put(cells);
        cells.option(self.mounted.medium);
        cells.option(self.mounted.unit);
        cells.option(self.mounted.digits);
        cells.text(self.mounted.serial.as_deref());
        // A register is below 2^48.
        cells.int(i64::try_from(self.latest.register).unwrap_or(i64::MAX));
        cells.int(self.latest.unit);
        cells.int(self.latest.measured_at_utc_s);
        cells.int(self.latest.received_utc_s);
        cells.int(self.latest.flags);
        cells.position(self.latest.position);
        self.valve_at.put(cells);
        cells.option(self.valve);
    }

    fn take(cells: &mut Taker<'_>) -> Option<Self> {
        Some(Self {
            terminal: cells.terminal()?,
            meter: cells.int()?,
            bound: cells.flag()?,
            mounted_at: Moment::take(cells)?,
            mounted: Mounted {
                medium: cells.option()?,
                unit: cells.option()?,
                digits: cells.option()?,
                serial: cells.text()?,
            },
            latest: Latest {
                register: cells.int()?,
                unit: cells.int()?,
                measured_at_utc_s: cells.int()?,
                received_utc_s: cells.int()?,
                flags: cells.int()?,
                position: cells.position()?,
            },
            valve_at: Moment::take(cells)?,
            valve: cells.option()?,
        })
    }
}

/// An alarm of a meter, open or not. A late notice must find what a later one said.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AlarmRow {
    /// The terminal.
    pub terminal: TerminalId,
    /// Slot and generation, as on the wire.
    pub meter: u8,
    /// The normalised alarm.
    pub alarm: u8,
    /// The meter's own two characters where the alarm alone does not tell two alarms apart, else 0.
    pub code: u16,
    /// When it last began.
    pub raised: Moment,
    /// When it was last said to go on.
    pub present: Moment,
    /// When it last ended.
    pub cleared: Moment,
    /// The position of the last notice of it.
    pub position: Lsn,
}

impl AlarmRow {
    pub(super) fn new(terminal: TerminalId, meter: u8, alarm: u8, code: u16) -> Self {
        Self {
            terminal,
            meter,
            alarm,
            code,
            raised: Moment::default(),
            present: Moment::default(),
            cleared: Moment::default(),
            position: Lsn::ZERO,
        }
    }

    /// Whether it goes on, by the latest that was said of it. What began and ended in one notice
    /// counts as open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let last = self.raised.max(self.present);
        last.is_known() && last >= self.cleared
    }

    /// Since when it goes on, UTC seconds, as far as that was told.
    #[must_use]
    pub fn since_utc_s(&self) -> u32 {
        if self.raised.is_known() && self.raised >= self.cleared {
            self.raised.at_utc_s
        } else {
            self.present.at_utc_s
        }
    }
}

impl Row for AlarmRow {
    const TABLE: Table = Table {
        name: "alarm",
        columns: &[
            "terminal",
            "meter",
            "alarm",
            "code",
            "is_open",
            "raised_at_utc_s",
            "raised_sequence",
            "present_at_utc_s",
            "present_sequence",
            "cleared_at_utc_s",
            "cleared_sequence",
            "position",
        ],
        keys: 4,
    };

    fn put(&self, cells: &mut Cells) {
        cells.terminal(self.terminal);
        cells.int(self.meter);
        cells.int(self.alarm);
        cells.int(self.code);
        cells.int(self.is_open());
        self.raised.put(cells);
        self.present.put(cells);
        self.cleared.put(cells);
        cells.position(self.position);
    }

    fn take(cells: &mut Taker<'_>) -> Option<Self> {
        let (terminal, meter) = (cells.terminal()?, cells.int()?);
        let (alarm, code) = (cells.int()?, cells.int()?);
        let _is_open = cells.flag()?;
        Some(Self {
            terminal,
            meter,
            alarm,
            code,
            raised: Moment::take(cells)?,
            present: Moment::take(cells)?,
            cleared: Moment::take(cells)?,
            position: cells.position()?,
        })
    }
}
