//! Folding rests while terminals call.
//!
//! The priority of its thread leaves it what serving leaves of the cores, and no more. It says
//! nothing of the disk and of what is near in memory, which all threads share: without rest,
//! folding took one in twelve of the sessions that a server of two cores could serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::store::log::CommitLog;
use crate::store::state::sqlite::Pace;
use crate::time::Clock;

/// How much of the time is spent on work while terminals call, in percent.
const WORK_PERCENT: u64 = 15;
/// Work that is done in one go, in milliseconds; then comes the rest that it has cost.
const WORK_MS: u64 = 4;
/// From what growth of the log in a second on terminals are taken to call: some 5,000 sessions.
const BUSY_OCTETS_PER_S: u64 = 1 << 20;
/// How often one that rests looks whether it is to end.
const LOOK_MS: u64 = 50;

/// Lets the thread that folds rest in proportion to its work, as long as the log grows fast. How
/// far it lags makes no difference: what waits for it can wait, and sessions cannot.
#[derive(Debug)]
pub(super) struct Resting {
    clock: Arc<dyn Clock>,
    log: Arc<CommitLog>,
    stop: Arc<AtomicBool>,
    since: Mutex<Since>,
}

/// When the present work began, and where the log ended.
#[derive(Clone, Copy, Debug)]
struct Since {
    ms: u64,
    end: u64,
}

impl Resting {
    pub(super) fn new(
        clock: &Arc<dyn Clock>,
        log: &Arc<CommitLog>,
        stop: &Arc<AtomicBool>,
    ) -> Arc<Self> {
        let since = Since {
            ms: clock.monotonic_ms(),
            end: log.durable_end().get(),
        };
        Arc::new(Self {
            clock: Arc::clone(clock),
            log: Arc::clone(log),
            stop: Arc::clone(stop),
            since: Mutex::new(since),
        })
    }

    fn now(&self) -> Since {
        Since {
            ms: self.clock.monotonic_ms(),
            end: self.log.durable_end().get(),
        }
    }
}

impl Pace for Resting {
    fn rest(&self) {
        let (since, now) = (*self.since.lock(), self.now());
        let worked_ms = now.ms.saturating_sub(since.ms);
        if worked_ms < WORK_MS {
            return;
        }
        if is_busy(now.end.saturating_sub(since.end), worked_ms) {
            let mut left_ms = worked_ms.saturating_mul(100 - WORK_PERCENT) / WORK_PERCENT;
            while left_ms > 0 && !self.stop.load(Ordering::Acquire) {
                let step_ms = left_ms.min(LOOK_MS);
                std::thread::park_timeout(Duration::from_millis(step_ms));
                left_ms = left_ms.saturating_sub(step_ms);
            }
        }
        *self.since.lock() = self.now();
    }

    fn begin(&self) {
        *self.since.lock() = self.now();
    }
}

/// Whether the log grew by so many octets in so many milliseconds because terminals call.
const fn is_busy(octets: u64, ms: u64) -> bool {
    octets.saturating_mul(1_000) >= BUSY_OCTETS_PER_S.saturating_mul(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_grows_by_a_mebioctet_a_second_is_busy() {
        assert!(!is_busy(0, 4));
        assert!(!is_busy((1 << 20) - 1, 1_000));
        assert!(is_busy(1 << 20, 1_000));
        assert!(is_busy(8 << 10, 4));
    }
}
