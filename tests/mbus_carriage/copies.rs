//! The same telegram more than once.

use kenshin::model::telegram::Carriage;
use kenshin::store::fs::RealFs;
use kenshin::store::state::snapshot;
use kenshin::wire::hex::Hex;

use super::world::{World, line, octets};

#[test]
fn one_telegram_through_two_gateways_is_one_record_and_both_hear_ok() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    let mut hill = world.connect_as("hill-token");
    for counter in 1..=200 {
        // At the same time, as far as two sockets can.
        for gateway in [&mut roof, &mut hill] {
            gateway.say(&line(7, 1, counter));
        }
        let mut heard = [roof.hear(), hill.hear()];
        heard.sort();
        let expected = [format!("OK {counter}"), format!("OK {counter} duplicate")];
        assert_eq!(heard, expected);
    }
    assert_eq!(world.kept().len(), 200);
    assert_eq!(world.counts.of("tcp", "durable"), 200);
    assert_eq!(world.counts.of("tcp", "duplicate"), 200);
}

#[test]
fn a_meter_that_two_utilities_hear_in_clear_is_both_of_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    for token in ["roof-token", "city-token"] {
        let mut gateway = world.connect_as(token);
        gateway.say(&line(0, 1, 1));
        assert_eq!(gateway.hear(), "OK 1");
    }
    assert_eq!(world.kept().len(), 2);
}

#[test]
fn a_counter_that_another_telegram_used_and_one_before_the_window_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    let forged = octets(7, 1, 1_000, b"another");
    let forged = Hex(&forged);
    roof.say(&line(7, 1, 1_000));
    assert_eq!(roof.hear(), "OK 1");
    roof.say(&format!("{forged}\n{}", line(7, 1, 2)));
    assert!(roof.hear().starts_with("ERR 2 replay "));
    assert!(roof.hear().starts_with("ERR 3 too_old "));
    roof.say(&line(7, 1, 900));
    assert_eq!(roof.hear(), "OK 4", "late, and new");
    assert_eq!(world.counts.of("tcp", "replay"), 1);
}

#[test]
fn a_copy_is_known_after_a_restart_with_and_without_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    roof.say(&(line(7, 1, 1) + &line(5, 2, 1)));
    assert_eq!((roof.hear(), roof.hear()), ("OK 1".into(), "OK 2".into()));
    drop((roof, world));
    for with_snapshot in [false, true] {
        let mut world = World::new(dir.path());
        let mut hill = world.connect_as("hill-token");
        hill.say(&(line(7, 1, 1) + &line(5, 2, 1)));
        assert_eq!(hill.hear(), "OK 1 duplicate");
        assert_eq!(hill.hear(), "OK 2 duplicate");
        assert_eq!(world.kept().len(), 2);
        drop(hill);
        world.drain();
        if !with_snapshot {
            let state = &world.booted.state;
            let folder = dir.path().join("state");
            snapshot::write(state, state.folded(), &folder, &RealFs, 1).unwrap();
        }
    }
}

#[test]
fn a_copy_by_datagram_and_by_line_is_one_record_in_either_order() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    world.send_datagram(format!("TOKEN hill-token\n{}", line(7, 1, 1)).as_bytes());
    world.counts.wait_for("udp", "durable", 1);
    roof.say(&line(7, 1, 1));
    assert_eq!(roof.hear(), "OK 1 duplicate");
    roof.say(&line(7, 1, 2));
    assert_eq!(roof.hear(), "OK 2");
    world.send_datagram(format!("TOKEN hill-token\n{}", line(7, 1, 2)).as_bytes());
    world.counts.wait_for("udp", "duplicate", 1);
    let carriages: Vec<_> = world.kept().iter().map(|one| one.carriage).collect();
    assert_eq!(carriages, [Carriage::Udp, Carriage::Tcp]);
}

#[test]
fn a_backlog_of_what_another_gateway_has_sent_is_known_however_long_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let backlog: Vec<String> = (1..=1_500).map(|counter| line(7, 1, counter)).collect();
    for (token, ending) in [("roof-token", ""), ("hill-token", " duplicate")] {
        let mut gateway = world.connect_as(token);
        for (number, line) in (1..).zip(&backlog) {
            gateway.say(line);
            assert_eq!(gateway.hear(), format!("OK {number}{ending}"));
        }
    }
    assert_eq!(world.kept().len(), 1_500);
}

#[test]
fn a_backlog_without_counters_that_another_gateway_has_sent_is_known_by_when_it_was_heard() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let now_s = std::time::SystemTime::now();
    let now_s = now_s
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let line = |number: u64| {
        let telegram = Hex(&octets(0, 1, 0, &number.to_be_bytes())).to_string();
        let time = now_s - 20_000 + number * 10;
        format!("{{\"telegram\":\"{telegram}\",\"time\":{time}}}\n")
    };
    let send = |world: &World, token: &str, numbers: std::ops::Range<u64>| -> Vec<String> {
        let mut gateway = world.connect_as(token);
        let all = numbers.map(|number| {
            gateway.say(&line(number));
            gateway.hear()
        });
        all.collect()
    };
    let first = send(&world, "roof-token", 0..120);
    assert!(
        first.iter().all(|heard| !heard.contains("duplicate")),
        "{first:?}"
    );
    let again = send(&world, "hill-token", 0..120);
    assert!(
        again.iter().all(|heard| heard.ends_with(" duplicate")),
        "{again:?}"
    );
    // What nobody sent before is taken, however late; and what came since is still known.
    world.counts.wait_for("tcp", "durable", 120);
    let late = send(&world, "hill-token", 120..130);
    assert!(
        late.iter()
            .all(|heard| heard.starts_with("OK") && !heard.contains("dup"))
    );
    let telegram = Hex(&octets(0, 1, 0, b"older than all")).to_string();
    let mut roof = world.connect_as("roof-token");
    roof.say(&format!(
        "{{\"telegram\":\"{telegram}\",\"time\":{}}}\n",
        now_s - 90_000
    ));
    assert_eq!(roof.hear(), "OK 1");
    assert_eq!(send(&world, "roof-token", 129..130), ["OK 1 duplicate"]);
    assert_eq!(world.kept().len(), 131);
    drop(roof);
    assert!(world.drain());
}

#[test]
fn more_lines_without_time_and_counter_than_are_kept_of_an_hour_are_known_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let send = |token: &str| -> Vec<String> {
        let mut gateway = world.connect_as(token);
        let lines = (0..300_u64).map(|number| {
            let telegram = octets(0, 1, 0, &number.to_be_bytes());
            gateway.say(&format!("{}\n", Hex(&telegram)));
            gateway.hear()
        });
        lines.collect()
    };
    let first = send("roof-token");
    assert!(first.iter().all(|heard| heard.starts_with("OK ")));
    assert!(first.iter().all(|heard| !heard.contains("duplicate")));
    for token in ["hill-token", "roof-token"] {
        let again = send(token);
        assert!(
            again.iter().all(|heard| heard.ends_with(" duplicate")),
            "{again:?}"
        );
    }
}
