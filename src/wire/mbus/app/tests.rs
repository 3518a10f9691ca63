#![allow(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

use serde_json::Value as Json;

use super::*;
use crate::wire::mbus::address::Manufacturer;

const VECTORS: &str = include_str!("../../../../protocol-spec/vectors/mbus/records.json");

fn vectors() -> Vec<Json> {
    serde_json::from_str(VECTORS).unwrap()
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
        .collect()
}

fn payload(vector: &Json) -> Vec<u8> {
    octets(vector["payload"].as_str().unwrap())
}

fn shown(ci: u8, is_wired: bool, payload: &[u8]) -> Json {
    let body = Body::read(ci, is_wired, payload).unwrap();
    let mut out = String::from("{");
    json::write_body(&mut out, ci, &body);
    out.push('}');
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

/// Every field that the vector names is in the record.
fn assert_records(name: &str, ours: &Json, want: &Json) {
    let (ours, want) = (ours.as_array().unwrap(), want.as_array().unwrap());
    assert_eq!(ours.len(), want.len(), "{name}: {ours:#?}");
    for (mine, fields) in ours.iter().zip(want) {
        for (key, value) in fields.as_object().unwrap() {
            assert_eq!(&mine[key], value, "{name}: {key} of {mine}");
        }
    }
}

#[test]
fn the_published_vectors_give_their_values() {
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let ci = u8::try_from(vector["ci"].as_u64().unwrap()).unwrap();
        let payload = payload(&vector);
        let ours = shown(ci, vector["wired"] == true, &payload);
        assert_records(name, &ours["records"], &vector["records"]);
        assert!(ours["faults"].is_null(), "{name}: {ours}");
    }
}

#[test]
fn owned_records_say_what_the_json_form_says() {
    for vector in vectors() {
        let payload = payload(&vector);
        let records = Records::new(&payload, Direction::Uplink);
        if vector["ci"] == 0x73 {
            continue;
        }
        let decoded = decode_records(records);
        let mut out = String::from("[");
        json::write_records(&mut out, records);
        out.push(']');
        let written: Vec<Json> = serde_json::from_str(&out).unwrap();
        assert_eq!(decoded.records.len(), written.len());
        for (record, json) in decoded.records.iter().zip(&written) {
            assert_eq!(json["quantity"], record.quantity.id());
            assert_eq!(json["storage"], record.storage);
            assert_eq!(
                json["at"].as_str().map(str::to_owned),
                record.at.map(|at| at.to_string())
            );
            let invalid = record.invalid.map(Invalid::id);
            assert_eq!(json["invalid"].as_str(), invalid, "{json}");
            if record.unit_text.is_empty() {
                assert_eq!(json["unit"], record.unit.to_string());
            }
            match &record.value {
                OwnedValue::Number(number) => assert_eq!(json["value"], number.to_string()),
                OwnedValue::DateTime(date) if !json["value"].is_null() => {
                    assert_eq!(json["value"], date.to_string());
                }
                _ => {}
            }
        }
    }
}

const KIND: DeviceKind = DeviceKind {
    manufacturer: Manufacturer::new(0x2C2D),
    version: 0x1B,
    device_type: 0x16,
};

#[test]
fn compact_frames_become_full_once_their_format_is_learned() {
    let mut count = 0;
    for vector in vectors() {
        let Some(compact) = vector["compact"].as_str() else {
            continue;
        };
        count += 1;
        let (full, compact) = (payload(&vector), octets(compact));
        let Body::Compact(frame) = Body::read(0x79, false, &compact).unwrap() else {
            panic!("{vector}");
        };
        let mut catalog = FormatCatalog::default();
        assert_eq!(
            catalog.expand(KIND, &frame),
            Expanded::UnknownFormat(frame.signature)
        );
        let records = Records::new(&full, Direction::Uplink);
        assert_eq!(catalog.learn(KIND, records), Learned::New(frame.signature));
        assert_eq!(
            catalog.learn(KIND, records),
            Learned::Known(frame.signature)
        );
        let Expanded::Records(expanded) = catalog.expand(KIND, &frame) else {
            panic!("{vector}");
        };
        let want = match vector.get("compact_records") {
            Some(records) => records,
            None => &vector["records"],
        };
        assert_records("compact", &shown(0x78, false, &expanded)["records"], want);
        assert_eq!(full_frame_crc(&expanded), frame.full_frame_crc);
        let again = FormatCatalog::from_octets(&catalog.to_octets()).unwrap();
        assert_eq!(again, catalog);
        for at in 4..compact.len() {
            let mut wrong = compact.clone();
            wrong[at] ^= 1;
            let frame = CompactFrame::read(&wrong).unwrap();
            let refused = Expanded::Refused(ExpandError::FullFrameCrc);
            assert_eq!(catalog.expand(KIND, &frame), refused);
        }
    }
    assert_eq!(count, 2);
}

#[test]
fn padding_behind_the_part_of_the_maker_in_a_compact_frame_is_left_out() {
    let full = octets("0c13123456000faabbcc");
    let mut catalog = FormatCatalog::default();
    let learned = catalog.learn(KIND, Records::new(&full, Direction::Uplink));
    assert_eq!(learned, Learned::New(0xDC1E));
    let expand = |data: &str| {
        let frame = octets(&format!("1edc86b5{data}"));
        catalog.expand(KIND, &CompactFrame::read(&frame).unwrap())
    };
    let whole = "12345600aabbcc";
    for padding in 0..=15 {
        let padded = format!("{whole}{}", "2f".repeat(padding));
        assert_eq!(expand(&padded), Expanded::Records(full.clone()));
    }
    let refused = Expanded::Refused(ExpandError::FullFrameCrc);
    assert_eq!(expand(&format!("{whole}{}", "2f".repeat(16))), refused);
    assert_eq!(expand(&format!("{whole}2e2f")), refused);
    assert_eq!(expand("12345600aabb"), refused);
    // The part itself may end in fillers, and be without any octet.
    for full in ["0c13123456000faabb2f2f", "0c13123456001f", "0c132f3456000f"] {
        let full = octets(full);
        let mut catalog = FormatCatalog::default();
        catalog.learn(KIND, Records::new(&full, Direction::Uplink));
        let heads = [0x0C, 0x13, full[6]];
        let data: Vec<_> = [&full[2..6], &full[7..], &[0x2F; 3]].concat();
        let frame = CompactFrame {
            signature: crate::wire::mbus::crc::crc(&heads),
            full_frame_crc: full_frame_crc(&full),
            data: &data,
        };
        assert_eq!(catalog.expand(KIND, &frame), Expanded::Records(full));
    }
}

#[test]
fn a_format_frame_teaches_what_a_full_frame_teaches() {
    let vector = vectors()
        .into_iter()
        .find(|vector| vector["format"].is_string())
        .unwrap();
    let octets_of = |key: &str| octets(vector[key].as_str().unwrap());
    let (format, full) = (octets_of("format"), payload(&vector));
    let Body::Format(frame) = Body::read(0x69, false, &format).unwrap() else {
        panic!("no format frame");
    };
    assert_eq!(
        (frame.heads, frame.signature),
        (&*octets_of("heads"), 0x3B31)
    );
    let (mut a, mut b) = (FormatCatalog::default(), FormatCatalog::default());
    assert_eq!(a.learn_format(KIND, &frame), Learned::New(0x3B31));
    assert_eq!(
        b.learn(KIND, Records::new(&full, Direction::Uplink)),
        Learned::New(0x3B31)
    );
    assert_eq!(a, b);
    for at in 0..format.len() {
        let mut wrong = format.clone();
        wrong[at] ^= 1;
        assert!(FormatFrame::read(&wrong).is_err(), "octet {at}");
        assert!(FormatFrame::read(&format[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn one_bad_record_does_not_lose_the_others() {
    let long = "8b8b8b8b8b8b8b8b8b8b8b6004371802";
    let many = octets(&format!("0313153100{long}02fd170000"));
    let items: Vec<_> = Records::new(&many, Direction::Uplink).collect();
    assert_eq!(items.len(), 3);
    let fault = items[1].as_ref().unwrap_err();
    assert_eq!(fault.reason, FaultReason::TooManyDife);
    assert_eq!(
        (fault.offset, fault.len, fault.ends_walk),
        (5, long.len() / 2, false)
    );
    let Ok(Item::Record(last)) = &items[2] else {
        panic!("{:?}", items[2]);
    };
    assert_eq!(last.meaning().quantity, Quantity::ErrorFlags);

    // VIF 84h with so many VIFE, the last one 04h.
    let vifes = |count: usize| octets(&format!("8b6084{}04371802013a2a", "84".repeat(count - 1)));
    let reasons = |octets: &[u8]| -> Vec<FaultReason> {
        Records::new(octets, Direction::Uplink)
            .filter_map(|item| item.err().map(|fault| fault.reason))
            .collect()
    };
    assert_eq!(reasons(&vifes(10)), []);
    assert_eq!(reasons(&vifes(11)), [FaultReason::TooManyVife]);
    assert_eq!(reasons(&octets("3f")), [FaultReason::ReservedDif]);
    assert_eq!(reasons(&octets("0d13f7")), [FaultReason::ReservedLength]);
    assert_eq!(reasons(&octets("0d13")), [FaultReason::TruncatedData]);
    assert_eq!(reasons(&octets("04")), [FaultReason::TruncatedVif]);
    assert_eq!(reasons(&octets("84")), [FaultReason::TruncatedDif]);
    assert_eq!(reasons(&octets("2f2f2f")), []);
}

#[test]
fn what_is_the_makers_is_kept_whole() {
    let ours = shown(0x72, true, &octets("02fd1700000f0102032f"));
    assert_eq!(ours["opaque"][0]["hex"], "0102032f");
    assert_eq!(ours["opaque"][0]["kind"], "manufacturer");
    let ours = shown(0x72, true, &octets("02fd1700001f"));
    assert_eq!(ours["opaque"][0]["more_follows"], true);
    let ours = shown(0xA2, false, &octets("9f2559"));
    assert_eq!(
        ours["opaque"][0],
        serde_json::json!({"kind":"manufacturer","ci":162,"hex":"9f2559"})
    );
}

#[test]
fn ci_fields_say_what_the_payload_is() {
    let kind = |ci: u8| match Body::read(ci, false, &[1, 0x13, 7, 0]) {
        Ok(Body::Records { kind, .. }) => kind.id(),
        Ok(Body::Compact(_)) => "compact",
        Ok(Body::Error(_)) => "error",
        Ok(Body::NoData) => "none",
        Ok(Body::Opaque { kind, .. }) => kind.id(),
        Ok(_) => "other",
        Err(error) => error.kind.id(),
    };
    assert_eq!(kind(0x7A), "response");
    assert_eq!(kind(0x5B), "command");
    assert_eq!(kind(0x75), "alarm");
    assert_eq!(kind(0x73), "compact");
    assert_eq!(kind(0x6E), "error");
    // What has no data and comes with some keeps it.
    assert_eq!(kind(0x8B), "unknown");
    assert!(matches!(Body::read(0x8B, false, &[]), Ok(Body::NoData)));
    assert_eq!(kind(0x60), "dlms");
    assert_eq!(kind(0xC3), "security_transfer");
    assert_eq!(kind(0xCF), "adaptation_layer");
    assert_eq!(kind(0x90), "unsupported_ci");
    assert_eq!(kind(0xD0), "unknown");
    assert_eq!(kind(0x76), "unknown");
    assert!(matches!(
        Body::read(0x76, true, &[]),
        Ok(Body::Records { .. })
    ));
}

#[test]
fn the_highest_octet_comes_first_in_mode_2() {
    let body = octets("046d151f3732021316 2e".replace(' ', "").as_str());
    let ours = shown(0x76, true, &body);
    assert_eq!(ours["records"][0]["value"], "2008-05-31T23:50");
    assert_eq!(ours["records"][1]["value"], "5.678");
}

#[test]
fn commands_name_what_they_do() {
    let body = octets("0486000100000004860701000000");
    let ours = shown(0x5A, false, &body);
    assert_eq!(ours["records"][0]["modifiers"][0], "write");
    assert_eq!(ours["records"][1]["modifiers"][0], "clear");
}

#[test]
fn application_errors_have_their_names() {
    let name = |octets: &'static [u8]| ApplicationError::read(octets).name();
    assert_eq!(name(&[]), "unspecified");
    assert_eq!(name(&[8]), "application_busy");
    assert_eq!(name(&[0x22]), "inadequate_security");
    let ours = shown(0x70, true, &[]);
    let error = serde_json::json!({"code":null,"name":"unspecified"});
    assert_eq!(ours["application_error"], error);
}

/// Walks, decodes and writes whatever it is.
fn exercise(payload: &[u8]) {
    for (ci, is_wired) in [
        (0x7A, false),
        (0x76, true),
        (0x51, true),
        (0x79, false),
        (0x73, true),
    ] {
        let Ok(body) = Body::read(ci, is_wired, payload) else {
            continue;
        };
        let mut out = String::from("{");
        let rest = json::write_body(&mut out, ci, &body);
        out.push('}');
        assert!(serde_json::from_str::<Json>(&out).is_ok(), "{out}");
        assert!(rest.faults.len() <= payload.len());
        // A record takes two octets at least, a point one; each is some hundred characters.
        assert!(
            out.len() <= 600 * (payload.len() + 2),
            "{} of {}",
            out.len(),
            payload.len()
        );
        if let Body::Records { records, .. } = body {
            let mut end = 0;
            for item in records {
                let offset = match item {
                    Ok(Item::Record(record)) => record.offset,
                    Ok(Item::Manufacturer { offset, .. } | Item::GlobalReadout { offset }) => {
                        offset
                    }
                    Err(fault) => fault.offset,
                };
                assert!(offset >= end && offset < payload.len());
                end = offset + 1;
            }
            let decoded = decode_records(records);
            assert!(decoded.records.len() <= payload.len());
            assert!(heads_of(records).is_none_or(|heads| heads.len() <= payload.len()));
        }
    }
}

#[test]
fn no_truncation_and_no_changed_octet_panics() {
    for vector in vectors() {
        let payload = payload(&vector);
        for len in 0..payload.len() {
            exercise(&payload[..len]);
        }
        for at in 0..payload.len() {
            for value in [
                0x00, 0x0D, 0x0F, 0x1F, 0x2F, 0x7C, 0x7F, 0x80, 0xFC, 0xFD, 0xFF,
            ] {
                let mut changed = payload.clone();
                changed[at] = value;
                exercise(&changed);
            }
            for bit in 0..8 {
                let mut changed = payload.clone();
                changed[at] ^= 1 << bit;
                exercise(&changed);
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_octets_panic(payload in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
        exercise(&payload);
    }

    #[test]
    fn no_format_and_no_compact_frame_panics(
        heads in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        data in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
    ) {
        let frame = CompactFrame {
            signature: crate::wire::mbus::crc::crc(&heads),
            full_frame_crc: 0,
            data: &data,
        };
        if let Ok(full) = frame.expand(&heads) {
            proptest::prop_assert_eq!(crate::wire::mbus::crc::crc(&full), 0);
        }
        if let Ok(format) = FormatFrame::read(&heads) {
            proptest::prop_assert!(format.heads.len() < heads.len());
        }
        drop(FormatCatalog::from_octets(&heads));
    }
}

#[test]
fn a_digit_f_is_a_sign_of_a_number_and_a_digit_of_an_identification() {
    let shown = shown(
        0x78,
        false,
        &octets("0C78674523F10CFD10674523F10C13674523F1"),
    );
    let records = &shown["records"];
    for place in [0, 1] {
        assert_eq!(records[place]["value"], "F1234567");
        assert_eq!(records[place]["invalid"], "bcd_digits");
    }
    assert_eq!(records[2]["value"], "-1234.567");
}

/// When the last value of a telegram was valid.
fn last_date(telegram: &str) -> Json {
    let shown = shown(0x78, false, &octets(telegram));
    let last = shown["records"].as_array().unwrap().last().cloned();
    last.unwrap()["at"].clone()
}

const CLOCK: &str = "6D32371F15";
const VOLUME: &str = "1327048502";

#[test]
fn a_text_is_no_value_of_what_has_a_unit_and_one_of_what_has_none() {
    let records = shown(0x78, false, &octets("0D130568656C6C6F0DFD0B0568656C6C6F"));
    assert_eq!(records["records"][0]["value"], "68656c6c6f");
    assert_eq!(records["records"][0]["invalid"], "data_field");
    assert_eq!(records["records"][1]["value"], "olleh");
    assert_eq!(records["records"][1]["invalid"], Json::Null);
}

#[test]
fn a_date_of_another_tariff_or_subunit_dates_nothing_else() {
    // Of subunit 1, of tariff 1, of none.
    assert_eq!(last_date(&format!("8440{CLOCK}0C{VOLUME}")), Json::Null);
    assert_eq!(last_date(&format!("8410{CLOCK}0C{VOLUME}")), Json::Null);
    let told = Json::from("2008-05-31T23:50");
    assert_eq!(last_date(&format!("04{CLOCK}8C10{VOLUME}")), told);
    assert_eq!(last_date(&format!("8410{CLOCK}8C10{VOLUME}")), told);
}

#[test]
fn of_two_dates_that_differ_none_is_taken_and_one_that_is_said_twice_is_one() {
    let twice = format!("04{CLOCK}04{CLOCK}0C{VOLUME}");
    assert_eq!(last_date(&twice), Json::from("2008-05-31T23:50"));
    let differing = format!("04{CLOCK}046D33371F150C{VOLUME}");
    assert_eq!(last_date(&differing), Json::Null);
}

#[test]
fn a_value_with_two_divisors_is_unknown_and_kept() {
    let shown = shown(0x78, false, &octets("0494AC2E01000000"));
    let record = &shown["records"][0];
    assert_eq!(record["quantity"], "unknown");
    assert_eq!(record["raw"], "0494ac2e01000000");
}
