//! Datagrams of gateways.

use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use super::contract::{Gateway, Heard, Transport};
use super::gate::{Gate, token_of};
use crate::wire::mbus::lines::{TELEGRAM_MAX, is_text, read_line};

/// Octets of a datagram at most; one more, so that a longer one shows.
const DATAGRAM_MAX: usize = 8_192;

/// Takes datagrams until the listeners stop.
pub(super) async fn serve(socket: UdpSocket, gate: Gate) {
    let mut buffer = vec![0; DATAGRAM_MAX + 1];
    loop {
        let received = tokio::select! {
            biased;
            () = gate.stopping.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        // What is wrong with a datagram that was sent before is no fault of this socket.
        let Ok((len, peer)) = received else { continue };
        gate.counters.datagrams_in.add(1);
        let datagram = buffer.get(..len).unwrap_or_default();
        take(&gate, peer, datagram);
        tokio::task::consume_budget().await;
    }
}

fn take(gate: &Gate, peer: SocketAddr, datagram: &[u8]) {
    let unread = |id| gate.handler.unread(Transport::Udp, id);
    if datagram.len() > DATAGRAM_MAX {
        return unread("datagram_too_long");
    }
    if datagram.is_empty() {
        return unread("datagram_empty");
    }
    if !is_text(datagram) {
        let Ok(gateway) = gate.identify(peer, None, None) else {
            return;
        };
        if datagram.len() > TELEGRAM_MAX {
            return unread("datagram_too_long");
        }
        return hand_over(gate, &gateway, datagram, (None, None));
    }
    let lines = datagram.split(|octet| *octet == b'\n');
    let mut lines = lines
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    let mut first = lines.next();
    let token = first.and_then(token_of);
    if token.is_some() {
        first = None;
    }
    let Ok(gateway) = gate.identify(peer, None, token) else {
        return;
    };
    for line in first.into_iter().chain(lines) {
        match read_line(line) {
            Ok(line) => {
                let told = (line.heard_utc_ms, line.rssi_dbm);
                hand_over(gate, &gateway, &line.telegram, told);
            }
            Err(error) => unread(error.id()),
        }
    }
}

fn hand_over(
    gate: &Gate,
    gateway: &Gateway,
    telegram: &[u8],
    (heard_utc_ms, rssi_dbm): (Option<u64>, Option<i16>),
) {
    // Nobody is told.
    let (answer, _) = oneshot::channel();
    let heard = Heard {
        transport: Transport::Udp,
        telegram,
        heard_utc_ms,
        rssi_dbm,
    };
    gate.handler.receive(gateway, heard, answer);
}
