//! What is looked up when somebody asks, since it is known elsewhere anyway.

use crate::model::Lsn;
use crate::net::counters::NetTotals;
use crate::net::mbus::counters::MbusTotals;

/// How full the disk is.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum DiskLevel {
    /// There is room.
    #[default]
    Plenty,
    /// Readings are told to come back.
    ComeBack,
    /// Only alarms and results are taken.
    AlarmsOnly,
    /// Nothing is taken.
    Full,
}

impl DiskLevel {
    /// Its number in metrics, 0 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Plenty => 0,
            Self::ComeBack => 1,
            Self::AlarmsOnly => 2,
            Self::Full => 3,
        }
    }

    /// Its name in log lines and answers.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Plenty => "plenty",
            Self::ComeBack => "come_back",
            Self::AlarmsOnly => "alarms_only",
            Self::Full => "full",
        }
    }
}

/// How far a sink or consumer is; alarm lane, bulk lane.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FollowerLevels {
    /// Its name.
    pub name: String,
    /// Records that it was given since the server started; those given again count again.
    pub delivered_records: [u64; 2],
    /// Octets of log between its cursor and the end of what is durable.
    pub lag_bytes: [u64; 2],
}

/// The present state of the server in numbers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Levels {
    /// Frames that wait for the disk.
    pub log_queue_frames: u64,
    /// The end of what is durable.
    pub durable_end: Lsn,
    /// Octets that were cut off the end of the log at the start.
    pub log_torn_octets: u64,
    /// How full the disk is.
    pub disk: DiskLevel,
    /// Terminals of the hot table.
    pub hot_terminals: u64,
    /// Sessions that are live.
    pub live_sessions: u64,
    /// What the listeners counted.
    pub net: NetTotals,
    /// What the listeners of M-Bus gateways counted.
    pub mbus: MbusTotals,
    /// M-Bus meters that are known.
    pub mbus_meters: u64,
    /// The sinks and consumers.
    pub followers: Vec<FollowerLevels>,
    /// Octets of log that are not folded into SQLite yet.
    pub sqlite_lag_bytes: u64,
    /// Seconds since the last snapshot of this process, or since its start.
    pub snapshot_age_s: u64,
}
