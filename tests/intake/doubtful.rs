//! What looks wrong is kept and flagged; what cannot be decoded is kept with the reason.

use serde_json::Value;
use simulator::codec::record::{MeterRef, Unit};

use super::hand::{Hand, damaged};
use super::world::{START_UTC_S, World, hand};

fn meter(slot: u8) -> MeterRef {
    MeterRef {
        slot,
        generation: 0,
    }
}

fn has_flag(record: &Value, flag: &str) -> bool {
    record["flags"]
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one == flag)
}

// spec: REC-4
#[test]
fn records_that_look_wrong_are_acknowledged_kept_and_flagged_outward() {
    let world = World::new();
    let mut hand = hand();
    let day = 86_400;
    let at = START_UTC_S - 10 * day;
    // Of each pair the first is well, and the second is not.
    let pairs = [
        (
            "register_steps_back",
            (at, Unit::LITRE, 900),
            (at + day, Unit::LITRE, 899),
        ),
        (
            "time_jumps",
            (at, Unit::LITRE, 5),
            (START_UTC_S + 30 * day, Unit::LITRE, 6),
        ),
        (
            "unit_changed",
            (at, Unit::LITRE, 70),
            (at + day, Unit::DECILITRE, 800),
        ),
    ];
    for (slot, (_, well, wrong)) in (0..).zip(&pairs) {
        for (at, unit, value) in [well, wrong] {
            let record = Hand::reading_of(meter(slot), *at, *unit, *value);
            let items = [hand.item(&record)];
            world.pass_a_second();
            let (_, answers) = world.take(&[hand.frame(&items, false)]);
            assert_eq!(answers, 1, "it is acknowledged");
        }
    }
    let records: Vec<Value> = world.outward().into_values().collect();
    assert_eq!(records.len(), 6, "nothing is dropped");
    for (slot, (flag, ..)) in (0..).zip(pairs) {
        let of_meter = |record: &&Value| record["meter"]["slot"] == slot;
        let mut both: Vec<&Value> = records.iter().filter(of_meter).collect();
        both.sort_by_key(|record| record["sequence"].as_u64());
        let flagged: Vec<bool> = both.iter().map(|record| has_flag(record, flag)).collect();
        assert_eq!(flagged, [false, true], "{flag}: {both:?}");
        for other in pairs
            .iter()
            .map(|(other, ..)| other)
            .filter(|other| **other != flag)
        {
            assert!(!has_flag(both[1], other), "{other}: {}", both[1]);
        }
        // The value is what the terminal said.
        assert_eq!(both[1]["kind"], "register_reading");
        assert_eq!(both[1]["value"]["type"], "register_reading");
    }
}

// spec: REC-12
#[test]
fn a_record_that_cannot_be_decoded_is_kept_with_the_reason_and_does_not_hold_up_the_others() {
    let world = World::new();
    let mut hand = hand();
    let before = hand.item(&Hand::reading(START_UTC_S - 60, Unit::LITRE, 1));
    let broken = damaged(hand.sequence);
    hand.sequence += 1;
    let after = hand.item(&Hand::reading(START_UTC_S, Unit::LITRE, 2));
    let (_, answers) = world.take(&[hand.frame(&[before, broken], false)]);
    assert_eq!(answers, 1);
    assert_eq!(world.heard.told().quarantined, 1);
    world.pass_a_second();
    world.take(&[hand.frame(&[after], false)]);
    let records = world.outward();
    assert_eq!(records.len(), 3);
    let broken: Vec<&Value> = records
        .values()
        .filter(|record| record["kind"] == "undecodable")
        .collect();
    assert_eq!(broken.len(), 1);
    let broken = broken[0];
    assert_eq!(broken["sequence"], 2);
    assert!(has_flag(broken, "undecodable"));
    let value = &broken["value"];
    assert_eq!(
        (value["type"].as_str(), value["number"].as_u64()),
        (Some("undecodable"), Some(2))
    );
    for key in ["reason", "field", "octets"] {
        assert!(!value[key].as_str().unwrap().is_empty(), "{key}: {value}");
    }
    // With its sequence, since nobody can say where that ends.
    assert_eq!(broken["raw"], "0202ffffff");
}
