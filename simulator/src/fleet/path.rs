//! The way of a terminal's frames.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Shared;
use super::plan::{TerminalPlan, Transport};
use super::tcp::TcpPath;
use super::udp::{self, UdpPath};

/// Connections that are open at once.
const CONNECTIONS_MAX: usize = 320;

#[derive(Debug)]
pub(super) enum Path {
    Udp(UdpPath),
    Tcp(TcpPath),
}

/// Opens the paths of all terminals, in their order.
pub(super) async fn open(
    terminals: &[TerminalPlan],
    shared: &Arc<Shared>,
    readers: &mut JoinSet<()>,
) -> io::Result<Vec<Path>> {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut datagrams = udp::open(terminals, shared, readers).await?.into_iter();
    let paths = terminals
        .iter()
        .filter_map(|terminal| match terminal.transport {
            Transport::Udp => datagrams.next().map(Path::Udp),
            held => Some(Path::Tcp(TcpPath::new(
                shared.settings.tcp,
                terminal.index,
                held == Transport::TcpHeld,
                Arc::clone(&connections),
            ))),
        });
    Ok(paths.collect())
}

/// Any port on the side of the network that reaches a server.
pub(crate) fn local_address(server: SocketAddr) -> SocketAddr {
    let address = match server.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(address, 0)
}

impl Path {
    /// Sends one frame; says whether that seems to have worked.
    pub(super) async fn send(&mut self, frame: &[u8], alarm: bool) -> bool {
        match self {
            Self::Udp(path) => path.send(frame, alarm).await,
            Self::Tcp(path) => path.send(frame).await,
        }
    }

    /// The next frame. Nothing is lost if this is dropped before it is ready.
    pub(super) async fn receive(&mut self) -> Vec<u8> {
        let frame = match self {
            Self::Udp(path) => path.receive().await,
            Self::Tcp(path) => path.receive().await,
        };
        match frame {
            Some(frame) => frame,
            None => pending().await,
        }
    }

    /// Answers to this frame are for this terminal.
    pub(super) fn await_answer_to(&self, frame: &[u8]) {
        if let Self::Udp(path) = self {
            path.await_answer_to(frame);
        }
    }

    /// A call is over.
    pub(super) fn rest(&mut self) {
        match self {
            Self::Udp(path) => path.rest(),
            Self::Tcp(path) => path.rest(),
        }
    }

    /// The link breaks: the connection ends, if there is one.
    pub(super) fn cut(&mut self) {
        if let Self::Tcp(path) = self {
            path.cut();
        }
    }

    /// A sign of life on a connection that is held.
    pub(super) async fn keep_alive(&mut self) {
        if let Self::Tcp(path) = self {
            path.keep_alive().await;
        }
    }

    /// Whether a connection is to be kept alive.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Tcp(path) if path.is_held())
    }
}
