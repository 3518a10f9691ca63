//! The end of threads that follow the log.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    /// It has not begun.
    #[default]
    Run,
    /// Lanes go on to the end of the log, and end there or at a failure.
    Drain,
    /// Lanes end after the batch in hand.
    Halt,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    lanes: usize,
}

/// Told by one, and heard by all that wait.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    state: Mutex<State>,
    changed: Condvar,
}

impl Stop {
    /// Tells a phase; none goes back.
    pub(crate) fn tell(&self, phase: Phase) {
        let mut state = self.state.lock();
        state.phase = phase.max(state.phase);
        self.changed.notify_all();
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state.lock().phase
    }

    /// Waits so long, or until the end begins. Returns whether it did.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let mut state = self.state.lock();
        let runs = |state: &mut State| state.phase == Phase::Run;
        self.changed.wait_while_for(&mut state, runs, at_most);
        state.phase != Phase::Run
    }

    /// A lane works until what this gives is dropped.
    pub(crate) fn lane(stop: &Arc<Self>) -> AtWork {
        let mut state = stop.state.lock();
        state.lanes = state.lanes.saturating_add(1);
        AtWork(Arc::clone(stop))
    }

    /// Waits so long, or until no lane works. Returns how many do.
    pub(crate) fn wait_for_lanes(&self, at_most: Duration) -> usize {
        let mut state = self.state.lock();
        let work = |state: &mut State| state.lanes > 0;
        self.changed.wait_while_for(&mut state, work, at_most);
        state.lanes
    }
}

/// A lane that works.
#[derive(Debug)]
pub(crate) struct AtWork(Arc<Stop>);

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.lanes = state.lanes.saturating_sub(1);
        self.0.changed.notify_all();
    }
}
