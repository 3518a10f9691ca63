//! What is looked up when somebody asks, since it is known elsewhere anyway.

use crate::model::Lsn;

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

/// The present state of the server in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
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
    /// Connections of terminals.
    pub tcp_connections: u64,
    /// Octets of log that are not folded into SQLite yet.
    pub sqlite_lag_bytes: u64,
    /// Seconds since the last snapshot.
    pub snapshot_age_s: u64,
}
