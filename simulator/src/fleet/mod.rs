//! Many terminals over real sockets.
//!
//! Each terminal is the machine of [`crate::terminal`] with a driver around it: it mounts with days
//! of readings in its store, calls now and then with a day more, raises alarms, loses power. On the
//! way of its frames stands a shim that loses, repeats and delays some. When the time is over the
//! link is perfect, and whoever still holds records calls until all are told safe or the time for
//! that is over too. All times are real: a frame that was lost is sent again after four seconds.
//!
//! Terminals on UDP share sockets, as they share a carrier's address: an answer names no terminal,
//! so it is tried on those of its socket that wait for its counter, and verifies for one. Mode 0
//! has nothing to verify; such a terminal has a socket of its own, and there are few of them.
//!
//! What comes out is a [`crate::custody::Ledger`]. Rates can be read from [`Counters`] meanwhile.
//!
//! The fleet keeps within SES-4: no terminal is scripted to send more than a day allows.

mod counters;
mod driver;
mod mishap;
mod path;
mod plan;
mod script;
mod tcp;
mod udp;

pub use counters::{Counters, Latency};
pub(crate) use mishap::Fate;
pub use mishap::Mishaps;
pub(crate) use path::local_address;
pub use plan::{FleetPlan, KEY_VERSION, TerminalPlan, Transport, UtilityPlan};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::crypto::CryptoError;
use crate::custody::Ledger;
use driver::Driver;

/// The most calls that a terminal is scripted to make in a run, so that repeats, restarts and the
/// calls of the end phase stay within 64 ordinary frames a day.
pub const CALLS_MAX: u32 = 20;

/// Where the server listens, and what happens in the run.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// The reading port.
    pub udp: SocketAddr,
    /// The alarm port.
    pub udp_alarm: SocketAddr,
    /// The TCP port.
    pub tcp: SocketAddr,
    /// UTC seconds at the start; terminals whose clock was set at the site begin with it.
    pub start_utc_s: u32,
    /// How long things happen.
    pub run: Duration,
    /// How long after that lost frames may still be sent again, at most.
    pub settle: Duration,
    /// Calls of each terminal in the run, at most [`CALLS_MAX`].
    pub calls: u32,
    /// The most days that wait in a store at the start; each terminal has 1 to that many.
    pub backlog_days: u16,
    /// Of a thousand terminals, how many raise an alarm in the run.
    pub alarms_per_mille: u16,
    /// Of a thousand terminals, how many lose power in the run.
    pub restarts_per_mille: u16,
    /// What the link does.
    pub mishaps: Mishaps,
}

impl FleetSettings {
    /// The everyday settings for a server on these addresses.
    #[must_use]
    pub fn new([udp, udp_alarm, tcp]: [SocketAddr; 3], start_utc_s: u32, run: Duration) -> Self {
        Self {
            udp,
            udp_alarm,
            tcp,
            start_utc_s,
            run,
            settle: Duration::from_secs(60),
            calls: 8,
            backlog_days: 10,
            alarms_per_mille: 200,
            restarts_per_mille: 60,
            mishaps: Mishaps::default(),
        }
    }
}

/// Why a fleet could not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A socket of a terminal.
    #[error("cannot open a socket for the terminals: {0}")]
    Socket(#[source] io::Error),
    /// A key of a terminal.
    #[error("cannot derive the keys of a terminal: {0}")]
    Keys(#[source] CryptoError),
}

/// What all drivers share.
#[derive(Debug)]
struct Shared {
    settings: FleetSettings,
    counters: Arc<Counters>,
    origin: Instant,
}

impl Shared {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn run_ms(&self) -> u64 {
        u64::try_from(self.settings.run.as_millis()).unwrap_or(u64::MAX)
    }

    /// When nothing is waited for any more.
    fn end_ms(&self) -> u64 {
        let settle = u64::try_from(self.settings.settle.as_millis()).unwrap_or(u64::MAX);
        self.run_ms().saturating_add(settle)
    }

    fn instant(&self, at_ms: u64) -> Instant {
        self.origin + Duration::from_millis(at_ms.min(self.end_ms()))
    }
}

/// Runs the terminals of a plan to the end; needs a tokio runtime with network and time.
///
/// # Errors
/// The sockets cannot be opened, or keys do not fit.
pub async fn run(
    plan: &FleetPlan,
    settings: FleetSettings,
    counters: Arc<Counters>,
) -> Result<Ledger, FleetError> {
    let shared = Arc::new(Shared {
        settings,
        counters,
        origin: Instant::now(),
    });
    let terminals: Vec<TerminalPlan> = plan.terminals().collect();
    let mut readers = JoinSet::new();
    let paths = path::open(&terminals, &shared, &mut readers)
        .await
        .map_err(FleetError::Socket)?;
    let mut drivers = JoinSet::new();
    for (terminal, path) in terminals.iter().zip(paths) {
        let keys = plan.keys(terminal).map_err(FleetError::Keys)?;
        let driver = Driver::new(plan.seed, terminal, keys, path, Arc::clone(&shared));
        drivers.spawn(driver.run());
    }
    let mut ledger = Ledger::default();
    while let Some(ended) = drivers.join_next().await {
        match ended {
            Ok(terminal) => ledger.terminals.push(terminal),
            Err(_) => shared.counters.failed(),
        }
    }
    readers.shutdown().await;
    Ok(ledger)
}
