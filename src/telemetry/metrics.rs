//! The metrics of the server.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::AtomicHistogram;
use super::levels::Levels;
use crate::model::Lane;
use crate::net::contract::Verdict;
use crate::session::otl::refusal::Reason;

type Gauge = gauge::Gauge<u64, AtomicU64>;

/// Bounds of acknowledgement latency in microseconds: twice and five times each power of ten is
/// enough to see a 99th percentile move, and few enough to keep.
const ACK_BOUNDS_US: &[u32] = &[
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// Bounds of the number of frames that one sync covers.
const BATCH_BOUNDS: &[u32] = &[
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384,
];

const LANES: [(Lane, &str); 2] = [(Lane::Alarm, "alarm"), (Lane::Bulk, "bulk")];

/// How a frame came in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Transport {
    /// The UDP port of readings.
    Udp,
    /// The UDP port of alarms.
    UdpAlarm,
    /// A connection.
    Tcp,
}

const TRANSPORTS: [(Transport, &str); 3] = [
    (Transport::Udp, "udp"),
    (Transport::UdpAlarm, "udp_alarm"),
    (Transport::Tcp, "tcp"),
];

const VERDICTS: [(Verdict, &str); 4] = [
    (Verdict::Verified, "verified"),
    (Verdict::FailedAuthentication, "failed_authentication"),
    (Verdict::Malformed, "malformed"),
    (Verdict::Shed, "shed"),
];

/// One metric for each of a few values. A search of a short list costs less than a hash and takes
/// no lock.
#[derive(Debug)]
struct Each<K, M> {
    rows: Vec<(K, M)>,
}

impl<K: Copy + PartialEq, M> Each<K, M> {
    fn get(&self, key: K) -> Option<&M> {
        let mut rows = self.rows.iter();
        rows.find(|(row, _)| *row == key).map(|(_, metric)| metric)
    }
}

impl<K: Copy + PartialEq> Each<K, Counter> {
    /// Registers a series for each value.
    fn register(
        registry: &mut Registry,
        (name, help): (&str, &str),
        label: &'static str,
        values: impl IntoIterator<Item = (K, &'static str)>,
    ) -> Self {
        let family = Family::<[(&'static str, &'static str); 1], Counter>::default();
        registry.register(name, help, family.clone());
        let row = |(key, value)| (key, family.get_or_create_owned(&[(label, value)]));
        Self {
            rows: values.into_iter().map(row).collect(),
        }
    }

    fn add(&self, key: K, count: u64) {
        if let Some(counter) = self.get(key) {
            counter.inc_by(count);
        }
    }
}

/// What one sink or consumer has got, lane by lane. Copies count into the same series.
#[derive(Clone, Debug)]
pub struct FollowerMetrics {
    /// Alarm, bulk.
    delivered: [Counter; 2],
    lag: [Gauge; 2],
}

impl FollowerMetrics {
    /// So many records were delivered.
    pub fn delivered(&self, lane: Lane, records: u64) {
        let [alarm, bulk] = &self.delivered;
        let counter = match lane {
            Lane::Alarm => alarm,
            Lane::Bulk => bulk,
        };
        counter.inc_by(records);
    }

    /// So many octets of the log lie between the cursor and the end of what is durable.
    pub fn set_lag_bytes(&self, lane: Lane, octets: u64) {
        let [alarm, bulk] = &self.lag;
        let gauge = match lane {
            Lane::Alarm => alarm,
            Lane::Bulk => bulk,
        };
        gauge.set(octets);
    }
}

/// Counters of things without a label.
#[derive(Debug)]
struct Plain {
    sessions: Counter,
    repeats: Counter,
    conflicts: Counter,
    quarantined: Counter,
    clones: Counter,
    rollbacks: Counter,
    commits: Counter,
    log_written: Counter,
    come_backs: Counter,
    admission_drops: Counter,
}

/// Gauges of [`Levels`].
#[derive(Debug)]
struct Gauges {
    log_queue: Gauge,
    durable_end: Gauge,
    log_torn: Gauge,
    disk: Gauge,
    hot_terminals: Gauge,
    live_sessions: Gauge,
    tcp_connections: Gauge,
    sqlite_lag: Gauge,
    snapshot_age: Gauge,
}

/// Every metric of the server. All methods but [`Self::render`] only add to atomics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    frames: Each<Transport, Counter>,
    verdicts: Each<Verdict, Counter>,
    refusals: Each<Reason, Counter>,
    records: Each<Lane, Counter>,
    plain: Plain,
    gauges: Gauges,
    commit_frames: AtomicHistogram,
    ack_latency: AtomicHistogram,
    followers: Vec<(String, FollowerMetrics)>,
}

impl Metrics {
    /// Metrics of a server with these sinks and consumers, all at zero.
    #[must_use]
    pub fn new<'n>(followers: impl IntoIterator<Item = &'n str>) -> Self {
        let mut registry = Registry::with_prefix("kenshin");
        let r = &mut registry;
        let frames = ("frames_received", "Frames that came in");
        let verdicts = ("frame_verdicts", "Frames by what became of them");
        let refusals = ("refusals", "Refusals by reason");
        let records = ("records", "Records that became durable");
        let reasons = Reason::ALL.iter().map(|reason| (*reason, reason.id()));
        let commit_frames = AtomicHistogram::new(BATCH_BOUNDS, 1.0);
        let ack_latency = AtomicHistogram::new(ACK_BOUNDS_US, 1e6);
        let help = "Frames that one sync covered";
        r.register("commit_frames", help, commit_frames.clone());
        let help = "Time from a frame to the acknowledgement that answers it";
        r.register_with_unit("ack_latency", help, Unit::Seconds, ack_latency.clone());
        Self {
            frames: Each::register(r, frames, "transport", TRANSPORTS),
            verdicts: Each::register(r, verdicts, "verdict", VERDICTS),
            refusals: Each::register(r, refusals, "reason", reasons),
            records: Each::register(r, records, "lane", LANES),
            plain: Plain::register(r),
            gauges: Gauges::register(r),
            commit_frames,
            ack_latency,
            followers: register_followers(r, followers),
            registry,
        }
    }

    /// A frame came in.
    pub fn frame_received(&self, transport: Transport) {
        self.frames.add(transport, 1);
    }

    /// What became of a frame.
    pub fn verdict(&self, verdict: Verdict) {
        self.verdicts.add(verdict, 1);
    }

    /// A frame, a record or a connection was refused.
    pub fn refused(&self, reason: Reason) {
        self.refusals.add(reason, 1);
    }

    /// A session ended.
    pub fn session_ended(&self) {
        self.plain.sessions.inc();
    }

    /// So many new records became durable.
    pub fn records(&self, lane: Lane, records: u64) {
        self.records.add(lane, records);
    }

    /// So many records came that were durable already.
    pub fn repeats(&self, records: u64) {
        self.plain.repeats.inc_by(records);
    }

    /// One sync made so many frames durable, of so many octets as written.
    pub fn committed(&self, frames: u64, octets: u64) {
        self.plain.commits.inc();
        self.plain.log_written.inc_by(octets);
        self.commit_frames.observe(frames);
    }

    /// An acknowledgement left so long after its frame had come in.
    pub fn acknowledged_after(&self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.ack_latency.observe(us);
    }

    /// A terminal was told to come back.
    pub fn come_back(&self) {
        self.plain.come_backs.inc();
    }

    /// A frame was dropped unread, for the failures of its address.
    pub fn admission_dropped(&self) {
        self.plain.admission_drops.inc();
    }

    /// The metrics of a sink or a consumer, by its name.
    #[must_use]
    pub fn follower(&self, name: &str) -> Option<FollowerMetrics> {
        let mut followers = self.followers.iter();
        let (_, found) = followers.find(|(follower, _)| follower == name)?;
        Some(found.clone())
    }

    pub(super) fn conflict(&self) {
        self.plain.conflicts.inc();
    }

    pub(super) fn quarantined(&self) {
        self.plain.quarantined.inc();
    }

    pub(super) fn clone_suspected(&self) {
        self.plain.clones.inc();
    }

    pub(super) fn rollback_suspected(&self) {
        self.plain.rollbacks.inc();
    }

    /// All metrics in the text form of OpenMetrics 1.0, with the present state of the server.
    ///
    /// # Errors
    ///
    /// None while a `String` takes what is written to it.
    pub fn render(&self, levels: &Levels) -> Result<String, fmt::Error> {
        self.gauges.set(levels);
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

impl Plain {
    fn register(registry: &mut Registry) -> Self {
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            sessions: counter("sessions", "Sessions that ended"),
            repeats: counter("records_repeated", "Records that were durable already"),
            conflicts: counter(
                "records_conflicting",
                "Records whose number is known with other content",
            ),
            quarantined: counter(
                "records_quarantined",
                "Verified records that cannot be decoded",
            ),
            clones: counter("clones_suspected", "Counters seen with two tags"),
            rollbacks: counter(
                "rollbacks_suspected",
                "Terminals that know more than the state of the server",
            ),
            commits: counter("commits", "Syncs of the log"),
            log_written: counter("log_written_bytes", "Octets written to the log"),
            come_backs: counter("come_backs", "Terminals told to come back"),
            admission_drops: counter(
                "admission_drops",
                "Frames dropped unread for failures of their address",
            ),
        }
    }
}

impl Gauges {
    fn register(registry: &mut Registry) -> Self {
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            log_queue: gauge("log_queue_frames", "Frames that wait for the disk"),
            durable_end: gauge("log_durable_position", "End of what is durable"),
            log_torn: gauge("log_torn_octets", "Octets cut off the log at the start"),
            disk: gauge("disk_level", "0 plenty, 1 come back, 2 alarms only, 3 full"),
            hot_terminals: gauge("hot_terminals", "Terminals of the hot table"),
            live_sessions: gauge("live_sessions", "Sessions that are live"),
            tcp_connections: gauge("tcp_connections", "Connections of terminals"),
            sqlite_lag: gauge("sqlite_lag_bytes", "Octets of log not folded into SQLite"),
            snapshot_age: gauge("snapshot_age_seconds", "Time since the last snapshot"),
        }
    }

    fn set(&self, levels: &Levels) {
        self.log_queue.set(levels.log_queue_frames);
        self.durable_end.set(levels.durable_end.get());
        self.log_torn.set(levels.log_torn_octets);
        self.disk.set(u64::from(levels.disk.number()));
        self.hot_terminals.set(levels.hot_terminals);
        self.live_sessions.set(levels.live_sessions);
        self.tcp_connections.set(levels.tcp_connections);
        self.sqlite_lag.set(levels.sqlite_lag_bytes);
        self.snapshot_age.set(levels.snapshot_age_s);
    }
}

fn register_followers<'n>(
    registry: &mut Registry,
    names: impl IntoIterator<Item = &'n str>,
) -> Vec<(String, FollowerMetrics)> {
    type Labels = [(&'static str, String); 2];
    let delivered = Family::<Labels, Counter>::default();
    let lag = Family::<Labels, Gauge>::default();
    let help = "Records delivered to a sink or consumer";
    registry.register("sink_delivered_records", help, delivered.clone());
    let help = "Octets of log between a cursor and the durable end";
    registry.register("sink_lag_bytes", help, lag.clone());
    let follower = |name: &str| {
        let labels = LANES.map(|(_, lane)| [("sink", name.to_owned()), ("lane", lane.to_owned())]);
        let metrics = FollowerMetrics {
            delivered: labels
                .each_ref()
                .map(|labels| delivered.get_or_create_owned(labels)),
            lag: labels
                .each_ref()
                .map(|labels| lag.get_or_create_owned(labels)),
        };
        (name.to_owned(), metrics)
    };
    names.into_iter().map(follower).collect()
}
