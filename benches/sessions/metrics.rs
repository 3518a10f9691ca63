//! What a server tells of itself over HTTP.

use std::net::SocketAddr;

use crate::serve::http::get;

/// The text of `/metrics`; empty if nobody answers.
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) fn of(http: SocketAddr) -> Self {
        let page = get(http, "/metrics", "");
        Self(page.map_or_else(|_| String::new(), |page| page.body))
    }

    /// The sum of all series of a name; none if there is none.
    pub(crate) fn sum(&self, name: &str) -> Option<u64> {
        let of_series = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let is_name = rest.starts_with('{') || rest.starts_with(' ');
            let number = rest.rsplit(' ').next().filter(|_| is_name)?;
            number.trim().parse::<u64>().ok()
        };
        let numbers: Vec<u64> = self.0.lines().filter_map(of_series).collect();
        (!numbers.is_empty()).then(|| numbers.iter().sum())
    }
}
