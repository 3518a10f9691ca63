//! What an intake tells, as far as tests look at it.

use std::sync::Arc;

use kenshin::ingest::history::Unreadable;
use kenshin::ingest::witness::Witness;
use kenshin::model::TerminalId;
use kenshin::session::otl::machine::MachineEvent;
use kenshin::session::otl::refusal::{Reason, Refusal};
use kenshin::session::otl::step::Commit;
use parking_lot::{Mutex, MutexGuard};

#[derive(Default)]
pub(crate) struct Told {
    /// Reasons of frames that were refused before a machine had them.
    pub(crate) refusals: Vec<Reason>,
    /// Records that are durable and cannot be decoded, repeats included.
    pub(crate) quarantined: usize,
    pub(crate) conflicts: usize,
    pub(crate) unsure: usize,
    pub(crate) unreadable: usize,
}

/// A witness that remembers; copies remember together.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Told>>);

impl Heard {
    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock()
    }
}

impl Witness for Heard {
    fn refused(&self, refusal: &Refusal) {
        self.told().refusals.push(refusal.reason);
    }

    fn durable(&self, _: TerminalId, commit: &Commit) {
        let mut told = self.told();
        told.quarantined += commit.damaged.len();
        told.conflicts += commit.conflicts.len();
    }

    fn answered(&self, _: &[u64]) {}

    fn no_place(&self) {}

    fn mark_not_taken(&self) {}

    fn machine(&self, _: TerminalId, event: &MachineEvent) {
        let is_unsure = matches!(event, MachineEvent::Unsure { .. });
        self.told().unsure += usize::from(is_unsure);
    }

    fn steady_failures(&self, _: TerminalId, _: u8) {}

    fn unreadable_history(&self, _: &Unreadable) {
        self.told().unreadable += 1;
    }
}
