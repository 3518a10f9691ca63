//! The load generator on TCP: connect, one uplink, its answer, close. One thread.
//!
//! Connections come from many addresses of the loopback network, each with its own ports, since
//! every closed connection keeps its port for a minute.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

use crate::frames::{ANSWER, FRAME};
use crate::outcome::{Outcome, Pace, histogram};

/// Connections at once; more are late, and their lateness counts.
const OPEN_MAX: usize = 2_000;
/// Addresses and ports of the sources.
const ADDRESSES: u64 = 250;
const FIRST_PORT: u64 = 10_000;
const PORTS: u64 = 50_000;
/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

struct Tally {
    open: usize,
    answered: u64,
    latency_us: hdrhistogram::Histogram<u64>,
}

fn source(number: u64) -> SocketAddr {
    let address = number % ADDRESSES;
    let port = FIRST_PORT + number / ADDRESSES % PORTS;
    (Ipv4Addr::new(127, 0, 9, address as u8 + 1), port as u16).into()
}

async fn call(to: SocketAddr, from: SocketAddr, frame: [u8; FRAME]) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(from)?;
    let mut stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    let mut octets = [0; FRAME + 2];
    octets[1] = FRAME as u8;
    octets[2..].copy_from_slice(&frame);
    stream.write_all(&octets).await?;
    let mut answer = [0; ANSWER + 2];
    stream.read_exact(&mut answer).await?;
    Ok(())
}

/// Calls `to` once a frame until the time or the frames are over. `first` numbers the sources on
/// from run to run.
pub(crate) fn run(
    to: SocketAddr,
    (first, frames): (u32, &[[u8; FRAME]]),
    pace: Pace,
    duration: Duration,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, drive(to, (first.into(), frames), pace, duration))
}

async fn drive(
    to: SocketAddr,
    (first, frames): (u64, &[[u8; FRAME]]),
    pace: Pace,
    duration: Duration,
) -> Outcome {
    let tally = Rc::new(RefCell::new(Tally {
        open: 0,
        answered: 0,
        latency_us: histogram(),
    }));
    let start = Instant::now();
    let mut next = 0;
    while next < frames.len() && start.elapsed() < duration {
        let most = match pace {
            Pace::Rate(_) => OPEN_MAX,
            Pace::Window(most) => most,
        };
        let due = match pace {
            Pace::Rate(rate) => (start.elapsed().as_secs_f64() * rate) as usize,
            Pace::Window(_) => usize::MAX,
        };
        while next < due.min(frames.len()) && tally.borrow().open < most {
            let scheduled = match pace {
                Pace::Rate(rate) => start + Duration::from_secs_f64(next as f64 / rate),
                Pace::Window(_) => Instant::now(),
            };
            tally.borrow_mut().open += 1;
            let (frame, from) = (frames[next], source(first + next as u64));
            let tally = Rc::clone(&tally);
            tokio::task::spawn_local(async move {
                let ended = timeout(PATIENCE, call(to, from, frame)).await;
                let mut tally = tally.borrow_mut();
                tally.open -= 1;
                if matches!(ended, Ok(Ok(()))) {
                    tally.answered += 1;
                    let us = scheduled.elapsed().as_micros() as u64;
                    tally.latency_us.saturating_record(us);
                }
            });
            next += 1;
        }
        match pace {
            Pace::Rate(_) => sleep(Duration::from_millis(1)).await,
            Pace::Window(_) => tokio::task::yield_now().await,
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    while tally.borrow().open > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let mut tally = tally.borrow_mut();
    Outcome {
        sent: next as u64,
        answered: tally.answered,
        seconds,
        latency_us: std::mem::replace(&mut tally.latency_us, histogram()),
    }
}
