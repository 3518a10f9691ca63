//! Views name every octet of a frame once, and the JSON form shows every value.

use proptest::prelude::*;
use serde_json::json;

use crate::wire::error::ErrorKind;
use crate::wire::otl::annotate::view;
use crate::wire::otl::header::{Direction, Header};
use crate::wire::otl::ident::Mode;
use crate::wire::otl::json::{self, Security};
use crate::wire::otl::uplink::UplinkBody;
use crate::wire::view::View;

use super::samples::records;
use super::{item, octets, plaintext, record};

const CLEAR: &str = "11 08 00 00010002540be400 000186a1";
const SEALED: &str = "11 28 02 00010002540be400 000186a1 6b359b780badcafe";

fn check_cover(view: &View, len: usize) {
    let mut at = 0;
    for span in &view.spans {
        assert_eq!(span.offset, at);
        assert!(span.len > 0);
        at += span.len;
    }
    assert_eq!(at, len);
}

fn names(view: &View) -> Vec<&'static str> {
    view.spans.iter().map(|span| span.name).collect()
}

fn clear_frame(items: &[u8]) -> Vec<u8> {
    [octets(CLEAR), plaintext(items)].concat()
}

#[test]
fn view_names_every_octet_of_every_record() {
    for (number, body) in records() {
        let frame = clear_frame(&record(number, &body));
        let view = view(&frame, Direction::FromTerminal, None);
        check_cover(&view, frame.len());
        assert_eq!(view.error, None);
        assert!(
            !names(&view).contains(&"undecoded"),
            "{number:02x} {view:?}"
        );
    }
}

#[test]
fn view_shows_names_and_values() {
    let frame = clear_frame(&record(0x02, "026b36ecf8 10 15 01 87ad4b"));
    let view = view(&frame, Direction::FromTerminal, None);
    let lines: Vec<String> = view
        .spans
        .iter()
        .map(|span| format!("{} {} {}: {}", span.offset, span.len, span.name, span.value))
        .collect();
    let expected = [
        "0 1 version and frame type: uplink",
        "1 1 mode and flags: 0b00001000",
        "2 1 link key version: 0",
        "3 8 identity: 00010002540be400",
        "11 4 frame counter: 100001",
        "15 1 stamp quality: ±2 s",
        "16 4 stamp UTC seconds: 1798761720",
        "20 4 store epoch: 485163226",
        "24 1 slots: wake slot version 1, 0 frames follow",
        "25 1 last command: 0",
        "26 1 item type: 0x02 register_reading",
        "27 1 item length: 12",
        "28 1 record sequence: 7",
        "29 1 stamp quality: ±2 s",
        "30 4 stamp UTC seconds: 1798761720",
        "34 1 meter: slot 1 generation 0",
        "35 1 unit: volume_m3 × 10^-3",
        "36 1 cause: scheduled",
        "37 3 register: 1234567",
    ];
    assert_eq!(lines, expected);
}

// spec: ERR-3
#[test]
fn view_goes_on_behind_a_damaged_record_and_names_the_first_error() {
    let bad = item(0x08, &octets("07 026b36ecf8 00 07 00"));
    let good = record(0x01, "0100155152");
    let frame = clear_frame(&[bad, good].concat());
    let view = view(&frame, Direction::FromTerminal, None);
    check_cover(&view, frame.len());
    let error = view.error.unwrap();
    assert_eq!((error.kind, error.offset), (ErrorKind::BadValue, 35));
    let damaged = view.spans.iter().find(|span| span.offset == 35).unwrap();
    assert_eq!(
        (damaged.name, damaged.value.as_str()),
        ("undecoded", "0700")
    );
    assert_eq!(names(&view).last(), Some(&"day"));
}

#[test]
fn view_of_a_sealed_frame_shows_ciphertext_or_plaintext_and_tag() {
    let plaintext = plaintext(&[0; 4]);
    let frame = [octets(SEALED), vec![0xEE; plaintext.len() + 8]].concat();
    let sealed = view(&frame, Direction::FromTerminal, None);
    check_cover(&sealed, frame.len());
    assert_eq!(names(&sealed)[6..], ["ciphertext", "tag"]);
    let open = view(&frame, Direction::FromTerminal, Some(&plaintext));
    check_cover(&open, frame.len());
    assert_eq!(
        names(&open)[6..],
        [
            "stamp quality",
            "stamp UTC seconds",
            "store epoch",
            "slots",
            "last command",
            "padding",
            "tag",
        ]
    );
    let wrong = view(&frame, Direction::FromTerminal, Some(&plaintext[1..]));
    assert_eq!(wrong, sealed);
}

#[test]
fn view_of_a_refused_header_shows_what_is_there() {
    let frame = octets("11 28 00 00010002540be400 000186a1 6b35");
    let view = view(&frame, Direction::FromTerminal, None);
    check_cover(&view, frame.len());
    assert_eq!(view.error.unwrap().kind, ErrorKind::Truncated);
    assert_eq!(names(&view).last(), Some(&"undecoded"));
    assert!(names(&view).contains(&"frame counter"));
}

#[test]
fn json_form_keeps_names_and_units_of_the_specification() {
    let frame = clear_frame(
        &[
            record(0x05, "026b36ecf8 00 8337 15 9fb84b 0441204243 01 02013032"),
            octets("72 01 05"),
        ]
        .concat(),
    );
    let header = Header::parse(&frame, Direction::FromTerminal).unwrap();
    let body = UplinkBody::decode(&frame[15..], 15, Mode::Clear).unwrap();
    let security = Security {
        mode: Some(Mode::Clear),
        verified: false,
    };
    let expected = json!({
        "ok": true, "protocol": "otl",
        "header": {
            "frame": "uplink", "version": 1, "mode": 0, "alarm": false, "answer": true,
            "key_version": 0, "identity": "00010002540be400", "counter": 100_001,
        },
        "security": { "mode": 0, "verified": false },
        "report": {
            "stamp": { "utc_s": 1_798_761_720, "uncertainty_s": 2 }, "epoch": 485_163_226,
            "wake_slot_version": 1, "frames_following": 0, "command": 0,
        },
        "records": [{
            "type": "alarm_notice", "sequence": 7,
            "stamp": { "utc_s": 1_798_761_720, "uncertainty_s": 2 },
            "meter": { "slot": 0, "generation": 0 }, "snapshot": false,
            "valve": "closed_by_meter", "flow_category": "7",
            "register": {
                "unit": { "code": 21, "quantity": "volume_m3", "exponent": -3 },
                "value": 1_235_999,
            },
            "panel": "A BC",
            "alarms": [{ "alarm": "use_time_shutoff", "state": "raised", "code": "3032" }],
        }],
        "session_items": [{ "item": "answer_refused", "number": 5 }],
        "padding": 0,
    });
    assert_eq!(json::uplink(&header, security, &body), expected);
}

// spec: ERR-3
#[test]
fn json_form_of_a_refusal_names_kind_and_offset() {
    let expected = json!({
        "ok": false, "protocol": "otl",
        "error": { "kind": "truncated", "offset": 17, "message": "too short" },
    });
    assert_eq!(json::refused("truncated", 17, "too short", None), expected);
}

proptest! {
    #[test]
    fn view_covers_any_octets_once(
        head in prop_oneof![Just(CLEAR), Just(SEALED), Just("19 20 000186a1 6b36ecf85eed0001"),
            Just("1a 20 6b36ecf85eed0001"), Just("12 28 02"), Just("1b 20 02"), Just("")],
        rest in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..160),
        plaintext in prop::option::of(prop::collection::vec(0..4_u8, 0..160)),
    ) {
        let frame = [octets(head), rest].concat();
        for from in [Direction::FromTerminal, Direction::FromServer] {
            let view = view(&frame, from, plaintext.as_deref());
            check_cover(&view, frame.len());
        }
    }
}
