//! Opening, reading and stopping the sockets of gateways.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::admission::{Admission, AdmissionLimits};
use super::super::budget::Budget;
use super::super::sockets;
use super::connection::{LineLimits, serve};
use super::contract::{Gateway, Proof, TelegramHandler, Transport};
use super::counters::MbusCounters;
use super::gate::{Gate, Stranger};
use super::places::{Evicted, Place, Places, Taken};
use super::{tls, udp};
use crate::crypto::digest::sha256;
use crate::time::Clock;

/// The pause after a failed accept: for want of descriptors, the next would fail as well.
const FAILURE_PAUSE: Duration = Duration::from_millis(50);
/// How often, and after what pause, it is looked whether those who made way have ended.
const CUT_ROUNDS: u32 = 200;
const CUT_PAUSE: Duration = Duration::from_millis(5);
/// How long TLS may take to come about.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Where to listen for gateways, and how much may be open at once.
#[derive(Clone)]
pub struct MbusNetOptions {
    /// Datagrams; none listens nowhere.
    pub udp: Option<SocketAddr>,
    /// Connections in clear.
    pub tcp: Option<SocketAddr>,
    /// Connections with TLS, and what makes it.
    pub tls: Option<(SocketAddr, TlsAcceptor)>,
    /// Connections at once.
    pub connections_max: usize,
    /// Milliseconds until a gateway has to be known, and from the first octet of a line to its
    /// last.
    pub line_ms: u64,
    /// Milliseconds of silence after which a connection ends.
    pub silence_ms: u64,
    /// What an address may fail.
    pub admission: AdmissionLimits,
}

impl std::fmt::Debug for MbusNetOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut form = f.debug_struct("MbusNetOptions");
        form.field("udp", &self.udp).field("tcp", &self.tcp);
        form.finish_non_exhaustive()
    }
}

/// The addresses that were bound.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MbusLocalAddrs {
    /// Datagrams.
    pub udp: Option<SocketAddr>,
    /// Connections in clear.
    pub tcp: Option<SocketAddr>,
    /// Connections with TLS.
    pub tls: Option<SocketAddr>,
}

/// A port is taken, or not allowed, or the address is not of this host.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for mbus.{key}: choose another address or free this one")]
pub struct MbusBindError {
    /// The setting.
    pub key: &'static str,
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Sockets that are open and not read yet.
#[derive(Debug)]
pub struct MbusBound {
    options: MbusNetOptions,
    local: MbusLocalAddrs,
    udp: Option<std::net::UdpSocket>,
    tcp: Option<std::net::TcpListener>,
    tls: Option<std::net::TcpListener>,
}

impl MbusBound {
    /// Opens all sockets.
    ///
    /// # Errors
    ///
    /// [`MbusBindError`] if one cannot be had; the others are closed again.
    pub fn new(options: MbusNetOptions) -> Result<Self, MbusBindError> {
        let failed = |key, address| {
            move |source| MbusBindError {
                key,
                address,
                source,
            }
        };
        let stream = |key, address: Option<SocketAddr>| {
            let open = |address| {
                let socket = sockets::tcp_that_asks(address, BACKLOG)?;
                let local = socket.local_addr()?;
                Ok((socket, local))
            };
            let opened = address.map(|address| open(address).map_err(failed(key, address)));
            opened.transpose()
        };
        let datagrams = |address: SocketAddr| {
            let socket = sockets::udp(address, false)?;
            let local = socket.local_addr()?;
            Ok((socket, local))
        };
        let udp = options
            .udp
            .map(|at| datagrams(at).map_err(failed("udp", at)));
        let (udp, udp_at) = udp.transpose()?.unzip();
        let (tcp, tcp_at) = stream("tcp", options.tcp)?.unzip();
        let tls_asked = options.tls.as_ref().map(|(address, _)| *address);
        let (tls, tls_at) = stream("tls", tls_asked)?.unzip();
        let local = MbusLocalAddrs {
            udp: udp_at,
            tcp: tcp_at,
            tls: tls_at,
        };
        Ok(Self {
            options,
            local,
            udp,
            tcp,
            tls,
        })
    }

    /// The addresses that were bound.
    #[must_use]
    pub const fn local_addrs(&self) -> MbusLocalAddrs {
        self.local
    }

    /// Begins to read, on `runtime`.
    ///
    /// # Errors
    ///
    /// If the runtime does not take a socket.
    pub fn start(
        self,
        handler: Arc<dyn TelegramHandler>,
        clock: Arc<dyn Clock>,
        runtime: &Handle,
    ) -> io::Result<MbusListeners> {
        let _context = runtime.enter();
        let counters = Arc::new(MbusCounters::default());
        let stopping = CancellationToken::new();
        let limits = self.options.admission;
        let gate = |transport, admission: &Arc<Admission>| Gate {
            handler: Arc::clone(&handler),
            clock: Arc::clone(&clock),
            transport,
            admission: Arc::clone(admission),
            budget: Arc::new(Budget::new(limits.failures_per_s_port)),
            counters: Arc::clone(&counters),
            stopping: stopping.clone(),
        };
        let tasks = TaskTracker::new();
        if let Some(socket) = self.udp {
            let socket = tokio::net::UdpSocket::from_std(socket)?;
            let admission = Arc::new(Admission::new(limits));
            tasks.spawn(udp::serve(socket, gate(Transport::Udp, &admission)));
        }
        let acceptor = self.options.tls.map(|(_, acceptor)| acceptor);
        let places = Arc::new(Places::new(self.options.connections_max));
        let admission = Arc::new(Admission::new(limits));
        for (socket, acceptor) in [(self.tcp, None), (self.tls, acceptor)] {
            let Some(socket) = socket else { continue };
            let door = Door {
                gate: gate(Transport::Tcp, &admission),
                places: Arc::clone(&places),
                limits: LineLimits {
                    line_ms: self.options.line_ms,
                    silence_ms: self.options.silence_ms,
                },
                tasks: tasks.clone(),
            };
            let listener = TcpListener::from_std(socket)?;
            tasks.spawn(door.accept(listener, acceptor));
        }
        Ok(MbusListeners {
            local: self.local,
            stopping,
            counters,
            tasks,
        })
    }
}

/// What an accept loop works with.
struct Door {
    gate: Gate,
    places: Arc<Places>,
    limits: LineLimits,
    tasks: TaskTracker,
}

impl Door {
    async fn accept(self, listener: TcpListener, acceptor: Option<TlsAcceptor>) {
        let counters = Arc::clone(&self.gate.counters);
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.gate.stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                counters.accept_failures.add(1);
                tokio::time::sleep(FAILURE_PAUSE).await;
                continue;
            };
            counters.connections_accepted.add(1);
            match self.take_place().await {
                Place::Taken { place, evicted } => {
                    match evicted {
                        Some(Evicted::Unknown) => counters.evicted_unknown.add(1),
                        Some(Evicted::Known) => counters.evicted_for_newcomer.add(1),
                        None => {}
                    }
                    self.open(stream, peer, place, acceptor.clone());
                }
                Place::None | Place::Later => counters.connections_refused.add(1),
            }
        }
    }

    /// A place, as soon as enough of those who made way have given theirs back. Whoever connects
    /// meanwhile waits in the system.
    async fn take_place(&self) -> Place {
        for _ in 0..CUT_ROUNDS {
            match self.places.take() {
                Place::Later => tokio::time::sleep(CUT_PAUSE).await,
                place => return place,
            }
        }
        Place::Later
    }

    fn open(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: Taken,
        acceptor: Option<TlsAcceptor>,
    ) {
        let (gate, limits) = (self.gate.clone(), self.limits);
        let counters = Arc::clone(&gate.counters);
        counters.connections_open.add(1);
        self.tasks.spawn(async move {
            match acceptor {
                None => serve(stream, peer, None, place, limits, gate).await,
                Some(acceptor) => serve_tls(stream, peer, place, limits, (gate, acceptor)).await,
            }
            counters.connections_open.sub(1);
        });
    }
}

async fn serve_tls(
    stream: TcpStream,
    peer: SocketAddr,
    place: Taken,
    limits: LineLimits,
    (gate, acceptor): (Gate, TlsAcceptor),
) {
    // A handshake costs more than anything else here, so that who fails may do so a few times only.
    let Ok(pass) = gate.admit(peer, gate.clock.monotonic_ms()) else {
        gate.counters.tls_failures.add(1);
        return;
    };
    let shaking = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
    let shaken = tokio::select! {
        () = place.has_to_end() => return,
        () = gate.stopping.cancelled() => return,
        shaken = shaking => shaken,
    };
    let shaken = shaken.map_err(io::Error::from).and_then(|shaken| shaken);
    let shown = shaken.and_then(|stream| Ok((tls::certificate_of(&stream)?, stream)));
    let settle = |is_known| gate.settle(peer, pass, is_known, gate.clock.monotonic_ms());
    let Ok((certificate, stream)) = shown else {
        gate.counters.tls_failures.add(1);
        settle(false);
        return;
    };
    let digest = sha256(&certificate);
    let gateway: Option<Gateway> = gate.handler.gateway(Proof::Certificate(digest));
    settle(gateway.is_some());
    if gateway.is_none() {
        gate.refuse(Stranger::Unknown);
    }
    serve(stream, peer, gateway, place, limits, gate).await;
}

/// Sockets that are being read. Dropping it stops everything at once.
#[derive(Debug)]
pub struct MbusListeners {
    local: MbusLocalAddrs,
    stopping: CancellationToken,
    counters: Arc<MbusCounters>,
    tasks: TaskTracker,
}

impl MbusListeners {
    /// The addresses that were bound.
    #[must_use]
    pub const fn local_addrs(&self) -> MbusLocalAddrs {
        self.local
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> Arc<MbusCounters> {
        Arc::clone(&self.counters)
    }

    /// Reads nothing more, and waits until what was begun is answered: at the latest after
    /// `deadline`. False if something was left.
    pub async fn drain(self, deadline: Duration) -> bool {
        self.stopping.cancel();
        self.tasks.close();
        tokio::time::timeout(deadline, self.tasks.wait())
            .await
            .is_ok()
    }
}

impl Drop for MbusListeners {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
