//! A running server: what it is made of, and how it stops.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{AdminServer, Desk, ListenError, Socket};
use crate::api::ops::{self, HealthSource, Unready};
use crate::api::serve::{self, HttpLimits};
use crate::config::Config;
use crate::forward::{SinkError, SinkStatus, Sinks};
use crate::ingest::intake::{Intake, Parts};
use crate::ingest::load::Load;
use crate::keyring::{KeyError, LinkKeyring};
use crate::model::{Lsn, TerminalId, Zone};
use crate::net::admission::AdmissionLimits;
use crate::net::counters::NetCounters;
use crate::net::{BindError, ListenerOptions, Listeners, StreamLimits, bind};
use crate::session::otl::machine::{NoCommands, NoSigner};
use crate::shutdown::Shutdown;
use crate::store::fs::{DataDirLock, RealFs};
use crate::store::log::{AppendError, LogOptions, OpenError, PoisonReason, Refused, TornEnd};
use crate::store::state::snapshot::LoadError;
use crate::store::state::sqlite::FoldedReader;
use crate::store::state::table::SLOTS;
use crate::telemetry::{DiskLevel, FollowerLevels, Levels, Metrics, events};
use crate::time::Clock;

use super::boot::{BootError, Booted, boot, lock};
use super::descriptors::{self, TooFewFiles};
use super::direct::{archive_of, folded_reader_of, registry_of};
use super::folder::{Folder, Folding};
use super::followers::{self, FILES, FollowError, Followers};
use super::keeper::{Keeper, KeeperOptions};
use super::retention::{Retention, RetentionOptions};
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
    /// The system gives too few file descriptors.
    #[error(transparent)]
    Files(#[from] TooFewFiles),
    /// A terminal port cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A sink or a consumer cannot be set up.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The socket of operators cannot be made.
    #[error(transparent)]
    Admin(#[from] ListenError),
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
    folder: Option<Folder>,
    keeper: Option<std::thread::JoinHandle<Keeper>>,
    http: Option<JoinHandle<()>>,
    admin: AdminServer,
    stopping: CancellationToken,
    broken: CancellationToken,
    clock: Arc<dyn Clock>,
    /// When the last snapshot was taken, or else when the server started.
    snapshot_ms: Arc<AtomicU64>,
    /// Given back after the log is closed.
    data_lock: DataDirLock,
}

/// What answers questions about the server's health.
#[derive(Debug)]
struct Health {
    intake: Arc<Intake>,
    booted: Arc<Booted>,
    load: Arc<Load>,
    net: Arc<NetCounters>,
    folding: Option<Arc<Folding>>,
    sinks: Arc<Sinks>,
    clock: Arc<dyn Clock>,
    snapshot_ms: Arc<AtomicU64>,
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
        let now_ms = self.clock.monotonic_ms();
        let snapshot_ms = self.snapshot_ms.load(Ordering::Relaxed);
        let end = status.durable_end;
        Levels {
            log_queue_frames: count(status.queue_frames),
            durable_end: status.durable_end,
            log_torn_octets: self.booted.log.torn_end().map_or(0, octets_of),
            disk: self.load.disk(),
            hot_terminals: count(self.booted.state.table.len()),
            live_sessions: count(self.intake.live_machines()),
            net: self.net.totals(),
            followers: self.sinks.list().into_iter().map(followed(end)).collect(),
            sqlite_lag_bytes: self.folding.as_ref().map_or(0, |folding| {
                status.durable_end.saturating_since(folding.position())
            }),
            snapshot_age_s: now_ms.saturating_sub(snapshot_ms) / 1_000,
        }
    }
}

impl StartError {
    /// Whether there would be no error if the disk had room.
    #[must_use]
    pub fn is_for_want_of_room(&self) -> bool {
        let is_full = |cause: &std::io::Error| {
            matches!(
                cause.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        };
        match self {
            Self::Boot(
                BootError::Folder { cause, .. }
                | BootError::Log(OpenError::Io { cause, .. })
                | BootError::Snapshot(LoadError::Folder { cause, .. }),
            ) => is_full(cause),
            Self::Append(error)
            | Self::Follow(FollowError::Sink {
                cause: SinkError::Append(error),
                ..
            }) => matches!(
                error,
                AppendError::Refused(Refused::DiskFull | Refused::ReadOnly(PoisonReason::Full))
            ),
            _ => false,
        }
    }
}

/// How far a sink is from the end of the log.
fn followed(end: Lsn) -> impl Fn(SinkStatus) -> FollowerLevels {
    move |sink| FollowerLevels {
        name: sink.name,
        delivered_records: [sink.alarm.records, sink.bulk.records],
        lag_bytes: [sink.reached.alarm, sink.reached.bulk].map(|at| end.saturating_since(at)),
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
        let data_lock = lock(&RealFs, &config.data_dir)?;
        let workers = workers_of(config);
        let connections = descriptors::provide(config, workers)?;
        let booted = take_up(config, workers, keys)?;
        let metrics = metrics_of(config, &booted);
        let is_mark_taken_up = booted.take_up_mark(&**clock)?;
        // Before terminals can call, so that whoever sees the server up finds the socket too.
        let socket = Socket::bind(&config.admin_socket())?;
        let bound = bind(&listener_options(config, workers, connections))?;
        booted.completions.set_wakers(bound.wakers());
        let load = Arc::new(Load::default());
        let intake = Arc::new(intake_of(config, &booted, &load, clock, &metrics));
        if !is_mark_taken_up {
            intake.take_up_mark_later();
            tracing::error!("The disk is full: nothing is taken until there is room.");
        }
        let keeper = Keeper::new(keeper_options(config), &booted, Arc::clone(&load));
        let keeper = keeper.with_snapshot_thread();
        keeper.look();
        let followers = Followers::start(config, &booted, clock)?;
        let reader = folded_reader_of(config, &booted);
        let desk = Desk::new(
            registry_of(config, &booted),
            Arc::clone(followers.sinks()),
            archive_of(&booted, reader.clone()),
        );
        let admin = AdminServer::start(socket, Arc::new(desk), runtime)?;
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
            folder: None,
            keeper: None,
            http: None,
            admin,
            stopping: CancellationToken::new(),
            broken: CancellationToken::new(),
            clock: Arc::clone(clock),
            snapshot_ms: Arc::new(AtomicU64::new(clock.monotonic_ms())),
            data_lock,
        };
        if let Some(reader) = reader {
            server.fold_behind(reader, reserve_octets(config));
        }
        let retention = server.retention(config);
        server.keep_house(match retention {
            Some(retention) => keeper.with_retention(retention),
            None => keeper,
        });
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
    pub fn call(&self, terminal: TerminalId) -> Result<(), KeyError> {
        let mut out = Vec::new();
        self.intake.call_now(terminal, &mut out)?;
        if let Some(listeners) = &self.listeners {
            let now_ms = self.clock.monotonic_ms();
            listeners.outbound().send_all(&mut out, now_ms);
        }
        Ok(())
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

    /// Folds the log for those who ask. A server without it serves terminals all the same.
    fn fold_behind(&mut self, reader: FoldedReader, reserve_octets: u64) {
        match Folder::start(
            &self.booted,
            &self.clock,
            Zone::JAPAN,
            reader,
            reserve_octets,
        ) {
            Ok(folder) => self.folder = Some(folder),
            Err(error) => tracing::error!(%error, "There is no thread to fold the log."),
        }
    }

    /// What is folded for those who ask; none if that is switched off.
    #[must_use]
    pub fn folding(&self) -> Option<&Arc<Folding>> {
        self.folder.as_ref().map(Folder::folding)
    }

    fn retention(&self, config: &Config) -> Option<Retention> {
        let options = RetentionOptions {
            octets: config
                .store
                .retention_gib
                .map(|gib| u64::from(gib).saturating_mul(MIB * 1_024)),
            days: config.store.retention_days,
        };
        let folding = || self.folding().map(Arc::clone);
        let retention =
            || Retention::new(options, &self.booted, folding(), Arc::clone(&self.clock));
        options.is_on().then(retention)
    }

    fn keep_house(&mut self, mut keeper: Keeper) {
        let (stopping, broken) = (self.stopping.clone(), self.broken.clone());
        let (clock, snapshot_ms) = (Arc::clone(&self.clock), Arc::clone(&self.snapshot_ms));
        let thread = std::thread::Builder::new().name("keeper".to_owned());
        let spawned = thread.spawn(move || {
            let mut was = DiskLevel::default();
            while !stopping.is_cancelled() {
                let round = keeper.round();
                if let Some(Ok(_)) = &round.snapshot {
                    snapshot_ms.store(clock.monotonic_ms(), Ordering::Relaxed);
                }
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
        let (Some(listeners), Some(followers)) = (&self.listeners, &self.followers) else {
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
            folding: self.folder.as_ref().map(|one| Arc::clone(one.folding())),
            sinks: Arc::clone(followers.sinks()),
            clock: Arc::clone(&self.clock),
            snapshot_ms: Arc::clone(&self.snapshot_ms),
            stopping: self.stopping.clone(),
        };
        let router = ops::router(Arc::new(health), Arc::clone(metrics));
        let router = router.merge(followers.router(config)?);
        let connections = usize::try_from(config.api.max_connections).unwrap_or(usize::MAX);
        let limits = HttpLimits {
            connections_max: connections,
            ..HttpLimits::default()
        };
        let serving = serve::serve(socket, router, limits, self.stopping.clone());
        self.http = Some(runtime.spawn(serving));
        Ok(())
    }

    /// Stops in stages: no new frames, what is under way ends, sinks get the rest of the log, state
    /// is written, the log is closed. What hangs is left at its deadline, and all that is left when
    /// a second request comes: the caller is to end the process then. If the log broke meanwhile,
    /// [`Self::broken`] is cancelled.
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
        if let Some(http) = self.http.take() {
            let ended = async { http.await.unwrap_or_default() };
            shutdown.stage("http", serve::STOP_MAX, ended).await;
        }
        shutdown.stage("operators", store, self.admin.stop()).await;
        let closing = Closing {
            followers: self.followers.take(),
            folder: self.folder.take(),
            keeper: self.keeper.take(),
            folder_at_most: store / 4,
            booted: Arc::clone(&self.booted),
            broken: self.broken.clone(),
            sinks_at_most: store / 2,
            _data_lock: self.data_lock,
        };
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

const fn octets_of(torn: TornEnd) -> u64 {
    torn.to.saturating_since(torn.from)
}

/// What is closed last. Dropping it may wait for whatever hangs. The fields are given back in this
/// order: the lock of the data after the log.
struct Closing {
    followers: Option<Followers>,
    folder: Option<Folder>,
    keeper: Option<std::thread::JoinHandle<Keeper>>,
    booted: Arc<Booted>,
    broken: CancellationToken,
    sinks_at_most: Duration,
    folder_at_most: Duration,
    _data_lock: DataDirLock,
}

impl Closing {
    fn close(mut self) {
        // Nothing that is to be durable waits for what is only folded behind.
        if let Some(folder) = &self.folder {
            folder.tell_to_stop();
        }
        if let Some(followers) = self.followers.take() {
            followers.stop(self.sinks_at_most);
        }
        if let Some(Ok(mut keeper)) = self.keeper.take().map(std::thread::JoinHandle::join)
            && let Err(error) = keeper.snapshot()
        {
            tracing::warn!(%error, "No snapshot was written; the next start reads more log.");
        }
        if let Err(poison) = self.booted.log.close() {
            tracing::error!(reason = %poison.reason, cause = poison.cause, "The log stopped.");
            if poison.reason != PoisonReason::Full {
                self.broken.cancel();
            }
        }
        if let Some(folder) = self.folder.take() {
            folder.stop(self.folder_at_most);
        }
    }
}

fn tell_boot(booted: &Booted) {
    for passed in &booted.passed_over {
        tracing::error!(path = %passed.path.display(), cause = %passed.cause,
            "A snapshot cannot be used; an older one was.");
    }
    if let Some(torn) = booted.log.torn_end() {
        events::torn_end_cut(torn.from, torn.to);
    }
    let frames = booted.replayed_frames;
    tracing::info!(frames, "Took up what is durable.");
}

/// Takes up what is durable, and tells of it.
fn take_up(config: &Config, workers: u16, keys: LinkKeyring) -> Result<Arc<Booted>, BootError> {
    let fs = Arc::new(RealFs);
    let options = LogOptions {
        known_durable: followers::known_durable(config, &*fs),
        ..log_options(config)
    };
    let owners = workers.saturating_add(2);
    let booted = boot(fs, &config.data_dir, options, owners, keys)?;
    tell_boot(&booted);
    Ok(Arc::new(booted))
}

/// The metrics of a configuration, which count what becomes durable from now on.
fn metrics_of(config: &Config, booted: &Booted) -> Arc<Metrics> {
    let names = config.sinks.iter().map(|sink| sink.name.as_str());
    let consumers = config.consumers.iter().map(|one| one.name.as_str());
    let metrics = Arc::new(Metrics::new(names.chain(consumers)));
    let counted = Arc::clone(&metrics);
    let count = move |frames, octets| counted.committed(frames, octets);
    booted.completions.set_count(Box::new(count));
    metrics
}

fn intake_of(
    config: &Config,
    booted: &Booted,
    load: &Arc<Load>,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Intake {
    Intake::new(Parts {
        state: Arc::clone(&booted.state),
        log: Arc::clone(&booted.log),
        completions: Arc::clone(&booted.completions),
        load: Arc::clone(load),
        clock: Arc::clone(clock),
        commands: Arc::new(NoCommands),
        signer: Arc::new(NoSigner),
        witness: Arc::new(Telling::new(Arc::clone(metrics))),
        allow_mode0: config.keys.allow_mode0,
        live_max: usize::try_from(config.sessions.live_max).unwrap_or(usize::MAX),
    })
}

fn workers_of(config: &Config) -> u16 {
    let cores = std::thread::available_parallelism();
    config
        .listen
        .udp_workers_on(cores.map_or(1, NonZeroUsize::get))
}

fn keeper_options(config: &Config) -> KeeperOptions {
    KeeperOptions {
        come_back_percent: config.disk.come_back_percent,
        alarms_only_percent: config.disk.alarms_only_percent,
        quota_octets: quota_octets(config),
        snapshot_every_octets: u64::from(config.store.snapshot_every_mib) * MIB,
        reserve_octets: reserve_octets(config),
        queue_frames: usize::try_from(config.store.queue_frames).unwrap_or(usize::MAX),
        queue_octets: usize::try_from(u64::from(config.store.queue_mib) * MIB)
            .unwrap_or(usize::MAX),
        snapshots_kept: usize::try_from(config.store.snapshots_kept).unwrap_or(1),
    }
}

fn reserve_octets(config: &Config) -> u64 {
    u64::from(config.disk.reserve_mib).saturating_mul(MIB)
}

fn quota_octets(config: &Config) -> Option<u64> {
    config.disk.quota_mib.map(|mib| u64::from(mib) * MIB)
}

/// How the log of a configuration is opened.
pub(super) fn log_options(config: &Config) -> LogOptions {
    let size = |mib: u32| u64::from(mib).saturating_mul(MIB);
    let reserve = reserve_octets(config);
    LogOptions {
        segment_bytes: size(config.store.segment_mib),
        queue_frames: usize::try_from(config.store.queue_frames).unwrap_or(usize::MAX),
        queue_bytes: usize::try_from(size(config.store.queue_mib)).unwrap_or(usize::MAX),
        floor_bytes: reserve,
        urgent_floor_bytes: reserve / 4,
        quota_bytes: quota_octets(config),
        guard_slots: SLOTS,
        ..LogOptions::default()
    }
}

fn listener_options(config: &Config, workers: u16, connections: u64) -> ListenerOptions {
    let milliseconds = |seconds: u32| u64::from(seconds).saturating_mul(1_000);
    ListenerOptions {
        reading: config.listen.udp,
        alarm: config.listen.udp_alarm,
        stream: config.listen.tcp,
        reading_workers: workers,
        connections_max: connections,
        unverified_max: u64::from(config.tcp.max_unverified),
        accept_backlog: config.tcp.accept_backlog,
        stream_limits: StreamLimits {
            first_verified_ms: milliseconds(config.tcp.first_frame_timeout_s),
            whole_frame_ms: milliseconds(config.tcp.first_frame_timeout_s),
            silence_ms: milliseconds(config.tcp.idle_timeout_s),
            ..StreamLimits::default()
        },
        admission: AdmissionLimits {
            failure_burst: config.admission.burst,
            failures_per_s: config.admission.failed_per_address_per_s,
            // Those who are known to fail wait first.
            failures_per_s_total: (config.admission.failed_per_port_per_s / 2).max(1),
            failures_per_s_port: config.admission.failed_per_port_per_s,
            addresses_max: usize::try_from(config.admission.addresses_max).unwrap_or(usize::MAX),
            ..AdmissionLimits::default()
        },
    }
}
