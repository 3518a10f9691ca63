//! The load generator on UDP: one thread, many source ports, batched system calls.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use crate::frames::FRAME;
use crate::outcome::{Outcome, Pace, histogram};

/// Source ports.
const SOCKETS: usize = 64;
/// Datagrams of one system call.
const BATCH: usize = 32;
/// How long answers are waited for after the last send.
const LINGER: Duration = Duration::from_secs(2);
/// How long the thread sleeps when nothing is due.
const NAP: Duration = Duration::from_micros(100);
/// Octets of a socket's buffers, as far as the system lets.
const BUFFER: usize = 8 << 20;

/// Asks for large buffers.
pub(crate) fn widen(socket: &Socket) {
    socket.set_recv_buffer_size(BUFFER).ok();
    socket.set_send_buffer_size(BUFFER).ok();
}

/// Receives into the buffers what is there, and gives the senders.
pub(crate) fn receive_into<const N: usize>(
    fd: RawFd,
    headers: &mut MultiHeaders<SockaddrIn>,
    room: &mut [[u8; N]],
    flags: MsgFlags,
) -> nix::Result<Vec<Option<SockaddrIn>>> {
    let mut slices: Vec<_> = room.iter_mut().map(|r| [IoSliceMut::new(r)]).collect();
    let received = recvmmsg(fd, headers, slices.iter_mut(), flags, None)?;
    Ok(received.map(|message| message.address).collect())
}

struct Generator<'a> {
    sockets: Vec<UdpSocket>,
    frames: &'a [[u8; FRAME]],
    first_counter: u32,
    start: Instant,
    /// Of each frame that was sent and not answered, when it was to be sent; else `None`.
    scheduled: Vec<Option<Instant>>,
    next: usize,
    answered: u64,
    latency_us: hdrhistogram::Histogram<u64>,
    outgoing: MultiHeaders<SockaddrIn>,
    incoming: MultiHeaders<SockaddrIn>,
    room: Vec<[u8; 256]>,
}

/// Sends frames to `to` until the time or the frames are over.
pub(crate) fn run(
    to: SocketAddr,
    (first_counter, frames): (u32, &[[u8; FRAME]]),
    pace: Pace,
    duration: Duration,
) -> Outcome {
    let sockets = (0..SOCKETS).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        widen(&socket);
        socket.set_nonblocking(true).unwrap();
        socket.connect(&to.into()).unwrap();
        UdpSocket::from(socket)
    });
    let mut generator = Generator {
        sockets: sockets.collect(),
        frames,
        first_counter,
        start: Instant::now(),
        scheduled: vec![None; frames.len()],
        next: 0,
        answered: 0,
        latency_us: histogram(),
        outgoing: MultiHeaders::preallocate(BATCH, None),
        incoming: MultiHeaders::preallocate(BATCH, None),
        room: vec![[0; 256]; BATCH],
    };
    generator.drive(pace, duration)
}

impl Generator<'_> {
    fn drive(&mut self, pace: Pace, duration: Duration) -> Outcome {
        let mut socket = 0;
        while self.next < self.frames.len() && self.start.elapsed() < duration {
            let due = match pace {
                Pace::Rate(rate) => (self.start.elapsed().as_secs_f64() * rate) as usize,
                Pace::Window(most) => self.answered as usize + most,
            };
            let due = due.min(self.frames.len());
            let is_idle = self.next >= due;
            // A few batches at most before answers are looked for.
            for _ in 0..4 {
                if self.next < due {
                    socket = (socket + 1) % SOCKETS;
                    self.send(socket, due.min(self.next + BATCH), pace);
                }
            }
            self.receive(if is_idle { NAP } else { Duration::ZERO });
        }
        let mut seconds = self.start.elapsed();
        let end = Instant::now() + LINGER;
        while self.answered < self.next as u64 && Instant::now() < end {
            self.receive(NAP);
        }
        if let Pace::Window(_) = pace {
            seconds = seconds.max(Duration::from_millis(1));
        }
        Outcome {
            sent: self.next as u64,
            answered: self.answered,
            seconds: seconds.as_secs_f64(),
            latency_us: std::mem::replace(&mut self.latency_us, histogram()),
        }
    }

    fn send(&mut self, socket: usize, until: usize, pace: Pace) {
        let frames = &self.frames[self.next..until];
        let slices: Vec<_> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
        let to: Vec<Option<SockaddrIn>> = vec![None; slices.len()];
        let now = Instant::now();
        let fd = self.sockets[socket].as_raw_fd();
        let flags = MsgFlags::empty();
        let sent = sendmmsg(fd, &mut self.outgoing, slices.iter(), to, [], flags);
        let sent = sent.map_or(0, Iterator::count);
        for index in self.next..self.next + sent {
            let at = match pace {
                Pace::Rate(rate) => self.start + Duration::from_secs_f64(index as f64 / rate),
                Pace::Window(_) => now,
            };
            self.scheduled[index] = Some(at);
        }
        self.next += sent;
    }

    fn receive(&mut self, timeout: Duration) {
        let mut ready: Vec<PollFd<'_>> = self
            .sockets
            .iter()
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        if ppoll(&mut ready, Some(TimeSpec::from(timeout)), None).unwrap_or(0) == 0 {
            return;
        }
        let ready: Vec<bool> = ready.iter().map(|fd| fd.any() == Some(true)).collect();
        for (index, _) in ready.iter().enumerate().filter(|(_, ready)| **ready) {
            self.drain(index);
        }
    }

    fn drain(&mut self, socket: usize) {
        let fd = self.sockets[socket].as_raw_fd();
        loop {
            let flags = MsgFlags::MSG_DONTWAIT;
            let received = receive_into(fd, &mut self.incoming, &mut self.room, flags);
            let count = received.map_or(0, |senders| senders.len());
            let now = Instant::now();
            for index in 0..count {
                self.answer(index, now);
            }
            if count < BATCH {
                return;
            }
        }
    }

    fn answer(&mut self, index: usize, now: Instant) {
        let counter = u32::from_be_bytes(self.room[index][2..6].try_into().unwrap());
        let frame = counter.wrapping_sub(self.first_counter) as usize;
        let scheduled = self.scheduled.get_mut(frame).and_then(Option::take);
        if let Some(scheduled) = scheduled {
            self.answered += 1;
            let us = now.saturating_duration_since(scheduled).as_micros() as u64;
            self.latency_us.saturating_record(us);
        }
    }
}
