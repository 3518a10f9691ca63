//! The life of one connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::wire::otl::limits::TCP_BUFFER_MAX;

use super::super::contract::{PathId, Verdict};
use super::super::counters::NetCounters;
use super::super::shared::{Origin, Shared, Stage};
use super::connection::{CLOSE_GENERIC, Connection, Flushed};
use super::reader::{Effect, Fault, Overdue, Reader, StreamLimits};

/// For how long, in milliseconds, and how many octets are read and dropped after a CLOSE: closing
/// with unread octets would reset the connection and take the CLOSE with it.
const LINGER_MS: u64 = 1_000;
const LINGER_OCTETS_MAX: usize = 65_536;

/// Whether a connection is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Life {
    Goes,
    Over,
}

/// Serves a connection until it ends. Its octets in memory are this future and [`Connection`].
pub(super) async fn serve(
    connection: Arc<Connection>,
    owner: u16,
    shared: Arc<Shared>,
    limits: StreamLimits,
) {
    let mut reader = Reader::new(shared.clock.monotonic_ms());
    while shared.stage() != Stage::Stopped {
        let now_ms = shared.clock.monotonic_ms();
        let (deadline_ms, overdue) = reader.deadline(&limits);
        match connection.flush() {
            Flushed::Closed => {
                linger(&connection, &shared).await;
                break;
            }
            Flushed::Broken => break,
            Flushed::Blocked { since_ms } => {
                let unread_ms = since_ms.saturating_add(limits.unread_ms);
                if unread_ms <= now_ms {
                    shared.counters.timeouts_unread.add(1);
                    break;
                }
                connection.deadline_ms.store(unread_ms, Ordering::Relaxed);
                // Who does not read is not read from.
                tokio::select! {
                    _ = connection.stream.writable() => {}
                    () = connection.notify.notified() => {}
                }
            }
            Flushed::Clear if deadline_ms <= now_ms => {
                count_timeout(&shared.counters, overdue);
                connection.close(overdue.close_code(), now_ms);
            }
            Flushed::Clear => {
                connection.deadline_ms.store(deadline_ms, Ordering::Relaxed);
                let is_serving = || shared.stage() == Stage::Serving;
                let is_readable = tokio::select! {
                    _ = connection.stream.readable(), if is_serving() => true,
                    () = connection.notify.notified() => false,
                };
                // The stop may have come meanwhile: no frame is begun after it.
                if is_readable
                    && is_serving()
                    && read(&connection, owner, &mut reader, &shared) == Life::Over
                {
                    break;
                }
            }
        }
        tokio::task::consume_budget().await;
    }
}

/// Reads once, and gives what is whole to the handler.
// spec: TCP-7
fn read(connection: &Connection, owner: u16, reader: &mut Reader, shared: &Shared) -> Life {
    let mut buffer = [0; TCP_BUFFER_MAX];
    let arrived = match connection.stream.try_read(&mut buffer) {
        Ok(0) => return Life::Over,
        Ok(len) => buffer.get(..len).unwrap_or(&[]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Life::Goes,
        Err(_) => return Life::Over,
    };
    let now_ms = shared.clock.monotonic_ms();
    let origin = Origin {
        owner,
        path: PathId::Tcp {
            connection: connection.number,
        },
        peer: connection.peer,
    };
    let mut out = Vec::new();
    let fed = reader.feed(arrived, now_ms, |frame| {
        shared.counters.stream_frames_in.add(1);
        match shared.take(origin, frame, now_ms, &mut out) {
            Some(Verdict::Verified | Verdict::Shed) => Effect::Verified,
            // spec: SES-10
            Some(Verdict::FailedAuthentication | Verdict::Malformed) | None => Effect::Refused,
        }
    });
    if reader.is_verified() && !connection.is_verified.swap(true, Ordering::Relaxed) {
        let connections = shared.outbound.connections();
        connections.unverified().remove(connection.number);
    }
    shared.outbound.send_all(&mut out, now_ms);
    if let Err(fault) = fed {
        connection.is_judged.store(true, Ordering::Relaxed);
        if fault == Fault::Oversize {
            shared.refuse_length(connection.peer, now_ms);
        }
        // spec: SES-10, TCP-3
        connection.close(CLOSE_GENERIC, now_ms);
    }
    Life::Goes
}

/// Ends the sending half and waits, for a short time, for the other side to end its own, or until
/// the place is wanted for another.
async fn linger(connection: &Connection, shared: &Shared) {
    let now_ms = shared.clock.monotonic_ms();
    let until_ms = now_ms.saturating_add(LINGER_MS);
    connection.deadline_ms.store(until_ms, Ordering::Relaxed);
    let socket = socket2::SockRef::from(&connection.stream);
    if socket.shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    let mut dropped = 0_usize;
    while dropped < LINGER_OCTETS_MAX
        && shared.clock.monotonic_ms() < until_ms
        && shared.stage() != Stage::Stopped
    {
        tokio::select! {
            _ = connection.stream.readable() => {}
            () = connection.notify.notified() => {
                if connection.is_broken() {
                    return;
                }
                continue;
            }
        }
        match drop_octets(connection) {
            Ok(0) => return,
            Ok(octets) => dropped = dropped.saturating_add(octets),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

fn drop_octets(connection: &Connection) -> io::Result<usize> {
    let mut buffer = [0; TCP_BUFFER_MAX];
    connection.stream.try_read(&mut buffer)
}

fn count_timeout(counters: &NetCounters, overdue: Overdue) {
    let counter = match overdue {
        Overdue::Unverified => &counters.timeouts_unverified,
        Overdue::Partial => &counters.timeouts_partial,
        Overdue::Idle => &counters.timeouts_idle,
    };
    counter.add(1);
}
