//! Datagrams.

use std::sync::atomic::Ordering;

use kenshin::model::telegram::Carriage;

use super::world::{World, line, octets};

#[test]
fn datagrams_hold_one_telegram_or_lines_and_are_counted_apart() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    world.send_datagram(&octets(7, 1, 1, b"x"));
    world.counts.wait_for("udp", "unknown_gateway", 1);
    world.registry.by_address.store(true, Ordering::Relaxed);
    world.send_datagram(&octets(7, 1, 1, b"x"));
    world.counts.wait_for("udp", "durable", 1);
    let lines = [line(7, 1, 2), "\n".into(), "FF\n".into(), line(7, 1, 3)];
    world.send_datagram(lines.concat().as_bytes());
    world.counts.wait_for("udp", "durable", 3);
    world.counts.wait_for("udp", "no_key", 1);
    world.send_datagram(&[0xA0; 9_000]);
    world.send_datagram(&[0xA0; 600]);
    world.counts.wait_for("udp", "datagram_too_long", 2);
    world.send_datagram(b"");
    world.counts.wait_for("udp", "datagram_empty", 1);
    let kept = world.kept();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|one| one.carriage == Carriage::Udp));
    assert_eq!(world.counts.of("tcp", "durable"), 0);
}

#[test]
fn a_datagram_with_a_wrong_token_gives_nothing_though_its_address_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    world.registry.by_address.store(true, Ordering::Relaxed);
    world.send_datagram(format!("TOKEN guess\n{}", line(7, 1, 1)).as_bytes());
    world.counts.wait_for("udp", "unknown_gateway", 1);
    world.send_datagram(format!("TOKEN roof-token\r\n{}", line(7, 1, 1)).as_bytes());
    world.counts.wait_for("udp", "durable", 1);
    assert_eq!(world.kept()[0].gateway, "roof");
}
