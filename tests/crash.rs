//! The real binary under load, killed at random times: nothing that a terminal was told safe is
//! lost, nothing is invented, nothing is there twice.
//!
//! Ten kills by default; `KENSHIN_CRASH_KILLS=200 cargo test --release --test crash -- --nocapture`
//! runs as many as it says.

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

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serve::{Registered, Site, terminate};
use simulator::custody::{Custody, check_directory};
use simulator::fleet::{self, Counters, FleetPlan, FleetSettings};
use simulator::random::{Random as _, Seeded};

fn registered(plan: &FleetPlan) -> Vec<Registered> {
    let utilities = plan.utilities().unwrap();
    let of_plan = |id: [u8; 8]| plan.terminals().filter(move |one| one.utility == id);
    utilities
        .into_iter()
        .map(|utility| Registered {
            id: utility.id,
            name: utility.name,
            link_master: utility.link_master.expose().to_vec(),
            terminals: of_plan(utility.id)
                .map(|one| (one.identity, one.mode.code()))
                .collect(),
        })
        .collect()
}

fn utc_s() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u32::try_from(since.unwrap().as_secs()).unwrap()
}

/// A fleet at work while `disturb` does something to the server.
fn run(
    terminals: u32,
    run: Duration,
    disturb: impl FnOnce(&Site) -> std::process::Child,
) -> Custody {
    let plan = FleetPlan {
        seed: 7,
        terminals,
        utilities: 2,
    };
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), &registered(&plan), "");
    let mut settings = FleetSettings::new([site.udp, site.alarm, site.tcp], utc_s(), run);
    settings.settle = Duration::from_secs(90);
    let counters = Arc::new(Counters::default());
    let (fleet_plan, fleet_counters) = (plan, Arc::clone(&counters));
    let fleet = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(fleet::run(&fleet_plan, settings, fleet_counters))
    });
    let server = disturb(&site);
    let ledger = fleet.join().unwrap().unwrap();
    assert_eq!(terminate(server), Some(0), "the server stops in order");
    let custody = check_directory(&ledger, &site.records()).unwrap();
    println!(
        "{} told safe, {} delivered, {} redelivered; {} sessions, {} repeats",
        custody.told_safe,
        custody.delivered,
        custody.redelivered,
        counters.sessions(),
        counters.retries(),
    );
    custody
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

#[test]
fn a_server_that_is_killed_under_load_loses_nothing_and_invents_nothing() {
    let kills = std::env::var_os("KENSHIN_CRASH_KILLS");
    let kills = kills.and_then(|kills| kills.to_str()?.parse().ok());
    let kills: u64 = kills.unwrap_or(10);
    let pauses_ms = |random: &mut Seeded| 300 + u64::from(random.u32() % 1_500);
    let length = Duration::from_millis(kills * 1_200 + 2_000);
    let custody = run(600, length, |site| {
        let mut random = Seeded::new(11);
        let mut child = site.start(Stdio::null());
        for kill in 1..=kills {
            std::thread::sleep(Duration::from_millis(pauses_ms(&mut random)));
            child.kill().unwrap();
            child.wait().unwrap();
            child = site.start(Stdio::null());
            if kill % 10 == 0 {
                println!("{kill} of {kills} kills");
            }
        }
        child
    });
    assert_clean(&custody);
}

#[test]
fn a_server_that_is_told_to_stop_under_load_stops_in_order_and_loses_nothing() {
    let custody = run(300, Duration::from_secs(5), |site| {
        let child = site.start(Stdio::null());
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(terminate(child), Some(0));
        site.start(Stdio::null())
    });
    assert_clean(&custody);
}
