//! UDP: a thread and a socket for each worker, with batched system calls.
//!
//! Workers of the reading port share it through SO_REUSEPORT, so that the kernel keeps all
//! datagrams of one flow on one worker. The alarm port has a worker of its own: however deep the
//! queues of the others are, an alarm waits behind alarms only. Memory is the same at any load: the
//! buffers of one batch, and a bounded queue of what the kernel would not take yet.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg,
};

use crate::wire::otl::limits::FRAME_MAX;

use super::contract::{Outgoing, PathId};
use super::shared::{Origin, Shared, Stage};
use super::wake::PollWaker;

/// Datagrams in one system call.
const BATCH: usize = 64;
/// One octet more than a frame may have, so that a longer datagram shows.
// spec: FRM-4
const SLOT: usize = FRAME_MAX + 1;
/// Datagrams that wait for room in the kernel's queue.
const WAITING_MAX: usize = 4_096;
/// The longest time in one round that a full queue waits for the kernel, in milliseconds.
const PATIENCE_MS: u64 = 20;
/// The pause after the kernel had no memory for a datagram, in milliseconds: the socket says that
/// it is writable all the while.
const BUFFERS_PAUSE_MS: u8 = 2;
/// The longest sleep, and so the longest time between two ticks, in milliseconds.
const TICK_MS: u8 = 200;

/// How far the datagrams that wait have left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flushed {
    /// All of them.
    Clear,
    /// The socket has no room: it tells when it has.
    NoRoom,
    /// The kernel has no memory for them: nobody tells when it has.
    NoBuffers,
}

/// One loop over one socket.
pub(super) struct Worker {
    owner: u16,
    socket: Arc<UdpSocket>,
    waker: Arc<PollWaker>,
    shared: Arc<Shared>,
    slots: Box<[u8]>,
    incoming: MultiHeaders<SockaddrStorage>,
    /// Not the same as for reading: sending leaves the addresses of its arguments in them.
    outgoing: MultiHeaders<SockaddrStorage>,
    out: Vec<Outgoing>,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    ticked_ms: u64,
}

impl Worker {
    pub(super) fn new(
        owner: u16,
        socket: Arc<UdpSocket>,
        waker: Arc<PollWaker>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            owner,
            socket,
            waker,
            shared,
            slots: vec![0; SLOT * BATCH].into_boxed_slice(),
            incoming: MultiHeaders::preallocate(BATCH, None),
            outgoing: MultiHeaders::preallocate(BATCH, None),
            out: Vec::new(),
            waiting: VecDeque::new(),
            ticked_ms: 0,
        }
    }

    /// Works until the listeners are stopped. A worker is made on the thread that runs it.
    pub(super) fn run(mut self) {
        loop {
            let stage = self.shared.stage();
            let now_ms = self.shared.clock.monotonic_ms();
            let received = if stage == Stage::Serving {
                self.receive(now_ms)
            } else {
                0
            };
            self.shared.handler.complete(self.owner, &mut self.out);
            if now_ms.saturating_sub(self.ticked_ms) >= u64::from(TICK_MS) {
                self.ticked_ms = now_ms;
                self.shared.handler.tick(self.owner, &mut self.out);
            }
            self.sort(now_ms);
            let flushed = self.flush();
            self.shared.end_round(self.owner);
            if stage == Stage::Stopped {
                let lost = count(self.waiting.len());
                self.shared.counters.send_failures.add(lost);
                return;
            }
            // A full batch says that there is more.
            if received < BATCH {
                self.sleep(flushed);
            }
        }
    }

    /// Reads one batch. Returns how many datagrams it held.
    // spec: UDP-1
    fn receive(&mut self, now_ms: u64) -> usize {
        let mut slots: Vec<[IoSliceMut<'_>; 1]> = self
            .slots
            .chunks_exact_mut(SLOT)
            .map(|slot| [IoSliceMut::new(slot)])
            .collect();
        let counters = &self.shared.counters;
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let batch = match recvmmsg(fd, &mut self.incoming, slots.iter_mut(), flags, None) {
            Ok(batch) => batch,
            Err(Errno::EAGAIN | Errno::EINTR) => return 0,
            Err(_) => {
                counters.receive_failures.add(1);
                return 0;
            }
        };
        let (mut datagrams, mut octets) = (0_usize, 0_usize);
        for message in batch {
            datagrams = datagrams.saturating_add(1);
            octets = octets.saturating_add(message.bytes);
            let Some(peer) = message.address.as_ref().and_then(socket_addr) else {
                continue;
            };
            let is_cut = message.flags.contains(MsgFlags::MSG_TRUNC);
            match message.iovs().next() {
                Some(frame) if frame.len() <= FRAME_MAX && !is_cut => {
                    // spec: UDP-3, UDP-4
                    let path = PathId::Udp {
                        worker: self.owner,
                        peer,
                    };
                    let origin = Origin {
                        owner: self.owner,
                        path,
                        peer,
                    };
                    // Whatever was wrong with it: silence.
                    // spec: SES-10
                    self.shared.take(origin, frame, now_ms, &mut self.out);
                }
                _ => self.shared.refuse_length(peer, now_ms),
            }
        }
        counters.batches_in.add(u64::from(datagrams > 0));
        counters.datagrams_in.add(self.owner, count(datagrams));
        counters.datagram_octets_in.add(count(octets));
        datagrams
    }

    /// Takes its own datagrams into its queue and gives the rest to whom it belongs. A full queue
    /// is sent from before anything is dropped.
    fn sort(&mut self, now_ms: u64) {
        let mut out = std::mem::take(&mut self.out);
        let mut patience_ms = PATIENCE_MS;
        for outgoing in out.drain(..) {
            match outgoing {
                Outgoing::Send {
                    path: PathId::Udp { worker, peer },
                    octets,
                } if worker == self.owner => {
                    if self.waiting.len() >= WAITING_MAX {
                        self.make_room(&mut patience_ms);
                    }
                    if self.waiting.len() < WAITING_MAX {
                        self.waiting.push_back((peer, octets));
                    } else {
                        self.shared.counters.send_failures.add(1);
                    }
                }
                other => self.shared.outbound.send(other, now_ms),
            }
        }
        self.out = out;
    }

    /// Sends from the full queue, and waits for the kernel as long as there is patience.
    fn make_room(&mut self, patience_ms: &mut u64) {
        while *patience_ms > 0 {
            let wanted = match self.flush() {
                Flushed::Clear => return,
                Flushed::NoRoom if self.waiting.len() < WAITING_MAX => return,
                Flushed::NoRoom => PollFlags::POLLOUT,
                Flushed::NoBuffers => PollFlags::empty(),
            };
            *patience_ms = patience_ms.saturating_sub(u64::from(BUFFERS_PAUSE_MS));
            let mut fds = [PollFd::new(self.socket.as_fd(), wanted)];
            // Whatever it says, the next flush sees how it is.
            poll(&mut fds, PollTimeout::from(BUFFERS_PAUSE_MS)).ok();
        }
    }

    /// Sends what waits, until the kernel takes no more.
    fn flush(&mut self) -> Flushed {
        let counters = &self.shared.counters;
        while !self.waiting.is_empty() {
            let batch = || self.waiting.iter().take(BATCH);
            let slices: Vec<[IoSlice<'_>; 1]> =
                batch().map(|(_, octets)| [IoSlice::new(octets)]).collect();
            // spec: UDP-3
            let peers: Vec<Option<SockaddrStorage>> =
                batch().map(|(peer, _)| Some((*peer).into())).collect();
            let fd = self.socket.as_raw_fd();
            let control: [ControlMessage<'_>; 0] = [];
            let flags = MsgFlags::MSG_DONTWAIT;
            let sent = sendmmsg(fd, &mut self.outgoing, &slices, &peers, control, flags)
                .map(Iterator::count);
            match sent {
                Ok(0) | Err(Errno::EAGAIN) => return Flushed::NoRoom,
                Err(Errno::ENOBUFS | Errno::ENOMEM) => return Flushed::NoBuffers,
                Ok(sent) => {
                    counters.datagrams_out.add(count(sent));
                    self.waiting.drain(..sent.min(self.waiting.len()));
                }
                Err(Errno::EINTR) => {}
                Err(_) => {
                    // The first of them cannot be sent: no route, or forbidden.
                    counters.send_failures.add(1);
                    self.waiting.pop_front();
                }
            }
        }
        Flushed::Clear
    }

    /// Waits for a datagram, for room, for the waker, or for the next tick.
    fn sleep(&self, flushed: Flushed) {
        if !self.waker.fall_asleep() {
            self.waker.rise(false);
            return;
        }
        let mut wanted = PollFlags::empty();
        // Unread datagrams would wake a loop again and again that reads none.
        wanted.set(PollFlags::POLLIN, self.shared.stage() == Stage::Serving);
        wanted.set(PollFlags::POLLOUT, flushed == Flushed::NoRoom);
        let longest_ms = match flushed {
            Flushed::NoBuffers => BUFFERS_PAUSE_MS,
            Flushed::Clear | Flushed::NoRoom => TICK_MS,
        };
        let mut fds = [
            PollFd::new(self.waker.fd(), PollFlags::POLLIN),
            PollFd::new(self.socket.as_fd(), wanted),
        ];
        let is_ready = poll(&mut fds, PollTimeout::from(longest_ms)).is_ok_and(|ready| ready > 0);
        let [bell, _] = &fds;
        self.waker.rise(is_ready && bell.any().unwrap_or(false));
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddrV6::from(*v6).into())
}
