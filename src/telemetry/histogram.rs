//! A histogram without a lock, since every acknowledgement passes it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Counts of whole numbers of some small unit, by upper bounds, shown in a greater unit.
#[derive(Clone, Debug)]
pub(super) struct AtomicHistogram {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Upper bounds in small units, rising.
    bounds: &'static [u32],
    /// Small units in a shown one. A whole number, so that bounds divided by it print short.
    per_shown: f64,
    /// One more than the bounds: the last takes what is above them all.
    counts: Vec<AtomicU64>,
    /// In small units.
    sum: AtomicU64,
}

impl AtomicHistogram {
    /// An empty one.
    pub(super) fn new(bounds: &'static [u32], per_shown: f64) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        let inner = Inner {
            bounds,
            per_shown,
            counts,
            sum: AtomicU64::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Takes values, in small units. Those in a row that fall into one bucket cost as much as one.
    pub(super) fn observe(&self, values: &[u64]) {
        let inner = &self.inner;
        let bounds = inner.bounds;
        let bucket = |value: &u64| bounds.partition_point(|bound| u64::from(*bound) < *value);
        for alike in values.chunk_by(|one, other| bucket(one) == bucket(other)) {
            if let Some(count) = alike.first().and_then(|one| inner.counts.get(bucket(one))) {
                let len = u64::try_from(alike.len()).unwrap_or(u64::MAX);
                count.fetch_add(len, Ordering::Relaxed);
            }
        }
        let sum = values.iter().copied().fold(0, u64::wrapping_add);
        inner.sum.fetch_add(sum, Ordering::Relaxed);
    }

    /// How many values were taken.
    pub(super) fn count(&self) -> u64 {
        let counts = self.inner.counts.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }
}

impl EncodeMetric for AtomicHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let inner = &self.inner;
        let bounds = inner.bounds.iter();
        let bounds = bounds.map(|bound| f64::from(*bound) / inner.per_shown);
        let counts = inner.counts.iter();
        // Read once each, so that the count is the sum of the buckets that are shown.
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| *count).sum();
        // cast: a sum above 2^53 loses its last digits, which nobody reads
        let sum = inner.sum.load(Ordering::Relaxed) as f64 / inner.per_shown;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
