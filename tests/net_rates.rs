//! How fast the listeners are by themselves, with a handler that answers at once.
//!
//! Not part of a usual run: `cargo test --release --test net_rates -- --ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement stops at the first surprise and reads clocks"
)]

#[path = "support/listeners.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by several tests"
)]
mod listeners;

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kenshin::net::contract::{FrameHandler, Outgoing, PathId, Verdict};
use kenshin::net::{ListenerOptions, bind};
use kenshin::time::SystemClock;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use listeners::{datagrams_to, options};

const UPLINK_LEN: usize = 128;
const ANSWER_LEN: usize = 25;
const RUN: Duration = Duration::from_secs(3);

/// Answers everything with as many octets as an ANSWER has.
struct Prompt;

impl FrameHandler for Prompt {
    fn receive(&self, _: u16, path: PathId, _: &[u8], out: &mut Vec<Outgoing>) -> Verdict {
        let octets = vec![0x19; ANSWER_LEN];
        out.push(Outgoing::Send { path, octets });
        Verdict::Verified
    }

    fn complete(&self, _: u16, _: &mut Vec<Outgoing>) -> usize {
        0
    }

    fn path_closed(&self, _: PathId) {}

    fn pending(&self) -> usize {
        0
    }

    fn tick(&self, _: u16, _: &mut Vec<Outgoing>) {}
}

/// Datagrams answered in a second; 256 are under way at once.
fn udp_rate(address: SocketAddr) -> f64 {
    let socket = datagrams_to(address);
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let uplink = [0x11; UPLINK_LEN];
    let slices: Vec<[IoSlice<'_>; 1]> = (0..64).map(|_| [IoSlice::new(&uplink)]).collect();
    let to: Vec<Option<SockaddrIn>> = vec![None; 64];
    let mut headers = MultiHeaders::preallocate(64, None);
    let mut send = |count: usize| {
        let control: [ControlMessage<'_>; 0] = [];
        let fd = socket.as_raw_fd();
        let slices = &slices[..count];
        sendmmsg(fd, &mut headers, slices, &to, control, MsgFlags::empty()).unwrap();
    };
    let mut incoming = MultiHeaders::<SockaddrIn>::preallocate(64, None);
    let mut buffer = vec![0; 64 * 64];
    for _ in 0..4 {
        send(64);
    }
    let begun = Instant::now();
    let mut answered = 0_usize;
    while begun.elapsed() < RUN {
        let mut slots: Vec<_> = buffer
            .chunks_mut(64)
            .map(|c| [IoSliceMut::new(c)])
            .collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        let got = recvmmsg(
            socket.as_raw_fd(),
            &mut incoming,
            slots.iter_mut(),
            flags,
            None,
        );
        match got.map(Iterator::count) {
            Ok(count) => {
                answered += count;
                send(count);
            }
            // All were lost in a full queue.
            Err(_) => send(64),
        }
    }
    answered as f64 / begun.elapsed().as_secs_f64()
}

/// Connections in a second, from eight threads: one uplink, one answer, close.
fn tcp_rate(address: SocketAddr) -> f64 {
    let begun = Instant::now();
    let terminals = (0..8).map(|_| {
        std::thread::spawn(move || {
            let uplink = [&[0, 128][..], &[0x11; UPLINK_LEN]].concat();
            let mut sessions = 0_u32;
            while begun.elapsed() < RUN {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&uplink).unwrap();
                stream.read_exact(&mut [0; ANSWER_LEN + 2]).unwrap();
                // A reset leaves no port behind in TIME_WAIT.
                socket2::SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
                sessions += 1;
            }
            sessions
        })
    });
    let terminals: Vec<_> = terminals.collect();
    let sessions: u32 = terminals
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    f64::from(sessions) / begun.elapsed().as_secs_f64()
}

/// Reads and answers the same lengths.
async fn bare_server(listener: tokio::net::TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut uplink = [0; UPLINK_LEN + 2];
            while stream.read_exact(&mut uplink).await.is_ok() {
                if stream.write_all(&[0x19; ANSWER_LEN + 2]).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[test]
#[ignore = "a measurement of half a minute"]
#[allow(clippy::print_stdout, reason = "its result")]
fn rates() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    let options = ListenerOptions {
        connections_max: 10_000,
        unverified_max: 10_000,
        reading_workers: 1,
        ..options()
    };
    let bound = bind(&options).unwrap();
    let clock = Arc::new(SystemClock::new());
    let listeners = bound
        .start(Arc::new(Prompt), clock, runtime.handle())
        .unwrap();
    let local = listeners.local_addrs();
    let bare = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let bare_address = bare.local_addr().unwrap();
    runtime.spawn(bare_server(bare));
    for _ in 0..3 {
        let udp = udp_rate(local.reading.unwrap());
        let (ours, bare) = (tcp_rate(local.stream.unwrap()), tcp_rate(bare_address));
        let ratio = ours / bare;
        println!("UDP {udp:.0}/s; TCP {ours:.0}/s, bare {bare:.0}/s, ratio {ratio:.2}");
    }
    let counters = listeners.counters();
    let batch = counters.datagrams_in.get() as f64 / counters.batches_in.get() as f64;
    println!("{batch:.1} datagrams in a batch");
}
