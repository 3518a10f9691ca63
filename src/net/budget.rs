//! A bound on what all senders together may fail, so that no flood has more than a part of the
//! processors, however many addresses it seems to come from.

use std::sync::atomic::{AtomicU64, Ordering};

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;
/// How much may fail at once: what is forgiven in this time.
const BURST_NS: u64 = NS_PER_S / 10;

/// Failures of one port. Only what has failed is charged: a port on which all verifies is never
/// out of it. Threads that ask at the same time may each go beyond it by one frame.
#[derive(Debug)]
pub(super) struct Budget {
    each_ns: u64,
    /// When all that was charged is forgiven, by the clock of the callers.
    forgiven_ns: AtomicU64,
}

impl Budget {
    /// Nothing has failed yet. `per_s` is how many failures a second are forgiven, at least 1.
    pub(super) fn new(per_s: u32) -> Self {
        Self {
            each_ns: NS_PER_S / u64::from(per_s.max(1)),
            forgiven_ns: AtomicU64::new(0),
        }
    }

    /// Whether a frame may be tried. One of a suspect address may not once half of the budget is
    /// spent, so that whoever is known to fail does not take the rest from all others.
    pub(super) fn has_room(&self, is_suspect: bool, now_ms: u64) -> bool {
        let burst_ns = if is_suspect { BURST_NS / 2 } else { BURST_NS };
        let now_ns = now_ms.saturating_mul(NS_PER_MS);
        self.forgiven_ns.load(Ordering::Relaxed) <= now_ns.saturating_add(burst_ns)
    }

    /// Charges a frame that failed.
    pub(super) fn charge(&self, now_ms: u64) {
        let now_ns = now_ms.saturating_mul(NS_PER_MS);
        let later = |forgiven_ns: u64| Some(forgiven_ns.max(now_ns).saturating_add(self.each_ns));
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        // Never refused: the closure always gives a number.
        self.forgiven_ns.fetch_update(set, fetch, later).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail_all(budget: &Budget, now_ms: u64) -> u32 {
        let mut failed = 0;
        while budget.has_room(false, now_ms) && failed < 1_000_000 {
            budget.charge(now_ms);
            failed += 1;
        }
        failed
    }

    #[test]
    fn what_fails_in_a_second_is_bounded_and_forgiven_with_time() {
        let budget = Budget::new(1_000);
        assert_eq!(fail_all(&budget, 5_000), 101);
        assert_eq!(fail_all(&budget, 5_000), 0);
        let rest: u32 = (5_001..=6_000)
            .map(|now_ms| fail_all(&budget, now_ms))
            .sum();
        assert_eq!(rest, 1_000);
        assert_eq!(fail_all(&budget, 60_000), 101, "no more is saved up");
    }

    #[test]
    fn a_port_on_which_nothing_fails_always_has_room() {
        let budget = Budget::new(1);
        assert!((0..1_000).all(|_| budget.has_room(true, 0)));
    }

    #[test]
    fn suspects_leave_half_of_the_budget_to_others() {
        let budget = Budget::new(1_000);
        let mut failed = 0;
        while budget.has_room(true, 0) {
            budget.charge(0);
            failed += 1;
        }
        assert_eq!(failed, 51);
        assert!(budget.has_room(false, 0));
        assert_eq!(fail_all(&budget, 0), 50);
    }
}
