//! A fleet against a head-end of a few lines over real sockets, and the custody report of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simulator::custody::{Checker, Custody, check_directory_with};
use simulator::fleet::{self, Counters, FleetPlan, FleetSettings, Mishaps};
use support::{ACK, Server, UTC};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

const PLAN: FleetPlan = FleetPlan {
    seed: 11,
    terminals: 64,
    utilities: 2,
};

/// One terminal as the head-end knows it.
struct Known {
    server: Server,
    safe: HashSet<u32>,
}

/// Opens, keeps, answers.
struct HeadEnd {
    terminals: HashMap<[u8; 8], Known>,
    kept: HashSet<([u8; 8], u32, u32)>,
    lines: String,
    /// Of so many records the first is told safe and not kept.
    forgets_each: Option<usize>,
}

impl HeadEnd {
    fn new(forgets_each: Option<usize>) -> Self {
        let known = PLAN.terminals().map(|terminal| {
            let mut server = Server::new(32);
            server.owner = terminal.owner();
            server.link_key = Some(PLAN.keys(&terminal).unwrap().link.current);
            let safe = HashSet::new();
            (terminal.identity, Known { server, safe })
        });
        Self {
            terminals: known.collect(),
            kept: HashSet::new(),
            lines: String::new(),
            forgets_each,
        }
    }

    fn receive(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let identity: [u8; 8] = frame[3..11].try_into().unwrap();
        let known = self.terminals.get_mut(&identity).unwrap();
        let opened = known.server.open(frame);
        if frame[0] == 0x12 {
            return Some(known.server.resync_answer(0, frame, 10_000_000, &[]));
        }
        for (number, sequence, body) in opened.records() {
            if !self.kept.insert((identity, opened.epoch, sequence)) {
                continue;
            }
            if self.forgets_each.is_some_and(|n| self.kept.len() % n == 1) {
                continue;
            }
            let utility = u64::from_be_bytes(known.server.owner.utility.0);
            let terminal = u64::from_be_bytes(identity);
            let id = format!(
                "{utility:016x}-{terminal:016x}-{:08x}-{sequence}-0",
                opened.epoch
            );
            let lane = if number == 5 { "alarm" } else { "bulk" };
            let mut raw = format!("{number:02x}");
            for octet in body {
                write!(raw, "{octet:02x}").unwrap();
            }
            writeln!(
                self.lines,
                "{{\"id\":\"{id}\",\"revision\":1,\"lane\":\"{lane}\",\"raw\":\"{raw}\"}}"
            )
            .unwrap();
        }
        known.safe.insert(opened.counter);
        let mut map = 0;
        for bit in 0..16 {
            let below = opened.counter.checked_sub(1 + bit);
            let safe = below.is_some_and(|counter| known.safe.contains(&counter));
            map |= u16::from(safe) << bit;
        }
        let answer = known.server.answer(0, frame, ACK, map, &[]);
        opened.asks.then_some(answer)
    }
}

async fn serve_udp(socket: UdpSocket, head_end: Arc<Mutex<HeadEnd>>) {
    let mut room = [0; 1_500];
    loop {
        let (len, from) = socket.recv_from(&mut room).await.unwrap();
        let answer = head_end.lock().unwrap().receive(&room[..len]);
        if let Some(answer) = answer {
            socket.send_to(&answer, from).await.unwrap();
        }
    }
}

async fn serve_tcp(listener: TcpListener, head_end: Arc<Mutex<HeadEnd>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head_end = Arc::clone(&head_end);
        tokio::spawn(async move {
            while let Ok(length) = stream.read_u16().await {
                let mut frame = vec![0; length.into()];
                if length == 0 || stream.read_exact(&mut frame).await.is_err() {
                    continue;
                }
                let answer = head_end.lock().unwrap().receive(&frame);
                let Some(answer) = answer else { continue };
                let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                let whole = [&length[..], &answer].concat();
                if stream.write_all(&whole).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Runs the fleet of [`PLAN`] for a moment.
async fn run(forgets_each: Option<usize>) -> (Custody, Arc<Counters>) {
    let head_end = Arc::new(Mutex::new(HeadEnd::new(forgets_each)));
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let readings = UdpSocket::bind(any).await.unwrap();
    let alarms = UdpSocket::bind(any).await.unwrap();
    let listener = TcpListener::bind(any).await.unwrap();
    let addresses = [
        readings.local_addr().unwrap(),
        alarms.local_addr().unwrap(),
        listener.local_addr().unwrap(),
    ];
    let servers = [
        tokio::spawn(serve_udp(readings, Arc::clone(&head_end))),
        tokio::spawn(serve_udp(alarms, Arc::clone(&head_end))),
        tokio::spawn(serve_tcp(listener, Arc::clone(&head_end))),
    ];
    let mut settings = FleetSettings::new(addresses, UTC, Duration::from_secs(3));
    settings.restarts_per_mille = 400;
    settings.alarms_per_mille = 500;
    settings.mishaps = Mishaps {
        lost_per_mille: 20,
        ..Mishaps::default()
    };
    let counters = Arc::new(Counters::default());
    let ledger = fleet::run(&PLAN, settings, Arc::clone(&counters))
        .await
        .unwrap();
    for server in servers {
        server.abort();
    }
    let dir = tempfile::tempdir().unwrap();
    let lines = std::mem::take(&mut head_end.lock().unwrap().lines);
    std::fs::write(dir.path().join("all.ndjson"), lines).unwrap();
    let checker = Checker::octets_only(&ledger);
    let custody = check_directory_with(checker, dir.path()).unwrap();
    assert_eq!(ledger.terminals.len(), 64);
    (custody, counters)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lossy_fleet_gets_all_in_and_the_custody_is_clean() {
    let (custody, counters) = run(None).await;
    assert!(custody.is_clean(), "{custody:#?}");
    assert!(custody.told_safe > 64 * 8, "{custody:#?}");
    assert_eq!(counters.records_acked(), custody.told_safe);
    assert_eq!(counters.terminals_failed(), 0, "{counters:?}");
    assert_eq!(counters.in_flight(), 0);
    for happened in [
        counters.sessions(),
        counters.alarms_acked(),
        counters.losses_injected(),
        counters.retries(),
        counters.restarts(),
        counters.ack.quantile_us(500),
    ] {
        assert!(happened > 0, "{counters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_end_that_forgets_is_caught() {
    let (custody, _) = run(Some(50)).await;
    assert!(custody.lost > 0, "{custody:#?}");
    assert_eq!((custody.phantom, custody.altered), (0, 0));
}
