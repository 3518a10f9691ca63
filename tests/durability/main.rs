//! Promises P1 and P2 on a simulated disk: whatever the disk does, nothing that a terminal was told
//! safe is lost, and all of it reaches a sink of files, whole and in order. Server, sink and
//! terminals are real, the disk and the clock are not, and there are no sockets.
//!
//! `DISK_SEEDS=10000 cargo test --release --test durability` runs as many seeds as it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise"
)]

#[path = "../support/heard.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod heard;
#[path = "../support/plan.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod plan;

mod world;

use kenshin::store::fs::{Faults, Space};
use kenshin::store::log::PoisonReason;
use kenshin::telemetry::DiskLevel;
use simulator::random::{Random as _, Seeded};
use world::World;

/// Changes of the disk that one life of a server makes at most in these tests.
const CHANGES: u32 = 150;

#[test]
fn nothing_that_was_told_safe_is_lost_when_the_power_goes_at_any_moment() {
    let seeds = std::env::var_os("DISK_SEEDS");
    let seeds = seeds.and_then(|seeds| seeds.to_str()?.parse().ok());
    let seeds: u64 = seeds.unwrap_or(300);
    let (mut told, mut cut) = (0, 0);
    for seed in 0..seeds {
        let mut random = Seeded::new(seed);
        let mut world = World::new(seed);
        for _ in 0..2 {
            let at = u64::from(random.u32() % CHANGES);
            let before = world.fs.counts().changes;
            world.fs.set_faults(Faults {
                power_cut: Some(before + 1 + at),
                ..Faults::default()
            });
            world.run(12);
            cut += u64::from(world.is_poisoned());
            world.lose_power(random.next_u64());
            world.check(seed);
        }
        world.run(6);
        world.restart();
        told += world.check(seed);
    }
    println!("{seeds} seeds, {cut} power cuts at work, {told} records told safe, 0 lost");
    assert!(told > seeds && cut > 0, "{told} told safe, {cut} cuts");
}

#[test]
fn after_a_failed_sync_nothing_is_told_safe_and_the_log_says_why() {
    let mut world = World::new(1);
    world.run(4);
    let before = world.told_safe();
    assert!(before > 0);
    let syncs = world.fs.counts().syncs;
    world.fs.set_faults(Faults {
        fail_sync: Some(syncs + 1),
        ..Faults::default()
    });
    world.run(8);
    assert_eq!(world.told_safe(), before, "told safe after a failed sync");
    assert_eq!(world.poison(), Some(PoisonReason::Sync));
    world.fs.set_faults(Faults::default());
    world.lose_power(5);
    world.check(1);
    world.run(8);
    world.check(1);
    assert!(world.told_safe() > before, "the next process goes on");
}

#[test]
fn a_full_disk_acknowledges_nothing_and_loses_nothing_and_goes_on_when_there_is_room() {
    let mut world = World::new(2);
    world.run(4);
    let before = world.told_safe();
    let full = Space {
        free: 0,
        total: 1 << 40,
    };
    world.fs.set_faults(Faults {
        space: Some(full),
        ..Faults::default()
    });
    world.run(6);
    assert_eq!(world.told_safe(), before);
    assert_eq!(world.keep_house(), DiskLevel::Full);
    assert_eq!(world.poison(), None, "a full disk is no damage");
    world.fs.set_faults(Faults::default());
    world.keep_house();
    world.run(10);
    assert!(world.told_safe() > before, "it goes on without a restart");
    world.check(2);
}

#[test]
fn a_disk_that_refuses_a_write_stops_the_log_until_a_start_would_find_room() {
    let mut world = World::new(7);
    world.run(4);
    let before = world.told_safe();
    // It says that it has room, as with a quota for a user.
    let lie = Faults {
        space: Some(Space {
            free: 1 << 40,
            total: 1 << 41,
        }),
        ..Faults::default()
    };
    world.fs.set_faults(Faults {
        capacity: Some(1),
        ..lie
    });
    world.run(6);
    assert_eq!(world.told_safe(), before);
    assert_eq!(world.poison(), Some(PoisonReason::Full));
    assert_eq!(world.keep_house(), DiskLevel::Full);
    assert!(!world.is_told_to_start_again(), "a start would be in vain");
    world.fs.set_faults(lie);
    assert!(world.is_told_to_start_again(), "a start would help");
    world.lose_power(7);
    world.run(10);
    assert!(world.told_safe() > before);
    world.check(7);
}

#[test]
fn a_server_that_starts_on_a_full_disk_is_silent_and_goes_on_when_there_is_room() {
    let mut world = World::new(6);
    world.run(4);
    let before = world.told_safe();
    let gaps = world.gaps();
    world.fs.set_faults(Faults {
        space: Some(Space {
            free: 1 << 20,
            total: 1 << 40,
        }),
        ..Faults::default()
    });
    // Beyond the last process's mark.
    world.step_clock(600);
    for _ in 0..3 {
        world.restart();
        assert_eq!(world.keep_house(), DiskLevel::Full);
        world.run(4);
        assert_eq!(world.told_safe(), before);
        assert_eq!(world.poison(), None);
        assert!(!world.is_marked(), "a mark was written on a full disk");
    }
    world.fs.set_faults(Faults::default());
    world.keep_house();
    world.run(10);
    assert!(world.is_marked());
    assert_eq!(world.gaps(), gaps + 1, "the silence is one gap");
    assert!(world.told_safe() > before, "it goes on without a restart");
    world.check(6);
}

#[test]
fn a_filling_disk_sends_readings_away_and_takes_alarms() {
    let mut world = World::new(3);
    world.run(4);
    for (percent, level) in [(90, DiskLevel::ComeBack), (96, DiskLevel::AlarmsOnly)] {
        let total = 1u64 << 40;
        world.fs.set_faults(Faults {
            space: Some(Space {
                free: total / 100 * (100 - percent),
                total,
            }),
            ..Faults::default()
        });
        assert_eq!(world.keep_house(), level);
        let (bulk, alarms) = world.told_safe_by_lane();
        world.run_readings(3);
        assert_eq!(world.told_safe_by_lane().0, bulk, "a reading was taken");
        world.raise_alarm();
        assert!(
            world.told_safe_by_lane().1 > alarms,
            "an alarm was not taken"
        );
    }
    world.check(3);
}

#[test]
fn a_clock_that_steps_back_or_forth_loses_nothing() {
    let mut world = World::new(4);
    world.run(4);
    for step_s in [-3_600i64, 7_200, -86_400 * 400, 86_400 * 800] {
        let before = world.told_safe();
        world.step_clock(step_s);
        // Terminals see to it that no server nonce comes twice.
        world.run(12);
        assert!(world.told_safe() > before, "{step_s} s: it does not go on");
        world.check(4);
    }
    world.restart();
    world.check(4);
}
