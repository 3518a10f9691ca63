//! What the listeners and the server behind them ask of each other.
//!
//! An *owner* is one loop of the listeners: UDP worker 0 to n - 1, then the one completer of all
//! TCP connections. Work that a frame began and that ends later (its commit) comes back to the
//! owner that brought the frame. The alarm port's worker is the last of the UDP workers.

use std::net::SocketAddr;

/// Where a frame came from, and so where its answer goes.
// spec: UDP-3
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PathId {
    /// A datagram.
    Udp {
        /// The owner whose socket took it.
        worker: u16,
        /// The sender as the network shows it.
        peer: SocketAddr,
    },
    /// A connection, by a number that is never used again in this process.
    Tcp {
        /// The number.
        connection: u64,
    },
}

/// What is to leave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outgoing {
    /// One frame.
    Send {
        /// Where to.
        path: PathId,
        /// The frame, without the length that TCP puts before it.
        octets: Vec<u8>,
    },
    /// The end of a connection, after a CLOSE with this code. Nothing on UDP.
    Close {
        /// Which.
        path: PathId,
        /// The code of `registries/close-codes.toml`.
        code: u8,
    },
}

/// What became of a frame, as far as the listeners have to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It verified, and is served or was answered.
    Verified,
    /// Nobody can say who sent it: counted against its address.
    FailedAuthentication,
    /// It is no frame: counted against its address.
    Malformed,
    /// It verified, and there is no room for it now. Its terminal tries again.
    Shed,
}

/// Whoever knows what frames mean. Called from many threads.
pub trait FrameHandler: Send + Sync + 'static {
    /// Takes one frame.
    fn receive(&self, owner: u16, path: PathId, frame: &[u8], out: &mut Vec<Outgoing>) -> Verdict;

    /// Takes what has become durable for this owner. Returns how many steps that were.
    fn complete(&self, owner: u16, out: &mut Vec<Outgoing>) -> usize;

    /// A connection ended.
    fn path_closed(&self, path: PathId);

    /// Steps that a frame began and that no [`Self::complete`] has handed out yet, of all owners.
    /// A stop waits until there are none.
    fn pending(&self) -> usize;

    /// Time passes; to be called at least four times a second for every owner.
    fn tick(&self, owner: u16, out: &mut Vec<Outgoing>);
}

/// Wakes the loop of one owner. Called from the commit thread, so it must not block.
pub trait Waker: Send + Sync {
    /// Makes the owner call [`FrameHandler::complete`] soon.
    fn wake(&self);
}
