//! Working behind: a small share of one core, whatever waits.

use std::sync::Arc;
use std::time::Duration;

use crate::forward::Stop;
use crate::time::Clock;

/// How much of the time is spent on work, in percent.
const WORK_PERCENT: u64 = 15;
/// Work that is done in one go, in milliseconds; then comes the rest that it has cost.
const WORK_MS: u64 = 4;

/// Lets a thread rest in proportion to its work. How far it lags makes no difference: what waits
/// for it can wait, and sessions cannot. Once it is told to stop, it rests no more.
#[derive(Debug)]
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
    since_ms: u64,
}

impl Pace {
    pub(super) fn new(clock: Arc<dyn Clock>, stop: Arc<Stop>) -> Self {
        let since_ms = clock.monotonic_ms();
        Self {
            clock,
            stop,
            since_ms,
        }
    }

    /// Work begins now: what passed since the last rest was none.
    pub(super) fn begin(&mut self) {
        self.since_ms = self.clock.monotonic_ms();
    }

    /// To be called every some milliseconds of work.
    pub(super) fn rest(&mut self) {
        let worked_ms = self.clock.monotonic_ms().saturating_sub(self.since_ms);
        if worked_ms < WORK_MS {
            return;
        }
        let rest_ms = worked_ms.saturating_mul(100 - WORK_PERCENT) / WORK_PERCENT;
        self.stop.wait(Duration::from_millis(rest_ms));
        self.begin();
    }
}
