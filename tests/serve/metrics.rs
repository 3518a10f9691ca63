//! Every metric moves with what it counts: a server is driven with frames good and bad.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use simulator::codec::record::Unit;

use super::hand::{Hand, damaged, item};
use super::serve::http::get;
use super::serve::running::terminate;
use super::serve::utc_s;
use super::town::{GAS, MASTERS, TERMINALS, TOKENS, Town, identity, socket, until};

/// Failures that an address may have here: enough for the alarm on failed opens.
const BURST: usize = 1_400;

/// What nothing in this test can move, and why.
const AT_REST: &[(&str, &str)] = &[
    (
        "rollbacks_suspected",
        "needs a server on an older copy: tests of the witness",
    ),
    (
        "come_backs",
        "needs a disk that fills up: tests of the disk's levels",
    ),
    (
        "log_queue_frames",
        "a level; nothing waits by the time of the question",
    ),
    ("disk_level", "a level; the disk has room"),
    (
        "tcp_connections",
        "a level; looked at while connections were open",
    ),
    ("sqlite_lag_bytes", "a level; 0 while all is folded"),
    (
        "receive_failures",
        "a socket that fails cannot be had on purpose",
    ),
    (
        "send_failures",
        "the kernel takes what is sent on loopback: tests of the listeners",
    ),
    (
        "accept_failures",
        "needs a process without descriptors: tests of open files",
    ),
    (
        "connections_refused",
        "needs verified terminals in all places: tests of the listeners",
    ),
    (
        "budget_drops",
        "needs a flood from many addresses: tests of the listeners",
    ),
    // Reasons of refusals; that each is counted under its name is for the tests of the witness.
    ("padding_not_zero", "tests of the codec"),
    ("bad_value", "tests of the codec"),
    ("non_canonical", "tests of the codec"),
    ("trailing_bytes", "tests of the codec"),
    ("identity_form_unsupported", "tests of the codec"),
    (
        "unknown_critical_item",
        "a terminal's refusal, never a server's",
    ),
    (
        "mode0_forbidden",
        "needs a utility that forbids it: tests of the key ring",
    ),
    (
        "key_withdrawn",
        "needs a key's withdrawal: tests of the key ring",
    ),
    ("key_retired", "needs a promotion: tests of the link"),
    (
        "key_too_short",
        "needs mode 3 with a short master: tests of the key ring",
    ),
    ("idle", "an hour at least: tests of the listeners"),
    (
        "come_back",
        "needs a disk that fills up: tests of the disk's levels",
    ),
    (
        "shed",
        "a refusal, which needs a full disk: tests of the disk's levels; and a verdict: tests of \
         the listeners",
    ),
    ("stopping", "nobody asks a server that is stopping"),
    (
        "commit_failed",
        "needs a disk that fails: tests of durability",
    ),
    (
        "rollback_suspected",
        "needs a server on an older copy: tests of the link",
    ),
    // Verdicts and causes.
    ("partial", "20 seconds: tests of the listeners"),
    ("unread", "10 seconds: tests of the listeners"),
    // Events of sessions; that each is counted is for the tests of the witness.
    ("ended", "counted as a session"),
    (
        "joined",
        "a repeat in the few milliseconds of a commit: tests of the machine",
    ),
    (
        "silent",
        "the second of a start or of an earlier answer: tests of the machine",
    ),
    (
        "unsure",
        "needs a log that cannot be read or searched: tests of dedup",
    ),
    ("history_unknown", "the same"),
    ("gave_up", "needs a disk that takes 30 seconds"),
    (
        "live_sessions",
        "a level: a session is over with its answer, and nobody is being served",
    ),
    (
        "log_torn_octets",
        "needs an end that is torn: a test of its own below",
    ),
    ("no_random", "needs a system without random numbers"),
    ("seal_failed", "a bug of the server"),
    ("handed_over", "there is no queue of commands yet"),
    ("left_out", "there is no queue of commands yet"),
    ("called", "a terminal is called from within: tests of calls"),
    ("not_callable", "the same"),
];

/// The series of a scrape.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    fn of(town: &Town) -> Self {
        let page = get(town.site.http, "/metrics", "").unwrap().body;
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let pair = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = name.strip_prefix("kenshin_").unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        Self(lines.map(pair).collect())
    }

    fn value(&self, series: &str) -> f64 {
        *self
            .0
            .get(series)
            .unwrap_or_else(|| panic!("no series {series}"))
    }

    fn refusals(&self, reason: &str) -> f64 {
        self.value(&format!("refusals_total{{reason=\"{reason}\"}}"))
    }

    fn event(&self, event: &str) -> f64 {
        self.value(&format!("session_events_total{{event=\"{event}\"}}"))
    }

    /// Families whose series are all 0, and labels of counters that are, but for those at rest.
    fn unmoved(&self) -> Vec<&str> {
        let is_at_rest = |name: &str| AT_REST.iter().any(|(at_rest, _)| *at_rest == name);
        let mut families: BTreeMap<&str, f64> = BTreeMap::new();
        let mut unmoved = Vec::new();
        // No gateway calls here.
        let of_terminals = |(series, _): &(&String, &f64)| !series.starts_with("mbus_");
        for (series, value) in self.0.iter().filter(of_terminals) {
            let (family, label) = match series.split_once('{') {
                Some((family, labels)) => (family, labels.split('"').nth(1)),
                None => (series.as_str(), None),
            };
            let family = family.strip_suffix("_total").unwrap_or(family);
            *families.entry(family).or_default() += value;
            // A level may be 0 in one of its series, and a latency in one of its bounds.
            let is_counter = series.contains("_total{");
            let label = label.filter(|label| is_counter && *value == 0.0 && !is_at_rest(label));
            unmoved.extend(label.map(|_| series.as_str()));
        }
        let still = families.into_iter().filter(|(_, sum)| *sum == 0.0);
        unmoved.extend(
            still
                .map(|(family, _)| family)
                .filter(|name| !is_at_rest(name)),
        );
        unmoved
    }
}

fn config() -> String {
    format!(
        "[admission]\nburst = {BURST}\n[tcp]\nfirst_frame_timeout_s = 1\nmax_connections = 6\n\
         [store]\nsnapshot_every_mib = 65536\n"
    )
}

fn prefixed(frame: &[u8]) -> Vec<u8> {
    let len = u16::try_from(frame.len()).unwrap();
    [&len.to_be_bytes(), frame].concat()
}

/// A connection on which a frame was answered.
fn connection(town: &Town, frame: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(town.site.tcp).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(&prefixed(frame)).unwrap();
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut answer).unwrap();
    stream
}

fn drop_in(port: SocketAddr, frame: &[u8]) {
    socket().send_to(frame, port).unwrap();
}

/// Frames that verify.
fn good(town: &Town) {
    let (udp, alarm) = (town.site.udp, town.site.alarm);
    let mut one = town.gas(0);
    let first = one.routine();
    town.call(udp, &first);
    // Known already: the frame, then its record in another frame, then its number for another.
    town.call(udp, &first);
    let now = one.now_utc_s;
    let reading = |value| Hand::reading(now, Unit::LITRE, value);
    let (same, other) = (item(1, &reading(1_001)), item(1, &reading(7)));
    for items in [[same], [other]] {
        town.call(udp, &one.frame(&items, false));
    }
    town.call(udp, &one.frame(&[damaged(50)], false));
    town.call(udp, &one.unreadable());
    town.call(udp, &one.off_ladder());
    let notice = one.item(&one.alarm());
    town.call(alarm, &one.frame(&[notice], true));
    let reading = one.item(&reading(1_010));
    town.call(udp, &one.frame(&[reading], true));
    // A counter far ahead, then one below the window, then one of before with another content.
    one.counter = 1_000_000;
    town.call(udp, &one.routine());
    town.call(udp, &one.frame_at(20, &[], false));
    let again = one.item(&Hand::reading(one.now_utc_s, Unit::LITRE, 1_020));
    drop_in(udp, &one.frame_at(1_000_000, &[again], false));
    town.call(udp, &one.resync([7; 16], true));
    drop_in(udp, &one.resync([8; 16], false));
}

/// Frames that no key opens, or that are none. Gives how many.
fn bad(town: &Town) {
    let mut two = town.gas(1);
    let frame = two.routine();
    let sent = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = frame.clone();
        change(&mut frame);
        drop_in(town.site.udp, &frame);
    };
    sent(&|frame| *frame.last_mut().unwrap() ^= 1);
    sent(&|frame| frame.truncate(12));
    // The version in the upper half of the first octet, the type in the lower.
    sent(&|frame| frame[0] = 0x21);
    sent(&|frame| frame[0] = 0x1F);
    // A CLOSE comes from servers only.
    sent(&|frame| *frame = vec![0x16, 0]);
    sent(&|frame| frame[1] = 0xE8);
    sent(&|frame| frame[1] |= 0x01);
    sent(&|frame| frame[2] = 9);
    // A RESYNC of mode 0.
    sent(&|frame| {
        *frame = two_resync(town);
        frame[1] &= 0x1F;
    });
    sent(&|frame| frame.resize(1_201, 0));
    sent(&|frame| frame.clear());
    let now = utc_s();
    let mut nobody = Hand::new(GAS, MASTERS[0], identity(9, 9), now);
    drop_in(town.site.udp, &nobody.routine());
    let mut of_mode_2 = Hand::new(GAS, MASTERS[0], identity(0, TERMINALS - 1), now);
    drop_in(town.site.udp, &of_mode_2.routine());
}

fn two_resync(town: &Town) -> Vec<u8> {
    town.gas(1).resync([9; 16], true)
}

/// Connections: one that says nothing, two of one terminal, and more than may be.
fn streams(town: &Town) {
    let mut three = town.gas(2);
    let mut silent = TcpStream::connect(town.site.tcp).unwrap();
    let mut older = connection(town, &three.routine());
    let newer = connection(town, &three.routine());
    let mut rest = Vec::new();
    older.read_to_end(&mut rest).unwrap();
    silent.read_to_end(&mut rest).unwrap();
    let many: Vec<_> = (0..12)
        .map(|_| TcpStream::connect(town.site.tcp).unwrap())
        .collect();
    until("the oldest that say nothing make room", || {
        let scrape = Scrape::of(town);
        scrape.value("connections_evicted_total") > 0.0 && scrape.value("tcp_connections") > 0.0
    });
    drop((newer, many));
}

/// One terminal's frames fail until the alarm is raised, and go on until their address is suspect.
fn flood(town: &Town) {
    let mut four = town.gas(3);
    let mut frame = four.routine();
    *frame.last_mut().unwrap() ^= 1;
    let socket = socket();
    until("the alarm is raised", || {
        for _ in 0..50 {
            socket.send_to(&frame, town.site.udp).unwrap();
        }
        Scrape::of(town).value("failed_open_alarms_total") >= 1.0
    });
    let opened = Scrape::of(town).refusals("tag_mismatch");
    assert!(
        (1_024.0..1_400.0).contains(&opened),
        "{opened}: at 2^10, not before"
    );
    until("their address is suspect", || {
        for _ in 0..200 {
            socket.send_to(&frame, town.site.udp).unwrap();
        }
        Scrape::of(town).value("admission_drops_total") > 0.0
    });
}

// spec: SES-11, FRM-6, FRM-12, ERR-1
#[test]
fn every_metric_moves_with_what_it_counts() {
    let town = Town::new(&config());
    let server = town.site.start(Stdio::null());
    good(&town);
    let mut water = town.water(0);
    let notice = water.item(&water.alarm());
    town.call(town.site.udp, &water.routine());
    town.call(town.site.alarm, &water.frame(&[notice], true));
    for token in TOKENS {
        let polled = format!("Authorization: Bearer {token}\r\n");
        until("a consumer has an alarm and more", || {
            let page = get(town.site.http, "/v1/records", &polled).unwrap().body;
            page.contains("\"lane\":\"alarm\"") && page.contains("\"lane\":\"bulk\"")
        });
    }
    bad(&town);
    streams(&town);
    until("all is told", || {
        let scrape = Scrape::of(&town);
        scrape.refusals("tag_mismatch") == 1.0 && scrape.value("length_drops_total") == 2.0
    });
    let scrape = Scrape::of(&town);
    for (event, count) in [
        ("repeat", 1.0),
        ("behind", 1.0),
        ("clone", 1.0),
        ("moved", 1.0),
    ] {
        assert!(
            scrape.event(event) >= count,
            "{event}: {}",
            scrape.event(event)
        );
    }
    assert_eq!(scrape.value("records_total{lane=\"alarm\"}"), 2.0);
    assert_eq!(scrape.value("records_repeated_total"), 1.0);
    assert_eq!(scrape.value("records_conflicting_total"), 1.0);
    assert_eq!(scrape.value("records_quarantined_total"), 1.0);
    assert_eq!(scrape.value("clones_suspected_total"), 1.0);
    let verdict = |of: &str| scrape.value(&format!("frame_verdicts_total{{verdict=\"{of}\"}}"));
    assert!(verdict("verified") > verdict("failed_authentication"));
    // Tag, key version, terminal and mode are failures of authentication; what verified is none.
    assert_eq!(verdict("failed_authentication"), 4.0);
    // Answers within a second of loopback, and none in no time at all.
    let (count, sum) = (
        scrape.value("ack_latency_seconds_count"),
        scrape.value("ack_latency_seconds_sum"),
    );
    assert!(
        count >= 8.0 && sum / count > 1e-5 && sum / count < 5.0,
        "{sum} / {count}"
    );
    assert!(scrape.value("ack_latency_seconds_bucket{le=\"+Inf\"}") == count);
    flood(&town);
    let scrape = Scrape::of(&town);
    assert_eq!(scrape.unmoved(), Vec::<&str>::new());
    assert!(scrape.value("snapshot_age_seconds") > 0.0);
    assert_eq!(terminate(server), Some(0));
}

#[test]
fn what_was_cut_off_the_log_at_the_start_is_told() {
    let town = Town::new("");
    let server = town.site.start(Stdio::null());
    assert_eq!(Scrape::of(&town).value("log_torn_octets"), 0.0);
    town.call(town.site.udp, &town.gas(0).routine());
    assert_eq!(terminate(server), Some(0));
    let segments = std::fs::read_dir(town.site.dir.join("data/log")).unwrap();
    let segments = segments.map(|entry| entry.unwrap().path());
    let last = segments
        .filter(|path| path.extension().is_some_and(|ending| ending == "klog"))
        .max();
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(last.unwrap())
        .unwrap();
    file.write_all(&[0xAA; 100]).unwrap();
    drop(file);
    let server = town.site.start(Stdio::null());
    assert_eq!(Scrape::of(&town).value("log_torn_octets"), 100.0);
    assert_eq!(terminate(server), Some(0));
}
