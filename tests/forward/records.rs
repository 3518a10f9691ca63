//! The outward form of records.

use kenshin::forward::lane::{Wanted, lines_of};
use kenshin::keyring::UtilityId;
use kenshin::model::record::SCHEMA;
use kenshin::model::telegram::{Carriage, LinkForm};
use kenshin::model::{Lanes, Lsn, RecordFlags, SessionStep, StepFlags, Telegram, Zone, records_of};
use kenshin::session::mbus::{Security, Verified};
use kenshin::store::log::FrameRef;
use kenshin::store::state::fold::KIND_TELEGRAM;
use kenshin::wire::mbus::address::Address;
use serde_json::Value;

use super::otl;
use super::world::{self, GAS, everyday, step, terminal};

fn outward(step: &SessionStep<'_>, lanes: Lanes) -> Vec<Value> {
    let mut lines = Vec::new();
    let position = Lsn::new(64);
    records_of(position, terminal(), step, lanes, Zone::JAPAN, |record| {
        record.write_json(&mut lines);
        lines.push(b'\n');
    })
    .unwrap();
    world::parse_lines(&lines)
}

fn all(step: &SessionStep<'_>) -> Vec<Value> {
    outward(step, Lanes::ALARM.with(Lanes::BULK))
}

/// What in `value` is not as `schema` says. Knows the words that the schema uses.
fn breaches(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let mut check = |holds: bool, word: &str| {
        if !holds {
            found.push(format!("{at}: {word}: {value}"));
        }
    };
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "type" => check(
                match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64() || value.is_i64(),
                    other => panic!("type {other}"),
                },
                word,
            ),
            "const" => check(value == rule, word),
            "enum" => check(rule.as_array().unwrap().contains(value), word),
            "minimum" => check(value.as_u64() >= rule.as_u64(), word),
            "maximum" => check(value.as_u64() <= rule.as_u64(), word),
            "required" => {
                for name in rule.as_array().unwrap() {
                    check(value.get(name.as_str().unwrap()).is_some(), word);
                }
            }
            "pattern" => check(matches_shape(rule.as_str().unwrap(), value), word),
            "properties"
            | "items"
            | "additionalProperties"
            | "$schema"
            | "$id"
            | "title"
            | "description"
            | "if"
            | "then"
            | "else" => {}
            other => panic!("the validator does not know {other}"),
        }
    }
    if let Some(condition) = schema.get("if") {
        let mut unlike = Vec::new();
        breaches(condition, value, at, &mut unlike);
        let branch = if unlike.is_empty() { "then" } else { "else" };
        breaches(&schema[branch], value, at, found);
    }
    for (name, rule) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            breaches(rule, value, &format!("{at}.{name}"), found);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        if schema.get("items").is_some() {
            breaches(&schema["items"], item, at, found);
        }
    }
}

/// The patterns of the schema, by hand.
fn matches_shape(pattern: &str, value: &Value) -> bool {
    let text = value.as_str().unwrap();
    let is_hex = |text: &str| text.bytes().all(|o| matches!(o, b'0'..=b'9' | b'a'..=b'f'));
    match pattern {
        "^[0-9A-F]{8}$" => text.len() == 8 && is_hex(&text.to_lowercase()),
        "^[0-9a-f]{16}$" => text.len() == 16 && is_hex(text),
        "^([0-9a-f]{2})+$" => !text.is_empty() && text.len().is_multiple_of(2) && is_hex(text),
        p if p.ends_with("Z$") => text.len() == 20 && text.parse::<jiff::Timestamp>().is_ok(),
        p if p.starts_with("^[0-9a-f]{16}-") => {
            let parts: Vec<&str> = text.split('-').collect();
            let lens: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            let is_step = lens[..3] == [16, 16, 8]
                && parts[3..].iter().all(|part| part.parse::<u32>().is_ok());
            let is_telegram = [[16, 16, 12, 8, 1], [16, 16, 12, 16, 1]]
                .iter()
                .any(|one| lens == *one)
                && parts[4] == "0";
            is_hex(&parts[..3].concat()) && (is_step || is_telegram && is_hex(parts[3]))
        }
        other => panic!("pattern {other}"),
    }
}

#[test]
fn every_record_of_the_vectors_keeps_its_decoded_form_and_fits_the_schema() {
    let schema = schema();
    let mut kinds = std::collections::BTreeSet::new();
    for vector in otl::vectors("otl/records") {
        let plaintext = otl::decoder()
            .decode(&vector.octets("hex"))
            .plaintext
            .unwrap();
        let expected: Value = serde_json::from_str(vector.text("json")).unwrap();
        let expected = expected["records"].as_array().unwrap();
        let lines = all(&step(GAS, &plaintext, RecordFlags::default()));
        assert_eq!(lines.len(), expected.len(), "{}", vector.title);
        // Alarm notices are not sorted before the others: order is that of the frame.
        for (line, expected) in lines.iter().zip(expected) {
            assert_eq!(
                line["value"].to_string(),
                expected.to_string(),
                "{}",
                vector.title
            );
            assert_eq!(line["schema"], SCHEMA);
            assert_eq!(line["kind"], expected["type"]);
            let mut found = Vec::new();
            breaches(&schema, line, "record", &mut found);
            assert!(found.is_empty(), "{}: {found:?}", vector.title);
            kinds.insert(line["kind"].as_str().unwrap().to_owned());
        }
    }
    assert!(kinds.len() >= 15, "{kinds:?}");
}

fn schema() -> Value {
    let text = include_str!("../../protocol-spec/schemas/record-1.schema.json");
    serde_json::from_str(text).unwrap()
}

fn telegram<'a>() -> Telegram<'a> {
    Telegram {
        decoder: 1,
        carriage: Carriage::Udp,
        link: LinkForm::WirelessA,
        utility: GAS,
        gateway: "roof",
        received_utc_ms: 1_795_852_800_250,
        heard_utc_ms: Some(1_795_852_799_000),
        rssi_dbm: Some(-87),
        security: Security {
            mode: 7,
            link_encrypted: false,
            clear_tail_octets: 0,
            withheld_octets: 0,
            cut_octets: 0,
            verified: Verified::Mac,
            key: None,
            counter: Some(7),
        },
        meter: Address::from_link_order([0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 0x03]),
        sender: None,
        access_number: Some(42),
        status: Some(0),
        ci: 0x7A,
        is_wired: false,
        header: &[],
        expanded: None,
        digest: 1 << 32,
        payload: &[0x0C, 0x14, 0x27, 0x04, 0x85, 0x02],
    }
}

#[test]
fn the_record_of_a_telegram_fits_the_schema_and_leaves_in_one_lane_for_its_utility() {
    let clear = Telegram {
        security: Security {
            verified: Verified::None,
            counter: None,
            ..telegram().security
        },
        heard_utc_ms: None,
        rssi_dbm: None,
        ci: 0x74,
        ..telegram()
    };
    for (telegram, lane) in [(telegram(), Lanes::BULK), (clear, Lanes::ALARM)] {
        let payload = telegram.encode().unwrap();
        let frame = FrameRef {
            lsn: Lsn::new(64),
            next: Lsn::new(256),
            kind: KIND_TELEGRAM,
            lanes: telegram.lane().into(),
            terminal: Some(telegram.terminal()),
            payload: &payload,
        };
        let lines = |lanes, utility| {
            let zone = Zone::JAPAN;
            let wanted = Wanted {
                lanes,
                utility,
                zone,
            };
            let mut out = Vec::new();
            let counts = lines_of(&frame, wanted, &mut out).unwrap();
            let lines = world::parse_lines(&out);
            assert_eq!(counts.total(), lines.len() as u64);
            lines
        };
        let both = Lanes::ALARM.with(Lanes::BULK);
        let [line] = lines(lane, Some(GAS)).try_into().unwrap();
        let mut found = Vec::new();
        breaches(&schema(), &line, "record", &mut found);
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(lines(both, None), [line]);
        let other = if lane == Lanes::BULK {
            Lanes::ALARM
        } else {
            Lanes::BULK
        };
        assert_eq!(lines(other, None), Vec::<Value>::new());
        let utility = UtilityId::new(*b"citygas2");
        assert_eq!(lines(both, Some(utility)), Vec::<Value>::new());
    }
}

#[test]
fn raw_octets_are_those_of_the_frame() {
    let plaintext = everyday();
    let lines = all(&step(GAS, &plaintext, RecordFlags::default()));
    let raw = otl::unhex(lines[0]["raw"].as_str().unwrap());
    // The sequence is 815, two octets, after type and length.
    let body = &raw[1..];
    assert!(plaintext.windows(body.len()).any(|window| window == body));
    assert_eq!(raw[0], 0x01);
}

#[test]
fn a_day_is_dated_by_its_end_in_an_assumed_zone_if_the_frame_tells_none() {
    let lines = all(&step(GAS, &everyday(), RecordFlags::default()));
    // Day 20,818 ends at 24:00 in Japan, nine hours before 2026-12-31T24:00Z.
    assert_eq!(lines[0]["value"]["day"], 20_818);
    assert_eq!(lines[0]["measured_at"], "2026-12-31T15:00:00Z");
    assert_eq!(lines[0]["flags"], serde_json::json!(["zone_assumed"]));
}

// spec: REC-8, REC-9
#[test]
fn repeats_and_contradictions_and_unreadable_frames_give_nothing() {
    let plaintext = everyday();
    for flag in [RecordFlags::REPEAT, RecordFlags::CONFLICT] {
        assert!(all(&step(GAS, &plaintext, flag)).is_empty());
    }
    let mut unreadable = step(GAS, &plaintext, RecordFlags::default());
    unreadable.flags = StepFlags::UNREADABLE;
    assert!(all(&unreadable).is_empty());
}

// spec: REC-12
#[test]
fn what_cannot_be_decoded_reaches_the_sink_with_its_octets_and_an_id_that_stays() {
    let mut plaintext = everyday();
    let raw = all(&step(GAS, &plaintext, RecordFlags::default()))[0]["raw"].clone();
    let raw = otl::unhex(raw.as_str().unwrap());
    let at = plaintext
        .windows(raw.len() - 1)
        .position(|w| *w == raw[1..])
        .unwrap();
    // The unit's class 0 is not registered.
    plaintext[at + 2] = 0x05;
    let damaged = step(GAS, &plaintext, RecordFlags::default());
    let lines = all(&damaged);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["kind"], "undecodable");
    assert_eq!(lines[0]["sequence"], 815);
    assert_eq!(lines[0]["value"]["reason"], "bad_value");
    assert_eq!(lines[0]["flags"], serde_json::json!(["undecodable"]));
    assert!(lines[0]["id"].as_str().unwrap().ends_with("-815-0"));
    // Ingest of a decoder that understood it would have noted it as a plain record.
    let mut later = damaged.clone();
    later.entries[0].flags = RecordFlags::default();
    assert_eq!(all(&later)[0]["id"], lines[0]["id"]);
}

#[test]
fn alarms_and_the_rest_go_their_own_lanes() {
    let plaintext = world::alarm();
    let alarm = step(GAS, &plaintext, RecordFlags::default());
    assert_eq!(outward(&alarm, Lanes::ALARM).len(), 1);
    assert_eq!(outward(&alarm, Lanes::ALARM)[0]["lane"], "alarm");
    assert!(outward(&alarm, Lanes::BULK).is_empty());
}

#[test]
#[ignore = "a measurement: run it alone, in a release build"]
fn how_long_a_routine_record_takes() {
    let plaintext = everyday();
    let step = step(GAS, &plaintext, RecordFlags::default())
        .encode()
        .unwrap();
    let clock = kenshin::time::SystemClock::new();
    let now_ms = || kenshin::time::Clock::monotonic_ms(&clock);
    let (rounds, mut out) = (200_000_u64, Vec::new());
    let begun = now_ms();
    for round in 0..rounds {
        out.clear();
        let step = SessionStep::decode(&step).unwrap();
        let lanes = Lanes::BULK;
        records_of(
            Lsn::new(round),
            terminal(),
            &step,
            lanes,
            Zone::JAPAN,
            |record| {
                record.write_json(&mut out);
            },
        )
        .unwrap();
    }
    let outward_ns = (now_ms() - begun) * 1_000_000 / rounds;
    let mode = kenshin::wire::otl::ident::Mode::CcmStatic;
    let body = kenshin::wire::otl::uplink::UplinkBody::decode(&plaintext, 0, mode).unwrap();
    let begun = now_ms();
    for _ in 0..rounds {
        let value = kenshin::wire::otl::json::record(&body.records[0]);
        std::hint::black_box(value.to_string());
    }
    let value_ns = (now_ms() - begun) * 1_000_000 / rounds;
    println!(
        "outward {outward_ns} ns, {} octets; a Value alone {value_ns} ns",
        out.len()
    );
}
