//! Values that are out of range, and the octet at which each is refused.

use crate::wire::error::ErrorKind;

use super::{STAMP, refusal};

const BAD: ErrorKind = ErrorKind::BadValue;

/// A body that begins with a stamp; the offset counts from the end of the stamp.
fn after_stamp(number: u8, body: &str) -> (ErrorKind, usize) {
    let (kind, at) = refusal(number, &format!("{STAMP}{body}"));
    (kind, at - 5)
}

// spec: REC-3
#[test]
fn unset_clock_with_an_uncertainty_is_refused() {
    assert_eq!(refusal(0x02, "80 00000000 0000 00 15 01 00"), (BAD, 0));
    assert_eq!(
        refusal(0x0C, &format!("{STAMP} fe 00000000 0000 01")),
        (BAD, 5)
    );
}

// spec: REC-16
#[test]
fn unit_without_a_registered_quantity_is_refused() {
    for unit in ["00", "0f", "c5", "df"] {
        assert_eq!(refusal(0x01, &format!("01 00 {unit} 5152")), (BAD, 2));
        assert_eq!(after_stamp(0x02, &format!("00 {unit} 01 00")), (BAD, 1));
        assert_eq!(
            after_stamp(0x03, &format!("00 {unit} 0001 01 00 00")),
            (BAD, 1)
        );
        assert_eq!(
            after_stamp(0x04, &format!("00 {unit} 0001 01 00 0000")),
            (BAD, 1)
        );
        assert_eq!(
            after_stamp(0x05, &format!("00 81 00 {unit} 00 00 01 01010000")),
            (BAD, 3)
        );
        assert_eq!(after_stamp(0x08, &format!("00 00 80 {unit} 00")), (BAD, 3));
        assert_eq!(after_stamp(0x09, &format!("00 01 80 {unit} 00")), (BAD, 3));
        assert_eq!(
            after_stamp(0x0A, &format!("00 03 {unit} 08 01 41")),
            (BAD, 2)
        );
    }
}

// spec: REC-16, GEN-2
#[test]
fn register_above_48_bits_is_refused() {
    let large = "80808080808040";
    assert_eq!(refusal(0x01, &format!("11 00 15 5152 {large}")), (BAD, 5));
    assert_eq!(after_stamp(0x02, &format!("00 15 01 {large}")), (BAD, 3));
    assert_eq!(
        after_stamp(0x05, &format!("00 81 00 15 {large} 00 01 01010000")),
        (BAD, 4)
    );
    let longer = "8000";
    assert_eq!(
        after_stamp(0x02, &format!("00 15 01 {longer}")),
        (ErrorKind::NonCanonical, 3)
    );
}

// spec: REC-21
#[test]
fn valve_states_from_10_on_are_refused() {
    for state in 0xA..=0xF_u8 {
        assert_eq!(refusal(0x01, &format!("0{state:x} 00 15 5152")), (BAD, 0));
        let notice = format!("00 0{state:x} 00 00 01 01010000");
        assert_eq!(after_stamp(0x05, &notice), (BAD, 1));
        assert_eq!(
            after_stamp(0x06, &format!("00 0{state:x} 01 00000000 00")),
            (BAD, 1)
        );
        let result = format!("00 00000001 20 00 0{state:x} 01 00");
        assert_eq!(after_stamp(0x0B, &result), (BAD, 7));
    }
    assert_eq!(after_stamp(0x06, "00 10 01 00000000 00"), (BAD, 1));
}

// spec: REC-21
#[test]
fn causes_levels_and_states_out_of_range_are_refused() {
    for cause in ["00", "07", "ff"] {
        assert_eq!(after_stamp(0x02, &format!("00 15 {cause} 00")), (BAD, 2));
    }
    for cause in ["00", "05", "ff"] {
        assert_eq!(
            after_stamp(0x06, &format!("00 01 {cause} 00000000 00")),
            (BAD, 2)
        );
    }
    for cause in ["00", "04", "ff"] {
        assert_eq!(after_stamp(0x0C, &format!("{STAMP}{cause}")), (BAD, 5));
    }
    assert_eq!(after_stamp(0x08, "00 04 00"), (BAD, 1));
    for state in ["00", "04"] {
        assert_eq!(
            after_stamp(0x05, &format!("00 01 00 00 01 01{state}0000")),
            (BAD, 6)
        );
    }
}

// spec: REC-21, REC-22
#[test]
fn counts_lengths_and_steps_out_of_range_are_refused() {
    for step in ["0000", "05a1", "ffff"] {
        assert_eq!(
            after_stamp(0x03, &format!("00 15 {step} 01 00 00")),
            (BAD, 2)
        );
        assert_eq!(
            after_stamp(0x04, &format!("00 59 {step} 01 00 0000")),
            (BAD, 2)
        );
    }
    for count in ["00", "fb", "ff"] {
        assert_eq!(
            after_stamp(0x03, &format!("00 15 05a0 {count} 00 00")),
            (BAD, 4)
        );
        assert_eq!(
            after_stamp(0x04, &format!("00 59 05a0 {count} 00 0000")),
            (BAD, 4)
        );
    }
    for count in ["00", "07"] {
        assert_eq!(
            after_stamp(0x05, &format!("00 01 00 00 {count} 01010000")),
            (BAD, 4)
        );
    }
    assert_eq!(
        after_stamp(0x05, &format!("00 01 00 09 {}", "41".repeat(9))),
        (BAD, 3)
    );
    for digits in ["00", "0f"] {
        assert_eq!(
            after_stamp(0x0A, &format!("00 03 15 {digits} 01 41")),
            (BAD, 3)
        );
    }
    for len in ["00", "11"] {
        assert_eq!(
            after_stamp(0x0A, &format!("00 03 15 08 {len} {}", "41".repeat(17))),
            (BAD, 4)
        );
    }
    let data = "00".repeat(65);
    assert_eq!(
        after_stamp(0x0B, &format!("00 00000001 20 00 01 01 41 {data}")),
        (BAD, 9)
    );
}

// spec: REC-21
#[test]
fn texts_are_printable() {
    for octet in ["00", "1f", "7f", "80", "ff"] {
        let notice = format!("00 01 00 02 20{octet} 01 01010000");
        assert_eq!(after_stamp(0x05, &notice), (BAD, 5));
        assert_eq!(
            after_stamp(0x0A, &format!("00 03 15 08 02 7e{octet}")),
            (BAD, 6)
        );
    }
    for octet in ["01", "1f", "7f", "ff"] {
        let notice = format!("00 01 {octet} 00 01 01010000");
        assert_eq!(after_stamp(0x05, &notice), (BAD, 2));
    }
}

// spec: GEN-7
#[test]
fn flags_without_a_meaning_are_reserved() {
    let reserved = ErrorKind::ReservedBits;
    for flags in ["11", "21", "31"] {
        let notice = format!("00 {flags} 00 00 01 01010000");
        assert_eq!(after_stamp(0x05, &notice), (reserved, 1));
    }
    for flags in ["01", "40", "c0"] {
        assert_eq!(after_stamp(0x08, &format!("00 00 {flags}")), (reserved, 2));
    }
    for flags in ["01", "20", "e0"] {
        assert_eq!(after_stamp(0x09, &format!("00 01 {flags}")), (reserved, 2));
    }
}

// spec: REC-20
#[test]
fn health_out_of_range_is_refused() {
    for remaining in ["65", "fe"] {
        assert_eq!(
            refusal(0x01, &format!("21 00 15 5152 00 {remaining} 00 00 00 00")),
            (BAD, 6)
        );
    }
    for cause in 6..=14_u8 {
        assert_eq!(
            after_stamp(0x07, &format!("b257680709 0{cause:x} 00000000 00000000")),
            (BAD, 5)
        );
    }
}

// spec: REC-25
#[test]
fn exchange_to_another_slot_or_the_same_meter_is_refused() {
    for new in ["00", "11", "f1"] {
        assert_eq!(after_stamp(0x09, &format!("00 {new} 00")), (BAD, 1));
    }
}

// spec: REC-26
#[test]
fn mac_stands_exactly_with_a_key_version() {
    let mac = "00".repeat(16);
    let without = "00 01 01 00000000 01";
    assert_eq!(after_stamp(0x06, without).0, ErrorKind::Truncated);
    let beside = format!("00 01 01 00000000 00 {mac}");
    assert_eq!(after_stamp(0x06, &beside), (ErrorKind::TrailingBytes, 8));
}

// spec: REC-18
#[test]
fn explicit_register_beside_mark_24_is_non_canonical() {
    // 24 equal registers, and the same one in front.
    let steps = "00000000";
    let expected = (ErrorKind::NonCanonical, 5);
    assert_eq!(
        refusal(0x01, &format!("91 00 15 5152 05 00 05 {steps}")),
        expected
    );
    // A segment that holds mark 24 alone.
    assert_eq!(refusal(0x01, "91 00 15 5152 05 01 00 18 01 05"), expected);
}
