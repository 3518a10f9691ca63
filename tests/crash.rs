//! The real binary under load, killed at random times: nothing that a terminal was told safe is
//! lost, nothing is invented, nothing is there twice.
//!
//! Ten kills by default; `CRASH_KILLS=200 cargo test --release --test crash -- --nocapture`
//! runs as many as it says. The fleet grows with the kills, so that terminals call some hundred
//! times a second from the first kill to the last; segments and snapshots are small, so that kills
//! meet the change of a segment, the writing of its index and of a snapshot; and each kill waits,
//! for a short time, until a frame is under way that nothing but the kill can disturb.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and reads clocks"
)]

#[path = "support/serve.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod serve;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serve::http::get;
use serve::plan::registered;
use serve::running::{Running, terminate};
use serve::{Site, utc_s};
use simulator::custody::{Custody, check_directory};
use simulator::fleet::{self, Counters, FleetPlan, FleetSettings};
use simulator::random::{Random as _, Seeded};

/// Small files, so that they change and are written often.
const SMALL: &str = "[store]\nsegment_mib = 1\nsnapshot_every_mib = 1\n";
/// Calls of terminals in a second.
const CALLS_PER_S: u64 = 300;
/// Calls of one terminal in a run, at most: with its repeats it stays within what a day allows.
const CALLS_MAX: u64 = 12;
/// Between two calls of a terminal, on average: one whose frame met no server waits for seconds,
/// so that few terminals that call often are soon all waiting.
const CALL_EVERY_S: u64 = 10;

/// What came of a run.
struct Outcome {
    custody: Custody,
    /// Of the server's folder at the end: the latest segment's name and the snapshots.
    data: Vec<String>,
}

/// Waits until the sink has everything, as the server tells it: what it has not got at a stop it
/// gets after the next start. Two minutes at most.
fn wait_for_sinks(site: &Site) {
    for _ in 0..1_200 {
        let metrics =
            get(site.http, "/metrics", "").map_or_else(|_| String::new(), |page| page.body);
        let mut lags = metrics
            .lines()
            .filter(|line| line.starts_with("kenshin_sink_lag_bytes{"));
        if metrics.ends_with("# EOF\n") && lags.all(|line| line.ends_with(" 0")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the sink lags for two minutes");
}

fn names(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    names
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect()
}

/// A fleet at work while `disturb` does something to the server.
fn run(run: Duration, disturb: impl FnOnce(&Site, &Counters) -> Running) -> Outcome {
    let calls = (run.as_secs() / CALL_EVERY_S).clamp(2, CALLS_MAX);
    let terminals = (run.as_secs() * CALLS_PER_S).div_ceil(calls);
    let plan = FleetPlan {
        seed: 7,
        terminals: u32::try_from(terminals).unwrap(),
        utilities: 2,
    };
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), &registered(&plan), SMALL);
    let mut settings = FleetSettings::new([site.udp, site.alarm, site.tcp], utc_s(), run);
    settings.settle = Duration::from_secs(90);
    // So that the first calls are no heavier than the others.
    settings.backlog_days = 2;
    settings.calls = u32::try_from(calls).unwrap();
    let counters = Arc::new(Counters::default());
    let (fleet_plan, fleet_counters) = (plan, Arc::clone(&counters));
    let fleet = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(fleet::run(&fleet_plan, settings, fleet_counters))
    });
    let server = disturb(&site, &counters);
    let ledger = fleet.join().unwrap().unwrap();
    wait_for_sinks(&site);
    assert_eq!(terminate(server), Some(0), "the server stops in order");
    let custody = check_directory(&ledger, &site.records()).unwrap();
    let data = ["log", "state"].map(|part| names(&site.dir.join("data").join(part)));
    println!(
        "{terminals} terminals, {} sessions, {} repeats; {} records acked, {} delivered, {} lost, \
         {} phantom, {} duplicated, {} altered, {} redelivered",
        counters.sessions(),
        counters.retries(),
        custody.told_safe,
        custody.delivered,
        custody.lost,
        custody.phantom,
        custody.duplicated,
        custody.altered,
        custody.redelivered,
    );
    Outcome {
        custody,
        data: data.concat(),
    }
}

fn assert_clean(custody: &Custody) {
    assert!(custody.told_safe > 0, "nothing was told safe");
    let found = (
        custody.lost,
        custody.phantom,
        custody.duplicated,
        custody.altered,
    );
    assert_eq!(found, (0, 0, 0, 0), "{:?}", custody.problems);
    assert!(custody.is_clean(), "{:?}", custody.problems);
}

/// Waits until a frame is under way that was sent to this very server, and that neither the shim
/// nor a repeat has touched; for a short time, since there may be none for a while.
fn meet_a_frame(counters: &Counters) {
    let began = Instant::now();
    while counters.in_flight_of_mark() == 0 && began.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn a_server_that_is_killed_under_load_loses_nothing_and_invents_nothing() {
    let kills = std::env::var_os("CRASH_KILLS");
    let kills = kills.and_then(|kills| kills.to_str()?.parse().ok());
    let kills: u64 = kills.unwrap_or(10);
    // In the second of its start a server answers nothing.
    let pauses_ms = |random: &mut Seeded| 1_500 + u64::from(random.u32() % 2_500);
    let length = Duration::from_millis(kills * 3_200 + 3_000);
    let (mut met, mut between) = (0, Vec::new());
    let outcome = run(length, |site, counters| {
        let mut random = Seeded::new(11);
        let mut child = site.start(Stdio::null());
        for kill in 1..=kills {
            counters.set_mark();
            let before = counters.ack.count();
            std::thread::sleep(Duration::from_millis(pauses_ms(&mut random)));
            meet_a_frame(counters);
            child.kill().unwrap();
            child.wait().unwrap();
            // What is still unanswered now was under way when the server ended.
            met += u64::from(counters.in_flight_of_mark() > 0);
            between.push(counters.ack.count() - before);
            child = site.start(Stdio::null());
            if kill % 10 == 0 {
                println!("{kill} of {kills} kills");
            }
        }
        child
    });
    between.sort_unstable();
    let median = between[between.len() / 2];
    println!("{kills} kills, {met} with a frame in flight, {median} answers before each (median)");
    assert_clean(&outcome.custody);
    assert!(
        met * 10 >= kills * 8,
        "{met} of {kills} kills met a frame in flight"
    );
    assert!(median >= 20, "{between:?}: too little load");
    let count = |ending: &str| {
        outcome
            .data
            .iter()
            .filter(|name| name.ends_with(ending))
            .count()
    };
    assert!(
        count(".klog") > 1,
        "no kill could meet the change of a segment: {:?}",
        outcome.data
    );
    assert!(
        count(".snap") > 0,
        "no kill could meet a snapshot: {:?}",
        outcome.data
    );
}

#[test]
fn a_server_that_is_told_to_stop_under_load_stops_in_order_and_loses_nothing() {
    let outcome = run(Duration::from_secs(5), |site, _| {
        let child = site.start(Stdio::null());
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(terminate(child), Some(0));
        site.start(Stdio::null())
    });
    assert_clean(&outcome.custody);
}
