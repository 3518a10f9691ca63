//! What gateways bring late, of which only the log knows whether it is durable.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use kenshin::model::Lsn;
use kenshin::wire::hex::Hex;

use super::world::{Line, Settings, World, line, octets};

fn now_s() -> u64 {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs()
}

/// A line in clear without a counter, of what a meter says, heard at a time.
fn heard_at(meter: u8, number: u64, time: u64) -> String {
    timed(&octets(0, meter, 0, &number.to_be_bytes()), time)
}

fn timed(telegram: &[u8], time: u64) -> String {
    let telegram = Hex(telegram).to_string();
    format!("{{\"telegram\":\"{telegram}\",\"time\":{time}}}\n")
}

/// Flips a bit of a frame in the log's first segment.
fn damage(dir: &Path, lsn: Lsn) {
    let path = dir.join("log/00000000000000000000.klog");
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut octet = [0];
    file.read_exact_at(&mut octet, lsn.get() + 60).unwrap();
    octet[0] ^= 1;
    file.write_all_at(&octet, lsn.get() + 60).unwrap();
}

/// What is heard of lines that are said at once.
fn say_all(gateway: &mut Line, lines: &[String]) -> Vec<String> {
    let mut heard = Vec::new();
    for part in lines.chunks(100) {
        gateway.say(&part.concat());
        heard.extend(part.iter().map(|_| gateway.hear()));
    }
    heard
}

fn are_new(heard: &[String]) -> bool {
    let is_new = |one: &String| one.starts_with("OK ") && !one.ends_with("duplicate");
    heard.iter().all(is_new)
}

fn are_copies(heard: &[String]) -> bool {
    heard.iter().all(|one| one.ends_with(" duplicate"))
}

/// Lines until now, one each twenty seconds: no more in an hour than the table has digests for.
fn history(meter: u8, numbers: std::ops::Range<u64>) -> Vec<String> {
    let end = numbers.end;
    let line = |number| heard_at(meter, number, now_s() - 20 * (end - number));
    numbers.map(line).collect()
}

#[test]
fn a_backlog_that_two_gateways_bring_at_once_is_durable_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    assert!(are_new(&say_all(&mut roof, &history(1, 0..1_500))));
    let day_old = now_s() - 90_000;
    let backlog: Vec<_> = (0..40)
        .map(|number| heard_at(1, 10_000 + number, day_old + number))
        .collect();
    let mut hill = world.connect_as("hill-token");
    let mut doubled = 0;
    for line in &backlog {
        roof.say(line);
        hill.say(line);
        let heard = [roof.hear(), hill.hear()];
        let copies = heard.iter().filter(|one| one.ends_with(" duplicate"));
        assert!(heard.iter().all(|one| one.starts_with("OK ")), "{heard:?}");
        doubled += usize::from(copies.count() != 1);
    }
    assert_eq!(doubled, 0);
    assert_eq!(world.kept().len(), 1_540);
}

#[test]
fn a_backlog_is_known_behind_more_segments_and_frames_than_one_turn_looks_at() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        segment_bytes: 16_384,
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    let mut roof = world.connect_as("roof-token");
    let old: Vec<_> = (0..60)
        .map(|n| heard_at(1, n, now_s() - 90_000 + 20 * n))
        .collect();
    assert!(are_new(&say_all(&mut roof, &old)));
    // Segments full of what other meters say, and then more of this one than a turn reads.
    for meter in 2..60 {
        let others: Vec<_> = (0..200).map(|n| heard_at(meter, n, now_s())).collect();
        assert!(are_new(&say_all(&mut roof, &others)));
    }
    let segments = std::fs::read_dir(dir.path().join("log")).unwrap().count();
    assert!(segments > 70, "{segments}");
    let since = history(1, 500..1_700);
    assert!(are_new(&say_all(&mut roof, &since)));
    let mut hill = world.connect_as("hill-token");
    let heard = say_all(&mut hill, &old);
    assert!(are_copies(&heard), "{heard:?}");
    assert!(are_copies(&say_all(&mut hill, &since[..50])));
}

#[test]
fn a_copy_of_what_just_made_room_is_known_by_a_clock_that_is_ahead_within_the_hour() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let at = now_s() - 60 * 1_200;
    let said: Vec<_> = (0..60).map(|n| heard_at(1, n, at + 1_200 * n)).collect();
    let mut roof = world.connect_as("roof-token");
    assert!(are_new(&say_all(&mut roof, &said)));
    let copies: Vec<_> = (0..60)
        .map(|n| heard_at(1, n, (at + 1_200 * n + 1_300).min(now_s())))
        .collect();
    let mut hill = world.connect_as("hill-token");
    let heard = say_all(&mut hill, &copies);
    assert!(are_copies(&heard), "{heard:?}");
    assert_eq!(world.kept().len(), 60);
}

#[test]
fn what_another_utility_hears_of_a_meter_does_not_hide_what_this_one_has() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    let old: Vec<_> = (0..60)
        .map(|n| heard_at(1, n, now_s() - 190_000 + 20 * n))
        .collect();
    assert!(are_new(&say_all(&mut roof, &old)));
    let mut city = world.connect_as("city-token");
    assert!(are_new(&say_all(&mut city, &history(1, 500..5_000))));
    let heard = say_all(&mut roof, &old);
    assert!(are_copies(&heard), "{heard:?}");
}

#[test]
fn searches_of_one_utility_do_not_stand_before_those_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    assert!(are_new(&say_all(&mut roof, &history(1, 0..3_000))));
    let mut city = world.connect_as("city-token");
    assert!(are_new(&say_all(&mut city, &history(2, 0..60))));
    // A hundred searches through thousands of frames each, and then one through some.
    let backlog: Vec<_> = (0..100)
        .map(|n| heard_at(1, 10_000 + n, now_s() - 90_000))
        .collect();
    roof.say(&backlog.concat());
    let first = roof.hear();
    city.say(&heard_at(2, 10_000, now_s() - 90_000));
    assert!(are_new(&[city.hear(), first]));
    let unanswered = world.counts.of("tcp", "durable");
    assert!(unanswered < 3_000 + 60 + 100 + 1, "{unanswered}");
    let heard: Vec<_> = (1..100).map(|_| roof.hear()).collect();
    assert!(are_new(&heard), "{heard:?}");
}

#[test]
fn a_stop_amid_searches_leaves_no_answer_ok_without_its_telegram() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    assert!(are_new(&say_all(&mut roof, &history(1, 0..1_500))));
    let line = |n: u64| heard_at(1, 10_000 + n, now_s() - 90_000);
    let backlog: Vec<_> = (0..60).map(line).collect();
    roof.say(&backlog.concat());
    let first = roof.hear();
    assert!(world.drain(), "all are answered in time");
    let mut heard = vec![first];
    heard.extend(std::iter::from_fn(|| {
        Some(roof.hear()).filter(|one| !one.is_empty())
    }));
    let durable = heard.iter().filter(|one| one.starts_with("OK ")).count();
    assert!(
        durable > 0 && heard.iter().all(|one| !one.starts_with("ERR")),
        "{heard:?}"
    );
    assert!(world.kept().len() >= 1_500 + durable);
    let said = backlog.len();
    assert_eq!(heard.len(), said, "whatever was not looked for is BUSY");
    assert!(durable < said, "the searches were over before the stop");
}

#[test]
fn an_alarm_that_is_looked_for_waits_for_no_backlog_of_its_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    let alarm = timed(&octets(7, 1, 5, b"alarm"), now_s() - 90_000);
    assert!(are_new(&say_all(&mut roof, std::slice::from_ref(&alarm))));
    assert!(are_new(&say_all(&mut roof, &history(1, 0..1_500))));
    let line = |n: u64| heard_at(1, 10_000 + n, now_s() - 90_000);
    let backlog: Vec<_> = (0..120).map(line).collect();
    roof.say(&backlog.concat());
    assert!(roof.hear().starts_with("OK "));
    let mut again = world.connect_as("roof-token");
    again.say(&alarm);
    assert_eq!(again.hear(), "OK 1 duplicate");
    assert!(world.drain());
    let heard: Vec<_> = (1..backlog.len()).map(|_| roof.hear()).collect();
    let waiting = heard.iter().filter(|one| one.starts_with("BUSY ")).count();
    assert!(waiting > 0, "the backlog was over before the alarm");
}

#[test]
fn of_a_meter_that_has_come_to_sign_what_is_durable_is_a_copy_and_all_else_without_a_mac_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let unsigned = |mode: u8, number: u64| {
        let at = now_s() - 200_000 + 3_600 * number;
        timed(&octets(mode, 1, 0, &number.to_be_bytes()), at)
    };
    let old: Vec<_> = (0..40).map(|number| unsigned(5, number)).collect();
    let mut roof = world.connect_as("roof-token");
    assert!(are_new(&say_all(&mut roof, &old)));
    roof.say(&line(0xD0, 1, 1));
    assert_eq!(roof.hear(), "OK 41");
    let mut hill = world.connect_as("hill-token");
    let heard = say_all(&mut hill, &old);
    assert!(are_copies(&heard), "{heard:?}");
    hill.say(&(unsigned(5, 45) + &unsigned(5, 5_000)));
    for number in [41, 42] {
        let heard = hill.hear();
        assert!(
            heard.starts_with(&format!("ERR {number} mac_missing ")),
            "{heard}"
        );
    }
    // A new key starts anew, until it signs.
    hill.say(&unsigned(0x51, 46));
    assert_eq!(hill.hear(), "OK 43");
    hill.say(&line(0xD1, 1, 1));
    assert_eq!(hill.hear(), "OK 44");
    hill.say(&(unsigned(0x51, 46) + &unsigned(0x51, 47)));
    assert_eq!(hill.hear(), "OK 45 duplicate");
    assert!(hill.hear().starts_with("ERR 46 mac_missing "));
    assert_eq!(world.kept().len(), 43);
}

#[test]
fn a_counter_that_only_dropped_segments_can_know_is_refused_and_what_has_none_taken_again() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        segment_bytes: 16_384,
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    let day_old = now_s() - 90_000;
    let counted = |mode: u8, counter: u32| timed(&octets(mode, 1, counter, b"x"), day_old);
    let mut roof = world.connect_as("roof-token");
    let old: Vec<_> = (0..40).map(|n| heard_at(3, n, day_old + 20 * n)).collect();
    assert!(are_new(&say_all(&mut roof, &old)));
    assert!(are_new(&say_all(&mut roof, &history(3, 100..140))));
    // The fifth key takes the place of the first.
    let keys = [(0x70, 700), (0x71, 1), (0x72, 1), (0x73, 1), (0x74, 1)];
    let keys = keys.map(|(mode, counter)| counted(mode, counter));
    assert!(are_new(&say_all(&mut roof, &keys)));
    let since: Vec<_> = (2..42).map(|counter| line(0x74, 1, counter)).collect();
    assert!(are_new(&say_all(&mut roof, &since)));
    let others: Vec<_> = (0..900).map(|counter| line(7, 2, counter)).collect();
    assert!(are_new(&say_all(&mut roof, &others)));
    let mut hill = world.connect_as("hill-token");
    hill.say(&counted(0x70, 700));
    assert_eq!(hill.hear(), "OK 1 duplicate");
    hill.say(&counted(0x70, 698));
    assert_eq!(hill.hear(), "OK 2", "late, and new");
    let last = *world.booted.log.sealed_ends().last().unwrap();
    assert!(world.booted.log.retain_from(last).unwrap().segments > 2);
    hill.say(&(counted(0x70, 700) + &counted(0x70, 699)));
    assert!(hill.hear().starts_with("ERR 3 too_old "));
    assert!(hill.hear().starts_with("ERR 4 too_old "));
    hill.say(&(line(0x70, 1, 701) + &line(0x74, 1, 42) + &old[0]));
    assert_eq!(hill.hear(), "OK 5");
    assert_eq!(hill.hear(), "OK 6");
    assert_eq!(hill.hear(), "OK 7");
}

#[test]
fn damage_in_the_log_hides_only_what_it_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        segment_bytes: 32_768,
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    let day_old = now_s() - 90_000;
    let counted = |counter: u32, payload: &[u8]| timed(&octets(7, 1, counter, payload), day_old);
    let clear = |number: u64| heard_at(3, number, day_old + 20 * number);
    let mut roof = world.connect_as("roof-token");
    let old: Vec<_> = (0..40)
        .map(|n| counted(n, b"x") + &clear(n.into()))
        .collect();
    for pair in &old {
        roof.say(pair);
        assert!(are_new(&[roof.hear(), roof.hear()]));
    }
    let since: Vec<_> = (40..80).map(|counter| line(7, 1, counter)).collect();
    assert!(are_new(&say_all(&mut roof, &since)));
    assert!(are_new(&say_all(&mut roof, &history(3, 100..140))));
    let others: Vec<_> = (0..900).map(|counter| line(7, 2, counter)).collect();
    assert!(are_new(&say_all(&mut roof, &others)));
    let kept = world.kept();
    assert!(world.booted.log.sealed_ends()[0] > kept[80].lsn);
    damage(dir.path(), kept[2 * 20].lsn);
    damage(dir.path(), kept[2 * 20 + 1].lsn);
    let mut hill = world.connect_as("hill-token");
    let mut hear = |line: &str| {
        hill.say(line);
        let heard = hill.hear();
        let mut words = heard.split(' ').map(str::to_owned);
        let verdict = words.next().unwrap();
        (verdict, words.nth(1).unwrap_or_default())
    };
    let expect = |verdict: &str, word: &str| (verdict.to_owned(), word.to_owned());
    assert_eq!(hear(&counted(30, b"x")), expect("OK", "duplicate"));
    assert_eq!(hear(&counted(10, b"x")), expect("OK", "duplicate"));
    for forged in [counted(20, b"x"), counted(10, b"y")] {
        assert_eq!(hear(&forged), expect("ERR", "replay"));
    }
    assert_eq!(world.counts.of("log", "unreadable"), 3);
    assert_eq!(hear(&clear(30)), expect("OK", "duplicate"));
    assert_eq!(hear(&clear(10)), expect("BUSY", ""));
    assert_eq!(world.counts.of("log", "unreadable"), 4);
}
