//! The end of the threads of this layer.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Told once, and heard by all that wait.
#[derive(Debug, Default)]
pub(super) struct Stop {
    is_told: Mutex<bool>,
    told: Condvar,
}

impl Stop {
    pub(super) fn tell(&self) {
        *self.is_told.lock() = true;
        self.told.notify_all();
    }

    pub(super) fn is_told(&self) -> bool {
        *self.is_told.lock()
    }

    /// Waits so long, or until it is told. Returns whether it was.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let mut is_told = self.is_told.lock();
        let is_waiting = |is_told: &mut bool| !*is_told;
        self.told.wait_while_for(&mut is_told, is_waiting, at_most);
        *is_told
    }
}
