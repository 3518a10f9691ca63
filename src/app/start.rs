//! The start of a server.
//!
//! What can fail without a thread is done first, and what runs ends when it is dropped: a start
//! that fails leaves nothing behind, and can be tried again in the same process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::admin::{AdminServer, ListenError, Socket};
use crate::api::ops;
use crate::api::serve::{self, HttpLimits};
use crate::config::Config;
use crate::forward::SinkError;
use crate::ingest::intake::{Intake, Parts};
use crate::ingest::load::Load;
use crate::model::Zone;
use crate::net::mbus::MbusBound;
use crate::net::{BindError, Bound, Listeners, bind};
use crate::session::otl::machine::{NoCommands, NoSigner};
use crate::store::fs::LockError;
use crate::store::log::{AppendError, OpenError, PoisonReason, Refused};
use crate::store::state::snapshot::LoadError;
use crate::store::state::sqlite::FoldedReader;
use crate::telemetry::Metrics;
use crate::time::Clock;

use super::boot::{BootError, Booted, Rings, take_up};
use super::descriptors::{self, TooFewFiles};
use super::desk::{Calls, desk_of, folded_reader_of};
use super::folder::{Folder, Folding};
use super::followers::{Attached, FollowError};
use super::gateways::{self, Around, Gateways, GatewaysError};
use super::health::Health;
use super::house::House;
use super::keeper::Keeper;
use super::options::{
    keeper_options, listener_options, reserve_octets, retention_options, workers_of,
};
use super::retention::Retention;
use super::server::{Addresses, Http, Server};
use super::witness::Telling;

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
    /// Gateways cannot be served.
    #[error(transparent)]
    Gateways(#[from] GatewaysError),
    /// A sink or a consumer cannot be set up.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The socket of operators cannot be made.
    #[error(transparent)]
    Admin(#[from] ListenError),
    /// The system gives no thread to fold the log.
    #[error("cannot start a thread to fold the log: raise the limit of threads")]
    Folder(#[source] io::Error),
    /// The HTTP port cannot be opened.
    #[error("cannot listen on {address} for HTTP: choose another api.listen or free this one")]
    Http {
        /// The one that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

impl StartError {
    /// Whether there would be no error if the disk had room.
    #[must_use]
    pub fn is_for_want_of_room(&self) -> bool {
        let is_full = |cause: &io::Error| {
            matches!(
                cause.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        };
        match self {
            Self::Boot(
                BootError::Folder { cause, .. }
                | BootError::Lock(LockError::Io { cause, .. })
                | BootError::Log(OpenError::Io { cause, .. })
                | BootError::Snapshot(LoadError::Folder { cause, .. }),
            )
            // A socket in the file system takes an inode.
            | Self::Admin(ListenError::Io { cause, .. }) => is_full(cause),
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

/// All that a server is made of, and nothing of it at work but the log.
struct Prepared {
    booted: Arc<Booted>,
    metrics: Arc<Metrics>,
    is_mark_taken_up: bool,
    socket: Socket,
    bound: Bound,
    gateways: Option<MbusBound>,
    http: Option<HttpSocket>,
    attached: Attached,
}

/// The HTTP port, open.
struct HttpSocket {
    listener: TcpListener,
    local: SocketAddr,
}

/// See [`Server::start`].
pub(super) fn start(
    config: &Config,
    keys: Rings,
    clock: &Arc<dyn Clock>,
    runtime: &Handle,
) -> Result<Server, StartError> {
    Prepared::new(config, keys, clock, runtime)?.run(config, clock, runtime)
}

impl Prepared {
    fn new(
        config: &Config,
        keys: Rings,
        clock: &Arc<dyn Clock>,
        runtime: &Handle,
    ) -> Result<Self, StartError> {
        let workers = workers_of(config);
        let connections = descriptors::provide(config, workers)?;
        let mut booted = take_up(config, workers.saturating_add(2), keys.link)?;
        booted.meter_keys = keys.meters;
        let booted = Arc::new(booted);
        let metrics = metrics_of(config, &booted);
        let is_mark_taken_up = booted.take_up_mark(&**clock)?;
        // Before terminals can call, so that whoever sees the server up finds the socket too.
        let socket = Socket::bind(&config.admin_socket())?;
        let bound = bind(&listener_options(config, workers, connections))?;
        let gateways = gateways::bind(config)?;
        let http = config.api.listen.map(|at| HttpSocket::bind(at, runtime));
        let http = http.transpose()?;
        let attached = Attached::new(config, &booted)?;
        Ok(Self {
            booted,
            metrics,
            is_mark_taken_up,
            socket,
            bound,
            gateways,
            http,
            attached,
        })
    }

    fn run(
        self,
        config: &Config,
        clock: &Arc<dyn Clock>,
        runtime: &Handle,
    ) -> Result<Server, StartError> {
        let booted = self.booted;
        booted.completions.set_wakers(self.bound.wakers());
        let load = Arc::new(Load::default());
        let intake = Arc::new(intake_of(config, &booted, &load, clock, &self.metrics));
        note_mark(&intake, self.is_mark_taken_up);
        let keeper = Keeper::new(keeper_options(config), &booted, Arc::clone(&load));
        keeper.look();
        let (followers, records) = self.attached.start(config, &booted, clock)?;
        let listeners = self
            .bound
            .start(intake.clone(), Arc::clone(clock), runtime)?;
        let around = Around::new(&booted, &load, clock, &self.metrics);
        let gateways = Gateways::start(self.gateways, config, &around, runtime)?;
        let stopping = CancellationToken::new();
        let calls = calls_of(&intake, &listeners, clock, &stopping);
        let reader = folded_reader_of(config, &booted);
        let desk = desk_of(config, &booted, followers.sinks().clone(), reader.clone());
        let desk = desk.with_caller(calls.clone());
        let admin = AdminServer::start(self.socket, Arc::new(desk), runtime)?;
        let folder = reader.map(|reader| folder_of(config, &booted, clock, reader));
        let folder = folder.transpose().map_err(StartError::Folder)?;
        // Nothing fails from here on.
        let folding = folder.as_ref().map(|folder| Arc::clone(folder.folding()));
        let keeper = retaining(keeper, config, &booted, folding.clone(), clock);
        let house = House::start(keeper, clock);
        let health = Health {
            intake: Arc::clone(&intake),
            state: Arc::clone(&booted.state),
            log: Arc::clone(&booted.log),
            load,
            net: listeners.counters(),
            mbus: gateways.as_ref().map(Gateways::counters),
            folding,
            sinks: Arc::clone(followers.sinks()),
            snapshot_time: Arc::clone(house.snapshot_time()),
            stopping: stopping.clone(),
        };
        let mbus_local = gateways
            .as_ref()
            .map(Gateways::local_addrs)
            .unwrap_or_default();
        let local = (listeners.local_addrs(), mbus_local);
        let addresses = Addresses::of(local, self.http.as_ref().map(|http| http.local));
        let router = ops::router(Arc::new(health), self.metrics).merge(records);
        let http = self.http.map(|http| http.serve(config, router, runtime));
        Ok(Server {
            _stops: stopping.clone().drop_guard(),
            addresses,
            intake,
            calls,
            listeners: Some(listeners),
            gateways,
            http,
            admin,
            followers: Some(followers),
            folder,
            broken: house.broken().clone(),
            house: Some(house),
            stopping,
            clock: Arc::clone(clock),
            booted,
        })
    }
}

impl HttpSocket {
    fn bind(address: SocketAddr, runtime: &Handle) -> Result<Self, StartError> {
        let failed = |cause| StartError::Http { address, cause };
        let socket = std::net::TcpListener::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        let _context = runtime.enter();
        let listener = TcpListener::from_std(socket).map_err(failed)?;
        Ok(Self { listener, local })
    }

    fn serve(self, config: &Config, router: Router, runtime: &Handle) -> Http {
        let connections = usize::try_from(config.api.max_connections).unwrap_or(usize::MAX);
        let limits = HttpLimits {
            connections_max: connections,
            ..HttpLimits::default()
        };
        let stop = CancellationToken::new();
        let serving = serve::serve(self.listener, router, limits, stop.clone());
        Http {
            task: runtime.spawn(serving),
            stop: stop.drop_guard(),
        }
    }
}

fn calls_of(
    intake: &Arc<Intake>,
    listeners: &Listeners,
    clock: &Arc<dyn Clock>,
    stopping: &CancellationToken,
) -> Arc<Calls> {
    Arc::new(Calls {
        intake: Arc::clone(intake),
        outbound: listeners.outbound(),
        clock: Arc::clone(clock),
        stopping: stopping.clone(),
    })
}

/// Has the intake take up the mark of server nonces later, if there was no room for it.
fn note_mark(intake: &Intake, is_taken_up: bool) {
    if !is_taken_up {
        intake.take_up_mark_later();
        tracing::error!("The disk is full: nothing is taken until there is room.");
    }
}

/// Folds the log for those who ask.
fn folder_of(
    config: &Config,
    booted: &Booted,
    clock: &Arc<dyn Clock>,
    reader: FoldedReader,
) -> io::Result<Folder> {
    let reserve_octets = reserve_octets(config);
    Folder::start(booted, clock, Zone::JAPAN, reader, reserve_octets)
}

/// The housekeeping with what the log may forget.
fn retaining(
    keeper: Keeper,
    config: &Config,
    booted: &Booted,
    folding: Option<Arc<Folding>>,
    clock: &Arc<dyn Clock>,
) -> Keeper {
    let options = retention_options(config);
    if !options.is_on() {
        return keeper;
    }
    keeper.with_retention(Retention::new(options, booted, folding, Arc::clone(clock)))
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
