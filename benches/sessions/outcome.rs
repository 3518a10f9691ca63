//! What a run of a load generator gave.

use hdrhistogram::Histogram;

/// How fast frames leave.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// So many a second, whatever comes back: an open loop.
    Rate(f64),
    /// As fast as answers come, with so many unanswered: finds where to look.
    Window(usize),
}

pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) seconds: f64,
    /// Microseconds from the scheduled send to the answer.
    pub(crate) latency_us: Histogram<u64>,
}

/// Microseconds up to a minute, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000, 3).unwrap()
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds
    }

    pub(crate) fn p50_us(&self) -> u64 {
        self.latency_us.value_at_quantile(0.5)
    }

    pub(crate) fn p99_us(&self) -> u64 {
        self.latency_us.value_at_quantile(0.99)
    }

    /// Whether the contender kept up with this rate: all but one of a thousand answered, nearly all
    /// within half a second of their schedule.
    pub(crate) fn is_sustained(&self) -> bool {
        self.answered as f64 >= 0.999 * self.sent as f64
            && self.latency_us.value_at_quantile(0.99) < 500_000
    }
}
