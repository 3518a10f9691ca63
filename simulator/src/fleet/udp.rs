//! Datagrams: sockets that terminals share, and who waits for which answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Shared;
use super::path::local_address;
use super::plan::{TerminalPlan, Transport};
use crate::codec::frame::MAX_FRAME;
use crate::keys::Mode;

/// Sockets that terminals of modes 1 to 3 share.
const SOCKETS: u32 = 64;
/// Frames that wait for a terminal; more are dropped, as a network would.
const INBOX: usize = 16;

/// Nothing is waited for.
const NOTHING: u64 = 0;
/// A `RESYNC_ANSWER` is waited for. Above all counters plus 1.
const RESYNC: u64 = 1 << 40;

/// One terminal as the reader of its socket knows it.
#[derive(Debug)]
struct Lane {
    identity: [u8; 8],
    /// What it waits for: nothing, RESYNC, or a frame counter plus 1.
    awaits: Arc<AtomicU64>,
    inbox: mpsc::Sender<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct UdpPath {
    socket: Arc<UdpSocket>,
    readings: SocketAddr,
    alarms: SocketAddr,
    awaits: Arc<AtomicU64>,
    inbox: mpsc::Receiver<Vec<u8>>,
}

/// Opens the sockets and gives the paths of the terminals on UDP, in their order.
pub(super) async fn open(
    terminals: &[TerminalPlan],
    shared: &Arc<Shared>,
    readers: &mut JoinSet<()>,
) -> io::Result<Vec<UdpPath>> {
    let settings = &shared.settings;
    let mut sockets: Vec<(Option<u32>, Arc<UdpSocket>, Vec<Lane>)> = Vec::new();
    let mut paths = Vec::new();
    for terminal in terminals.iter().filter(|t| t.transport == Transport::Udp) {
        let share = (terminal.mode != Mode::Clear).then_some(terminal.index % SOCKETS);
        let known = sockets
            .iter()
            .position(|(of, ..)| share.is_some() && *of == share);
        let at = match known {
            Some(at) => at,
            None => {
                let socket = UdpSocket::bind(local_address(settings.udp)).await?;
                sockets.push((share, Arc::new(socket), Vec::new()));
                sockets.len() - 1
            }
        };
        let Some((_, socket, lanes)) = sockets.get_mut(at) else {
            continue;
        };
        let (sender, inbox) = mpsc::channel(INBOX);
        let awaits = Arc::new(AtomicU64::new(NOTHING));
        lanes.push(Lane {
            identity: terminal.identity,
            awaits: Arc::clone(&awaits),
            inbox: sender,
        });
        paths.push(UdpPath {
            socket: Arc::clone(socket),
            readings: settings.udp,
            alarms: settings.udp_alarm,
            awaits,
            inbox,
        });
    }
    for (_, socket, lanes) in sockets {
        readers.spawn(read(socket, lanes));
    }
    Ok(paths)
}

/// Hands what comes to a socket to those who may wait for it.
async fn read(socket: Arc<UdpSocket>, lanes: Vec<Lane>) {
    let mut room = [0; MAX_FRAME + 1];
    loop {
        // An error of a datagram socket is about one datagram, and the next may be well.
        let Ok((len, _)) = socket.recv_from(&mut room).await else {
            continue;
        };
        let frame = room.get(..len).unwrap_or_default();
        for lane in lanes.iter().filter(|lane| lane.may_wait_for(frame)) {
            lane.inbox.try_send(frame.to_vec()).ok();
        }
    }
}

fn octets<const N: usize>(frame: &[u8], from: usize) -> Option<[u8; N]> {
    frame.get(from..from + N)?.try_into().ok()
}

impl Lane {
    fn may_wait_for(&self, frame: &[u8]) -> bool {
        let awaits = self.awaits.load(Ordering::Acquire);
        match frame.first() {
            Some(0x19) => octets(frame, 2)
                .is_some_and(|counter| awaits == u64::from(u32::from_be_bytes(counter)) + 1),
            Some(0x1A) => awaits == RESYNC,
            Some(0x1B) => octets(frame, 3) == Some(self.identity),
            _ => false,
        }
    }
}

impl UdpPath {
    pub(super) async fn send(&self, frame: &[u8], alarm: bool) -> bool {
        let to = if alarm { self.alarms } else { self.readings };
        self.socket.send_to(frame, to).await.is_ok()
    }

    pub(super) async fn receive(&mut self) -> Option<Vec<u8>> {
        self.inbox.recv().await
    }

    pub(super) fn await_answer_to(&self, frame: &[u8]) {
        let awaits = match (frame.first(), octets(frame, 11)) {
            (Some(0x11), Some(counter)) => u64::from(u32::from_be_bytes(counter)) + 1,
            _ => RESYNC,
        };
        self.awaits.store(awaits, Ordering::Release);
    }

    pub(super) fn rest(&self) {
        self.awaits.store(NOTHING, Ordering::Release);
    }
}
