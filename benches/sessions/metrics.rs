//! What a server tells of itself over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The text of `/metrics`; empty if nobody answers.
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) fn of(http: SocketAddr) -> Self {
        let ask = || {
            let mut stream = TcpStream::connect(http)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            std::io::Result::Ok(text)
        };
        Self(ask().unwrap_or_default())
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
