//! A running server: where it listens, what it is asked, how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin::AdminServer;
use crate::api::serve;
use crate::config::Config;
use crate::ingest::intake::Intake;
use crate::keyring::KeyError;
use crate::model::TerminalId;
use crate::net::mbus::MbusLocalAddrs;
use crate::net::{Listeners, LocalAddrs};
use crate::shutdown::Shutdown;
use crate::telemetry::events;
use crate::time::Clock;

use super::boot::{Booted, Rings};
use super::closing::Closing;
use super::desk::Calls;
use super::folder::{Folder, Folding};
use super::followers::{FILES, Followers};
use super::gateways::Gateways;
use super::house::House;
use super::start::{self, StartError};

/// Where a server listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// UDP: everyday frames.
    pub reading: Option<SocketAddr>,
    /// UDP: frames with an alarm.
    pub alarm: Option<SocketAddr>,
    /// TCP: all frames.
    pub stream: Option<SocketAddr>,
    /// HTTP: health, metrics, records.
    pub http: Option<SocketAddr>,
    /// Sockets of M-Bus gateways.
    pub mbus: MbusLocalAddrs,
}

impl Addresses {
    pub(super) const fn of(
        (local, mbus): (LocalAddrs, MbusLocalAddrs),
        http: Option<SocketAddr>,
    ) -> Self {
        Self {
            reading: local.reading,
            alarm: local.alarm,
            stream: local.stream,
            http,
            mbus,
        }
    }
}

/// The HTTP interface at work. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) task: JoinHandle<()>,
    pub(super) stop: DropGuard,
}

/// A running server. Dropping it stops it without stages, as soon as its threads have ended what
/// they are at; nothing that was acknowledged is lost by that.
#[derive(Debug)]
pub struct Server {
    /// Dropped first: whoever looks whether the server stops then knows.
    pub(super) _stops: DropGuard,
    pub(super) addresses: Addresses,
    pub(super) intake: Arc<Intake>,
    pub(super) calls: Arc<Calls>,
    pub(super) listeners: Option<Listeners>,
    pub(super) gateways: Option<Gateways>,
    pub(super) http: Option<Http>,
    pub(super) admin: AdminServer,
    pub(super) followers: Option<Followers>,
    pub(super) folder: Option<Folder>,
    pub(super) house: Option<House>,
    pub(super) stopping: CancellationToken,
    pub(super) broken: CancellationToken,
    pub(super) clock: Arc<dyn Clock>,
    /// Dropped last: with it the log is closed and the data folder given back.
    pub(super) booted: Arc<Booted>,
}

impl Server {
    /// Takes up what is durable, and listens. `runtime` is the one that this is called in.
    ///
    /// # Errors
    ///
    /// [`StartError`]. What was opened is closed again, and what runs has ended or is about to.
    pub fn start(
        config: &Config,
        keys: impl Into<Rings>,
        clock: &Arc<dyn Clock>,
        runtime: &Handle,
    ) -> Result<Self, StartError> {
        let server = start::start(config, keys.into(), clock, runtime)?;
        server.tell_addresses();
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Is cancelled when the log can no longer be written and the process should end and start
    /// again. On a full disk the server stays up and read-only: if that stopped the log, this is
    /// cancelled only when a start would find room.
    #[must_use]
    pub fn broken(&self) -> CancellationToken {
        self.broken.clone()
    }

    /// Calls a terminal that holds a connection or listens on UDP; it answers with an uplink like
    /// any other. The call leaves once its counter is durable, and not at all if no way to the
    /// terminal is known.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the terminal is not known, or no key of it can be used.
    // spec: SES-12, SES-13
    pub fn call(&self, terminal: TerminalId) -> Result<bool, KeyError> {
        self.calls.call_now(terminal)
    }

    /// Octets of log that some sink of files has not got yet. What a sink has not got when the
    /// server stops, it gets after the next start.
    #[must_use]
    pub fn undelivered_octets(&self) -> u64 {
        let Some(followers) = &self.followers else {
            return 0;
        };
        let sinks = followers.sinks().list();
        let files = sinks.iter().filter(|sink| sink.kind == FILES);
        files.map(|sink| sink.lag_octets).max().unwrap_or(0)
    }

    /// What is folded for those who ask; none if that is switched off.
    #[must_use]
    pub fn folding(&self) -> Option<&Arc<Folding>> {
        self.folder.as_ref().map(Folder::folding)
    }

    fn tell_addresses(&self) {
        let Addresses {
            reading,
            alarm,
            stream,
            http,
            mbus,
        } = self.addresses;
        let all = [
            ("udp", reading),
            ("udp alarms", alarm),
            ("tcp", stream),
            ("http", http),
            ("mbus udp", mbus.udp),
            ("mbus tcp", mbus.tcp),
            ("mbus tls", mbus.tls),
        ];
        for (what, address) in all {
            if let Some(address) = address {
                events::listening(what, address);
            }
        }
    }

    /// Stops in stages: no new frames, what is under way ends, sinks get the rest of the log, state
    /// is written, the log is closed. Health is told over HTTP until all terminals are answered.
    /// What hangs is left at its deadline, and all that is left when a second request comes: the
    /// caller is to end the process then. If the log broke meanwhile, [`Self::broken`] is
    /// cancelled.
    pub async fn stop(mut self, config: &Config, shutdown: &Shutdown) {
        let sessions = Duration::from_secs(u64::from(config.shutdown.sessions_s));
        let store = Duration::from_secs(u64::from(config.shutdown.store_s));
        self.stopping.cancel();
        let gateways = self.gateways.take();
        if let Some(listeners) = self.listeners.take() {
            let outbound = listeners.outbound();
            let intake = Arc::clone(&self.intake);
            let now_ms = self.clock.monotonic_ms();
            let drain = async {
                listeners.stop_accepting();
                let mut out = Vec::new();
                intake.drain(&mut out);
                outbound.send_all(&mut out, now_ms);
                let gateways = Gateways::drain(gateways, sessions);
                let (drained, ()) = tokio::join!(listeners.drain(sessions), gateways);
                let cut = drained.connections_cut;
                tracing::info!(complete = drained.is_complete, cut, "Sessions have ended.");
            };
            shutdown.stage("sessions", sessions * 2, drain).await;
        }
        shutdown.stage("operators", store, self.admin.stop()).await;
        if let Some(Http { task, stop }) = self.http.take() {
            drop(stop);
            let ended = async { task.await.unwrap_or_default() };
            shutdown.stage("http", serve::STOP_MAX, ended).await;
        }
        let closing = Closing {
            followers: self.followers.take(),
            folder: self.folder.take(),
            house: self.house.take(),
            folder_at_most: store / 4,
            booted: Arc::clone(&self.booted),
            broken: self.broken.clone(),
            sinks_at_most: store / 2,
        };
        // The rest of it, so that the log is closed by whoever closes it in order.
        drop(self);
        let is_at_once = shutdown.at_once().is_cancelled();
        let (done, ended) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("closing".to_owned());
        // In a thread of its own and not of the runtime: what hangs here ends with the process.
        let spawned = thread.spawn(move || {
            if !is_at_once {
                closing.close();
            }
            // Nobody may be waiting any more.
            done.send(()).ok();
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "There is no thread to close the log in order.");
        }
        let closed = async { ended.await.unwrap_or_default() };
        shutdown.stage("store", store, closed).await;
    }
}
