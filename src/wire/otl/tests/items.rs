//! The plaintext of an UPLINK: report, items, session items, padding, salvage.

use core::num::NonZeroU32;

use hex_literal::hex;

use crate::wire::error::{EncodeError, ErrorKind};
use crate::wire::otl::ident::Mode;
use crate::wire::otl::record::{OpaqueRecord, RecordBody};
use crate::wire::otl::registry::commands::Outcome;
use crate::wire::otl::report::{CommandEnd, Slots};
use crate::wire::otl::stamp::{Stamp, Uncertainty};
use crate::wire::otl::uplink::{
    Salvage, SessionItem, SessionItems, UnknownSessionItem, UplinkBody,
};
use crate::wire::writer::Writer;

use super::samples::records;
use super::{BASE, REPORT, decode, encode, item, octets, plaintext, record};

/// Where the items begin.
const ITEMS: usize = BASE + REPORT.len();

fn refusal(items: &str) -> (ErrorKind, usize) {
    let error = decode(&octets(items)).unwrap_err();
    (error.kind, error.offset - ITEMS)
}

fn report_refusal(report: &str) -> (ErrorKind, usize) {
    let error = UplinkBody::decode(&octets(report), 0, Mode::CcmStatic).unwrap_err();
    (error.kind, error.offset)
}

// spec: REC-1, REC-2
#[test]
fn report_without_command_is_eleven_octets() {
    let report = decode(&[]).unwrap().report;
    let uncertainty = Uncertainty::from_seconds(2);
    let utc_s = 0x6b36_ecf8;
    assert_eq!(report.stamp, Stamp::Set { uncertainty, utc_s });
    assert_eq!(report.epoch.get(), 0x1ceb_00da);
    assert_eq!(report.slots, Slots::new(1, 0).unwrap());
    assert_eq!(report.command, None);
}

// spec: REC-3
#[test]
fn report_of_an_unset_clock_with_a_command_is_longest() {
    let octets = octets("ff 00001092 0011 ffffffff ff ffffffff0f 0b");
    let body = UplinkBody::decode(&octets, 0, Mode::Clear).unwrap();
    let (uptime_s, boot) = (4_242, 17);
    assert_eq!(body.report.stamp, Stamp::Unset { uptime_s, boot });
    assert_eq!(body.report.slots.wake_slot_version(), 15);
    assert_eq!(body.report.slots.frames_following(), 15);
    let end = CommandEnd {
        sequence: NonZeroU32::MAX,
        outcome: Outcome::REFUSED_OTHER_METER,
    };
    assert_eq!(body.report.command, Some(end));
    assert_eq!(encode(&body, Mode::Clear), octets);
}

// spec: REC-2, REC-3
#[test]
fn bad_fields_of_a_report_are_refused() {
    let bad = ErrorKind::BadValue;
    assert_eq!(report_refusal("80 00000000 0000 00000001 00 00"), (bad, 0));
    assert_eq!(report_refusal("fe 00000000 0000 00000001 00 00"), (bad, 0));
    assert_eq!(report_refusal("02 00000000 00000000 00 00"), (bad, 5));
    assert_eq!(
        report_refusal("02 00000000 00000001 00 8080808010"),
        (bad, 10)
    );
    let canonical = ErrorKind::NonCanonical;
    assert_eq!(
        report_refusal("02 00000000 00000001 00 8100"),
        (canonical, 10)
    );
}

// spec: FRM-7
#[test]
fn every_truncation_of_a_report_is_refused_at_its_end() {
    for report in [
        octets("ff 00001092 0011 ffffffff ff ffffffff0f 0b"),
        REPORT.to_vec(),
    ] {
        for len in 0..report.len() {
            let error = UplinkBody::decode(&report[..len], 5, Mode::Clear).unwrap_err();
            assert_eq!((error.kind, error.offset), (ErrorKind::Truncated, 5 + len));
        }
    }
}

#[test]
fn uncertainty_codes_are_seconds_up_to_2048() {
    for (code, seconds) in [(0, 0), (63, 63), (64, 64), (65, 96), (126, 2_048)] {
        let uncertainty = Uncertainty::from_code(code).unwrap();
        assert_eq!(uncertainty.seconds(), Some(seconds));
        assert_eq!(Uncertainty::from_seconds(u32::from(seconds)), uncertainty);
    }
    assert_eq!(Uncertainty::UNKNOWN.seconds(), None);
    assert_eq!(Uncertainty::from_seconds(65).seconds(), Some(96));
    assert_eq!(Uncertainty::from_seconds(2_049), Uncertainty::UNKNOWN);
    assert_eq!(Uncertainty::from_seconds(u32::MAX), Uncertainty::UNKNOWN);
    assert!(Uncertainty::from_code(128).is_err());
}

// spec: FRM-9
#[test]
fn padding_begins_at_a_zero_type_and_is_all_zero() {
    let body = decode(&octets("0000000000")).unwrap();
    assert_eq!((body.records.len(), body.padding), (0, 5));
    let one = record(0x01, "0100155152");
    let body = decode(&[one.clone(), vec![0; 1]].concat()).unwrap();
    assert_eq!((body.records.len(), body.padding), (1, 1));
    assert_eq!(refusal("00 00 01 00"), (ErrorKind::PaddingNotZero, 2));
    let error = decode(&[one.clone(), vec![0], one.clone()].concat()).unwrap_err();
    let expected = (ErrorKind::PaddingNotZero, ITEMS + one.len() + 1);
    assert_eq!((error.kind, error.offset), expected);
}

// spec: FRM-13
#[test]
fn padding_in_mode_0_is_refused_on_both_sides() {
    let mut padded = decode(&[]).unwrap();
    let plaintext = plaintext(&[0]);
    let error = UplinkBody::decode(&plaintext, 15, Mode::Clear).unwrap_err();
    assert_eq!((error.kind, error.offset), (ErrorKind::PaddingNotZero, 26));
    padded.padding = 1;
    let mut out = Vec::new();
    let result = padded.encode(Mode::Clear, &mut Writer::new(&mut out, 99));
    assert_eq!(result, Err(EncodeError::ModeForbids));
    assert!(out.is_empty());
}

// spec: FRM-19, GEN-6
#[test]
fn item_that_goes_beyond_the_plaintext_is_truncated_at_its_end() {
    assert_eq!(refusal("01"), (ErrorKind::Truncated, 1));
    assert_eq!(refusal("01 80"), (ErrorKind::Truncated, 2));
    assert_eq!(refusal("01 02 00"), (ErrorKind::Truncated, 3));
    assert_eq!(refusal("01 b009 00"), (ErrorKind::Truncated, 4));
}

// spec: FRM-19, GEN-2
#[test]
fn length_of_an_item_is_a_varint_of_at_most_1200() {
    assert_eq!(refusal("01 b109 00"), (ErrorKind::BadValue, 1));
    assert_eq!(refusal("01 ffffff 00"), (ErrorKind::BadValue, 1));
    assert_eq!(refusal("01 8100 00"), (ErrorKind::NonCanonical, 1));
}

// spec: FRM-19
#[test]
fn body_with_octets_left_over_has_trailing_bytes() {
    for (number, body) in records() {
        // Two types end where their item ends, and hold whatever is there.
        let takes_all = number == 0x0D;
        let longer = record(number, &format!("{body}00"));
        let result = decode(&longer);
        if takes_all {
            assert!(result.is_ok());
        } else {
            let error = result.unwrap_err();
            let expected = (ErrorKind::TrailingBytes, ITEMS + longer.len() - 1);
            assert_eq!((error.kind, error.offset), expected, "{number:02x}");
        }
    }
}

// spec: FRM-19, REC-11
#[test]
fn every_truncation_of_every_record_is_truncated_at_its_end() {
    for (number, body) in records() {
        let body = [vec![7], octets(&body)].concat();
        let fixed = if number == 0x0D {
            body.len() - 2
        } else {
            body.len()
        };
        for len in 0..fixed {
            // The item is whole; its body is not.
            let cut = item(number, &body[..len]);
            let error = decode(&cut).unwrap_err();
            let expected = (ErrorKind::Truncated, ITEMS + cut.len());
            assert_eq!((error.kind, error.offset), expected, "{number:02x} {len}");
        }
        let whole = item(number, &body);
        for len in 1..whole.len() {
            let error = decode(&whole[..len]).unwrap_err();
            let expected = (ErrorKind::Truncated, ITEMS + len);
            assert_eq!((error.kind, error.offset), expected, "{number:02x} {len}");
        }
    }
}

// spec: FRM-21, EXT-2
#[test]
fn numbers_0_and_127_are_no_item_types() {
    for octet in ["80", "7f", "ff"] {
        assert_eq!(refusal(&format!("{octet} 01 07")), (ErrorKind::BadValue, 0));
    }
}

// spec: FRM-20
#[test]
fn registered_items_of_an_uplink_have_the_critical_bit_clear() {
    for number in (0x01..=0x0E).chain(0x70..=0x72) {
        let octet = number | 0x80;
        let items = format!("{octet:02x} 01 07");
        assert_eq!(refusal(&items), (ErrorKind::BadValue, 0), "{octet:02x}");
    }
}

// spec: REC-6
#[test]
fn record_sequence_is_1_to_u32_max() {
    let body = decode(&octets("5f 05 ffffffff0f")).unwrap();
    assert_eq!(body.records[0].sequence, NonZeroU32::MAX);
    assert_eq!(refusal("5f 01 00"), (ErrorKind::BadValue, 2));
    assert_eq!(refusal("5f 05 8080808010"), (ErrorKind::BadValue, 2));
    assert_eq!(refusal("5f 02 8100"), (ErrorKind::NonCanonical, 2));
}

// spec: REC-7, EXT-7
#[test]
fn record_of_an_unknown_type_is_kept_whole_with_its_sequence() {
    for octet in [0x0F, 0x5F, 0x60, 0x6F, 0x8F, 0xEF] {
        let body = decode(&item(octet, &hex!("07 cafe"))).unwrap();
        let kept = OpaqueRecord::new(octet & 0x7F, octet & 0x80 != 0, hex!("cafe").to_vec());
        assert_eq!(body.records[0].body, RecordBody::Opaque(kept.unwrap()));
        assert_eq!(body.records[0].body.id(), "opaque");
    }
    for registered in (0x01..=0x0E).chain([0, 0x70, 0x7F]) {
        assert!(OpaqueRecord::new(registered, false, Vec::new()).is_none());
    }
}

// spec: REC-28, REC-29, ANS-20
#[test]
fn session_items_are_read_and_unknown_ones_kept() {
    let body = decode(&octets("70 04 0000002a  72 01 05  73 00  fe 02 cafe")).unwrap();
    let unknown = |number, critical, octets| {
        SessionItem::Unknown(UnknownSessionItem::new(number, critical, octets).unwrap())
    };
    assert_eq!(
        body.session_items.as_slice(),
        [
            SessionItem::PreviousEpoch(NonZeroU32::new(42).unwrap()),
            SessionItem::AnswerRefused(5),
            unknown(0x73, false, Vec::new()),
            unknown(0x7E, true, hex!("cafe").to_vec()),
        ]
    );
    assert_eq!(refusal("70 04 00000000"), (ErrorKind::BadValue, 2));
    assert_eq!(refusal("70 05 0000002a00"), (ErrorKind::TrailingBytes, 6));
    assert_eq!(refusal("72 00"), (ErrorKind::Truncated, 2));
    // The number that is reserved for firmware is kept, not understood.
    let body = decode(&octets("71 01 05")).unwrap();
    assert_eq!(
        body.session_items.as_slice(),
        [unknown(0x71, false, vec![5])]
    );
    for (number, critical) in [(0x6F, false), (0x70, false), (0x71, true), (0x7F, false)] {
        assert!(UnknownSessionItem::new(number, critical, Vec::new()).is_none());
    }
}

// spec: REC-34
#[test]
fn session_items_follow_all_records_in_ascending_order() {
    let at = 6;
    assert_eq!(
        refusal("70 04 0000002a 5f 01 07"),
        (ErrorKind::NonCanonical, at)
    );
    assert_eq!(
        refusal("73 04 0000002a 72 01 07"),
        (ErrorKind::NonCanonical, at)
    );
    assert_eq!(
        refusal("73 04 0000002a 73 01 07"),
        (ErrorKind::NonCanonical, at)
    );
    let items = SessionItems::new(vec![
        SessionItem::AnswerRefused(5),
        SessionItem::PreviousEpoch(NonZeroU32::MIN),
    ]);
    let numbers: Vec<_> = items
        .unwrap()
        .as_slice()
        .iter()
        .map(SessionItem::number)
        .collect();
    assert_eq!(numbers, [0x70, 0x72]);
    let twice = vec![SessionItem::AnswerRefused(5), SessionItem::AnswerRefused(6)];
    assert!(SessionItems::new(twice).is_err());
}

// spec: REC-12
#[test]
fn damaged_record_is_set_aside_and_the_others_are_kept() {
    let good = record(0x01, "0100155152");
    let bad = item(0x08, &octets("89 06 026b36ecf8 00 07 00"));
    let no_sequence = item(0x02, &[0]);
    let items = [
        good.clone(),
        bad.clone(),
        no_sequence,
        good.clone(),
        vec![0; 3],
    ]
    .concat();
    let plaintext = plaintext(&items);
    let salvage = Salvage::decode(&plaintext, BASE, Mode::CcmStatic).unwrap();
    assert_eq!(salvage.body.records.len(), 2);
    assert_eq!(salvage.body.padding, 3);
    let [gas, reading] = salvage.damaged.as_slice() else {
        panic!("two records are damaged");
    };
    assert_eq!((gas.number, gas.sequence), (0x08, NonZeroU32::new(777)));
    assert_eq!(gas.octets, bad[2..]);
    assert_eq!(gas.error.kind, ErrorKind::BadValue);
    assert_eq!(gas.error.offset, ITEMS + good.len() + 2 + 8);
    assert_eq!((reading.number, reading.sequence), (0x02, None));
    let strict = UplinkBody::decode(&plaintext, BASE, Mode::CcmStatic);
    assert_eq!(strict, Err(gas.error));
}

// spec: REC-12, GEN-5
#[test]
fn damage_outside_of_a_body_refuses_the_frame() {
    for items in [
        "01 02 00",
        "7f 01 07",
        "81 01 07",
        "00 01",
        "70 00 5f 01 07",
    ] {
        let plaintext = plaintext(&octets(items));
        assert!(
            Salvage::decode(&plaintext, BASE, Mode::CcmStatic).is_err(),
            "{items}"
        );
    }
    assert!(Salvage::decode(&REPORT[..10], BASE, Mode::CcmStatic).is_err());
}

// spec: FRM-6
#[test]
fn alarm_bit_is_to_be_set_exactly_with_an_alarm_notice() {
    let holds_alarm = |items: &[u8]| decode(items).unwrap().holds_alarm();
    assert!(!holds_alarm(&[]));
    for (number, body) in records() {
        let items = [record(0x01, "0100155152"), record(number, &body)].concat();
        assert_eq!(holds_alarm(&items), number == 0x05);
    }
}
