//! Late, doubled and shuffled frames add up to the same.

use proptest::prelude::*;
use simulator::codec::record::{MeterRef, Unit};

use super::hand::{Hand, Item, item};
use super::world::{START_UTC_S, World, hand};

/// Frames of one terminal, within the replay window.
const FRAMES: usize = 10;
/// Its records: readings of two meters, and an alarm now and then.
const RECORDS: u32 = 14;

fn records(hand: &Hand) -> Vec<Item> {
    let record = |sequence: u32| {
        let meter = MeterRef {
            slot: u8::try_from(sequence % 2).unwrap(),
            generation: 0,
        };
        let at_utc_s = START_UTC_S - 100_000 + sequence * 3_600;
        let reading = Hand::reading_of(meter, at_utc_s, Unit::LITRE, u64::from(sequence) * 10);
        let record = if sequence.is_multiple_of(5) {
            hand.alarm()
        } else {
            reading
        };
        item(sequence, &record)
    };
    (1..=RECORDS).map(record).collect()
}

/// Frames as a terminal makes them: each has the records that were not told safe, so that those of
/// frames whose answers were lost come again in later ones. `fresh` says how many are new in each.
fn frames(fresh: &[(usize, bool)]) -> Vec<Vec<u8>> {
    let mut hand = hand();
    let records = records(&hand);
    let (mut safe, mut made) = (0, 0);
    let mut frames = Vec::new();
    for (new, answered) in fresh {
        made = (made + new).min(records.len());
        let items = &records[safe..made];
        let holds_alarm = items.iter().any(|(number, _)| *number == 5);
        hand.now_utc_s += 10;
        frames.push(hand.frame(items, holds_alarm));
        if *answered {
            safe = made;
        }
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    // spec: REP-1, REP-9, REC-8
    #[test]
    fn late_doubled_and_shuffled_frames_end_in_the_same_state_and_the_same_records(
        fresh in prop::collection::vec((0..4_usize, any::<bool>()), FRAMES),
        order in Just((0..FRAMES).chain(0..FRAMES).collect::<Vec<_>>()).prop_shuffle(),
        batch in 1..5_usize,
    ) {
        let frames = frames(&fresh);
        let straight = World::new();
        for frame in &frames {
            straight.take(std::slice::from_ref(frame));
        }
        let shuffled = World::new();
        for places in order.chunks(batch) {
            let some: Vec<Vec<u8>> = places.iter().map(|place| frames[*place].clone()).collect();
            shuffled.take(&some);
        }
        // Each once more, when nothing is under way: whatever it repeats is kept once.
        for frame in &frames {
            shuffled.take(std::slice::from_ref(frame));
        }
        let state = shuffled.state();
        prop_assert_eq!(straight.state(), state.clone());
        prop_assert_eq!(straight.outward(), shuffled.outward());
        prop_assert_eq!(shuffled.state_after_restart(), state);
    }
}
