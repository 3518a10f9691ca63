//! Tests of places.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn taken(places: &Arc<Places>) -> (Taken, Option<Evicted>) {
    match places.take() {
        Place::Taken { place, evicted } => (place, evicted),
        Place::None | Place::Later => panic!("no place"),
    }
}

/// A place of a gateway, for which nobody made way.
fn known(places: &Arc<Places>, gateway: &str) -> Taken {
    let (mut place, evicted) = taken(places);
    assert_eq!(evicted, None);
    assert!(!place.note_known(&gateway.into()));
    place
}

fn is_now(waiting: impl Future<Output = ()>) -> bool {
    pin!(waiting).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

fn makes_way(place: &Taken) -> bool {
    is_now(place.has_to_make_way())
}

fn ends(place: &Taken) -> bool {
    is_now(place.has_to_end())
}

#[test]
fn whoever_is_not_known_makes_way_and_the_one_connection_of_a_gateway_stays() {
    let places = Arc::new(Places::new(4));
    let first = known(&places, "a");
    let (second, _) = taken(&places);
    let (mut third, evicted) = taken(&places);
    assert!(evicted.is_none() && !ends(&second));
    let (mut fourth, evicted) = taken(&places);
    assert_eq!(evicted, Some(Evicted::Unknown));
    assert!(ends(&second) && !makes_way(&first));
    drop(second);
    assert!(!third.note_known(&"b".into()) && !fourth.note_known(&"c".into()));
    let fifth = known(&places, "d");
    assert!(matches!(places.take(), Place::None));
    drop(fifth);
    let (_sixth, evicted) = taken(&places);
    assert_eq!(evicted, None);
}

#[test]
fn a_gateway_that_connects_once_more_than_it_may_loses_the_one_it_had_longest() {
    let places = Arc::new(Places::new(64));
    let (mut slow, _) = taken(&places);
    let other = known(&places, "b");
    let all: Vec<Taken> = (0..PER_GATEWAY).map(|_| known(&places, "a")).collect();
    assert!(slow.note_known(&"a".into()));
    assert!(makes_way(&all[0]) && !ends(&all[0]), "it may still answer");
    assert!(!all[1..].iter().any(makes_way));
    assert!(!makes_way(&other) && !makes_way(&slow));
    assert!(!slow.note_known(&"a".into()), "it is the same");
    drop(all);
    let _again: Vec<Taken> = (1..PER_GATEWAY).map(|_| known(&places, "a")).collect();
}

#[test]
fn a_newcomer_has_the_place_of_the_oldest_of_whoever_has_the_most() {
    let places = Arc::new(Places::new(8));
    let one = known(&places, "one");
    let mut many: Vec<Taken> = (0..4).map(|_| known(&places, "many")).collect();
    let mut some: Vec<Taken> = (0..3).map(|_| known(&places, "some")).collect();
    let (mut new, evicted) = taken(&places);
    assert_eq!(evicted, Some(Evicted::Known));
    assert!(makes_way(&many[0]) && !makes_way(&one) && !some.iter().any(makes_way));
    assert!(!new.note_known(&"new".into()));
    let mut newcomers = Vec::new();
    for _ in 0..4 {
        for all in [&mut many, &mut some] {
            all.retain(|place| !makes_way(place));
        }
        let (place, evicted) = taken(&places);
        assert_eq!(evicted, Some(Evicted::Known));
        newcomers.push(place);
    }
    for all in [&mut many, &mut some] {
        all.retain(|place| !makes_way(place));
        assert_eq!(all.len(), 1);
    }
    assert!(!makes_way(&one) && !makes_way(&new) && !newcomers.iter().any(makes_way));
    let (_place, evicted) = taken(&places);
    assert_eq!(evicted, Some(Evicted::Unknown), "nobody can spare one");
    assert!(ends(&newcomers[0]));
}

#[test]
fn newcomers_do_not_cut_each_other_while_a_gateway_can_spare_a_connection() {
    let places = Arc::new(Places::new(8));
    let _lost: Vec<Taken> = ["a", "b", "c", "d"].map(|name| known(&places, name)).into();
    let again: Vec<Taken> = ["a", "b", "c", "d"].map(|name| known(&places, name)).into();
    let (first, evicted) = taken(&places);
    assert_eq!(evicted, Some(Evicted::Known));
    let (_second, evicted) = taken(&places);
    assert_eq!(evicted, Some(Evicted::Known));
    assert!(!makes_way(&first) && !again.iter().any(makes_way));
}

#[test]
fn one_that_is_cut_while_its_gateway_becomes_known_may_still_answer() {
    let places = Arc::new(Places::new(2));
    let (mut first, _) = taken(&places);
    let (_second, evicted) = taken(&places);
    assert_eq!(evicted, Some(Evicted::Unknown));
    assert!(ends(&first));
    assert!(!first.note_known(&"a".into()));
    assert!(makes_way(&first) && !ends(&first));
}

#[test]
fn those_that_take_long_to_make_way_are_ended_before_they_keep_anybody_out() {
    let places = Arc::new(Places::new(8));
    let mut all: Vec<Taken> = (0..PER_GATEWAY).map(|_| known(&places, "a")).collect();
    for _ in 0..4 {
        let (mut place, _) = taken(&places);
        assert!(place.note_known(&"a".into()));
        all.push(place);
    }
    let ended: Vec<bool> = all.iter().map(ends).collect();
    assert_eq!(ended[..2], [true, true], "two may be leaving");
    assert!(!ended[2..].contains(&true));
    let mut strangers = Vec::new();
    while let Place::Taken { place, .. } = places.take() {
        strangers.push(place);
    }
    assert_eq!(all.len() + strangers.len(), 12);
    assert!(matches!(places.take(), Place::Later));
    assert!(all[..4].iter().all(ends), "{all:?}");
    all.drain(..4);
    assert!(matches!(places.take(), Place::Taken { .. }));
}

#[test]
fn a_connection_that_becomes_another_gateways_counts_for_that_alone() {
    let places = Arc::new(Places::new(64));
    let mut moved = known(&places, "a");
    let _others: Vec<Taken> = (1..PER_GATEWAY).map(|_| known(&places, "a")).collect();
    assert!(!moved.note_known(&"b".into()));
    let _one_more = known(&places, "a");
    drop(moved);
    let inner = places.inner.lock();
    assert_eq!((inner.known, inner.open, inner.gateways.len()), (4, 4, 1));
}
