//! What sinks and consumers have got.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::levels::FollowerLevels;
use super::metrics::{Gauge, LANES, set_total};

/// One sink or consumer; alarm lane, bulk lane.
#[derive(Debug)]
struct FollowerMetrics {
    name: String,
    delivered: [Counter; 2],
    lag: [Gauge; 2],
}

/// All of them.
#[derive(Debug)]
pub(super) struct FollowersMetrics {
    each: Vec<FollowerMetrics>,
    lag_max: Gauge,
}

impl FollowersMetrics {
    pub(super) fn register<'n>(
        registry: &mut Registry,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        type Labels = [(&'static str, String); 2];
        let delivered = Family::<Labels, Counter>::default();
        let lag = Family::<Labels, Gauge>::default();
        let help = "Records delivered to a sink or given to a consumer";
        registry.register("sink_delivered_records", help, delivered.clone());
        let help = "Octets of log between a cursor and the durable end";
        registry.register("sink_lag_bytes", help, lag.clone());
        let follower = |name: &str| {
            let labels =
                LANES.map(|(_, lane)| [("sink", name.to_owned()), ("lane", lane.to_owned())]);
            FollowerMetrics {
                name: name.to_owned(),
                delivered: labels
                    .each_ref()
                    .map(|labels| delivered.get_or_create_owned(labels)),
                lag: labels
                    .each_ref()
                    .map(|labels| lag.get_or_create_owned(labels)),
            }
        };
        let lag_max = Gauge::default();
        let help = "Octets of log that are kept for the sink that is farthest behind, in the \
                    configuration or not";
        registry.register("sinks_lag_max_bytes", help, lag_max.clone());
        Self {
            each: names.into_iter().map(follower).collect(),
            lag_max,
        }
    }

    /// Takes over what is known of them. Names that were not registered make no series.
    pub(super) fn set(&self, levels: &[FollowerLevels]) {
        let lags = levels.iter().flat_map(|level| level.lag_bytes);
        self.lag_max.set(lags.max().unwrap_or(0));
        for level in levels {
            let mut metrics = self.each.iter();
            let Some(metrics) = metrics.find(|metrics| metrics.name == level.name) else {
                continue;
            };
            for (counter, total) in metrics.delivered.iter().zip(level.delivered_records) {
                set_total(counter, total);
            }
            for (gauge, octets) in metrics.lag.iter().zip(level.lag_bytes) {
                gauge.set(octets);
            }
        }
    }
}
