//! What the listeners are told of a frame, and so what counts against its address.

use kenshin::net::contract::Verdict;
use kenshin::session::otl::refusal::Reason;
use kenshin::telemetry::DiskLevel;

use super::world::{World, hand};

// spec: SES-9
#[test]
fn whoever_verified_is_not_counted_as_a_failure_whatever_was_in_the_frame() {
    let world = World::new();
    let mut hand = hand();
    let frames = [
        hand.resync([1; 16], true),
        hand.resync([2; 16], false),
        hand.unreadable(),
        hand.routine(),
    ];
    let (verdicts, _) = world.take(&frames);
    assert_eq!(verdicts, [Verdict::Verified; 4]);
    // It is counted as what it is all the same.
    assert_eq!(world.heard.told().refusals.len(), 1);
    let mut forged = hand.resync([3; 16], false);
    *forged.last_mut().unwrap() ^= 1;
    let mut short = hand.routine();
    short.truncate(9);
    let (verdicts, answers) = world.take(&[forged, short]);
    assert_eq!(
        verdicts,
        [Verdict::FailedAuthentication, Verdict::Malformed]
    );
    assert_eq!(answers, 0);
    let refusals = &world.heard.told().refusals;
    assert_eq!(refusals[1..], [Reason::TagMismatch, Reason::Truncated]);
}

// spec: OVL-3
#[test]
fn a_terminal_is_sent_away_twice_in_a_row_however_long_it_stays_away() {
    let world = World::new();
    let mut hand = hand();
    world.load.set_disk(DiskLevel::ComeBack);
    let mut call = || {
        world.pass_hours(3);
        world.take(&[hand.routine()]).1
    };
    assert_eq!([call(), call(), call()], [1, 1, 0]);
    world.load.set_disk(DiskLevel::Plenty);
    assert_eq!(call(), 1);
    world.load.set_disk(DiskLevel::ComeBack);
    assert_eq!([call(), call(), call()], [1, 1, 0]);
}
