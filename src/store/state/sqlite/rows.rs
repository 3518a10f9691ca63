//! The rows about the health of terminals and about what people did.

use serde::{Deserialize, Serialize};

use super::cells::{Cells, Row, Table, Taker};
use crate::model::{Lsn, TerminalId};

/// The order of what a terminal said about one thing: when it was so, and then its sequence. What
/// comes later in this order stays, in whatever order frames come.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Moment {
    /// UTC seconds, 0 if it was never said.
    pub at_utc_s: u32,
    /// The record's sequence.
    pub sequence: u32,
}

impl Moment {
    /// Whether it was ever said.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.at_utc_s != 0
    }

    pub(super) fn put(self, cells: &mut Cells) {
        cells.int(self.at_utc_s);
        cells.int(self.sequence);
    }

    pub(super) fn take(cells: &mut Taker<'_>) -> Option<Self> {
        Some(Self {
            at_utc_s: cells.int()?,
            sequence: cells.int()?,
        })
    }
}

/// How far the log is folded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MetaRow {
    /// All frames before it are folded.
    pub position: Lsn,
    /// When the last of their steps was received, UTC seconds; 0 before the first.
    pub received_utc_s: u32,
}

impl Row for MetaRow {
    const TABLE: Table = Table {
        name: "meta",
        columns: &["one", "position", "received_utc_s"],
        keys: 1,
    };

    fn put(&self, cells: &mut Cells) {
        cells.int(1);
        cells.position(self.position);
        cells.int(self.received_utc_s);
    }

    fn take(cells: &mut Taker<'_>) -> Option<Self> {
        let _one: u8 = cells.int()?;
        Some(Self {
            position: cells.position()?,
            received_utc_s: cells.int()?,
        })
    }
}

/// What a terminal last said of its health. `None` is what it does not know.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct HealthCells {
    /// Battery voltage in mV.
    pub battery_mv: Option<u16>,
    /// Charge that remains, in percent.
    pub remaining_percent: Option<u8>,
    /// Received power in dBm.
    pub rsrp_dbm: Option<i16>,
    /// Signal to noise ratio in dB.
    pub snr_db: Option<i8>,
    /// Temperature in °C.
    pub temperature_degc: Option<i8>,
    /// Transmissions that its last session needed; 15 stands for 15 or more.
    pub sends: Option<u8>,
    /// The code of why it last began anew.
    pub reset_cause: Option<u8>,
}

/// The health of a terminal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HealthRow {
    /// The terminal.
    pub terminal: TerminalId,
    /// When it said this.
    pub at: Moment,
    /// What it said.
    pub health: HealthCells,
}

impl HealthRow {
    pub(super) fn new(terminal: TerminalId) -> Self {
        Self {
            terminal,
            at: Moment::default(),
            health: HealthCells::default(),
        }
    }
}

impl Row for HealthRow {
    const TABLE: Table = Table {
        name: "health",
        columns: &[
            "terminal",
            "at_utc_s",
            "sequence",
            "battery_mv",
            "remaining_percent",
            "rsrp_dbm",
            "snr_db",
            "temperature_degc",
            "sends",
            "reset_cause",
        ],
        keys: 1,
    };

    fn put(&self, cells: &mut Cells) {
        cells.terminal(self.terminal);
        self.at.put(cells);
        cells.option(self.health.battery_mv);
        cells.option(self.health.remaining_percent);
        cells.option(self.health.rsrp_dbm);
        cells.option(self.health.snr_db);
        cells.option(self.health.temperature_degc);
        cells.option(self.health.sends);
        cells.option(self.health.reset_cause);
    }

    fn take(cells: &mut Taker<'_>) -> Option<Self> {
        Some(Self {
            terminal: cells.terminal()?,
            at: Moment::take(cells)?,
            health: HealthCells {
                battery_mv: cells.option()?,
                remaining_percent: cells.option()?,
                rsrp_dbm: cells.option()?,
                snr_db: cells.option()?,
                temperature_degc: cells.option()?,
                sends: cells.option()?,
                reset_cause: cells.option()?,
            },
        })
    }
}

/// Something that a person, a key or a sink did, or that the server noticed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AuditRow {
    /// The position of its frame.
    pub position: Lsn,
    /// What tells entries of one frame apart.
    pub number: u8,
    /// When the last frame of a terminal before it was received, UTC seconds: it is not older.
    pub after_utc_s: u32,
    /// What happened: an event's tag, or `rollback_suspected`, `not_folded`.
    pub kind: String,
    /// What it is about: a terminal, a utility, a sink.
    pub subject: Option<String>,
    /// The rest, as JSON.
    pub detail: String,
}

impl Row for AuditRow {
    const TABLE: Table = Table {
        name: "audit",
        columns: &[
            "position",
            "number",
            "after_utc_s",
            "kind",
            "subject",
            "detail",
        ],
        keys: 2,
    };

    fn put(&self, cells: &mut Cells) {
        cells.position(self.position);
        cells.int(self.number);
        cells.int(self.after_utc_s);
        cells.text(Some(&self.kind));
        cells.text(self.subject.as_deref());
        cells.text(Some(&self.detail));
    }

    fn take(cells: &mut Taker<'_>) -> Option<Self> {
        Some(Self {
            position: cells.position()?,
            number: cells.int()?,
            after_utc_s: cells.int()?,
            kind: cells.text()??,
            subject: cells.text()?,
            detail: cells.text()??,
        })
    }
}
