//! Those who are no gateway: how much of what they show is looked at, and how that is counted.

use super::world::{Settings, World, line};

fn world(failure_burst: u32, failures_per_s_port: u32) -> (tempfile::TempDir, World) {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        failure_burst,
        failures_per_s_port,
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    (dir, world)
}

/// What the server says to a connection that says this.
fn answer_to(world: &World, text: &str) -> String {
    let mut line = world.connect();
    line.say(text);
    line.hear()
}

#[test]
fn datagrams_from_ever_new_addresses_are_looked_at_as_often_as_one_port_may_fail() {
    let (_dir, world) = world(100, 1);
    for host in 2..12 {
        world.send_datagram_from(host, b"TOKEN guess\n");
    }
    let looked_at = || world.counts.of("udp", "unknown_gateway");
    world.wait_until(|totals| looked_at() + totals.refused_udp.too_many_failures_on_port == 10);
    assert!((1..=4).contains(&looked_at()), "{}", looked_at());
    assert_eq!(world.counters().refused_udp.too_many_failures, 0);
    let mut roof = world.connect_as("roof-token");
    roof.say(&line(7, 1, 1));
    assert_eq!(roof.hear(), "OK 1", "the other port has its own");
}

#[test]
fn a_connection_is_told_that_too_many_fail_on_its_port() {
    let (_dir, world) = world(100, 1);
    let heard: Vec<String> = (0..10)
        .map(|_| answer_to(&world, "TOKEN guess\n"))
        .collect();
    let told = |begin: &str| heard.iter().filter(|one| one.starts_with(begin)).count();
    let refused = told("ERR 0 too_many_failures_on_port ");
    assert!(refused >= 5, "{heard:?}");
    assert_eq!(told("ERR 0 unknown_gateway ") + refused, 10, "{heard:?}");
    let counted = world.counters().refused_tcp.too_many_failures_on_port;
    assert_eq!(usize::try_from(counted), Ok(refused));
}

#[test]
fn what_an_address_that_failed_too_often_sends_is_counted() {
    let (_dir, world) = world(1, 30_000);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        world.send_datagram_by(&socket, b"TOKEN guess\n");
    }
    let looked_at = || world.counts.of("udp", "unknown_gateway");
    world.wait_until(|totals| looked_at() + totals.refused_udp.too_many_failures == 20);
    assert!(looked_at() < 20);
}

#[test]
fn a_token_that_is_longer_than_any_is_refused_by_name_and_the_longest_is_looked_at() {
    let (_dir, world) = world(100, 30_000);
    let token = |len: usize| format!("TOKEN {}\n", "t".repeat(len));
    let heard = answer_to(&world, &token(129));
    assert!(heard.starts_with("ERR 0 token_too_long "), "{heard}");
    let heard = answer_to(&world, &token(128));
    assert!(heard.starts_with("ERR 0 unknown_gateway "), "{heard}");
    world.send_datagram(token(8_000).as_bytes());
    world.send_datagram(token(128).as_bytes());
    world.counts.wait_for("udp", "unknown_gateway", 1);
    let totals = world.counters();
    assert_eq!(totals.refused_tcp.token_too_long, 1);
    assert_eq!(totals.refused_udp.token_too_long, 1);
    assert_eq!(world.counts.of("tcp", "unknown_gateway"), 1);
}

#[test]
fn tokens_that_are_too_long_use_up_what_an_address_may_fail() {
    let (_dir, world) = world(2, 30_000);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let token = format!("TOKEN {}\n", "t".repeat(8_000));
    for _ in 0..20 {
        world.send_datagram_by(&socket, token.as_bytes());
    }
    world.wait_until(|totals| totals.refused_udp.too_many_failures > 0);
}
