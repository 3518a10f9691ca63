//! Outward records of telegrams, against what meters sent and gateways were told:
//! `protocol-spec/record-json.md`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use serde_json::{Value, json};
use simulator::custody::Custody;
use simulator::json::hex;
use simulator::mbus::meter::{Made, Meter};
use simulator::mbus::telegram::Mode;
use simulator::mbus::{MbusChecker, MbusCustody, MbusLedger, MbusPlan, MeterPlan, Told};
use simulator::random::Seeded;

const UTILITY: [u8; 8] = *b"gasworks";
const PLAN: MbusPlan = MbusPlan {
    seed: 3,
    meters: 8,
    utility: UTILITY,
};
/// 2026-11-28T08:00:00Z.
const AT: u32 = 1_795_852_800;
/// The place of the gateways on connections, and of the one on datagrams.
const ROOF: usize = 0;
const MAST: usize = 2;

/// A ledger that is filled happening by happening, and the lines of what was made.
struct World {
    ledger: MbusLedger,
    happenings: u64,
    lines: Vec<Value>,
}

impl World {
    fn new() -> Self {
        Self {
            ledger: MbusLedger::new(PLAN),
            happenings: 0,
            lines: Vec::new(),
        }
    }

    fn happens(&mut self) -> u64 {
        self.happenings += 1;
        self.happenings
    }

    /// A telegram that both kinds of gateways heard.
    fn make(&mut self, plan: &MeterPlan, meter: &mut Meter) -> usize {
        let at = self.happens();
        let made = meter.next(AT).unwrap();
        let number = self.ledger.made(plan, &made, at);
        let told = Told {
            heard_utc_s: Some(AT),
            rssi_dbm: Some(-87),
        };
        self.ledger.heard(number, ROOF, told);
        self.ledger.heard(number, MAST, Told::default());
        self.lines.push(line(plan, &made, number));
        number
    }

    fn tell(&mut self, number: usize) {
        let at = self.happens();
        self.ledger.told_safe(number, at);
    }

    fn check(&self, lines: &[Value]) -> MbusCustody {
        let mut checker = MbusChecker::new(&self.ledger);
        for line in lines {
            checker.line(line.to_string().as_bytes());
        }
        checker.finish()
    }

    fn custody(&self, lines: &[Value]) -> Custody {
        self.check(lines).custody
    }
}

fn meter_of(mode: Mode) -> (MeterPlan, Meter) {
    let plan = PLAN.meters().find(|one| one.mode == mode).unwrap();
    let key = PLAN.key(&plan).unwrap();
    (plan, Meter::new(plan, key, Seeded::new(7)))
}

/// The record of a telegram that the gateway on the roof brought.
fn line(plan: &MeterPlan, made: &Made, number: usize) -> Value {
    let (utility, meter) = (hex(&UTILITY), hex(&plan.address.link_order()));
    let is_alarm = made.status == 3;
    let records = made.reading.octets();
    let raw = simulator::mbus::telegram::opened(plan.mode, &records);
    let mut line = json!({
        "schema": "kenshin.record/1",
        // 2026-11-28T08:00:00.5Z, when it was heard.
        "id": format!("{utility}-{meter}-{:012x}-{number:016x}-0", 1_795_852_800_500_u64),
        "revision": 1, "utility": utility, "terminal": meter, "address": plan.address.json(),
        "lane": if is_alarm { "alarm" } else { "bulk" }, "kind": "meter_data",
        "gateway": "demo-roof", "carriage": "tcp", "custody": "acknowledged",
        "rssi_dbm": -87, "heard_at": "2026-11-28T08:00:00Z",
        "received_at": "2026-11-28T08:00:05Z",
        "measured_local": made.reading.measured_local(),
        "protocol": "mbus", "security_mode": plan.mode.code(),
        "access_number": made.access_number, "status": made.status, "flags": [],
        "value": made.reading.value(), "raw": hex(&raw), "position": 7, "decoder": 1,
        "verified": match plan.mode {
            Mode::Clear => "none",
            Mode::Cbc => "check_bytes",
            Mode::CbcDerived | Mode::CcmDerived => "mac",
        },
    });
    if let Some(counter) = made.counter {
        line["counter"] = counter.into();
    }
    if plan.mode == Mode::Clear {
        line["quality"] = json!("unauthenticated");
    }
    line
}

/// Three telegrams of each mode, all told safe.
fn told() -> World {
    let mut world = World::new();
    for mode in Mode::ALL {
        let (plan, mut meter) = meter_of(mode);
        for _ in 0..3 {
            let number = world.make(&plan, &mut meter);
            world.tell(number);
        }
    }
    world
}

#[test]
fn a_complete_sink_is_clean() {
    let world = told();
    let custody = world.custody(&world.lines);
    assert!(custody.is_clean(), "{custody:?}");
    let counts = (custody.created, custody.told_safe, custody.delivered);
    assert_eq!(counts, (12, 12, 12));
}

#[test]
fn a_telegram_that_was_told_ok_and_is_missing_is_lost() {
    let world = told();
    let custody = world.custody(&world.lines[1..]);
    assert_eq!((custody.lost, custody.delivered), (1, 11));
    assert!(custody.problems[0].contains("lost: access number "));
}

#[test]
fn a_telegram_that_went_by_datagrams_alone_may_be_there_or_not() {
    let mut world = told();
    let (plan, mut meter) = meter_of(Mode::CbcDerived);
    let mut meter_later = std::iter::repeat_with(|| meter.next(AT).unwrap()).skip(3);
    let made = meter_later.next().unwrap();
    let at = world.happens();
    let number = world.ledger.made(&plan, &made, at);
    world.ledger.heard(number, MAST, Told::default());
    assert!(world.custody(&world.lines).is_clean());
    let mut by_datagram = line(&plan, &made, number);
    by_datagram["gateway"] = json!("demo-mast");
    by_datagram["carriage"] = json!("udp");
    by_datagram["custody"] = json!("received");
    for name in ["rssi_dbm", "heard_at"] {
        by_datagram.as_object_mut().unwrap().shift_remove(name);
    }
    // Without a time of its gateway it was heard when it was received, five seconds later.
    let id = by_datagram["id"].as_str().unwrap();
    by_datagram["id"] = json!(id.replace("01a2212b11f4", "01a2212b257c"));
    let mut lines = world.lines.clone();
    lines.push(by_datagram.clone());
    let found = world.check(&lines);
    assert!(found.custody.is_clean(), "{found:?}");
    assert_eq!((found.custody.told_safe, found.custody.delivered), (12, 13));
    assert_eq!(found.by_datagram, 1);
    // Twice or altered it may not be there.
    let mut twice = by_datagram.clone();
    twice["id"] = other_id(&by_datagram);
    lines.push(twice);
    assert_eq!(world.custody(&lines).duplicated, 1);
    by_datagram["value"]["records"][0]["value"] = json!("1");
    assert_eq!(world.custody(&[by_datagram]).altered, 1);
}

/// The same id with another digest.
fn other_id(line: &Value) -> Value {
    let id = line["id"].as_str().unwrap();
    let (rest, _) = id.rsplit_once('-').unwrap();
    let (rest, _) = rest.rsplit_once('-').unwrap();
    json!(format!("{rest}-ffffffffffffffff-0"))
}

#[test]
fn one_telegram_under_two_ids_is_duplicated_and_under_one_id_twice_it_is_redelivered() {
    let world = told();
    for (place, line) in world.lines.iter().enumerate() {
        let mut lines = world.lines.clone();
        lines.push(line.clone());
        let custody = world.custody(&lines);
        assert!(custody.is_clean());
        assert_eq!(custody.redelivered, 1, "{place}");
        lines[12]["id"] = other_id(line);
        let custody = world.custody(&lines);
        assert_eq!((custody.duplicated, custody.redelivered), (1, 0));
        assert!(!custody.is_clean());
    }
}

#[test]
fn a_telegram_that_no_meter_sent_is_a_phantom() {
    let world = told();
    let mut other_number = world.lines[0].clone();
    let number = other_number["access_number"].as_u64().unwrap();
    other_number["access_number"] = json!((number + 100) % 256);
    let mut no_number = world.lines[0].clone();
    no_number["access_number"] = Value::Null;
    let mut other_meter = world.lines[0].clone();
    other_meter["terminal"] = json!("af11000000990103");
    for phantom in [other_number, no_number, other_meter] {
        let mut lines = world.lines.clone();
        lines.push(phantom);
        let custody = world.custody(&lines);
        assert_eq!((custody.phantom, custody.lost), (1, 0), "{custody:?}");
        assert!(!custody.is_clean());
    }
}

#[test]
fn a_field_that_says_anything_else_than_meter_and_gateway_did_is_altered() {
    let world = told();
    let changes = [
        ("/schema", json!("kenshin.record/2")),
        ("/id", json!("0-0-0-0-0")),
        ("/utility", json!(hex(b"citygas2"))),
        ("/address/id", json!("00000000")),
        ("/address/version", json!(2)),
        ("/kind", json!("opaque")),
        ("/gateway", json!("demo-hill")),
        ("/gateway", json!("demo-mast")),
        ("/carriage", json!("udp")),
        ("/custody", json!("received")),
        ("/rssi_dbm", json!(-86)),
        ("/heard_at", json!("2026-11-28T08:00:01Z")),
        ("/heard_at", Value::Null),
        ("/received_at", json!("2026-11-28T07:58:59Z")),
        ("/received_at", json!("yesterday")),
        ("/measured_local", json!("2026-11-28T09:00")),
        ("/measured_local", Value::Null),
        ("/security_mode", json!(13)),
        ("/verified", json!("nothing")),
        ("/status", json!(16)),
        ("/flags", json!(["clear_tail"])),
        ("/value/records/0/value", json!("0.5")),
        ("/value/records/0/value", json!(1)),
        ("/value/records/0/unit", json!("kg")),
        ("/value/records/0/storage", json!(1)),
        ("/value/records/0/at", json!("2026-11-28")),
        ("/value/records/1/value", json!("2026-11-28T07:59")),
        ("/value/records/3", Value::Null),
        ("/value/opaque", json!([{}])),
        ("/raw", json!("7a")),
    ];
    for line in &world.lines {
        for (place, value) in &changes {
            let mut altered = line.clone();
            *altered.pointer_mut(place).unwrap() = value.clone();
            assert_ne!(altered, *line, "{place}");
            assert_eq!(world.custody(&[altered]).altered, 1, "{place} {line}");
        }
        for (name, value) in [
            ("counter", json!(1)),
            ("quality", json!("good")),
            ("epoch", json!(1)),
            ("measured_at", json!("2026-11-28T08:00:00Z")),
        ] {
            let mut altered = line.clone();
            altered[name] = value;
            assert_eq!(world.custody(&[altered]).altered, 1, "{name} {line}");
        }
    }
}

#[test]
fn a_line_that_is_no_record_of_a_telegram_is_unreadable() {
    let world = told();
    let mut checker = MbusChecker::new(&world.ledger);
    for line in ["", "{}", "[1]", "{\"protocol\":\"mbus\"}"] {
        checker.line(line.as_bytes());
    }
    assert_eq!(checker.finish().custody.unreadable, 4);
}

#[test]
fn a_telegram_in_the_other_lane_is_misplaced() {
    let world = told();
    let mut lines = world.lines.clone();
    let other = if lines[0]["lane"] == "bulk" {
        "alarm"
    } else {
        "bulk"
    };
    lines[0]["lane"] = json!(other);
    assert_eq!(world.custody(&lines).misplaced, 1);
}

#[test]
fn a_telegram_that_was_told_ok_before_another_was_sent_comes_before_it() {
    let mut world = World::new();
    let (plan, mut meter) = meter_of(Mode::Cbc);
    let first = world.make(&plan, &mut meter);
    world.tell(first);
    let second = world.make(&plan, &mut meter);
    let third = world.make(&plan, &mut meter);
    world.tell(third);
    world.tell(second);
    let order = |places: [usize; 3]| {
        let lines = places.map(|place| world.lines[place].clone());
        world.custody(&lines).disordered
    };
    assert_eq!(order([0, 1, 2]), 0);
    assert_eq!(order([0, 2, 1]), 0, "both were on their way at once");
    assert_eq!(order([1, 0, 2]), 1);
}
