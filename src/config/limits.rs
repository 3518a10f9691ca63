//! How much memory the bounds of a configuration allow, so that it can be compared with a machine.
//!
//! These are bounds, not forecasts: a quiet server takes a small part of them. What grows with the
//! number of registered terminals (the hot table, some hundred octets each) comes on top, since
//! nobody but the operator can make that grow.

use super::Config;

/// User memory of a connection in octets: its task and its buffers.
pub const CONNECTION_OCTETS: u64 = 4_096;

/// Memory of a live session in octets: its machine and the steps that wait for their commit.
pub const LIVE_SESSION_OCTETS: u64 = 1_024;

/// Memory of a remembered address in octets, with the trials of one that is suspect.
const ADDRESS_OCTETS: u64 = 384;

/// Memory of a connection over HTTP in octets: its buffers for a head and an answer, and its task.
const HTTP_CONNECTION_OCTETS: u64 = 48 * 1_024;

/// Buffers of a loop that takes datagrams, in octets: 64 frames each way of 2 KiB, with addresses.
const UDP_WORKER_OCTETS: u64 = 512 * 1_024;

/// What a follower of the log holds, in octets: of each of its two lanes a piece of the log of 1
/// MiB, and a batch of 4 MiB as it is written, which may end with the records of one more piece.
const FOLLOWER_OCTETS: u64 = 24 * 1_024 * 1_024;

/// What the folding of SQLite holds, in octets: the page caches of its writer and of a copy, 18
/// MiB; what a transaction changes, 24 MiB, half of that to sort it, and 10 MiB of audit.
const FOLDER_OCTETS: u64 = 64 * 1_024 * 1_024;

/// Connections of operators at once.
pub const OPERATORS_MAX: u32 = 4;

/// What an operator's connection holds, in octets: a question of 4 MiB as a line and as it is
/// meant, or the records of an answer, each as an object, and their line.
const OPERATOR_OCTETS: u64 = 24 * 1_024 * 1_024;

/// Memory of a gateway's connection in octets: its buffers, and a window of lines that wait for
/// their answers. TLS has buffers of its own.
const GATEWAY_OCTETS: u64 = 96 * 1_024;

/// Memory of a meter without a key in octets: digests of its last telegrams, four windows, its
/// place.
const METER_OCTETS: u64 = 4_608;

const MIB: u64 = 1_024 * 1_024;

/// A bound on memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bound {
    /// The setting that it follows from.
    pub key: &'static str,
    /// The most octets.
    pub octets: u64,
}

impl Config {
    /// What each setting allows to be held in memory. Their sum is the bound on all that peers
    /// and operators can make the server hold.
    #[must_use]
    pub fn memory_bounds(&self, cores: usize) -> Vec<Bound> {
        let connections = match self.listen.tcp {
            Some(_) => u64::from(self.tcp.max_connections),
            None => 0,
        };
        let http = match self.api.listen {
            Some(_) => u64::from(self.api.max_connections),
            None => 0,
        };
        let workers = u64::from(self.listen.udp_workers_on(cores));
        let followers = self.sinks.len().saturating_add(self.consumers.len());
        let followers = u64::try_from(followers).unwrap_or(u64::MAX);
        // Two lanes wait, and two groups of them are on their way to the disk.
        let queues = u64::from(self.store.queue_mib).saturating_mul(4 * MIB);
        let bound = |key, count: u64, each| Bound {
            key,
            octets: count.saturating_mul(each),
        };
        vec![
            bound("tcp.max_connections", connections, CONNECTION_OCTETS),
            bound("listen.udp_workers", workers, UDP_WORKER_OCTETS),
            bound(
                "admission.addresses_max",
                self.admission.addresses_max.into(),
                ADDRESS_OCTETS,
            ),
            bound("api.max_connections", http, HTTP_CONNECTION_OCTETS),
            bound(
                "mbus.max_connections",
                self.mbus.connections(),
                GATEWAY_OCTETS,
            ),
            bound("mbus.meters_max", self.mbus.meters(), METER_OCTETS),
            bound(
                "sessions.live_max",
                self.sessions.live_max.into(),
                LIVE_SESSION_OCTETS,
            ),
            bound("store.queue_mib", 1, queues),
            bound("sink", followers, FOLLOWER_OCTETS),
            bound("store.sqlite", self.store.sqlite.into(), FOLDER_OCTETS),
            bound("admin.socket", OPERATORS_MAX.into(), OPERATOR_OCTETS),
        ]
    }
}
