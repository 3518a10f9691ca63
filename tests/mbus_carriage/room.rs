//! Levels of the disk, and the number of meters.

use std::path::Path;

use kenshin::telemetry::DiskLevel;
use kenshin::wire::hex::Hex;

use super::world::{Settings, World, line, octets};

/// A world whose meters without a key are two at most.
fn world_of_two_meters(dir: &Path) -> World {
    let settings = Settings {
        meters_max: 2,
        ..Settings::default()
    };
    World::with(dir, settings)
}

fn alarm(counter: u32) -> String {
    format!("{}\n", Hex(&octets(7, 1, counter, b"alarm")))
}

#[test]
fn a_filling_disk_keeps_readings_at_the_gateway_and_a_full_one_alarms_too() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    for (level, reading, alarms) in [
        (DiskLevel::Plenty, "OK", "OK"),
        (DiskLevel::ComeBack, "BUSY", "OK"),
        (DiskLevel::AlarmsOnly, "BUSY", "OK"),
        (DiskLevel::Full, "BUSY", "BUSY"),
    ] {
        world.load.set_disk(level);
        let counter = u32::from(level.number()) * 2 + 1;
        roof.say(&(line(7, 1, counter) + &alarm(counter + 1)));
        assert_eq!(roof.hear(), format!("{reading} {counter}"), "{level:?}");
        assert_eq!(
            roof.hear(),
            format!("{alarms} {}", counter + 1),
            "{level:?}"
        );
    }
    world.load.set_disk(DiskLevel::Plenty);
    roof.say(&line(7, 1, 3));
    assert_eq!(roof.hear(), "OK 9", "what was kept back is taken later");
    world.load.set_queue_percent(90);
    roof.say(&(line(7, 1, 20) + &alarm(21)));
    assert_eq!(
        (roof.hear(), roof.hear()),
        ("BUSY 10".into(), "OK 11".into())
    );
}

#[test]
fn an_alarm_that_anybody_can_send_has_no_claim_on_the_room_for_alarms() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    let clear = |counter| format!("{}\n", Hex(&octets(0, 2, counter, b"alarm")));
    roof.say(&clear(1));
    assert_eq!(roof.hear(), "OK 1");
    world.load.set_disk(DiskLevel::ComeBack);
    roof.say(&(clear(2) + &alarm(1)));
    assert_eq!((roof.hear(), roof.hear()), ("BUSY 2".into(), "OK 3".into()));
}

#[test]
fn no_more_meters_without_a_key_are_known_than_configured() {
    let dir = tempfile::tempdir().unwrap();
    let world = world_of_two_meters(dir.path());
    let mut roof = world.connect_as("roof-token");
    let at_once: Vec<_> = (10..60).map(|meter| line(0, meter, 1)).collect();
    roof.say(&at_once.concat());
    let heard: Vec<_> = at_once.iter().map(|_| roof.hear()).collect();
    let taken = heard.iter().filter(|one| one.starts_with("OK ")).count();
    assert_eq!(taken, 2, "{heard:?}");
}

#[test]
fn a_meter_whose_key_is_known_is_never_shut_out() {
    let dir = tempfile::tempdir().unwrap();
    let world = world_of_two_meters(dir.path());
    let mut roof = world.connect_as("roof-token");
    roof.say(&[line(0, 1, 1), line(0, 2, 1)].concat());
    assert_eq!((roof.hear(), roof.hear()), ("OK 1".into(), "OK 2".into()));
    roof.say(&[line(0, 3, 1), line(0, 1, 2), line(7, 3, 1)].concat());
    assert!(roof.hear().starts_with("ERR 3 too_many_meters "));
    assert_eq!(roof.hear(), "OK 4");
    assert_eq!(
        roof.hear(),
        "OK 5",
        "a meter whose key is known is never shut out"
    );
}
