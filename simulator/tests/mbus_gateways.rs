//! Meters and gateways against a head-end of a few lines over real sockets.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simulator::fleet::Mishaps;
use simulator::mbus::{self, MbusCounters, MbusLedger, MbusPlan, MbusSettings};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const PLAN: MbusPlan = MbusPlan {
    seed: 4,
    meters: 40,
    utility: *b"gasworks",
};

/// How the head-end answers a line, besides OK.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Good,
    /// Of 13 lines one is to come later, and behind one the connection ends without an answer.
    Moody,
    /// The first line is refused.
    Refusing,
    /// No greeting is welcome.
    Closed,
}

/// What lines and datagrams said: of each telegram its address and its access number.
#[derive(Default)]
struct Kept {
    by_line: HashSet<(Vec<u8>, u8)>,
    by_datagram: HashSet<(Vec<u8>, u8)>,
    lines: u32,
}

/// Reads a line in any of its forms.
fn telegram_of(line: &str, has_checks: bool) -> (Vec<u8>, u8) {
    let digits = match line.strip_prefix('{') {
        Some(_) => {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["telegram"].as_str().unwrap().to_owned()
        }
        None => line.rsplit("0x").next().unwrap().to_owned(),
    };
    let digits: Vec<u32> = digits.chars().map(|c| c.to_digit(16).unwrap()).collect();
    let octets = digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]);
    let octets: Vec<u8> = octets.map(|octet| octet.try_into().unwrap()).collect();
    let content = &octets[if has_checks { 12 } else { 10 }..];
    let access_number = match content[0] {
        0x7A => content[1],
        _ => content[2],
    };
    (octets[2..10].to_vec(), access_number)
}

async fn serve(stream: TcpStream, kept: Arc<Mutex<Kept>>, manner: Manner) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let greeting = lines.next_line().await.ok()??;
    let token = greeting.strip_prefix("TOKEN ").unwrap().to_owned();
    let gateway = PLAN.gateways().into_iter().find(|one| one.token == token);
    if manner == Manner::Closed {
        let told = b"ERR 0 unknown_gateway nobody knows it\n";
        return writer.write_all(told).await.ok();
    }
    writer.write_all(b"OK 0\n").await.ok()?;
    let has_checks = gateway.unwrap().keeps_checks;
    let mut number = 0;
    while let Some(line) = lines.next_line().await.ok()? {
        number += 1;
        let telegram = telegram_of(&line, has_checks);
        let mut answer = String::new();
        {
            let mut kept = kept.lock().unwrap();
            kept.lines += 1;
            match (manner, kept.lines % 13) {
                (Manner::Moody, 5) => writeln!(answer, "BUSY {number}").unwrap(),
                (Manner::Moody, 9) => {
                    kept.by_line.insert(telegram);
                    return None;
                }
                (Manner::Refusing, _) if kept.lines == 1 => {
                    writeln!(answer, "ERR {number} wrong_key it does not fit").unwrap();
                }
                _ if kept.by_line.insert(telegram) => writeln!(answer, "OK {number}").unwrap(),
                _ => writeln!(answer, "OK {number} duplicate").unwrap(),
            }
        }
        writer.write_all(answer.as_bytes()).await.ok()?;
    }
    Some(())
}

async fn listen(listener: TcpListener, kept: Arc<Mutex<Kept>>, manner: Manner) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(stream, Arc::clone(&kept), manner));
    }
}

async fn take_datagrams(socket: UdpSocket, kept: Arc<Mutex<Kept>>) {
    let mut octets = [0; 2_048];
    loop {
        let (len, _) = socket.recv_from(&mut octets).await.unwrap();
        let text = std::str::from_utf8(&octets[..len]).unwrap();
        let (greeting, line) = text.split_once('\n').unwrap();
        assert_eq!(greeting, format!("TOKEN {}", PLAN.gateways()[2].token));
        let telegram = telegram_of(line.trim_end(), false);
        kept.lock().unwrap().by_datagram.insert(telegram);
    }
}

fn run(manner: Manner, settle: Duration) -> (MbusLedger, Arc<MbusCounters>, Kept) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let kept = Arc::new(Mutex::new(Kept::default()));
    let counters = Arc::new(MbusCounters::default());
    let ledger = runtime.block_on(async {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(local).await.unwrap();
        let socket = UdpSocket::bind(local).await.unwrap();
        let (tcp, udp) = (listener.local_addr(), socket.local_addr());
        tokio::spawn(listen(listener, Arc::clone(&kept), manner));
        tokio::spawn(take_datagrams(socket, Arc::clone(&kept)));
        let run = Duration::from_secs(2);
        let settings = MbusSettings {
            telegrams: 5,
            settle,
            mishaps: Mishaps {
                lost_per_mille: 50,
                duplicated_per_mille: 50,
                delayed_per_mille: 50,
                delay_ms_max: 300,
            },
            ..MbusSettings::new(tcp.unwrap(), udp.unwrap(), 1_795_852_800, run)
        };
        let ledger = mbus::run(PLAN, settings, Arc::clone(&counters)).await;
        // The last datagrams are on their way.
        tokio::time::sleep(Duration::from_millis(200)).await;
        ledger.unwrap()
    });
    drop(runtime);
    let kept = std::mem::take(&mut *kept.lock().unwrap());
    (ledger, counters, kept)
}

#[test]
fn every_line_is_sent_until_it_is_answered_ok_whatever_happens_to_the_connection() {
    let (ledger, counters, kept) = run(Manner::Moody, Duration::from_secs(60));
    assert_eq!(counters.telegrams_sent(), 40 * 5);
    assert_eq!(counters.lines_left(), 0);
    assert_eq!(ledger.told(), kept.by_line.len());
    assert!(kept.by_line.len() > 100, "{}", kept.by_line.len());
    for count in [
        counters.cuts(),
        counters.doubled(),
        counters.delayed(),
        counters.busy(),
        counters.copies(),
        counters.lines_again(),
        counters.connection_errors(),
    ] {
        assert!(count > 0, "{counters:?}");
    }
    assert_eq!(counters.wrong(), Vec::<String>::new());
}

#[test]
fn telegrams_that_went_by_datagrams_alone_are_not_told_safe() {
    let (ledger, counters, kept) = run(Manner::Good, Duration::from_secs(60));
    let alone = kept.by_datagram.difference(&kept.by_line).count();
    assert!(alone > 10, "{alone}");
    assert_eq!(ledger.told(), kept.by_line.len());
    assert!(counters.datagrams_sent() >= u64::try_from(kept.by_datagram.len()).unwrap());
    assert!(counters.datagrams_lost() > 0);
}

#[test]
fn an_answer_that_no_good_telegram_is_given_is_shown_and_the_others_are_handed_over() {
    let (ledger, counters, kept) = run(Manner::Refusing, Duration::from_secs(60));
    assert_eq!(counters.wrong_answers(), 1);
    assert!(counters.wrong()[0].contains("was answered: ERR 1 wrong_key"));
    assert_eq!(counters.lines_left(), 0);
    assert_eq!(ledger.told(), kept.by_line.len());
}

#[test]
fn gateways_that_nobody_lets_in_keep_their_lines_and_nothing_is_told_safe() {
    let (ledger, counters, _) = run(Manner::Closed, Duration::from_millis(500));
    assert_eq!(ledger.told(), 0);
    assert!(counters.lines_left() > 100);
    assert!(counters.wrong_answers() > 0);
    assert!(counters.wrong()[0].contains("ERR 0 unknown_gateway"));
}
