//! How gateways share the places for connections.

use super::world::{Line, Settings, World, line};

/// So many connections with this token.
fn several(world: &World, token: &str, count: usize) -> Vec<Line> {
    (0..count).map(|_| world.connect_as(token)).collect()
}

#[test]
fn a_gateway_has_four_connections_and_its_oldest_makes_way_for_a_fifth() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let mut first = world.connect_as("roof-token");
    let mut hill = world.connect_as("hill-token");
    first.say(&line(7, 1, 1));
    assert_eq!(first.hear(), "OK 1");
    let newer = several(&world, "roof-token", 4);
    assert!(first.hear().starts_with("ERR 0 too_many_connections "));
    assert!(first.is_over());
    for (mut roof, counter) in newer.into_iter().zip(2..) {
        roof.say(&line(7, 1, counter));
        assert_eq!(roof.hear(), "OK 1");
    }
    hill.say(&line(7, 1, 9));
    assert_eq!(hill.hear(), "OK 1");
    let counters = world.counters();
    assert_eq!(counters.evicted_same_gateway, 1);
    assert_eq!(
        (counters.evicted_unknown, counters.evicted_for_newcomer),
        (0, 0)
    );
}

#[test]
fn a_gateway_gets_in_though_others_hold_all_places() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        connections_max: 8,
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    let mut roof = several(&world, "roof-token", 4);
    let mut hill = several(&world, "hill-token", 4);
    let mut city = world.connect_as("city-token");
    city.say(&line(7, 1, 1));
    assert_eq!(city.hear(), "OK 1");
    let counters = world.counters();
    assert_eq!(counters.evicted_for_newcomer, 1);
    assert_eq!(
        (counters.evicted_same_gateway, counters.connections_refused),
        (0, 0)
    );
    for newest in [&mut roof, &mut hill] {
        let newest = newest.last_mut().unwrap();
        newest.say(&line(7, 2, 1));
        assert_eq!(newest.hear().split(' ').next(), Some("OK"));
    }
}
