//! What a fleet is doing, to be read while it does it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps between two powers of two.
const STEPS: u64 = 32;
const BUCKETS: usize = 1_024;

/// How long answers took: counts by duration, each to within a thirty-second.
#[derive(Debug)]
pub struct Latency {
    buckets: Box<[AtomicU64]>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: std::iter::repeat_with(AtomicU64::default)
                .take(BUCKETS)
                .collect(),
        }
    }
}

/// The bucket of a number of microseconds.
fn bucket_of(us: u64) -> usize {
    if us < STEPS {
        return usize::try_from(us).unwrap_or(0);
    }
    let power = u64::from(us.ilog2());
    let bucket = (power - 4) * STEPS + ((us >> (power - 5)) - STEPS);
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The least number of microseconds of a bucket.
fn least_of(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(0);
    if bucket < STEPS {
        return bucket;
    }
    let power = bucket / STEPS + 4;
    (STEPS + bucket % STEPS) << (power - 5)
}

impl Latency {
    /// Counts one.
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(us)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).sum()
    }

    /// The duration in microseconds that so many of a thousand do not exceed; 0 before the first.
    #[must_use]
    pub fn quantile_us(&self, per_mille: u16) -> u64 {
        let count = self.count();
        let wanted = (count * u64::from(per_mille)).div_ceil(1_000).max(1);
        let mut below = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            below += bucket.load(Ordering::Relaxed);
            if count > 0 && below >= wanted {
                return least_of(index + 1).saturating_sub(1);
            }
        }
        0
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Numbers that only grow, but for those in flight.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($name: AtomicU64,)+
            in_flight: AtomicU64,
            mark: AtomicU64,
            in_flight_of_mark: AtomicU64,
            /// From the first transmission of a frame to the answer that acknowledged it.
            pub ack: Latency,
            /// The same, of frames that neither the shim touched nor the terminal repeated.
            pub ack_undisturbed: Latency,
        }

        impl Counters {
            $($(#[$doc])* #[must_use] pub fn $name(&self) -> u64 {
                self.$name.load(Ordering::Relaxed)
            })+
        }
    };
}

counters! {
    /// Calls in which at least one answer was accepted.
    sessions,
    /// Frames that terminals sent, repeats included.
    uplinks,
    /// Repeats of the same octets for want of an answer.
    retries,
    /// Records told safe.
    records_acked,
    /// Alarm notices among them.
    alarms_acked,
    /// Frames lost by the shim, in both directions, and connections broken by it.
    losses_injected,
    /// Frames repeated by the shim.
    duplicates_injected,
    /// Frames delayed by the shim.
    delays_injected,
    /// Restarts of terminals.
    restarts,
    /// Answers that asked a terminal to come back later.
    come_backs,
    /// Terminals whose day's transmissions were used up before all was told safe.
    over_budget,
    /// Connections that failed, and writes that did.
    connection_errors,
    /// Terminals that stopped on an error: a defect of the fleet.
    terminals_failed,
}

impl Counters {
    /// Frames that wait for an answer now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Begins to count [`Self::in_flight_of_mark`] anew, as after a restart of the server.
    pub fn set_mark(&self) {
        self.mark.fetch_add(1, Ordering::Relaxed);
        self.in_flight_of_mark.store(0, Ordering::Relaxed);
    }

    /// Frames that were sent since the mark and wait for an answer now, without those that the
    /// shim touched or that were repeated.
    #[must_use]
    pub fn in_flight_of_mark(&self) -> u64 {
        self.in_flight_of_mark.load(Ordering::Relaxed)
    }

    /// Counts a frame of the present mark, which it gives.
    pub(super) fn joins_mark(&self) -> u64 {
        self.in_flight_of_mark.fetch_add(1, Ordering::Relaxed);
        self.mark.load(Ordering::Relaxed)
    }

    pub(super) fn leaves_mark(&self, mark: u64) {
        if mark == self.mark.load(Ordering::Relaxed) {
            let less = |n: u64| Some(n.saturating_sub(1));
            let order = Ordering::Relaxed;
            // It always has a value to set.
            let _before = self.in_flight_of_mark.fetch_update(order, order, less);
        }
    }

    pub(super) fn flies(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn landed(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.terminals_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn session(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn uplink(&self, is_repeat: bool) {
        self.uplinks.fetch_add(1, Ordering::Relaxed);
        self.retries
            .fetch_add(u64::from(is_repeat), Ordering::Relaxed);
    }

    pub(super) fn acked(&self, is_alarm: bool) {
        self.records_acked.fetch_add(1, Ordering::Relaxed);
        self.alarms_acked
            .fetch_add(u64::from(is_alarm), Ordering::Relaxed);
    }

    pub(super) fn lost(&self) {
        self.losses_injected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn duplicated(&self) {
        self.duplicates_injected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn delayed(&self) {
        self.delays_injected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn told_to_come_back(&self) {
        self.come_backs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn used_up(&self) {
        self.over_budget.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connection_failed(&self) {
        self.connection_errors.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        let mut last = 0;
        for us in 0..200_000 {
            let bucket = bucket_of(us);
            assert!(bucket == last || bucket == last + 1, "{us}");
            assert!(least_of(bucket) <= us && us < least_of(bucket + 1), "{us}");
            last = bucket;
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_within_a_thirty_second() {
        let latency = Latency::default();
        assert_eq!(latency.quantile_us(500), 0);
        for ms in 1..=1_000 {
            latency.record(Duration::from_millis(ms));
        }
        for (per_mille, us) in [(500, 500_000), (990, 990_000), (1_000, 1_000_000)] {
            let found = latency.quantile_us(per_mille);
            assert!(found >= us && found <= us + us / 32, "{per_mille}: {found}");
        }
    }
}
