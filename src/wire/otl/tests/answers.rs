//! Plaintexts from the server, and that of a RESYNC.

use core::num::NonZeroU32;

use hex_literal::hex;

use crate::wire::error::{EncodeError, ErrorKind};
use crate::wire::otl::answer::{Answer, AnswerFlags, AnswerItem, ComeBack, UnknownItem, WakeSlot};
use crate::wire::otl::command::CommandItem;
use crate::wire::otl::ident::{FrameCounter, KeyVersion, Mode};
use crate::wire::otl::meter::Meter;
use crate::wire::otl::record::Mac;
use crate::wire::otl::registry::commands::{CommandKind, Precondition};
use crate::wire::otl::resync::{ResyncAnswer, ResyncBody};
use crate::wire::writer::Writer;

use super::{REPORT, octets};

/// Where an answer's plaintext begins.
const BASE: usize = 14;

fn decode(text: &str) -> Result<Answer, (ErrorKind, usize)> {
    let octets = octets(text);
    let answer = Answer::decode(&octets, BASE, Mode::CcmStatic)
        .map_err(|error| (error.kind, error.offset - BASE))?;
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 2_000);
    answer.encode(Mode::CcmStatic, &mut writer).unwrap();
    assert_eq!(out, octets);
    Ok(answer)
}

fn resync_answer(text: &str) -> Result<ResyncAnswer, (ErrorKind, usize)> {
    let octets = octets(text);
    let answer =
        ResyncAnswer::decode(&octets, 10).map_err(|error| (error.kind, error.offset - 10))?;
    let mut out = Vec::new();
    answer.encode(&mut Writer::new(&mut out, 2_000)).unwrap();
    assert_eq!(out, octets);
    Ok(answer)
}

fn command(sequence: u32) -> CommandItem {
    CommandItem {
        key_version: KeyVersion::new(3).unwrap(),
        sequence: NonZeroU32::new(sequence).unwrap(),
        kind: CommandKind::VALVE_CLOSE,
        meter: Meter::from_octet(0x10),
        bound: true,
        precondition: Precondition::VALVE_OPEN,
        not_after_utc_s: 0x6b36_ecf8,
        parameters: vec![2],
        mac: Mac(hex!("000102030405060708090a0b0c0d0e0f")),
    }
}

/// The octets of that command as an item.
fn command_octets(sequence: u32) -> String {
    format!("85 1d 03 {sequence:08x} 01 10 81 6b36ecf8 02 000102030405060708090a0b0c0d0e0f")
}

fn floor(counter: u32) -> AnswerItem {
    AnswerItem::Floor(FrameCounter::new(counter).unwrap())
}

#[test]
fn flags_and_map_come_first() {
    let answer = decode("1d 8001").unwrap();
    let flags = AnswerFlags {
        ack: true,
        is_final: false,
        more: true,
        new_epoch: true,
        unproven: true,
    };
    assert_eq!((answer.flags(), answer.map()), (flags, 0x8001));
    let is_final = AnswerFlags {
        is_final: true,
        ..AnswerFlags::default()
    };
    assert_eq!(decode("02 0000").unwrap().flags(), is_final);
    for len in 0..3 {
        let truncated = Answer::decode(&[1, 0, 0][..len], 0, Mode::Clear).unwrap_err();
        assert_eq!(
            (truncated.kind, truncated.offset),
            (ErrorKind::Truncated, len)
        );
    }
}

// spec: GEN-7
#[test]
fn reserved_flags_of_an_answer_are_refused() {
    for flags in ["20", "40", "80", "e6"] {
        assert_eq!(
            decode(&format!("{flags} 0000")),
            Err((ErrorKind::ReservedBits, 0))
        );
    }
}

// spec: ANS-3
#[test]
fn final_beside_more_is_refused_and_not_made() {
    for flags in ["06", "07", "1f"] {
        assert_eq!(
            decode(&format!("{flags} 0000")),
            Err((ErrorKind::BadValue, 0))
        );
    }
    let flags = AnswerFlags {
        is_final: true,
        more: true,
        ..AnswerFlags::default()
    };
    assert!(Answer::new(flags, 0, Vec::new()).is_err());
}

// spec: ANS-11, ANS-12
#[test]
fn all_items_are_read_in_their_order() {
    let text = format!(
        "00 0000  01 02 0384  02 04 02 002a30  83 04 00000009  04 02 cafe  {}  {}  09 00",
        command_octets(7),
        command_octets(9)
    );
    let answer = decode(&text).unwrap();
    let unknown = |number, octets| AnswerItem::Unknown(UnknownItem::new(number, octets).unwrap());
    let items = vec![
        AnswerItem::ComeBack(ComeBack::from_units(900).unwrap()),
        AnswerItem::Slot(WakeSlot::new(2, 10_800).unwrap()),
        floor(9),
        unknown(4, hex!("cafe").to_vec()),
        AnswerItem::Command(command(7)),
        AnswerItem::Command(command(9)),
        unknown(9, Vec::new()),
    ];
    assert_eq!(answer.items(), items);
    let mut shuffled = items;
    shuffled.reverse();
    let made = Answer::new(AnswerFlags::default(), 0, shuffled).unwrap();
    assert_eq!(made, answer);
}

// spec: ANS-11
#[test]
fn items_out_of_order_or_twice_are_non_canonical() {
    let back = "01 02 0001";
    let slot = "02 04 01 000000";
    let refused = Err((ErrorKind::NonCanonical, 9));
    assert_eq!(decode(&format!("00 0000 {slot} {back}")), refused);
    assert_eq!(decode(&format!("00 0000 {slot} {slot}")), refused);
    let refused = Err((ErrorKind::NonCanonical, 7));
    assert_eq!(decode(&format!("00 0000 {back} {back}")), refused);
    for (first, second) in [(9, 7), (7, 7)] {
        let text = format!(
            "00 0000 {} {}",
            command_octets(first),
            command_octets(second)
        );
        assert_eq!(decode(&text), Err((ErrorKind::NonCanonical, 34)));
    }
    for items in [
        vec![floor(1), floor(2)],
        vec![
            AnswerItem::Command(command(7)),
            AnswerItem::Command(command(7)),
        ],
    ] {
        assert!(Answer::new(AnswerFlags::default(), 0, items).is_err());
    }
}

// spec: ANS-12
#[test]
fn unknown_critical_item_refuses_the_answer_and_others_are_skipped() {
    for octet in ["84", "86", "87", "88", "fe"] {
        // Whatever its body is.
        let text = format!("01 0000 {octet} 7f");
        assert_eq!(decode(&text), Err((ErrorKind::UnknownCriticalItem, 3)));
    }
    for octet in ["04", "08", "7e"] {
        let answer = decode(&format!("01 0000 {octet} 01 ff")).unwrap();
        let [AnswerItem::Unknown(item)] = answer.items() else {
            panic!("an unknown item");
        };
        assert_eq!(item.octets(), [0xFF]);
    }
    for number in [0, 1, 2, 3, 5, 6, 7, 0x7F, 0x80] {
        assert!(UnknownItem::new(number, Vec::new()).is_none());
    }
}

// spec: FRM-20
#[test]
fn registered_answer_items_have_their_critical_bit() {
    for octet in ["81", "82", "03", "05", "06", "07"] {
        let text = format!("00 0000 {octet} 00");
        assert_eq!(decode(&text), Err((ErrorKind::BadValue, 3)));
    }
}

// spec: FRM-21
#[test]
fn answers_have_no_padding_and_no_number_127() {
    for octet in ["00", "80", "7f", "ff"] {
        let text = format!("00 0000 {octet} 00");
        assert_eq!(decode(&text), Err((ErrorKind::BadValue, 3)));
        let text = format!("00000001 {octet} 00");
        assert_eq!(resync_answer(&text), Err((ErrorKind::BadValue, 4)));
    }
}

// spec: FRM-19
#[test]
fn bodies_of_answer_items_fit_exactly() {
    for item in ["01 01 00", "02 03 010000", "83 03 000000", "85 1b"] {
        let text = format!("00 0000 {item}{}", "01".repeat(27));
        let short = if item.starts_with("85") {
            text
        } else {
            format!("00 0000 {item}")
        };
        let end = octets(&short).len();
        assert_eq!(decode(&short), Err((ErrorKind::Truncated, end)));
    }
    assert_eq!(
        decode("00 0000 01 03 000100"),
        Err((ErrorKind::TrailingBytes, 7))
    );
    assert_eq!(
        decode("00 0000 02 05 0100000000"),
        Err((ErrorKind::TrailingBytes, 9))
    );
    assert_eq!(
        decode("00 0000 83 05 0000000100"),
        Err((ErrorKind::TrailingBytes, 9))
    );
    assert_eq!(decode("00 0000 01 02 00"), Err((ErrorKind::Truncated, 6)));
}

// spec: ANS-13, FRM-16
#[test]
fn answer_in_mode_0_has_no_items() {
    let plaintext = octets("01 0000 01 02 0001");
    let error = Answer::decode(&plaintext, 6, Mode::Clear).unwrap_err();
    assert_eq!((error.kind, error.offset), (ErrorKind::TrailingBytes, 9));
    let bare = Answer::decode(&plaintext[..3], 6, Mode::Clear).unwrap();
    let mut out = Vec::new();
    assert_eq!(
        bare.encode(Mode::Clear, &mut Writer::new(&mut out, 3)),
        Ok(())
    );
    let with_item = Answer::new(AnswerFlags::default(), 0, vec![floor(1)]).unwrap();
    let result = with_item.encode(Mode::Clear, &mut Writer::new(&mut out, 99));
    assert_eq!(result, Err(EncodeError::ModeForbids));
}

// spec: ANS-14
#[test]
fn ack_beside_floor_is_refused_and_not_made() {
    let text = "01 0000 01 02 0001 83 04 00000009";
    assert_eq!(decode(text), Err((ErrorKind::BadValue, 7)));
    let flags = AnswerFlags {
        ack: true,
        ..AnswerFlags::default()
    };
    assert!(Answer::new(flags, 0, vec![floor(9)]).is_err());
}

// spec: ANS-18, ANS-19
#[test]
fn items_out_of_range_are_refused_and_not_made() {
    let bad = |at| Err((ErrorKind::BadValue, at));
    for units in ["0000", "5461", "ffff"] {
        assert_eq!(decode(&format!("00 0000 01 02 {units}")), bad(5));
    }
    assert!(decode("00 0000 01 02 5460").is_ok());
    for version in ["00", "10", "ff"] {
        assert_eq!(decode(&format!("00 0000 02 04 {version} 000000")), bad(5));
    }
    for second in ["015180", "ffffff"] {
        assert_eq!(decode(&format!("00 0000 02 04 01 {second}")), bad(6));
    }
    assert!(decode("00 0000 02 04 0f 01517f").is_ok());
    for counter in ["00000000", "ffff0001"] {
        assert_eq!(decode(&format!("00 0000 83 04 {counter}")), bad(5));
        assert_eq!(resync_answer(counter), Err((ErrorKind::BadValue, 0)));
    }
    assert!(ComeBack::from_units(0).is_err() && ComeBack::from_units(21_601).is_err());
    assert_eq!(ComeBack::from_units(21_600).unwrap().seconds(), 86_400);
    assert!(WakeSlot::new(0, 0).is_err() && WakeSlot::new(16, 0).is_err());
    assert!(WakeSlot::new(1, 86_400).is_err());
}

// spec: ANS-15
#[test]
fn resync_answer_holds_a_floor_and_neither_floor_item_nor_command() {
    let answer = resync_answer("00000009 01 02 0001 08 00").unwrap();
    assert_eq!((answer.floor().get(), answer.items().len()), (9, 2));
    let refused = Err((ErrorKind::BadValue, 4));
    assert_eq!(resync_answer("00000009 83 04 00000009"), refused);
    let text = format!("00000009 {}", command_octets(7));
    assert_eq!(resync_answer(&text), refused);
    for item in [floor(9), AnswerItem::Command(command(7))] {
        assert!(ResyncAnswer::new(FrameCounter::FIRST, vec![item]).is_err());
    }
    for len in 0..4 {
        let text = "00".repeat(len);
        assert_eq!(resync_answer(&text), Err((ErrorKind::Truncated, len)));
    }
}

// spec: FRM-14, FRM-15, RSY-1
#[test]
fn resync_is_report_reason_and_zeros_up_to_64_octets() {
    for (mode, len) in [
        (Mode::CcmStatic, 29),
        (Mode::CcmSession, 29),
        (Mode::GcmSession, 21),
    ] {
        for report in [
            REPORT.to_vec(),
            octets("ff 00001092 0011 ffffffff ff ffffffff0f 0b"),
        ] {
            for reason in [0, 1, 3, 255] {
                let mut plaintext = [report.clone(), vec![reason]].concat();
                plaintext.resize(len, 0);
                let body = ResyncBody::decode(&plaintext, 27).unwrap();
                assert_eq!(body.reason, reason);
                let mut out = Vec::new();
                body.encode(mode, &mut Writer::new(&mut out, len)).unwrap();
                assert_eq!(out, plaintext);
                *plaintext.last_mut().unwrap() = 1;
                let error = ResyncBody::decode(&plaintext, 27).unwrap_err();
                let expected = (ErrorKind::PaddingNotZero, 27 + len - 1);
                assert_eq!((error.kind, error.offset), expected);
            }
        }
    }
    let body = ResyncBody::decode(&[REPORT.as_slice(), &[1]].concat(), 27).unwrap();
    let mut out = Vec::new();
    let result = body.encode(Mode::Clear, &mut Writer::new(&mut out, 99));
    assert_eq!(result, Err(EncodeError::ModeForbids));
}
