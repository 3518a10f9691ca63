//! A running server: what it is made of, and how it stops.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::ops::{self, HealthSource, Unready};
use crate::config::Config;
use crate::ingest::intake::{Intake, Parts};
use crate::ingest::load::Load;
use crate::keyring::LinkKeyring;
use crate::net::admission::AdmissionLimits;
use crate::net::counters::NetCounters;
use crate::net::{BindError, ListenerOptions, Listeners, StreamLimits, bind};
use crate::session::otl::machine::{NoCommands, NoSigner};
use crate::shutdown::Shutdown;
use crate::store::fs::{DataDirLock, RealFs};
use crate::store::log::{AppendError, LogOptions};
use crate::store::state::table::SLOTS;
use crate::telemetry::{DiskLevel, Levels, Metrics, events};
use crate::time::Clock;

use super::boot::{BootError, Booted, boot, lock};
use super::followers::{FollowError, Followers};
use super::keeper::{Keeper, KeeperOptions};
use super::witness::Telling;

const MIB: u64 = 1 << 20;
/// How often the housekeeping looks, in milliseconds.
const ROUND_MS: u64 = 250;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is durable cannot be taken up.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The first frame cannot be made durable.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A terminal port cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A sink or a consumer cannot be set up.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The HTTP port cannot be opened.
    #[error("cannot listen on {address} for HTTP: choose another api.listen or free this one")]
    Http {
        /// The one that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

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
}

/// A running server. Dropping it stops it at once; nothing that was acknowledged is lost by that.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    intake: Arc<Intake>,
    booted: Arc<Booted>,
    load: Arc<Load>,
    listeners: Option<Listeners>,
    followers: Option<Followers>,
    keeper: Option<std::thread::JoinHandle<Keeper>>,
    http: Option<JoinHandle<()>>,
    stopping: CancellationToken,
    broken: CancellationToken,
    clock: Arc<dyn Clock>,
    /// Given back last.
    _lock: DataDirLock,
}

/// What answers questions about the server's health.
#[derive(Debug)]
struct Health {
    intake: Arc<Intake>,
    booted: Arc<Booted>,
    load: Arc<Load>,
    net: Arc<NetCounters>,
    stopping: CancellationToken,
}

impl HealthSource for Health {
    fn unready(&self) -> Vec<Unready> {
        let mut reasons = Vec::new();
        if self.stopping.is_cancelled() {
            reasons.push(Unready {
                part: "sessions",
                reason: "the server is stopping".to_owned(),
            });
        }
        let status = self.booted.log.status();
        if let Some(poison) = status.poison {
            reasons.push(Unready {
                part: "log",
                reason: format!("read-only: {}", poison.reason),
            });
        } else if self.load.disk() == DiskLevel::Full {
            reasons.push(Unready {
                part: "log",
                reason: "the disk is full".to_owned(),
            });
        }
        reasons
    }

    fn levels(&self) -> Levels {
        let status = self.booted.log.status();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Levels {
            log_queue_frames: count(status.queue_frames),
            durable_end: status.durable_end,
            disk: self.load.disk(),
            hot_terminals: count(self.booted.state.table.len()),
            live_sessions: count(self.intake.live_machines()),
            tcp_connections: self.net.connections_open.get(),
            sqlite_lag_bytes: 0,
            snapshot_age_s: 0,
        }
    }
}

impl Server {
    /// Takes up what is durable, and listens. `runtime` is the one that this is called in.
    ///
    /// # Errors
    ///
    /// [`StartError`]. What was opened is closed again.
    pub fn start(
        config: &Config,
        keys: LinkKeyring,
        clock: &Arc<dyn Clock>,
        runtime: &Handle,
    ) -> Result<Self, StartError> {
        let fs = Arc::new(RealFs);
        let data_lock = lock(&*fs, &config.data_dir)?;
        let workers = workers_of(config);
        let owners = workers.saturating_add(2);
        let options = log_options(config);
        let booted = Arc::new(boot(fs, &config.data_dir, options, owners, keys)?);
        for passed in &booted.passed_over {
            tracing::error!(path = %passed.path.display(), cause = %passed.cause,
                "A snapshot cannot be used; an older one was.");
        }
        let frames = booted.replayed_frames;
        tracing::info!(frames, "Took up what is durable.");
        booted.take_up_mark(&**clock)?;
        let bound = bind(&listener_options(config, workers))?;
        booted.completions.set_wakers(bound.wakers());
        let names = config.sinks.iter().map(|sink| sink.name.as_str());
        let consumers = config.consumers.iter().map(|one| one.name.as_str());
        let metrics = Arc::new(Metrics::new(names.chain(consumers)));
        let load = Arc::new(Load::default());
        let intake = Arc::new(Intake::new(Parts {
            state: Arc::clone(&booted.state),
            log: Arc::clone(&booted.log),
            completions: Arc::clone(&booted.completions),
            load: Arc::clone(&load),
            clock: Arc::clone(clock),
            commands: Arc::new(NoCommands),
            signer: Arc::new(NoSigner),
            witness: Arc::new(Telling::new(Arc::clone(&metrics))),
            live_max: usize::try_from(config.sessions.live_max).unwrap_or(usize::MAX),
        }));
        let followers = Followers::start(config, &booted, clock)?;
        let handler: Arc<Intake> = Arc::clone(&intake);
        let listeners = bound.start(handler, Arc::clone(clock), runtime)?;
        let local = listeners.local_addrs();
        let mut server = Self {
            addresses: Addresses {
                reading: local.reading,
                alarm: local.alarm,
                stream: local.stream,
                http: None,
            },
            intake,
            booted,
            load,
            listeners: Some(listeners),
            followers: Some(followers),
            keeper: None,
            http: None,
            stopping: CancellationToken::new(),
            broken: CancellationToken::new(),
            clock: Arc::clone(clock),
            _lock: data_lock,
        };
        server.keep_house(config);
        server.serve_http(config, &metrics, runtime)?;
        server.tell_addresses();
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Is cancelled when the log can no longer be written and the process should end and start
    /// again. A full disk is no such case: the server stays up and read-only.
    #[must_use]
    pub fn broken(&self) -> CancellationToken {
        self.broken.clone()
    }

    fn tell_addresses(&self) {
        let Addresses {
            reading,
            alarm,
            stream,
            http,
        } = self.addresses;
        let all = [
            ("udp", reading),
            ("udp alarms", alarm),
            ("tcp", stream),
            ("http", http),
        ];
        for (what, address) in all {
            if let Some(address) = address {
                events::listening(what, address);
            }
        }
    }

    fn keep_house(&mut self, config: &Config) {
        let options = KeeperOptions {
            come_back_percent: config.disk.come_back_percent,
            alarms_only_percent: config.disk.alarms_only_percent,
            quota_octets: config.disk.quota_mib.map(|mib| u64::from(mib) * MIB),
            snapshot_every_octets: u64::from(config.store.snapshot_every_mib) * MIB,
            queue_frames: usize::try_from(config.store.queue_frames).unwrap_or(usize::MAX),
            retention_octets: config
                .store
                .retention_gib
                .map(|gib| u64::from(gib).saturating_mul(MIB * 1_024)),
        };
        let mut keeper = Keeper::new(options, &self.booted, Arc::clone(&self.load));
        let (stopping, broken) = (self.stopping.clone(), self.broken.clone());
        let thread = std::thread::Builder::new().name("keeper".to_owned());
        let spawned = thread.spawn(move || {
            let mut was = DiskLevel::default();
            while !stopping.is_cancelled() {
                let round = keeper.round();
                super::keeper::tell(&round, &mut was, &broken);
                std::thread::park_timeout(Duration::from_millis(ROUND_MS));
            }
            keeper
        });
        match spawned {
            Ok(thread) => self.keeper = Some(thread),
            Err(error) => tracing::error!(%error, "There is no thread for the housekeeping."),
        }
    }

    fn serve_http(
        &mut self,
        config: &Config,
        metrics: &Arc<Metrics>,
        runtime: &Handle,
    ) -> Result<(), StartError> {
        let Some(address) = config.api.listen else {
            return Ok(());
        };
        let Some(listeners) = &self.listeners else {
            return Ok(());
        };
        let failed = |cause| StartError::Http { address, cause };
        let socket = std::net::TcpListener::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        self.addresses.http = socket.local_addr().ok();
        let _context = runtime.enter();
        let socket = tokio::net::TcpListener::from_std(socket).map_err(failed)?;
        let health = Health {
            intake: Arc::clone(&self.intake),
            booted: Arc::clone(&self.booted),
            load: Arc::clone(&self.load),
            net: listeners.counters(),
            stopping: self.stopping.clone(),
        };
        let mut router = ops::router(Arc::new(health), Arc::clone(metrics));
        if let Some(followers) = &self.followers {
            router = router.merge(followers.router(config)?);
        }
        let stopping = self.stopping.clone();
        self.http = Some(runtime.spawn(async move {
            let serving = axum::serve(socket, router);
            let serving = serving.with_graceful_shutdown(stopping.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(%error, "HTTP is served no longer.");
            }
        }));
        Ok(())
    }

    /// Stops in stages: no new frames, what is under way ends, sinks note how far they are, state
    /// is written, the log is closed.
    pub async fn stop(mut self, config: &Config, shutdown: &Shutdown) {
        let sessions = Duration::from_secs(u64::from(config.shutdown.sessions_s));
        let store = Duration::from_secs(u64::from(config.shutdown.store_s));
        self.stopping.cancel();
        if let Some(listeners) = self.listeners.take() {
            let outbound = listeners.outbound();
            let intake = Arc::clone(&self.intake);
            let now_ms = self.clock.monotonic_ms();
            let drain = async {
                listeners.stop_accepting();
                let mut out = Vec::new();
                intake.drain(&mut out);
                outbound.send_all(&mut out, now_ms);
                let drained = listeners.drain(sessions).await;
                let cut = drained.connections_cut;
                tracing::info!(complete = drained.is_complete, cut, "Sessions have ended.");
            };
            shutdown.stage("sessions", sessions * 2, drain).await;
        }
        let followers = self.followers.take();
        let keeper = self.keeper.take();
        let booted = Arc::clone(&self.booted);
        let close = tokio::task::spawn_blocking(move || {
            if let Some(followers) = followers {
                followers.stop();
            }
            if let Some(Ok(mut keeper)) = keeper.map(std::thread::JoinHandle::join)
                && let Err(error) = keeper.snapshot()
            {
                tracing::warn!(%error, "No snapshot was written; the next start reads more log.");
            }
            if let Err(poison) = booted.log.close() {
                tracing::error!(reason = %poison.reason, cause = poison.cause, "The log stopped.");
            }
        });
        let closed = async { close.await.unwrap_or_default() };
        shutdown.stage("store", store, closed).await;
    }
}

fn workers_of(config: &Config) -> u16 {
    let cores = std::thread::available_parallelism();
    config
        .listen
        .udp_workers_on(cores.map_or(1, NonZeroUsize::get))
}

fn log_options(config: &Config) -> LogOptions {
    let size = |mib: u32| u64::from(mib).saturating_mul(MIB);
    let reserve = size(config.disk.reserve_mib);
    LogOptions {
        segment_bytes: size(config.store.segment_mib),
        queue_frames: usize::try_from(config.store.queue_frames).unwrap_or(usize::MAX),
        queue_bytes: usize::try_from(size(config.store.queue_mib)).unwrap_or(usize::MAX),
        floor_bytes: reserve,
        urgent_floor_bytes: reserve / 4,
        guard_slots: SLOTS,
        ..LogOptions::default()
    }
}

fn listener_options(config: &Config, workers: u16) -> ListenerOptions {
    let milliseconds = |seconds: u32| u64::from(seconds).saturating_mul(1_000);
    ListenerOptions {
        reading: config.listen.udp,
        alarm: config.listen.udp_alarm,
        stream: config.listen.tcp,
        reading_workers: workers,
        connections_max: u64::from(config.tcp.max_connections),
        stream_limits: StreamLimits {
            first_verified_ms: milliseconds(config.tcp.first_frame_timeout_s),
            silence_ms: milliseconds(config.tcp.idle_timeout_s),
            ..StreamLimits::default()
        },
        admission: AdmissionLimits {
            failure_burst: config.admission.burst,
            failures_per_s: config.admission.failed_per_address_per_s,
            addresses_max: usize::try_from(config.admission.addresses_max).unwrap_or(usize::MAX),
            ..AdmissionLimits::default()
        },
    }
}
