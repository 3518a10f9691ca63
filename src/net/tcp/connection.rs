//! One connection as the rest of the server sees it, and the table of all of them.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::wire::otl::framer::tcp_prefix;
use crate::wire::otl::header::CloseHeader;

use super::unverified::Unverified;

/// Octets that wait until the other side reads: more than a dozen full frames.
const UNSENT_MAX: usize = 16_384;

/// The code for all that may not be told apart.
// spec: SES-10, ERR-4
pub(super) const CLOSE_GENERIC: u8 = 0;
pub(super) const CLOSE_IDLE: u8 = 1;
pub(super) const CLOSE_STOPPING: u8 = 3;

/// What is still to be written.
#[derive(Debug, Default)]
struct Outbox {
    /// What the kernel did not take yet. Holds no memory while empty.
    unsent: Vec<u8>,
    /// When the first of it was refused.
    blocked_ms: u64,
    /// A CLOSE was written or waits: nothing more goes out.
    is_closing: bool,
    /// The stream failed.
    is_broken: bool,
}

/// How a connection stands after a flush.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flushed {
    /// All is written.
    Clear,
    /// Something waits since this instant.
    Blocked { since_ms: u64 },
    /// All is written, and the last of it was a CLOSE.
    Closed,
    /// Nothing can be written any more.
    Broken,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) number: u64,
    pub(super) peer: SocketAddr,
    pub(super) stream: TcpStream,
    /// Wakes the task of the connection.
    pub(super) notify: Notify,
    /// When the task has to look whether it waited for too long.
    pub(super) deadline_ms: AtomicU64,
    /// Whether a frame verified here.
    pub(super) is_verified: AtomicBool,
    /// Whether its end says nothing of its address: what came on it was judged already, or it was
    /// cut for want of room.
    pub(super) is_judged: AtomicBool,
    outbox: Mutex<Outbox>,
}

impl Connection {
    pub(super) fn new(number: u64, peer: SocketAddr, stream: TcpStream) -> Self {
        Self {
            number,
            peer,
            stream,
            notify: Notify::new(),
            deadline_ms: AtomicU64::new(u64::MAX),
            is_verified: AtomicBool::new(false),
            is_judged: AtomicBool::new(false),
            outbox: Mutex::new(Outbox::default()),
        }
    }

    /// Sends a frame. False if it cannot be sent on this connection any more.
    // spec: TCP-1
    pub(crate) fn send(&self, frame: &[u8], now_ms: u64) -> bool {
        let Ok(prefix) = tcp_prefix(frame) else {
            return false;
        };
        let mut outbox = self.outbox.lock();
        if outbox.is_closing || outbox.is_broken {
            return false;
        }
        let is_sent = self.push(&mut outbox, prefix, frame, now_ms);
        if outbox.is_broken || !outbox.unsent.is_empty() {
            self.notify.notify_one();
        }
        is_sent
    }

    /// Sends a CLOSE, after what waits, and ends the connection. A second call does nothing.
    pub(crate) fn close(&self, code: u8, now_ms: u64) {
        let close = CloseHeader { code }.encode();
        let mut outbox = self.outbox.lock();
        if let Ok(prefix) = tcp_prefix(close.as_ref())
            && !outbox.is_closing
            && !outbox.is_broken
        {
            self.push(&mut outbox, prefix, close.as_ref(), now_ms);
            outbox.is_closing = true;
        }
        self.notify.notify_one();
    }

    /// Ends the connection without a word, to make room for another.
    pub(super) fn evict(&self) {
        self.is_judged.store(true, Ordering::Relaxed);
        self.outbox.lock().is_broken = true;
        self.notify.notify_one();
    }

    /// Whether nothing can be written any more.
    pub(super) fn is_broken(&self) -> bool {
        self.outbox.lock().is_broken
    }

    /// Writes what waits, as far as the kernel takes it.
    pub(super) fn flush(&self) -> Flushed {
        let mut outbox = self.outbox.lock();
        while !outbox.unsent.is_empty() && !outbox.is_broken {
            match self.stream.try_write(&outbox.unsent) {
                Ok(written) => {
                    let written = written.min(outbox.unsent.len());
                    outbox.unsent.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Flushed::Blocked {
                        since_ms: outbox.blocked_ms,
                    };
                }
                Err(_) => outbox.is_broken = true,
            }
        }
        outbox.unsent = Vec::new();
        match (outbox.is_broken, outbox.is_closing) {
            (true, _) => Flushed::Broken,
            (false, true) => Flushed::Closed,
            (false, false) => Flushed::Clear,
        }
    }

    /// Writes a frame at once if nothing waits before it, and keeps what is left of it.
    fn push(&self, outbox: &mut Outbox, prefix: [u8; 2], frame: &[u8], now_ms: u64) -> bool {
        let mut written = 0;
        if outbox.unsent.is_empty() {
            let parts = [IoSlice::new(&prefix), IoSlice::new(frame)];
            match self.stream.try_write_vectored(&parts) {
                Ok(octets) if octets == prefix.len().saturating_add(frame.len()) => return true,
                Ok(octets) => written = octets,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    outbox.is_broken = true;
                    return false;
                }
            }
            outbox.blocked_ms = now_ms;
        }
        let rest = [prefix.as_slice(), frame].concat();
        let rest = rest.get(written..).unwrap_or(&[]);
        if outbox.unsent.len().saturating_add(rest.len()) > UNSENT_MAX {
            // The other side takes nothing, so it would not see a CLOSE either.
            outbox.is_broken = true;
            return false;
        }
        outbox.unsent.extend_from_slice(rest);
        true
    }
}

const SHARDS: usize = 16;

/// All open connections, by number.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    unverified: Unverified,
    shards: [Mutex<HashMap<u64, Arc<Connection>>>; SHARDS],
}

impl Connections {
    fn shard(&self, number: u64) -> Option<&Mutex<HashMap<u64, Arc<Connection>>>> {
        let index = usize::try_from(number).unwrap_or(0) % SHARDS;
        self.shards.get(index)
    }

    pub(crate) fn get(&self, number: u64) -> Option<Arc<Connection>> {
        self.shard(number)?.lock().get(&number).cloned()
    }

    pub(super) const fn unverified(&self) -> &Unverified {
        &self.unverified
    }

    pub(super) fn insert(&self, connection: &Arc<Connection>) {
        self.unverified.insert(connection);
        if let Some(shard) = self.shard(connection.number) {
            shard
                .lock()
                .insert(connection.number, Arc::clone(connection));
        }
    }

    pub(super) fn remove(&self, number: u64) {
        self.unverified.remove(number);
        if let Some(shard) = self.shard(number) {
            shard.lock().remove(&number);
        }
    }

    /// Calls `visit` with each, one shard locked at a time.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Arc<Connection>)) {
        for shard in &self.shards {
            shard.lock().values().for_each(&mut visit);
        }
    }

    /// Wakes the tasks of all whose deadline is over.
    pub(super) fn wake_overdue(&self, now_ms: u64) {
        self.for_each(|connection| {
            if connection.deadline_ms.load(Ordering::Relaxed) <= now_ms {
                connection.notify.notify_one();
            }
        });
    }

    /// Wakes all tasks.
    pub(crate) fn wake_all(&self) {
        self.for_each(|connection| connection.notify.notify_one());
    }

    /// Ends all connections because the server stops.
    pub(crate) fn close_all(&self, now_ms: u64) {
        self.for_each(|connection| {
            // spec: ERR-4
            let is_verified = connection.is_verified.load(Ordering::Relaxed);
            let code = if is_verified {
                CLOSE_STOPPING
            } else {
                CLOSE_GENERIC
            };
            connection.close(code, now_ms);
        });
    }
}
