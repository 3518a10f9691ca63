//! Lines and their answers.

use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kenshin::model::telegram::Carriage;

use super::world::{Line, Settings, World, line};

#[test]
fn a_line_is_answered_ok_once_its_telegram_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    roof.say(&line(7, 1, 5));
    assert_eq!(roof.hear(), "OK 1");
    let kept = world.kept();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (kept[0].gateway.as_str(), kept[0].carriage),
        ("roof", Carriage::Tcp)
    );
    assert_eq!((kept[0].meter, kept[0].counter), (1, Some(5)));
    assert_eq!(world.booted.state.table.len(), 0, "a meter is no terminal");
    assert_eq!(world.booted.state.meters.len(), 1);
}

#[test]
fn answers_come_in_the_order_of_the_lines_and_each_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    let first = line(7, 1, 1);
    let text = [
        first.as_str(),
        "\r\n",
        "FFFF\n",
        "A0FD010000000178\n",
        "A0FE010000000178\n",
        "A0FF010000000178\n",
        "A009010000000178\n",
        "nonsense\n",
        "T1;0;1;;;;;0xA0\n",
        "A007010000000A6E6F626F6479\n",
        "A007010000000278\n",
    ];
    roof.say(&text.concat());
    let begins = [
        "OK 1",
        "ERR 2 no_key key 00h of this meter is not known",
        "ERR 3 clear_not_allowed ",
        "ERR 4 wrong_mac ",
        "ERR 5 wrong_key ",
        "PART 6",
        "ERR 7 line_digits ",
        "ERR 8 crc_not_ok ",
        "ERR 9 no_meter ",
        "OK 10",
    ];
    for begin in begins {
        let heard = roof.hear();
        assert!(heard.starts_with(begin), "{heard}");
    }
    assert_eq!(world.kept().len(), 2);
    for verdict in [
        "no_key",
        "clear_not_allowed",
        "wrong_mac",
        "wrong_key",
        "part",
    ] {
        assert_eq!(world.counts.of("tcp", verdict), 1, "{verdict}");
    }
}

#[test]
fn what_the_gateway_tells_stays_on_the_telegram_if_it_can_be_true() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    let now_s = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let json = |counter: u32, time: u64| {
        let digits = line(7, 1, counter);
        let digits = digits.trim_end();
        format!("{{\"telegram\":\"{digits}\",\"time\":{time},\"rssi\":-87}}\n")
    };
    roof.say(&json(1, now_s - 86_400));
    roof.say(&json(2, now_s + 86_400));
    assert_eq!((roof.hear(), roof.hear()), ("OK 1".into(), "OK 2".into()));
    let kept = world.kept();
    assert_eq!(kept[0].heard_utc_ms, Some((now_s - 86_400) * 1_000));
    assert_eq!(kept[1].heard_utc_ms, None, "a day ahead");
    assert_eq!(kept[0].rssi_dbm, Some(-87));
}

#[test]
fn many_lines_may_wait_for_their_answer_and_all_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    let mut writer = roof.stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        use std::io::Write as _;
        for counter in 1..=5_000 {
            writer.write_all(line(7, 3, counter).as_bytes()).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    for number in 1..=5_000 {
        assert_eq!(roof.hear(), format!("OK {number}"));
    }
    sending.join().unwrap();
    assert!(roof.is_over());
    assert_eq!(world.kept().len(), 5_000);
}

#[test]
fn whoever_is_not_known_is_told_so_and_cut_and_after_some_failures_nothing_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        failure_burst: 3,
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    let mut stranger = world.connect();
    stranger.say(&line(7, 1, 1));
    assert!(stranger.hear().starts_with("ERR 0 unknown_gateway "));
    assert!(stranger.is_over());
    for _ in 0..2 {
        let mut guess = world.connect();
        guess.say("TOKEN guess\n");
        assert!(guess.hear().starts_with("ERR 0 unknown_gateway "));
        assert!(guess.is_over());
    }
    assert_eq!(world.counts.of("tcp", "unknown_gateway"), 3);
    let heard: Vec<_> = (0..8)
        .map(|_| {
            let mut guess = world.connect();
            guess.say("TOKEN guess\n");
            guess.hear()
        })
        .collect();
    let refused = heard
        .iter()
        .filter(|one| one.starts_with("ERR 0 too_many_failures "));
    assert!(refused.count() > 0 || heard.len() == 8, "{heard:?}");
    assert_eq!(world.kept(), []);
}

#[test]
fn a_gateway_that_is_known_by_its_address_needs_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    world.registry.by_address.store(true, Ordering::Relaxed);
    let mut hall = world.connect();
    hall.say(&line(5, 1, 1));
    assert_eq!(hall.hear(), "OK 1");
    assert_eq!(world.kept()[0].gateway, "hall");
    let mut roof = world.connect_as("roof-token");
    roof.say(&line(5, 2, 1));
    assert_eq!(roof.hear(), "OK 1");
    assert_eq!(world.kept()[1].gateway, "roof", "its token says more");
}

#[test]
fn a_gateway_whose_registration_ended_is_cut_with_its_next_line() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    roof.say(&line(7, 1, 1));
    assert_eq!(roof.hear(), "OK 1");
    world.registry.is_ended.store(true, Ordering::Relaxed);
    roof.say(&line(7, 1, 2));
    assert!(roof.hear().starts_with("ERR 0 unknown_gateway "));
    assert!(roof.is_over());
    assert_eq!(world.counts.of("tcp", "unknown_gateway"), 1);
    assert_eq!(world.kept().len(), 1);
}

#[test]
fn a_line_that_is_too_long_ends_the_connection_after_the_answers_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    roof.say(&(line(7, 1, 1) + &"0".repeat(9_000)));
    assert_eq!(roof.hear(), "OK 1");
    assert!(roof.hear().starts_with("ERR 2 line_too_long "));
    assert!(roof.is_over());
}

#[test]
fn a_line_that_dribbles_and_a_connection_that_says_nothing_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        line_ms: 400,
        silence_ms: 1_200,
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    let mut silent = world.connect();
    assert!(silent.hear().starts_with("ERR 0 timeout "));
    assert!(silent.is_over());
    let mut slow = world.connect_as("roof-token");
    for octet in line(7, 1, 1).trim_end().chars() {
        use std::io::Write as _;
        if slow.stream.write_all(octet.to_string().as_bytes()).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(60));
    }
    assert!(slow.hear().starts_with("ERR 0 timeout "));
    let mut idle = world.connect_as("roof-token");
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(600));
        idle.say("\n");
    }
    idle.say(&line(7, 1, 1));
    assert_eq!(idle.hear(), "OK 1", "an empty line keeps a connection");
    assert!(idle.hear().starts_with("ERR 0 timeout "));
    assert_eq!(world.counters().timeouts, 3);
}

#[test]
fn strangers_that_only_hold_connections_do_not_shut_a_gateway_out() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        connections_max: 8,
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    let mut roof = world.connect_as("roof-token");
    let strangers: Vec<Line> = (0..20).map(|_| world.connect()).collect();
    let mut hill = world.connect_as("hill-token");
    for (number, gateway) in [&mut roof, &mut hill].into_iter().enumerate() {
        gateway.say(&line(7, 1, u32::try_from(number).unwrap()));
        assert_eq!(gateway.hear(), "OK 1");
    }
    assert!(world.counters().evicted_unknown >= 16);
    drop(strangers);
}

#[test]
fn a_stop_answers_what_was_begun_and_ends_the_connections() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let mut roof = world.connect_as("roof-token");
    let text: String = (1..=100).map(|counter| line(7, 1, counter)).collect();
    roof.say(&text);
    assert_eq!(roof.hear(), "OK 1");
    let draining = world.drain_aside();
    let mut answered = 1;
    loop {
        match roof.hear().as_str() {
            "" => break,
            heard => {
                answered += 1;
                assert_eq!(heard, format!("OK {answered}"));
            }
        }
    }
    drop(roof);
    assert!(draining.join().unwrap());
    let kept = world.kept().len();
    assert_eq!(kept, answered, "whatever is durable was said so");
    assert!(std::net::TcpStream::connect(world.tcp).is_err());
}

#[test]
fn lines_that_keep_coming_are_not_cut_though_every_read_ends_within_one() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        line_ms: 400,
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    let mut roof = world.connect_as("roof-token");
    let text: String = (1..=30).map(|counter| line(7, 1, counter)).collect();
    let (mut rest, step) = (text.as_str(), line(7, 1, 1).len());
    // Always half of a line too far, for three times as long as one line may take.
    let (head, tail) = rest.split_at(step / 2);
    roof.say(head);
    rest = tail;
    while !rest.is_empty() {
        std::thread::sleep(Duration::from_millis(45));
        let (piece, tail) = rest.split_at(step.min(rest.len()));
        roof.say(piece);
        rest = tail;
    }
    for number in 1..=30 {
        assert_eq!(roof.hear(), format!("OK {number}"));
    }
}
