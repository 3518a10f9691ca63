//! Taking connections in.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::contract::PathId;
use super::super::shared::Shared;
use super::connection::Connection;
use super::reader::StreamLimits;
use super::task::serve;

/// The pause after a failed accept: for want of descriptors, the next would fail as well.
const FAILURE_PAUSE: Duration = Duration::from_millis(50);

/// What the accept loop needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcceptOptions {
    pub(crate) owner: u16,
    pub(crate) connections_max: u64,
    pub(crate) limits: StreamLimits,
}

/// Accepts until the listeners stop, then closes the port. Above the cap a connection is closed at
/// once: a terminal that is kept waiting pays for it with its battery.
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
        if counters.connections_open.get() >= options.connections_max {
            counters.connections_refused.add(1);
            continue;
        }
        number = number.saturating_add(1);
        open(Connection::new(number, peer, stream), options, &shared);
    }
}

fn open(connection: Connection, options: AcceptOptions, shared: &Arc<Shared>) {
    let connection = Arc::new(connection);
    let number = connection.number;
    shared.counters.connections_open.add(1);
    shared.outbound.connections().insert(&connection);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        serve(
            connection,
            options.owner,
            Arc::clone(&shared),
            options.limits,
        )
        .await;
        shared.outbound.connections().remove(number);
        shared
            .handler
            .path_closed(PathId::Tcp { connection: number });
        shared.counters.connections_open.sub(1);
    });
}
