//! What a running server says of itself to supervisors and collectors.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::api::ops::{HealthSource, Unready};
use crate::forward::{SinkStatus, Sinks};
use crate::ingest::intake::Intake;
use crate::ingest::load::Load;
use crate::model::Lsn;
use crate::net::counters::NetCounters;
use crate::net::mbus::counters::MbusCounters;
use crate::store::log::{CommitLog, TornEnd};
use crate::store::state::State;
use crate::telemetry::{DiskLevel, FollowerLevels, Levels};

use super::folder::Folding;
use super::house::SnapshotTime;

/// What answers questions about the server's health.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) intake: Arc<Intake>,
    pub(super) state: Arc<State>,
    pub(super) log: Arc<CommitLog>,
    pub(super) load: Arc<Load>,
    pub(super) net: Arc<NetCounters>,
    pub(super) mbus: Option<Arc<MbusCounters>>,
    pub(super) folding: Option<Arc<Folding>>,
    pub(super) sinks: Arc<Sinks>,
    pub(super) snapshot_time: Arc<SnapshotTime>,
    pub(super) stopping: CancellationToken,
}

impl HealthSource for Health {
    fn unready(&self) -> Vec<Unready> {
        let mut reasons = Vec::new();
        if self.stopping.is_cancelled() {
            reasons.push(Unready {
                part: "sessions",
                reason: "draining: the server stops".to_owned(),
            });
        }
        let status = self.log.status();
        if let Some(poison) = status.poison {
            reasons.push(Unready {
                part: "log",
                reason: format!("read-only: {}", poison.reason),
            });
        } else if self.load.disk() == DiskLevel::Full {
            reasons.push(Unready {
                part: "log",
                reason: "the disk is full".to_owned(),
            });
        }
        reasons
    }

    fn levels(&self) -> Levels {
        let status = self.log.status();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let end = status.durable_end;
        Levels {
            log_queue_frames: count(status.queue_frames),
            durable_end: status.durable_end,
            log_torn_octets: self.log.torn_end().map_or(0, octets_of),
            disk: self.load.disk(),
            hot_terminals: count(self.state.table.len()),
            live_sessions: count(self.intake.live_machines()),
            net: self.net.totals(),
            mbus: self
                .mbus
                .as_ref()
                .map(|mbus| mbus.totals())
                .unwrap_or_default(),
            mbus_meters: count(self.state.meters.len()),
            followers: self.sinks.list().into_iter().map(followed(end)).collect(),
            sqlite_lag_bytes: self.folding.as_ref().map_or(0, |folding| {
                status.durable_end.saturating_since(folding.position())
            }),
            snapshot_age_s: self.snapshot_time.age_s(),
        }
    }
}

/// How far a sink is from the end of the log.
fn followed(end: Lsn) -> impl Fn(SinkStatus) -> FollowerLevels {
    move |sink| FollowerLevels {
        name: sink.name,
        delivered_records: [sink.alarm.records, sink.bulk.records],
        lag_bytes: [sink.reached.alarm, sink.reached.bulk].map(|at| end.saturating_since(at)),
    }
}

const fn octets_of(torn: TornEnd) -> u64 {
    torn.to.saturating_since(torn.from)
}
