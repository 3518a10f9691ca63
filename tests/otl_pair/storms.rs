//! The weather drawn at random: nothing told safe is missing, and in the end everything is in once.

use std::collections::BTreeMap;

use kenshin::session::otl::link::LinkState;
use kenshin::session::otl::machine::{Admission, Machine};
use kenshin::wire::otl::answer::ComeBack;
use kenshin::wire::otl::ident::Mode;
use simulator::nvm::Wipe;
use simulator::random::{Random as _, Seeded};

use super::journal::Journal;
use super::pair::{DAY_MS, PairWorld, Weather};
use super::server::{Path, START_UTC_S};

const SEEDS: u64 = 300;
const MODES: [Mode; 4] = [
    Mode::Clear,
    Mode::CcmStatic,
    Mode::CcmSession,
    Mode::GcmSession,
];

fn weather(random: &mut Seeded) -> Weather {
    let least = 20 + random.up_to(300);
    Weather {
        lost_percent: random.up_to(40),
        twice_percent: random.up_to(25),
        delay_ms: (least, least + random.up_to(4_000)),
    }
}

/// Something goes wrong, or nothing does.
fn mishap(world: &mut PairWorld, random: &mut Seeded, mode: Mode) {
    match random.up_to(10) {
        0 => world.restart_server(),
        1 => world.server.failing = 1 + random.u32() % 3,
        2 => world.port += 1,
        3 => world.lose_connection(),
        4 => world.alarm(),
        5 if mode != Mode::Clear => world.power_cycle(None),
        6 if mode != Mode::Clear => world.power_cycle(Some(Wipe::CounterProof)),
        7 => world.server.admission = Admission::ComeBack(ComeBack::from_units(150).unwrap()),
        9 => {
            let time = ComeBack::from_units(150).unwrap();
            world.server.admission = Admission::AlarmsOnly(time);
        }
        8 => world.server.admission = Admission::Shed,
        _ => world.server.admission = Admission::Serve,
    }
}

/// How often each kind of event came.
type Tally = BTreeMap<String, usize>;

fn storm(seed: u64, tally: &mut Tally) {
    let mode = MODES[(seed % 4) as usize];
    let mut random = Seeded::new(seed);
    let mut world = PairWorld::new(mode, seed, Journal::off());
    world.uses_tcp = random.up_to(2) == 0;
    world.holds_tcp = random.up_to(1) == 0;
    world.terminal().set_clock(0, START_UTC_S).unwrap();
    world.run_for(DAY_MS);
    for _ in 0..6 {
        world.weather = weather(&mut random);
        world.server.commit_ms = 1 + random.up_to(6_000);
        if world.terminal().clock().is_set() {
            world.push_day_and_call();
        }
        for _ in 0..4 {
            world.run_for(random.up_to(20_000));
            mishap(&mut world, &mut random, mode);
        }
        world.run_for(DAY_MS / 2);
        world.check_custody();
    }
    world.weather = Weather::FAIR;
    world.server.admission = Admission::Serve;
    world.server.failing = 0;
    world.server.commit_ms = 5;
    world.run_for(4 * DAY_MS);
    world.check_all_in();
    for event in &world.server.events {
        let name = format!("{event:?}");
        let name = name.split(' ').next().unwrap_or_default().to_owned();
        *tally.entry(name).or_default() += 1;
    }
    *tally.entry("Frame".to_owned()).or_default() += world.uplinks.len();
}

// spec: GEN-4, ANS-2, REC-6, REC-8, REP-2, UDP-3, TCP-8
#[test]
fn whatever_the_weather_nothing_told_safe_is_missing_and_all_arrives_once() {
    let mut tally = Tally::new();
    for seed in 0..SEEDS {
        let run = std::panic::AssertUnwindSafe(|| storm(seed, &mut tally));
        let outcome = std::panic::catch_unwind(run);
        assert!(outcome.is_ok(), "seed {seed}");
    }
    println!("{tally:?}");
    let wanted = [
        "Repeat",
        "Joined",
        "CommitFailed",
        "CameBack",
        "Shed",
        "Resync",
        "Silent",
        "Moved",
    ];
    for name in wanted {
        assert!(tally.contains_key(name), "no storm had {name}: {tally:?}");
    }
}

#[test]
fn a_machine_is_small() {
    let size = size_of::<Machine<Path>>();
    assert!(size <= 512, "{size} octets");
    let state = size_of::<LinkState>();
    assert!(state <= 136, "{state} octets");
}
