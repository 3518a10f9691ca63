//! What meters and gateways of one run share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::counters::MbusCounters;
use crate::fleet::{Fate, Mishaps};
use crate::random::Seeded;

/// Where the server listens for gateways, and what happens in the run.
#[derive(Debug, Clone)]
pub struct MbusSettings {
    /// Where lines are taken.
    pub tcp: SocketAddr,
    /// Where datagrams are taken.
    pub udp: SocketAddr,
    /// UTC seconds at the start.
    pub start_utc_s: u32,
    /// How long meters send.
    pub run: Duration,
    /// How long after that gateways may still hand over what was not answered, at most.
    pub settle: Duration,
    /// Telegrams of each meter in the run, 256 at most.
    pub telegrams: u32,
    /// What happens to lines and datagrams.
    pub mishaps: Mishaps,
}

impl MbusSettings {
    /// The everyday settings for a server on these addresses.
    #[must_use]
    pub fn new(tcp: SocketAddr, udp: SocketAddr, start_utc_s: u32, run: Duration) -> Self {
        Self {
            tcp,
            udp,
            start_utc_s,
            run,
            settle: Duration::from_secs(60),
            telegrams: 10,
            mishaps: Mishaps::default(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: MbusSettings,
    pub(super) counters: Arc<MbusCounters>,
    origin: Instant,
    happenings: AtomicU64,
}

impl Shared {
    pub(super) fn new(settings: MbusSettings, counters: Arc<MbusCounters>) -> Self {
        Self {
            settings,
            counters,
            origin: Instant::now(),
            happenings: AtomicU64::new(1),
        }
    }

    pub(super) fn run_ms(&self) -> u64 {
        u64::try_from(self.settings.run.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn at(&self, ms: u64) -> Instant {
        self.origin + Duration::from_millis(ms)
    }

    /// When nothing is waited for any more.
    pub(super) fn end(&self) -> Instant {
        self.origin + self.settings.run + self.settings.settle
    }

    pub(super) fn now_utc_s(&self) -> u32 {
        let passed = u32::try_from(self.origin.elapsed().as_secs()).unwrap_or(u32::MAX);
        self.settings.start_utc_s.saturating_add(passed)
    }

    /// The number of what happens now; what happens later has a higher one.
    pub(super) fn happens(&self) -> u64 {
        self.happenings.fetch_add(1, Ordering::AcqRel)
    }

    /// What becomes of one line or datagram. When the run is over nothing is disturbed.
    pub(super) fn fate(&self, random: &mut Seeded) -> Fate {
        if self.origin.elapsed() >= self.settings.run {
            return Fate::Deliver;
        }
        self.settings.mishaps.draw(random)
    }
}
