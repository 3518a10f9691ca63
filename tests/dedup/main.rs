//! One fact has one id: repeats of records are found wherever they are kept, and nothing is
//! acknowledged under the id of another fact.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
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

use core::num::NonZeroU32;

use std::time::Duration;

use kenshin::net::contract::Verdict;
use kenshin::store::fs::Fs as _;
use proptest::prelude::*;
use world::{IDENTITY, Made, World, alarm, broken, health};

const E1: u32 = 0x1111_1111;
const E2: u32 = 0x8F3A_21BC;
const E3: u32 = 0x5555_0003;

// spec: REC-6, REC-9
#[test]
fn a_record_of_an_epoch_that_came_back_contradicts_what_was_kept_in_it() {
    let mut world = World::new();
    let epochs = [(1, E1, 61), (2, E2, 1), (3, E3, 2)];
    for (counter, epoch, sequence) in epochs {
        world.call(&Made::new(counter, epoch, &[health(sequence, 100)]));
    }
    // Neither the epoch that was left last nor one before it is taken for empty when it goes on.
    for (counter, epoch, sequence) in [(4, E2, 1), (6, E1, 61)] {
        let next = Made::new(counter, epoch, &[health(sequence + 9, 100)]);
        let contradicting = Made::new(counter + 1, epoch, &[health(sequence, 200)]);
        assert_eq!((world.call(&next), world.call(&contradicting)), (1, 1));
    }
    assert_eq!(world.heard.told().conflicts, 2);
    let once = [1, 2, 10, 61, 70].map(|sequence| (sequence, 1));
    assert_eq!(Vec::from_iter(world.kept()), once);
}

// spec: REC-9
#[test]
fn a_frame_that_only_contradicts_leaves_what_is_known_of_the_epoch_alone() {
    let mut world = World::new();
    world.call(&Made::new(1, E1, &[health(1, 100)]));
    world.call(&Made::new(2, E2, &[health(1, 100), health(2, 100)]));
    world.call(&Made::new(3, E1, &[health(1, 200)]));
    world.call(&Made::new(4, E2, &[health(2, 200)]));
    assert_eq!(world.heard.told().conflicts, 2);
    assert_eq!(Vec::from_iter(world.kept()), [(1, 2), (2, 1)]);
}

// spec: REC-9, REC-8
#[test]
fn what_comes_beside_a_contradicting_record_is_kept_once() {
    let mut world = World::new();
    world.call(&Made::new(1, E1, &[health(1, 100)]));
    let beside = [health(1, 200), health(2, 100)];
    world.call(&Made::new(2, E1, &beside));
    assert_eq!(world.heard.told().conflicts, 1);
    assert_eq!(Vec::from_iter(world.kept()), [(1, 1), (2, 1)]);
    world.call(&Made::new(3, E2, &beside).after(E1));
    assert_eq!(Vec::from_iter(world.kept()), [(1, 2), (2, 1)]);
}

// spec: REC-8, REC-28
#[test]
fn a_late_frame_of_the_epoch_that_was_left_repeats_what_came_under_the_new_one() {
    let mut world = World::new();
    world.call(&Made::new(1, E1, &[health(1, 100)]));
    let late = Made::new(2, E1, &[health(5, 100), broken(6, 1)]);
    let moved = Made::new(3, E2, &[health(5, 100), broken(6, 1)]).after(E1);
    assert_eq!((world.call(&moved), world.call(&late)), (1, 1));
    assert_eq!(Vec::from_iter(world.kept()), [(1, 1), (5, 1), (6, 1)]);
}

// spec: REC-8, REC-28
#[test]
fn a_late_frame_repeats_what_is_still_under_way() {
    let mut world = World::new();
    world.call(&Made::new(1, E1, &[health(1, 100)]));
    let late = Made::new(2, E1, &[health(5, 100)]);
    let moved = Made::new(3, E2, &[health(5, 100)]).after(E1);
    let mut out = Vec::new();
    for made in [moved, late] {
        let frame = world.sealed(&made, IDENTITY);
        world.send(&frame, &mut out);
    }
    world.settle(&mut out);
    assert_eq!(out.len(), 2);
    assert_eq!(Vec::from_iter(world.kept()), [(1, 1), (5, 1)]);
}

// spec: REC-8
#[test]
fn an_epoch_that_resembles_one_that_was_left_is_new_in_the_frame_that_begins_it() {
    let mut world = World::new();
    for (counter, epoch) in [(1, E1), (2, E2), (3, E3)] {
        world.call(&Made::new(counter, epoch, &[health(counter, 100)]));
    }
    let track = world.track();
    let resembles = |epoch: &u32| {
        let epoch = NonZeroU32::new(*epoch).unwrap();
        track.later_epochs(epoch).len() == 2
    };
    let next = (1..E1).find(resembles).unwrap();
    assert_eq!(world.call(&Made::new(4, next, &[health(3, 100)])), 1);
    assert_eq!(world.kept()[&3], 2);
}

// spec: REC-8, REC-28
#[test]
fn an_epoch_that_begins_with_repeats_needs_no_log_for_what_comes_in_it() {
    let mut world = World::new();
    world.call(&Made::new(1, E1, &[health(1, 100)]));
    world.call(&Made::new(3, E2, &[health(1, 100)]).after(E1));
    world.call(&Made::new(2, E2, &[health(2, 100)]).after(E1));
    world.call(&Made::new(4, E2, &[health(3, 100)]));
    let epoch = NonZeroU32::new(E2).unwrap();
    for track in [world.track(), {
        world.restart();
        world.track()
    }] {
        let may_be = |sequence: &u32| track.may_be_durable(epoch, *sequence);
        assert_eq!(Vec::from_iter((1..1_000).filter(may_be)), [2, 3]);
    }
}

// spec: REC-8, REC-12
#[test]
fn what_cannot_be_decoded_is_kept_once_in_its_epoch_and_in_the_next() {
    let mut world = World::new();
    let frames = [
        Made::new(1, E1, &[broken(5, 1)]),
        Made::new(2, E1, &[broken(5, 1), health(6, 100)]),
        Made::new(3, E2, &[broken(5, 1), health(6, 100)]).after(E1),
    ];
    for made in &frames {
        assert_eq!(world.call(made), 1);
    }
    assert_eq!(Vec::from_iter(world.kept()), [(5, 1), (6, 1)]);
    // Other octets contradict nothing: what they say is not known.
    world.call(&Made::new(4, E2, &[broken(5, 2)]));
    assert_eq!(world.heard.told().conflicts, 0);
    assert_eq!(world.kept()[&5], 2);
}

// spec: REC-8, SES-3
#[test]
fn an_alarm_is_answered_at_once_although_its_frame_repeats_a_record_under_way() {
    let mut world = World::new();
    world.call(&Made::new(1, E1, &[health(1, 100)]));
    let mut out = Vec::new();
    let first = Made::new(2, E1, &[alarm(2), health(3, 100)]).alarm();
    let second = Made::new(3, E1, &[alarm(4), alarm(2), health(3, 100)]).alarm();
    let contradicting = Made::new(4, E1, &[health(3, 200)]);
    for made in [first, second, contradicting] {
        let frame = world.sealed(&made, IDENTITY);
        world.send(&frame, &mut out);
    }
    world.settle(&mut out);
    assert_eq!(out.len(), 3);
    assert_eq!(world.heard.told().conflicts, 1);
    assert_eq!(
        Vec::from_iter(world.kept()),
        [(1, 1), (2, 1), (3, 1), (4, 1)]
    );
}

/// A terminal with a hundred days behind it.
fn grown() -> World {
    let mut world = World::new();
    for day in 1..=100 {
        assert_eq!(world.call(&Made::new(day, E1, &[health(day, 100)])), 1);
    }
    assert!(world.sealed_segments().len() > 2);
    world
}

/// Sends a frame until it is answered; gives how often that took.
fn call_until_answered(world: &mut World, made: &Made) -> usize {
    for times in 1..10_000 {
        if world.call(made) > 0 {
            return times;
        }
        // Whoever searches the log does so beside this, and needs a core for it.
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("never answered: {made:?}");
}

// spec: REC-8
#[test]
fn a_repeat_from_long_ago_is_found_although_no_frame_waits_for_it() {
    let mut world = grown();
    world.restart();
    let old = Made::new(101, E1, &[health(3, 100), health(101, 100)]);
    assert!(call_until_answered(&mut world, &old) > 1);
    assert!(world.heard.told().unsure > 0);
    let contradicting = Made::new(102, E1, &[health(4, 200)]);
    call_until_answered(&mut world, &contradicting);
    assert_eq!(world.heard.told().conflicts, 1);
    let kept = world.kept();
    assert_eq!(kept.len(), 101);
    assert!(kept.values().all(|times| *times == 1));
}

// spec: REC-8, REC-30
#[test]
fn the_last_days_and_a_backlog_need_no_search() {
    let mut world = grown();
    world.restart();
    let yesterday = Made::new(101, E1, &[health(100, 100), health(101, 100)]);
    assert_eq!(world.call(&yesterday), 1);
    world.call(&Made::new(102, E1, &[alarm(900)]).alarm());
    for counter in 103..150 {
        let first = (counter - 103) * 8 + 102;
        let items: Vec<_> = (first..first + 8).map(|one| health(one, 100)).collect();
        assert_eq!(world.call(&Made::new(counter, E1, &items)), 1);
    }
    assert_eq!(world.heard.told().unsure, 0);
    assert!(world.kept().values().all(|times| *times == 1));
}

// spec: REC-8
#[test]
fn a_log_that_cannot_be_read_acknowledges_no_repeat_until_it_can() {
    let mut world = grown();
    world.restart();
    let segments = world.sealed_segments();
    let contents: Vec<_> = segments.iter().map(|one| world.fs.content(one)).collect();
    for segment in &segments {
        world.fs.remove(segment).unwrap();
    }
    let old = Made::new(101, E1, &[health(3, 100)]);
    for _ in 0..10_000 {
        assert_eq!(world.call(&old), 0, "acknowledged without knowing");
        if world.heard.told().unreadable > 0 {
            break;
        }
        std::thread::yield_now();
    }
    assert!(world.heard.told().unreadable > 0);
    for (segment, content) in segments.iter().zip(contents) {
        world.fs.put(segment, content.unwrap());
    }
    call_until_answered(&mut world, &old);
    assert_eq!(world.kept()[&3], 1);
}

#[test]
fn the_terminal_of_all_zeros_is_nobody() {
    let mut world = World::new();
    let made = Made::new(1, E1, &[health(1, 100)]);
    let frame = world.sealed(&made, [0; 8]);
    let mut out = Vec::new();
    assert_eq!(world.send(&frame, &mut out), Verdict::FailedAuthentication);
    world.restart();
}

fn item() -> impl Strategy<Value = Vec<u8>> {
    let free = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40));
    prop_oneof![
        (1u32..20, any::<u8>()).prop_map(|(sequence, battery)| health(sequence, battery)),
        (1u32..20, any::<u8>()).prop_map(|(sequence, battery)| broken(sequence, battery)),
        (1u32..20).prop_map(alarm),
        free.prop_map(|(number, body)| {
            let mut item = vec![number, body.len() as u8];
            item.extend_from_slice(&body);
            item
        }),
    ]
}

fn made() -> impl Strategy<Value = Made> {
    let epoch = || prop_oneof![Just(E1), Just(E2), Just(E3), any::<u32>()];
    let items = proptest::collection::vec(item(), 0..12);
    let previous = proptest::option::of(epoch());
    (1u32..60, epoch(), previous, any::<bool>(), items).prop_map(
        |(counter, epoch, previous, is_alarm, items)| Made {
            counter,
            epoch,
            previous,
            is_alarm,
            items,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // A frame that was made durable and cannot be folded would keep every later server from
    // starting.
    #[test]
    fn whatever_a_terminal_sends_a_server_starts_again_on_it(
        frames in proptest::collection::vec(made(), 1..40),
    ) {
        let mut world = World::new();
        for made in &frames {
            world.call(made);
        }
        let state = |world: &World| {
            let id = kenshin::model::TerminalId::new(IDENTITY);
            world.booted().state.table.with(id, |entry| (entry.hot.link(), entry.hot.sequences()))
        };
        let before = state(&world);
        world.restart();
        prop_assert_eq!(state(&world), before);
    }
}
