//! What the intake sees, counted and told.

use std::sync::Arc;

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

    fn answered(&self, took_us: &[u64]) {
        self.metrics.acknowledged_after(took_us);
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
            MachineEvent::CameBack { .. } => self.metrics.refused(Reason::ComeBack),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::otl::seal::{LeftOut, SealFailure};
    use crate::telemetry::Levels;
    use crate::wire::error::EncodeError;

    const TERMINAL: TerminalId = TerminalId::new([1; 8]);

    /// The series that are not 0, without the prefix of all.
    fn moved(tell: impl FnOnce(&Telling)) -> Vec<String> {
        let metrics = Arc::new(Metrics::new([]));
        tell(&Telling::new(Arc::clone(&metrics)));
        let text = metrics.render(&Levels::default()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let moved = lines.filter(|line| !line.ends_with(" 0") && !line.ends_with(" 0.0"));
        moved
            .map(|line| line.strip_prefix("kenshin_").unwrap().to_owned())
            .collect()
    }

    fn refused(reason: Reason) -> String {
        format!("refusals_total{{reason=\"{}\"}} 1", reason.id())
    }

    #[test]
    fn every_refusal_is_counted_under_its_reason() {
        for reason in Reason::ALL {
            let moved = moved(|telling| telling.refused(&Refusal::at(*reason, 0)));
            // Counted by the listeners, or the intake never gives it.
            let elsewhere = [Reason::Slow, Reason::Idle, Reason::Oversize];
            let is_here = moved.contains(&refused(*reason));
            assert_eq!(is_here, !elsewhere.contains(reason), "{moved:?}");
        }
        let no_place = moved(|telling| telling.no_place());
        assert_eq!(no_place, [refused(Reason::Shed)]);
    }

    #[test]
    fn every_event_of_a_session_is_counted_and_those_that_refuse_as_refusals() {
        use MachineEvent as E;
        let counter = 7;
        let too_long = LeftOut::TooLong;
        let events = [
            (
                E::Refused(Refusal::at(Reason::BadValue, 0)),
                Some(Reason::BadValue),
            ),
            (E::AlarmBitWrong, None),
            (E::OffLadder, None),
            (E::Repeat { counter }, None),
            (E::Joined { counter }, None),
            (E::Behind { counter }, Some(Reason::CounterStale)),
            (E::Clone { counter }, Some(Reason::CounterClone)),
            (E::Resync, None),
            (E::RollbackSuspected, Some(Reason::RollbackSuspected)),
            (E::Conflicts { records: 1 }, None),
            (E::CameBack { seconds: 9 }, Some(Reason::ComeBack)),
            (E::Shed { counter }, Some(Reason::Shed)),
            (E::Unsure { counter }, Some(Reason::HistoryUnknown)),
            (E::HandedOver { sequence: 1 }, None),
            (
                E::LeftOut {
                    sequence: 1,
                    why: too_long,
                },
                None,
            ),
            (E::Moved, Some(Reason::TakenOver)),
            (E::Silent { counter }, None),
            (E::NoRandom { counter }, None),
            (E::Called { call_counter: 1 }, None),
            (E::NotCallable, None),
            (E::CommitFailed, Some(Reason::CommitFailed)),
            (
                E::SealFailed(SealFailure::Encode(EncodeError::NoRoom)),
                None,
            ),
            (E::GaveUp, None),
        ];
        // All but the end of a call, which is a metric of its own.
        assert_eq!(events.len() + 1, MachineEvent::IDS.len());
        for (event, reason) in events {
            let moved = moved(|telling| telling.machine(TERMINAL, &event));
            let counted = format!("session_events_total{{event=\"{}\"}} 1", event.id());
            assert!(moved.contains(&counted), "{event:?}: {moved:?}");
            let refusals = moved.iter().filter(|one| one.starts_with("refusals_total"));
            let expected: Vec<String> = reason.map(refused).into_iter().collect();
            assert_eq!(refusals.cloned().collect::<Vec<_>>(), expected, "{event:?}");
        }
        let ended = moved(|telling| telling.machine(TERMINAL, &E::Ended));
        assert_eq!(ended, ["sessions_total 1"]);
        for (event, named) in [
            (E::RollbackSuspected, "rollbacks_suspected_total 1"),
            (E::CameBack { seconds: 9 }, "come_backs_total 1"),
        ] {
            let moved = moved(|telling| telling.machine(TERMINAL, &event));
            assert!(moved.iter().any(|one| one == named), "{moved:?}");
        }
    }
}
