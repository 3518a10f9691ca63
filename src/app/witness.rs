//! What the intake sees, counted and told.

use std::sync::Arc;
use std::time::Duration;

use crate::ingest::history::Unreadable;
use crate::ingest::witness::Witness;
use crate::model::{Lane, TerminalId};
use crate::session::otl::machine::MachineEvent;
use crate::session::otl::refusal::{Reason, Refusal};
use crate::session::otl::step::Commit;
use crate::telemetry::{Metrics, events};
use crate::wire::otl::record::RecordBody;

/// Counts in the metrics of the server, and writes its log lines.
#[derive(Debug)]
pub struct Telling {
    metrics: Arc<Metrics>,
}

impl Telling {
    /// A witness that counts in `metrics`.
    #[must_use]
    pub const fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }
}

impl Witness for Telling {
    fn refused(&self, refusal: &Refusal) {
        events::frame_refused(&self.metrics, refusal);
    }

    fn durable(&self, terminal: TerminalId, commit: &Commit) {
        let is_alarm = |body: &RecordBody| matches!(body, RecordBody::AlarmNotice(_));
        let alarms = commit.records.iter().filter(|one| is_alarm(&one.body));
        let alarms = alarms.count();
        let bulk = commit.records.len().saturating_sub(alarms);
        for (lane, records) in [(Lane::Alarm, alarms), (Lane::Bulk, bulk)] {
            if records > 0 {
                let records = u64::try_from(records).unwrap_or(u64::MAX);
                self.metrics.records(lane, records);
            }
        }
        if commit.repeats > 0 {
            let repeats = u64::try_from(commit.repeats).unwrap_or(u64::MAX);
            self.metrics.repeats(repeats);
        }
        for record in &commit.conflicts {
            let sequence = u64::from(record.sequence.get());
            events::record_conflict(&self.metrics, terminal, sequence);
        }
        for one in commit.damaged.iter().filter(|one| !one.is_repeat) {
            let sequence = one
                .item
                .sequence
                .map_or(0, |sequence| u64::from(sequence.get()));
            events::record_quarantined(&self.metrics, terminal, sequence);
        }
    }

    fn answered(&self, took_us: u64) {
        self.metrics
            .acknowledged_after(Duration::from_micros(took_us));
    }

    fn no_place(&self) {
        self.metrics.refused(Reason::Shed);
    }

    fn mark_not_taken(&self) {
        tracing::warn!("The log did not take a later mark of server nonces; it is asked again.");
    }

    fn machine(&self, terminal: TerminalId, event: &MachineEvent) {
        if *event == MachineEvent::Ended {
            return self.metrics.session_ended();
        }
        self.metrics.session_event(event.id());
        match event {
            MachineEvent::Refused(refusal) => events::frame_refused(&self.metrics, refusal),
            MachineEvent::Clone { .. } => events::clone_suspected(&self.metrics, terminal),
            MachineEvent::RollbackSuspected => {
                events::rollback_suspected(&self.metrics, terminal);
            }
            MachineEvent::CameBack { .. } => self.metrics.come_back(),
            MachineEvent::Behind { .. } => self.metrics.refused(Reason::CounterStale),
            MachineEvent::Moved => self.metrics.refused(Reason::TakenOver),
            MachineEvent::CommitFailed => self.metrics.refused(Reason::CommitFailed),
            MachineEvent::Shed { .. } => self.metrics.refused(Reason::Shed),
            MachineEvent::Unsure { .. } => self.metrics.refused(Reason::HistoryUnknown),
            MachineEvent::NoRandom { .. } => {
                tracing::error!("The system gave no random numbers; a frame was not answered.");
            }
            MachineEvent::SealFailed(error) => {
                tracing::error!(%terminal, %error, "An answer could not be made.");
            }
            other => tracing::debug!(%terminal, event = ?other, "A session goes on."),
        }
    }

    fn steady_failures(&self, terminal: TerminalId, key_version: u8) {
        self.metrics.failed_open_alarm();
        tracing::warn!(%terminal, key_version, "Many frames of this terminal fail to open.");
    }

    fn unreadable_history(&self, what: &Unreadable) {
        tracing::error!(
            %what,
            "A repeat was looked for in what cannot be read; its frame was dropped."
        );
    }
}
