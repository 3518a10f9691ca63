//! Values of outward records, against what their terminals made: `protocol-spec/record-json.md`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::sync::Arc;

use serde_json::{Value, json};
use simulator::codec::record::{
    Alarm, AlarmNotice, CommandResult, Health, MeterRef, Proof, Record, Register, Unit,
};
use simulator::codec::report::Stamp;
use simulator::custody::{Checker, Content, Custody, Ledger, RecordId, TerminalLedger};
use simulator::household::{Household, Profile};
use simulator::json::{Names, hex};

const UTILITY: [u8; 8] = *b"gasworks";
const IDENTITY: [u8; 8] = [0, 7, 0, 0, 0, 0, 0, 1];
/// The first of January 2027 in Japan.
const AT: Stamp = Stamp::Set {
    utc_s: 1_798_729_200,
    uncertainty: 0,
};
const METER: MeterRef = MeterRef {
    slot: 1,
    generation: 2,
};

/// The record 1 of epoch 5 that one terminal made and was told safe, and its line with this value.
fn told(record: Record, value: &Value) -> (Ledger, Value) {
    let id = RecordId {
        epoch: 5,
        sequence: 1,
    };
    let (number, lane) = match record.number() {
        5 => (5, "alarm"),
        number => (number, "bulk"),
    };
    let mut terminal = TerminalLedger::new(UTILITY, IDENTITY, 36);
    let content = Content {
        number,
        body: [0xAB].as_slice().into(),
        record: Some(Arc::new(record)),
    };
    terminal.created(id, content);
    terminal.told_safe(id);
    let ledger = Ledger {
        terminals: vec![terminal],
    };
    let mut line = json!({
        "schema": "kenshin.record/1",
        "id": format!("{}-{}-00000005-1-0", hex(&UTILITY), hex(&IDENTITY)),
        "utility": hex(&UTILITY), "terminal": hex(&IDENTITY), "epoch": 5, "sequence": 1,
        "kind": value["type"], "protocol": "otl/1",
        "revision": 1, "lane": lane, "raw": hex(&[number, 0xAB]), "flags": [],
        "measured_at": "2026-12-31T15:00:00Z", "received_at": "2026-12-31T15:00:05Z",
        "value": value,
    });
    if let Some(meter) = value.get("meter") {
        line["meter"] = meter.clone();
    }
    (ledger, line)
}

fn check(ledger: &Ledger, line: &Value) -> Custody {
    let mut checker = Checker::new(ledger).unwrap();
    checker.line(line.to_string().as_bytes());
    checker.finish()
}

fn health() -> (Ledger, Value) {
    let record = Record::Health {
        stamp: AT,
        health: Health {
            battery: 180,
            remaining: 255,
            rsrp: 90,
            snr: 10,
            temperature: -20,
            sends: 2,
            reset: 0,
        },
        sends_total: 7,
        uptime_s: 99,
    };
    let value = json!({
        "type": "health", "sequence": 1, "sends_total": 7, "uptime_s": 99,
        "stamp": {"utc_s": 1_798_729_200, "uncertainty_s": 0},
        "health": {"battery_mv": 3_600, "rsrp_dbm": -90, "snr_db": 10,
            "temperature_degc": -20, "sends": 2, "reset_cause": "power"},
    });
    told(record, &value)
}

fn alarm_notice() -> (Ledger, Value) {
    let record = Record::AlarmNotice(AlarmNotice {
        stamp: AT,
        meter: METER,
        snapshot: false,
        valve: 1,
        flow_category: 0x44,
        register: Some(Register {
            unit: Unit::LITRE,
            value: 123_456,
        }),
        panel: b"A1".to_vec(),
        alarms: vec![Alarm {
            alarm: 1,
            state: 1,
            code: *b"01",
        }],
    });
    let value = json!({
        "type": "alarm_notice", "sequence": 1,
        "stamp": {"utc_s": 1_798_729_200, "uncertainty_s": 0},
        "meter": {"slot": 1, "generation": 2}, "snapshot": false, "valve": "open",
        "flow_category": "D", "panel": "A1",
        "register": {"value": 123_456,
            "unit": {"code": 0x15, "quantity": "volume_m3", "exponent": -3}},
        "alarms": [{"alarm": "flow_excess_shutoff", "state": "raised", "code": "3031"}],
    });
    told(record, &value)
}

fn command_result() -> (Ledger, Value) {
    let record = Record::CommandResult(CommandResult {
        stamp: AT,
        command: 9,
        kind: 1,
        meter: METER,
        valve: 2,
        outcome: 1,
        data: vec![0xAB],
        proof: Some(Proof {
            key_version: 3,
            mac: [0x5A; 16],
        }),
    });
    let value = json!({
        "type": "command_result", "sequence": 1,
        "stamp": {"utc_s": 1_798_729_200, "uncertainty_s": 0},
        "command_key_version": 3, "command": 9, "kind": "valve_close",
        "meter": {"slot": 1, "generation": 2}, "valve": "closed_by_centre",
        "outcome": "done", "data": "ab", "mac": "5a".repeat(16),
    });
    told(record, &value)
}

#[test]
fn a_value_or_a_time_that_the_octets_do_not_say_is_altered() {
    let health_changes = [
        ("/value/sends_total", json!(8)),
        ("/value/sequence", json!(2)),
        ("/value/health/battery_mv", json!(3_601)),
        ("/value/health/rsrp_dbm", json!(90)),
        ("/value/health/reset_cause", json!("unknown")),
        ("/value/type", json!("everyday")),
        ("/value", Value::Null),
        ("/measured_at", json!("2026-12-31T15:00:01Z")),
        ("/measured_at", Value::Null),
        ("/received_at", json!("yesterday")),
    ];
    let alarm_changes = [
        ("/schema", json!("kenshin.record/2")),
        ("/utility", json!(hex(b"citygas2"))),
        ("/terminal", json!(hex(&[9; 8]))),
        ("/epoch", json!(6)),
        ("/sequence", json!(2)),
        ("/kind", json!("valve_state")),
        ("/meter/slot", json!(0)),
        ("/meter", Value::Null),
        ("/protocol", json!("otl/2")),
        ("/value/alarms/0/alarm", json!("gas_alarm_activated")),
        ("/value/alarms/0/alarm", json!("unknown_1")),
        ("/value/alarms/0/state", json!("cleared")),
        ("/value/valve", json!("closed_by_meter")),
        ("/value/flow_category", json!("E")),
        ("/value/register/unit/quantity", json!("mass_kg")),
        ("/value/register/unit/exponent", json!(3)),
        ("/value/panel", json!("")),
    ];
    let result_changes = [
        ("/value/valve", json!("open")),
        ("/value/kind", json!("valve_open")),
        ("/value/outcome", json!("refused")),
        ("/value/mac", json!("5b".repeat(16))),
    ];
    for ((ledger, good), changes) in [
        (health(), health_changes.as_slice()),
        (alarm_notice(), &alarm_changes),
        (command_result(), &result_changes),
    ] {
        let custody = check(&ledger, &good);
        assert!(custody.is_clean(), "{custody:?}");
        for (place, value) in changes {
            let mut line = good.clone();
            *line.pointer_mut(place).unwrap() = value.clone();
            assert_ne!(line, good, "{place}");
            let custody = check(&ledger, &line);
            assert_eq!((custody.altered, custody.lost), (1, 1), "{place}");
        }
    }
}

#[test]
fn a_day_that_ended_in_another_zone_than_its_terminals_is_altered() {
    let day = Household::new(7, Profile::Quiet).day(20_000);
    let record = Record::Everyday(day);
    let value = simulator::json::record(&record, 1, Names::load().unwrap());
    let (ledger, mut line) = told(record, &value);
    for (ended, flags, altered) in [
        ("2024-10-04T15:00:00Z", json!([]), 0),
        ("2024-10-04T15:00:00Z", json!(["zone_assumed"]), 0),
        ("2024-10-05T00:00:00Z", json!([]), 1),
        ("2024-10-04T14:45:00Z", json!(["zone_assumed"]), 1),
    ] {
        line["measured_at"] = json!(ended);
        line["flags"] = flags;
        assert_eq!(check(&ledger, &line).altered, altered, "{line}");
    }
}

/// The places of all objects in a value.
fn objects(value: &Value, place: &str, into: &mut Vec<String>) {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            into.push(place.to_owned());
            fields.iter().map(|(name, of)| (name.clone(), of)).collect()
        }
        Value::Array(items) => {
            let places = (0..items.len()).map(|at| at.to_string());
            places.zip(items).collect()
        }
        _ => Vec::new(),
    };
    for (name, part) in parts {
        objects(part, &format!("{place}/{name}"), into);
    }
}

#[test]
fn a_field_that_is_missing_or_one_too_many_is_altered() {
    for (ledger, good) in [health(), alarm_notice(), command_result()] {
        let mut places = Vec::new();
        objects(&good["value"], "/value", &mut places);
        for place in places {
            let fields = good.pointer(&place).and_then(Value::as_object).unwrap();
            for name in fields.keys().map(String::as_str).chain(["more"]) {
                let mut fields = fields.clone();
                if fields.shift_remove(name).is_none() {
                    fields.insert(name.to_owned(), 0.into());
                }
                let mut line = good.clone();
                *line.pointer_mut(&place).unwrap() = fields.into();
                let custody = check(&ledger, &line);
                assert_eq!((custody.altered, custody.lost), (1, 1), "{place}/{name}");
            }
        }
    }
}
