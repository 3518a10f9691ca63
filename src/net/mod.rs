//! Terminal sockets: the only place that has them.
//!
//! What frames mean is not decided here: a [`contract::FrameHandler`] is handed octets and a path,
//! and hands octets back. The order for every frame is: its length, the limit of its address
//! ([`admission`]), and only then the handler, which looks at its tag.
//!
//! Starting has two steps, because the handler has to know the wakers of its owners: [`bind`]
//! opens the sockets, [`Bound::start`] begins to read them. Stopping has two as well:
//! [`Listeners::stop_accepting`] and [`Listeners::drain`].

pub mod admission;
mod budget;
pub mod contract;
pub mod counters;
pub mod mbus;
mod outbound;
mod shared;
mod sockets;
mod stop;
mod tcp;
mod udp;
mod wake;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::time::Clock;

use admission::{Admission, AdmissionLimits};
use contract::{FrameHandler, Waker};
use counters::NetCounters;
use shared::Shared;
use tcp::{AcceptOptions, Connections};
use udp::Worker;
use wake::{PollWaker, TaskWaker};

pub use outbound::Outbound;
pub use stop::Drained;
pub use tcp::StreamLimits;

/// Where to listen, and how much may be open at once.
///
/// `[::]` takes IPv4 too. Port 0 takes a free one, which [`Bound::local_addrs`] tells.
#[derive(Clone, Copy, Debug)]
pub struct ListenerOptions {
    /// UDP: everyday frames; none listens nowhere.
    pub reading: Option<SocketAddr>,
    /// UDP: frames with an alarm. Every frame is taken on both ports.
    // spec: UDP-4
    pub alarm: Option<SocketAddr>,
    /// TCP: all frames.
    pub stream: Option<SocketAddr>,
    /// Threads on the reading port, 1 to 1,024. The alarm port has one of its own.
    pub reading_workers: u16,
    /// Connections that may be open at once. Each needs a file descriptor.
    pub connections_max: u64,
    /// Connections that may be open at once before a frame verified on them; beyond it the oldest
    /// of them is cut.
    pub unverified_max: u64,
    /// Connections that may wait to be accepted. The system may hold it lower.
    pub accept_backlog: u32,
    /// Times that a connection has.
    pub stream_limits: StreamLimits,
    /// What an address may fail.
    pub admission: AdmissionLimits,
}

/// The addresses that were bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LocalAddrs {
    /// UDP: everyday frames.
    pub reading: Option<SocketAddr>,
    /// UDP: frames with an alarm.
    pub alarm: Option<SocketAddr>,
    /// TCP.
    pub stream: Option<SocketAddr>,
}

/// Why the listeners cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A port is taken, or not allowed, or the address is not of this host.
    #[error("cannot listen on {transport} {address}: choose another address or free this one")]
    Socket {
        /// "UDP" or "TCP".
        transport: &'static str,
        /// The one that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The number of workers is out of its range.
    #[error("{0} workers on the reading port: choose 1 to 1,024")]
    Workers(u16),
    /// The system gave no eventfd or no thread.
    #[error("cannot start a worker: raise the limits of open files and of threads")]
    Worker(#[source] io::Error),
}

/// Sockets that are open and not read yet.
#[derive(Debug)]
pub struct Bound {
    options: ListenerOptions,
    local: LocalAddrs,
    /// By owner number; the last is the alarm port's.
    udp: Vec<(Option<Arc<UdpSocket>>, Arc<PollWaker>)>,
    stream: Option<TcpListener>,
    stream_waker: Arc<TaskWaker>,
}

/// Opens all sockets.
///
/// # Errors
///
/// [`BindError`] if one cannot be had; the others are closed again.
pub fn bind(options: &ListenerOptions) -> Result<Bound, BindError> {
    let workers = options.reading_workers;
    if !(1..=1_024).contains(&workers) {
        return Err(BindError::Workers(workers));
    }
    let mut reading = options.reading;
    let mut alarm = None;
    let mut udp = Vec::new();
    for worker in 0..=workers {
        // The alarm port comes last and is never shared.
        let is_reading = worker < workers;
        let waker = PollWaker::new().map_err(|errno| BindError::Worker(errno.into()))?;
        let waker = Arc::new(waker);
        let Some(address) = (if is_reading { reading } else { options.alarm }) else {
            udp.push((None, waker));
            continue;
        };
        let error = |source| BindError::Socket {
            transport: "UDP",
            address,
            source,
        };
        let is_shared = is_reading && workers > 1;
        let socket = sockets::udp(address, is_shared).map_err(error)?;
        let bound = socket.local_addr().map_err(error)?;
        if is_reading {
            // The others join the port that the first was given.
            reading = Some(bound);
        } else {
            alarm = Some(bound);
        }
        udp.push((Some(Arc::new(socket)), waker));
    }
    let backlog = options.accept_backlog;
    let stream = options.stream.map(|address| bind_stream(address, backlog));
    let stream = stream.transpose()?;
    let local = LocalAddrs {
        reading,
        alarm,
        stream: stream.as_ref().map(|(_, address)| *address),
    };
    let stream = stream.map(|(socket, _)| socket);
    Ok(Bound {
        options: *options,
        local,
        udp,
        stream,
        stream_waker: Arc::default(),
    })
}

fn bind_stream(address: SocketAddr, backlog: u32) -> Result<(TcpListener, SocketAddr), BindError> {
    let error = |source| BindError::Socket {
        transport: "TCP",
        address,
        source,
    };
    let socket = sockets::tcp(address, backlog).map_err(error)?;
    let local = socket.local_addr().map_err(error)?;
    Ok((socket, local))
}

impl Bound {
    /// The addresses that were bound.
    #[must_use]
    pub const fn local_addrs(&self) -> LocalAddrs {
        self.local
    }

    /// One for each owner, by its number: the workers of the reading port, the one of the alarm
    /// port, and the completer of TCP.
    #[must_use]
    pub fn wakers(&self) -> Vec<Arc<dyn Waker>> {
        let mut wakers: Vec<Arc<dyn Waker>> = Vec::new();
        for (_, waker) in &self.udp {
            wakers.push(Arc::<PollWaker>::clone(waker));
        }
        wakers.push(Arc::<TaskWaker>::clone(&self.stream_waker));
        wakers
    }

    /// Begins to read. TCP runs on `runtime`, UDP on threads of its own.
    ///
    /// # Errors
    ///
    /// [`BindError`] if the system gives no thread, or the runtime does not take the TCP socket.
    pub fn start(
        self,
        handler: Arc<dyn FrameHandler>,
        clock: Arc<dyn Clock>,
        runtime: &Handle,
    ) -> Result<Listeners, BindError> {
        let _context = runtime.enter();
        let stream = self.stream.map(tokio::net::TcpListener::from_std);
        let stream = stream.transpose().map_err(BindError::Worker)?;
        let alarm_owner = self.options.reading_workers;
        // After the alarm port's comes TCP's.
        let owners = alarm_owner.saturating_add(2);
        let counters = Arc::new(NetCounters::new(owners, alarm_owner));
        let sockets = self.udp.iter().map(|(socket, _)| socket.clone());
        let outbound = Outbound::new(
            sockets.collect(),
            Connections::default(),
            Arc::clone(&counters),
        );
        // TCP's completer always runs.
        let has_loop = self.udp.iter().map(|(socket, _)| socket.is_some());
        let shared = Arc::new(Shared::new(
            handler,
            clock,
            Admission::new(self.options.admission),
            counters,
            Arc::new(outbound),
            self.options.reading_workers,
            has_loop.chain([true]),
        ));
        let mut listeners = Listeners {
            local: self.local,
            shared,
            accepting: CancellationToken::new(),
            poll_wakers: Vec::new(),
            stream_waker: self.stream_waker,
            threads: Vec::new(),
        };
        for (owner, (socket, waker)) in (0_u16..).zip(self.udp) {
            if let Some(socket) = socket {
                listeners.start_worker(owner, socket, waker)?;
            }
        }
        listeners.start_stream(stream, &self.options);
        Ok(listeners)
    }
}

/// Sockets that are being read. Dropping it stops everything at once.
pub struct Listeners {
    local: LocalAddrs,
    shared: Arc<Shared>,
    /// Cancelled when no connection is accepted any more.
    accepting: CancellationToken,
    poll_wakers: Vec<Arc<PollWaker>>,
    stream_waker: Arc<TaskWaker>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listeners")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Listeners {
    /// The addresses that were bound.
    #[must_use]
    pub const fn local_addrs(&self) -> LocalAddrs {
        self.local
    }

    /// Sends frames that nobody's receipt or completion brings up, as CALL_NOW.
    #[must_use]
    pub fn outbound(&self) -> Arc<Outbound> {
        Arc::clone(&self.shared.outbound)
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> Arc<NetCounters> {
        Arc::clone(&self.shared.counters)
    }

    fn start_worker(
        &mut self,
        owner: u16,
        socket: Arc<UdpSocket>,
        waker: Arc<PollWaker>,
    ) -> Result<(), BindError> {
        self.poll_wakers.push(Arc::clone(&waker));
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(format!("udp-{owner}"))
            .spawn(move || Worker::new(owner, socket, waker, shared).run())
            .map_err(BindError::Worker)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Must be called in the context of the runtime.
    fn start_stream(&self, stream: Option<tokio::net::TcpListener>, options: &ListenerOptions) {
        let owner = options.reading_workers.saturating_add(1);
        tokio::spawn(tcp::complete(
            owner,
            Arc::clone(&self.stream_waker),
            Arc::clone(&self.shared),
        ));
        let Some(stream) = stream else { return };
        let options = AcceptOptions {
            owner,
            connections_max: options.connections_max,
            unverified_max: options.unverified_max.max(1),
            limits: options.stream_limits,
        };
        tokio::spawn(tcp::accept(
            stream,
            options,
            Arc::clone(&self.shared),
            self.accepting.clone(),
        ));
    }
}
