//! The metrics of the server.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge;
use prometheus_client::registry::{Registry, Unit};

use super::followers::FollowersMetrics;
use super::histogram::AtomicHistogram;
use super::levels::Levels;
use super::mbus::MbusMetrics;
use super::net::NetMetrics;
use crate::model::Lane;
use crate::model::telegram::Carriage;
use crate::session::otl::machine::MachineEvent;
use crate::session::otl::refusal::Reason;

pub(super) type Gauge = gauge::Gauge<u64, AtomicU64>;

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

pub(super) const LANES: [(Lane, &str); 2] = [(Lane::Alarm, "alarm"), (Lane::Bulk, "bulk")];

/// One metric for each of a few values. A search of a short list costs less than a hash and takes
/// no lock.
#[derive(Debug)]
pub(super) struct Each<K, M> {
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
    pub(super) fn register(
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

    pub(super) fn add(&self, key: K, count: u64) {
        if let Some(counter) = self.get(key) {
            counter.inc_by(count);
        }
    }

    /// Takes over a total that is counted elsewhere.
    pub(super) fn set(&self, key: K, total: u64) {
        if let Some(counter) = self.get(key) {
            set_total(counter, total);
        }
    }
}

/// Takes over a total that is counted elsewhere.
pub(super) fn set_total(counter: &Counter, total: u64) {
    counter.inner().store(total, Ordering::Relaxed);
}

/// Counters of things without a label.
#[derive(Debug)]
struct Plain {
    sessions: Counter,
    repeats: Counter,
    /// As many as the histogram of their frames has.
    commits: Counter,
    log_written: Counter,
    failed_open_alarms: Counter,
    /// Refusals that have a name of their own besides.
    named: [(Reason, Counter); 5],
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
    sqlite_lag: Gauge,
    snapshot_age: Gauge,
}

/// Every metric of the server. All methods but [`Self::render`] only add to atomics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    net: NetMetrics,
    mbus: MbusMetrics,
    refusals: Each<Reason, Counter>,
    events: Each<&'static str, Counter>,
    records: Each<Lane, Counter>,
    plain: Plain,
    gauges: Gauges,
    commit_frames: AtomicHistogram,
    ack_latency: AtomicHistogram,
    followers: FollowersMetrics,
}

impl Metrics {
    /// Metrics of a server with these sinks and consumers, all at zero.
    #[must_use]
    pub fn new<'n>(followers: impl IntoIterator<Item = &'n str>) -> Self {
        let mut registry = Registry::with_prefix("kenshin");
        let r = &mut registry;
        let refusals = ("refusals", "Refusals by reason");
        let records = ("records", "Records that became durable");
        let events = ("session_events", "What happened in sessions, by kind");
        let ids = MachineEvent::IDS.iter().map(|id| (*id, *id));
        let reasons = Reason::ALL.iter().map(|reason| (*reason, reason.id()));
        let commit_frames = AtomicHistogram::new(BATCH_BOUNDS, 1.0);
        let ack_latency = AtomicHistogram::new(ACK_BOUNDS_US, 1e6);
        let help = "Frames that one sync covered";
        r.register("commit_frames", help, commit_frames.clone());
        let help = "Time from the hand-over of a new frame by its listener to that of its \
                    answer, with the sync between";
        r.register_with_unit("ack_latency", help, Unit::Seconds, ack_latency.clone());
        Self {
            net: NetMetrics::register(r),
            mbus: MbusMetrics::register(r),
            refusals: Each::register(r, refusals, "reason", reasons),
            events: Each::register(r, events, "event", ids),
            records: Each::register(r, records, "lane", LANES),
            plain: Plain::register(r),
            gauges: Gauges::register(r),
            commit_frames,
            ack_latency,
            followers: FollowersMetrics::register(r, followers),
            registry,
        }
    }

    /// A frame, a record or a connection was refused.
    pub fn refused(&self, reason: Reason) {
        self.refusals.add(reason, 1);
    }

    /// The call of a terminal is over: all it has is durable, and it was told so.
    pub fn session_ended(&self) {
        self.plain.sessions.inc();
    }

    /// Something happened in a session.
    pub fn session_event(&self, id: &'static str) {
        self.events.add(id, 1);
    }

    /// The failed opens of one key have reached another multiple of the alarm's number.
    // spec: SES-11
    pub fn failed_open_alarm(&self) {
        self.plain.failed_open_alarms.inc();
    }

    /// An M-Bus telegram came to this; a verdict without a series counts as `other`.
    pub fn telegram(&self, carriage: Carriage, verdict: &str) {
        self.mbus.came_to(carriage, verdict);
    }

    /// Somebody showed what no M-Bus gateway is known by.
    pub fn unknown_gateway(&self, carriage: Carriage) {
        self.mbus.unknown_gateway(carriage);
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
        self.plain.log_written.inc_by(octets);
        self.commit_frames.observe(&[frames]);
    }

    /// The answers to new frames were handed to their listener so many microseconds after each
    /// frame was taken.
    pub fn acknowledged_after(&self, latencies_us: &[u64]) {
        self.ack_latency.observe(latencies_us);
    }

    /// All metrics in the text form of OpenMetrics 1.0, with the present state of the server.
    ///
    /// # Errors
    ///
    /// None while a `String` takes what is written to it.
    pub fn render(&self, levels: &Levels) -> Result<String, fmt::Error> {
        self.gauges.set(levels);
        self.net.set(&levels.net);
        self.mbus.set(&levels.mbus, levels.mbus_meters);
        // Counted by the listeners, which know no reasons.
        let slow = levels
            .net
            .timeouts_unverified
            .wrapping_add(levels.net.timeouts_partial);
        self.refusals.set(Reason::Slow, slow);
        self.refusals.set(Reason::Idle, levels.net.timeouts_idle);
        self.refusals
            .set(Reason::Oversize, levels.net.length_refused);
        for (reason, counter) in &self.plain.named {
            set_total(counter, self.refusals.get(*reason).map_or(0, Counter::get));
        }
        set_total(&self.plain.commits, self.commit_frames.count());
        self.followers.set(&levels.followers);
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
        let sessions = counter(
            "sessions",
            "Calls that ended with an answer that nothing more waits",
        );
        let repeats = counter("records_repeated", "Records that were durable already");
        let conflicts = counter(
            "records_conflicting",
            "Records whose number is known with other content",
        );
        let quarantined = counter(
            "records_quarantined",
            "Verified records that cannot be decoded",
        );
        let clones = counter("clones_suspected", "Counters seen with two tags");
        let rollbacks = counter(
            "rollbacks_suspected",
            "Terminals that know more than the state of the server",
        );
        let commits = counter("commits", "Syncs of the log");
        let log_written = counter("log_written_bytes", "Octets of frames written to the log");
        let come_backs = counter("come_backs", "Terminals told to come back");
        let failed_open_alarms = counter(
            "failed_open_alarms",
            "Times that 1,024 more frames of a terminal failed under one key",
        );
        Self {
            sessions,
            repeats,
            commits,
            log_written,
            failed_open_alarms,
            named: [
                (Reason::RecordConflict, conflicts),
                (Reason::RecordUndecodable, quarantined),
                (Reason::CounterClone, clones),
                (Reason::RollbackSuspected, rollbacks),
                (Reason::ComeBack, come_backs),
            ],
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
        self.sqlite_lag.set(levels.sqlite_lag_bytes);
        self.snapshot_age.set(levels.snapshot_age_s);
    }
}
