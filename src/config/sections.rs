//! The sections of a configuration, with the defaults and the ranges of their settings.
//!
//! `template.toml` gives the reason of each default.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::keyring::UtilityId;
use crate::model::Lsn;

/// `[listen]`: where terminals call. `None` is off.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen {
    /// Readings over UDP.
    pub udp: Option<SocketAddr>,
    /// Alarms over UDP, on a port of their own.
    pub udp_alarm: Option<SocketAddr>,
    /// Connections.
    pub tcp: Option<SocketAddr>,
    /// Loops that take datagrams, 1 to [`Self::UDP_WORKERS_MAX`]; one a core if not set.
    pub udp_workers: Option<u16>,
}

impl Listen {
    /// The most loops that take datagrams.
    pub const UDP_WORKERS_MAX: u16 = 16;

    /// The loops that take datagrams on a machine with so many cores.
    #[must_use]
    pub fn udp_workers_on(&self, cores: usize) -> u16 {
        let a_core = u16::try_from(cores).unwrap_or(Self::UDP_WORKERS_MAX);
        let workers = self.udp_workers.unwrap_or(a_core);
        workers.clamp(1, Self::UDP_WORKERS_MAX)
    }
}

/// An address of this machine that no other machine reaches.
const fn loopback(port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::new(
        std::net::IpAddr::V4(Ipv4Addr::LOCALHOST),
        port,
    ))
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            udp: loopback(7_511),
            udp_alarm: loopback(7_512),
            tcp: loopback(7_511),
            udp_workers: None,
        }
    }
}

/// `[tcp]`: bounds on connections.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tcp {
    /// Connections at once, 1 to 1,000,000.
    pub max_connections: u32,
    /// Connections at once on which no frame has verified yet, 1 to 1,000,000.
    pub max_unverified: u32,
    /// Seconds from the opening to the first verified frame, and from the first octet of a frame
    /// to its last, 1 to 20.
    // spec: TCP-4
    pub first_frame_timeout_s: u32,
    /// Seconds of silence after which a connection is closed, 3,600 to 86,400.
    // spec: TCP-5
    pub idle_timeout_s: u32,
    /// Connections that wait to be accepted, 1 to 65,535. The system may hold it lower.
    pub accept_backlog: u32,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            max_connections: 16_000,
            max_unverified: 8_000,
            first_frame_timeout_s: 20,
            idle_timeout_s: 3_900,
            accept_backlog: 4_096,
        }
    }
}

/// `[admission]`: bounds on senders that fail to authenticate. Frames that verify never count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admission {
    /// Failures that an address may go on with, a second, 1 to 100,000.
    pub failed_per_address_per_s: u32,
    /// Failures that an address may have at once, 1 to 1,000,000.
    pub burst: u32,
    /// Failures of all senders on one port (readings, alarms, TCP) beyond which nothing on it is
    /// tried, a second, 100 to 10,000,000.
    pub failed_per_port_per_s: u32,
    /// Addresses that are remembered at once, 1,024 to 16,777,216.
    pub addresses_max: u32,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            failed_per_address_per_s: 10,
            burst: 100,
            failed_per_port_per_s: 30_000,
            addresses_max: 65_536,
        }
    }
}

/// `[mbus]`: where gateways hand M-Bus telegrams over. Off unless an address is set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mbus {
    /// Datagrams.
    pub udp: Option<SocketAddr>,
    /// Lines over connections in clear.
    pub tcp: Option<SocketAddr>,
    /// Lines over connections with TLS 1.3 and certificates on both sides. All three files are set
    /// with it.
    pub tls: Option<SocketAddr>,
    /// The server's certificate, and those between it and its authority, in PEM.
    pub tls_cert_file: Option<PathBuf>,
    /// The server's private key, in PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Who may sign certificates of gateways, in PEM.
    pub tls_client_ca_file: Option<PathBuf>,
    /// Connections at once, 1 to 65,535.
    pub max_connections: u32,
    /// Seconds until a gateway has to be known, and from the first octet of a line to its last, 1
    /// to 60.
    pub line_timeout_s: u32,
    /// Seconds of silence after which a connection ends, 60 to 86,400.
    pub idle_timeout_s: u32,
    /// Whether telegrams in clear are taken of meters that have no key.
    pub allow_clear_meters: bool,
    /// Meters that are known at once before further ones without a key are refused, 1 to
    /// 16,777,216.
    pub meters_max: u32,
}

impl Mbus {
    /// Whether anything listens.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.udp.is_some() || self.tcp.is_some() || self.tls.is_some()
    }

    /// Meters without a key that may be known, none if nothing listens for gateways.
    #[must_use]
    pub fn meters(&self) -> u64 {
        if self.is_on() {
            self.meters_max.into()
        } else {
            0
        }
    }

    /// Connections at once, none if nothing listens for them.
    #[must_use]
    pub fn connections(&self) -> u64 {
        if self.tcp.is_some() || self.tls.is_some() {
            self.max_connections.into()
        } else {
            0
        }
    }
}

impl Default for Mbus {
    fn default() -> Self {
        Self {
            udp: None,
            tcp: None,
            tls: None,
            tls_cert_file: None,
            tls_key_file: None,
            tls_client_ca_file: None,
            max_connections: 512,
            line_timeout_s: 20,
            idle_timeout_s: 3_900,
            allow_clear_meters: false,
            meters_max: 100_000,
        }
    }
}

/// `[sessions]`: bounds on sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sessions {
    /// Sessions that are live at once, 1,024 to 16,777,216.
    pub live_max: u32,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { live_max: 65_536 }
    }
}

/// `[store]`: the custody log and what is folded out of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Store {
    /// Length of a segment of the log in MiB, 1 to 1,024.
    pub segment_mib: u32,
    /// Frames that wait for the disk, each lane, 64 to 16,777,216.
    pub queue_frames: u32,
    /// Their octets in MiB, each lane, 1 to 4,096.
    pub queue_mib: u32,
    /// MiB of log after which a snapshot is taken, 1 to 65,536.
    pub snapshot_every_mib: u32,
    /// Snapshots that are kept, 1 to 16.
    pub snapshots_kept: u32,
    /// Whether latest values are folded into SQLite.
    pub sqlite: bool,
    /// Days of log that are kept, 1 to 36,500; without limit if not set.
    pub retention_days: Option<u32>,
    /// GiB of log that are kept, 1 to 1,048,576; without limit if not set.
    pub retention_gib: Option<u32>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            segment_mib: 64,
            queue_frames: 65_536,
            queue_mib: 32,
            snapshot_every_mib: 256,
            snapshots_kept: 2,
            sqlite: true,
            retention_days: None,
            retention_gib: None,
        }
    }
}

/// `[disk]`: what happens as the disk fills.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Disk {
    /// Per cent in use from which readings are told to come back, 1 to 99.
    pub come_back_percent: u8,
    /// Per cent in use from which only alarms and results are taken, 1 to 99, above the other.
    pub alarms_only_percent: u8,
    /// The size to count with instead of the disk's, in MiB, 64 to 1,073,741,824.
    pub quota_mib: Option<u32>,
    /// MiB that are set aside for alarms and results, 8 to 65,536.
    pub reserve_mib: u32,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            come_back_percent: 85,
            alarms_only_percent: 95,
            quota_mib: None,
            reserve_mib: 256,
        }
    }
}

/// `[keys]`: where keys come from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Keys {
    /// The link ring: a sealed file, or a plain one if [`Self::allow_clear_keys`].
    pub link_file: Option<PathBuf>,
    /// The ring of M-Bus meters' keys: a sealed file, or a table if [`Self::allow_clear_keys`].
    pub mbus_file: Option<PathBuf>,
    /// The master key that opens sealed rings; without it, the environment is asked.
    pub master_key_file: Option<PathBuf>,
    /// Whether rings may be plain files.
    pub allow_clear_keys: bool,
    /// Whether terminals may be served in mode 0, if their registration allows it too.
    pub allow_mode0: bool,
}

/// Where something that follows the log begins when it is new.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FollowFrom {
    /// At the end of the log: only what comes from now on.
    #[default]
    Now,
    /// At the oldest frame that is kept.
    Start,
    /// At a position of the log.
    Position(Lsn),
}

/// The kinds of sinks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SinkKind {
    /// Files of JSON lines.
    Ndjson,
}

/// `[[sink]]`: where records are delivered to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sink {
    /// Its name, unique among sinks and consumers: 1 to 32 of a-z, 0-9 and -.
    pub name: String,
    /// Its kind.
    pub kind: SinkKind,
    /// The folder of its files, no other sink's.
    pub dir: PathBuf,
    /// MiB after which a file is ended, 1 to 65,536.
    pub rotate_mib: u32,
    /// Seconds after which a file is ended, 1 to 604,800.
    pub rotate_s: u32,
    /// The one utility whose records it gets; all if not set.
    pub utility: Option<UtilityId>,
    /// Where it begins when it is new.
    pub from: FollowFrom,
}

impl Sink {
    /// [`Self::rotate_mib`] where it is not set.
    pub const ROTATE_MIB: u32 = 64;

    /// [`Self::rotate_s`] where it is not set.
    pub const ROTATE_S: u32 = 3_600;
}

/// `[api]`: the HTTP interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Api {
    /// Its address; `None` is off.
    pub listen: Option<SocketAddr>,
    /// Connections at once, 4 to 65,535.
    pub max_connections: u32,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: loopback(7_580),
            max_connections: 128,
        }
    }
}

/// `[[consumer]]`: who may pull records over HTTP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consumer {
    /// Its name, unique among sinks and consumers: 1 to 32 of a-z, 0-9 and -.
    pub name: String,
    /// The one utility whose records it gets.
    pub utility: UtilityId,
    /// The file of its token.
    pub token_file: PathBuf,
    /// Where it begins when it is new.
    pub from: FollowFrom,
}

/// The forms of log lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// For machines.
    Json,
    /// For people.
    #[default]
    Text,
}

/// What is told, each with all before it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// What needs somebody now.
    Error,
    /// What needs somebody soon.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// `[log]`: what is told, and how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Log {
    /// The form of lines.
    pub format: LogFormat,
    /// What is told.
    pub level: LogLevel,
}

/// `[admin]`: the socket of operators' commands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Admin {
    /// Its path; in the data folder if not set.
    pub socket: Option<PathBuf>,
}

/// `[shutdown]`: the stages of stopping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shutdown {
    /// Seconds in which sessions may finish, 0 to 600.
    pub sessions_s: u32,
    /// Seconds in which the log and the sinks may finish, 1 to 600.
    pub store_s: u32,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            sessions_s: 10,
            store_s: 20,
        }
    }
}
