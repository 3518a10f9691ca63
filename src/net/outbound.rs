//! The way of a frame to its socket, whichever loop sends it.
//!
//! A UDP worker sends in batches what is its own; everything else passes here: an answer over TCP,
//! and a frame for a terminal whose last uplink came to another loop. Nothing here waits.

use std::net::UdpSocket;
use std::sync::Arc;

use super::contract::{Outgoing, PathId};
use super::counters::NetCounters;
use super::tcp::Connections;

/// Sends from any thread.
#[derive(Debug)]
pub struct Outbound {
    /// One for each UDP worker, by its owner number.
    sockets: Vec<Arc<UdpSocket>>,
    connections: Connections,
    counters: Arc<NetCounters>,
}

impl Outbound {
    pub(super) const fn new(
        sockets: Vec<Arc<UdpSocket>>,
        connections: Connections,
        counters: Arc<NetCounters>,
    ) -> Self {
        Self {
            sockets,
            connections,
            counters,
        }
    }

    pub(super) const fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Sends one frame, or ends one connection. What cannot leave now is kept, within the bound of
    /// its connection; otherwise it is dropped and counted, and the terminal asks again.
    pub fn send(&self, outgoing: Outgoing, now_ms: u64) {
        let is_sent = match outgoing {
            Outgoing::Send {
                path: PathId::Udp { worker, peer },
                octets,
            } => {
                let socket = self.sockets.get(usize::from(worker));
                let sent = socket.is_some_and(|socket| socket.send_to(&octets, peer).is_ok());
                self.counters.datagrams_out.add(u64::from(sent));
                sent
            }
            Outgoing::Send {
                path: PathId::Tcp { connection },
                octets,
            } => {
                let connection = self.connections.get(connection);
                connection.is_some_and(|connection| connection.send(&octets, now_ms))
            }
            Outgoing::Close {
                path: PathId::Tcp { connection },
                code,
            } => {
                if let Some(connection) = self.connections.get(connection) {
                    connection.close(code, now_ms);
                }
                true
            }
            // spec: ERR-4
            Outgoing::Close {
                path: PathId::Udp { .. },
                ..
            } => true,
        };
        self.counters.send_failures.add(u64::from(!is_sent));
    }

    /// Sends all of them, in order, and leaves `out` empty.
    pub fn send_all(&self, out: &mut Vec<Outgoing>, now_ms: u64) {
        for outgoing in out.drain(..) {
            self.send(outgoing, now_ms);
        }
    }
}
