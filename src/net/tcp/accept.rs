//! Taking connections in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::contract::PathId;
use super::super::shared::{Shared, Stage};
use super::connection::Connection;
use super::reader::StreamLimits;
use super::task::serve;

/// The pause after a failed accept: for want of descriptors, the next would fail as well.
const FAILURE_PAUSE: Duration = Duration::from_millis(50);

/// A suspect address has at most one in so many of the places for connections without a verified
/// frame, so that others find room however many it opens.
const SUSPECT_SHARE: u64 = 4;
/// Connections above the cap that were cut and are about to end.
const ENDING_MAX: u64 = 64;

/// What the accept loop needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcceptOptions {
    pub(crate) owner: u16,
    pub(crate) connections_max: u64,
    pub(crate) unverified_max: u64,
    pub(crate) limits: StreamLimits,
}

/// Accepts until the listeners stop, then closes the port. Above a cap the oldest connection on
/// which nothing verified makes room; where there is none, the new one is closed at once: a
/// terminal that is kept waiting pays for it with its battery.
pub(crate) async fn accept(
    listener: TcpListener,
    options: AcceptOptions,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let counters = Arc::clone(&shared.counters);
    let mut number = 0_u64;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            counters.accept_failures.add(1);
            tokio::time::sleep(FAILURE_PAUSE).await;
            continue;
        };
        counters.connections_accepted.add(1);
        if !make_room(peer, &options, &shared) {
            counters.connections_refused.add(1);
            continue;
        }
        number = number.saturating_add(1);
        open(Connection::new(number, peer, stream), options, &shared);
    }
}

/// Sees to a place for a connection. False if there is none.
fn make_room(peer: SocketAddr, options: &AcceptOptions, shared: &Shared) -> bool {
    let unverified = shared.outbound.connections().unverified();
    let evict = |oldest: Option<Arc<Connection>>| {
        if let Some(oldest) = &oldest {
            shared.counters.connections_evicted.add(1);
            oldest.evict();
        }
        oldest.is_some()
    };
    let open = shared.counters.connections_open.get();
    if open >= options.connections_max.saturating_add(ENDING_MAX) {
        return false;
    }
    let share = (options.unverified_max / SUSPECT_SHARE).max(1);
    let is_many = |count: usize, max: u64| u64::try_from(count).unwrap_or(u64::MAX) >= max;
    let has_share = is_many(unverified.count_of(peer), share);
    if has_share
        && shared
            .admission
            .is_suspect(peer, shared.clock.monotonic_ms())
    {
        return evict(unverified.take_oldest_of(peer));
    }
    if open >= options.connections_max || is_many(unverified.count(), options.unverified_max) {
        return evict(unverified.take_oldest());
    }
    true
}

fn open(connection: Connection, options: AcceptOptions, shared: &Arc<Shared>) {
    let connection = Arc::new(connection);
    let number = connection.number;
    shared.counters.connections_open.add(1);
    shared.outbound.connections().insert(&connection);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        serve(
            Arc::clone(&connection),
            options.owner,
            Arc::clone(&shared),
            options.limits,
        )
        .await;
        shared.outbound.connections().remove(number);
        let is_settled = connection.is_verified.load(Ordering::Relaxed)
            || connection.is_judged.load(Ordering::Relaxed);
        if !is_settled && shared.stage() == Stage::Serving {
            shared.blame_unverified(connection.peer, shared.clock.monotonic_ms());
        }
        drop(connection);
        shared
            .handler
            .path_closed(PathId::Tcp { connection: number });
        shared.counters.connections_open.sub(1);
    });
}
