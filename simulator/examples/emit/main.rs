//! Prints uplinks of many shapes as JSON lines, sealed under the keys of a key file, each with the
//! value that a decoder must find in it.
//!
//! `emit --keys protocol-spec/vectors/keys.toml --seed 1 --count 1000`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test tool stops at the first surprise"
)]

mod keys;
mod shapes;

use std::io::Write;

use keys::Entry;
use serde_json::{Value, json};
use shapes::Shapes;
use simulator::codec::frame::{MAX_FRAME, ResyncHeader, UplinkHeader, resync, uplink};
use simulator::codec::record::Record;
use simulator::codec::report::Report;
use simulator::codec::wire::Writer;
use simulator::json::{self, Names, hex};
use simulator::keys::{Direction, Mode, Purpose, traffic_key};
use simulator::random::Seeded;

fn main() -> std::io::Result<()> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut path = format!("{root}/../protocol-spec/vectors/keys.toml");
    let (mut seed, mut count) = (1_u64, 100_u64);
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().expect("every option has a value");
        match name.as_str() {
            "--keys" => path = value,
            "--seed" => seed = value.parse().expect("a number"),
            "--count" => count = value.parse().expect("a number"),
            other => panic!("unknown option {other}"),
        }
    }
    let terminals = keys::load(&std::fs::read_to_string(path)?);
    let usable: Vec<&Entry> = terminals.iter().filter(|t| t.usable()).collect();
    let usable: Vec<&Entry> = usable
        .into_iter()
        .filter(|t| t.mode != Mode::Clear || t.allow_mode0)
        .collect();
    let names = Names::load().expect("the registries are as they were built in");
    let mut shapes = Shapes(Seeded::new(seed));
    let mut out = std::io::stdout().lock();
    for index in 0..count {
        let of = usable[usize::try_from(index).unwrap() % usable.len()];
        let (frame, json) = if of.mode != Mode::Clear && shapes.one_in(20) {
            make_resync(of, &mut shapes, names)
        } else {
            make_uplink(of, &mut shapes, names)
        };
        writeln!(
            out,
            "{}",
            json!({"hex": hex(&frame), "uplink": null, "json": json})
        )?;
    }
    Ok(())
}

fn make_report(shapes: &mut Shapes) -> Report {
    let command = if shapes.one_in(2) {
        None
    } else {
        Some((shapes.u32(), shapes.small(12)))
    };
    Report {
        stamp: shapes.stamp(),
        epoch: shapes.u32().max(1),
        slot_version: shapes.small(16),
        following: shapes.small(16),
        command: command.filter(|c| c.0 != 0),
    }
}

fn make_resync(of: &Entry, shapes: &mut Shapes, names: &Names) -> (Vec<u8>, Value) {
    let base = of.active(Purpose::Link);
    let report = make_report(shapes);
    let reason = 1 + shapes.small(3);
    let nr = shapes.octets();
    let key = traffic_key(&base, &of.owner, of.mode, Direction::Resync, &nr).unwrap();
    let header = ResyncHeader {
        mode: of.mode,
        key_version: base.version,
        identity: of.owner.identity,
        nr,
    };
    let frame = resync(&header, &report, reason, &key).unwrap();
    let mut shown = json::report(&report, names);
    shown["resync_reason"] = reason.into();
    let value = json!({
        "ok": true, "protocol": "otl",
        "header": {"frame": "resync", "version": 1, "mode": of.mode.code(),
            "key_version": base.version, "identity": hex(&of.owner.identity.0), "nr": hex(&nr)},
        "security": {"mode": of.mode.code(), "verified": true},
        "report": shown, "records": [],
    });
    (frame, value)
}

/// The item of a record.
fn item(record: &Record, sequence: u32) -> Vec<u8> {
    let mut body = Writer::new();
    body.varint(u64::from(sequence));
    body.bytes(&record.body_before_mac().unwrap());
    if let Some(proof) = record.proof() {
        body.bytes(&proof.mac);
    }
    let mut w = Writer::new();
    w.item(record.number(), &body.into_vec()).unwrap();
    w.into_vec()
}

struct Content {
    plaintext: Vec<u8>,
    alarm: bool,
    report: Value,
    records: Vec<Value>,
    session: Vec<Value>,
}

fn make_content(room: usize, shapes: &mut Shapes, names: &Names) -> Content {
    let report = make_report(shapes);
    let mut w = Writer::new();
    report.encode(&mut w).unwrap();
    let mut records = Vec::new();
    let mut alarm = false;
    let mut sequence = shapes.u32() >> shapes.small(32);
    for _ in 0..shapes.below(6) {
        let record = shapes.record();
        sequence = sequence.saturating_add(1);
        let octets = item(&record, sequence);
        if octets.len() > 1_100 || w.len() + octets.len() + 9 > room {
            continue;
        }
        w.bytes(&octets);
        alarm |= matches!(record, Record::AlarmNotice(_));
        records.push(json::record(&record, sequence, names));
    }
    let mut session = Vec::new();
    if shapes.one_in(8) {
        let epoch = shapes.u32().max(1);
        w.item(0x70, &epoch.to_be_bytes()).unwrap();
        session.push(json!({"item": "previous_epoch", "epoch": epoch}));
    }
    if shapes.one_in(8) {
        let number = 1 + shapes.small(126);
        w.item(0x72, &[number]).unwrap();
        session.push(json!({"item": "answer_refused", "number": number}));
    }
    let report = json::report(&report, names);
    Content {
        plaintext: w.into_vec(),
        alarm,
        report,
        records,
        session,
    }
}

fn make_uplink(of: &Entry, shapes: &mut Shapes, names: &Names) -> (Vec<u8>, Value) {
    let base = of.active(Purpose::Link);
    let (mode, code) = (of.mode, of.mode.code());
    let fixed = mode.uplink_header_octets() + mode.tag_octets();
    let content = make_content(MAX_FRAME - fixed, shapes, names);
    let header = UplinkHeader {
        mode,
        alarm: content.alarm,
        answer: !shapes.one_in(4),
        key_version: if mode == Mode::Clear { 0 } else { base.version },
        identity: of.owner.identity,
        counter: (shapes.u32() >> shapes.small(32)).clamp(1, 0xFFFF_0000),
        ticket: if shapes.one_in(4) {
            [0; 8]
        } else {
            shapes.octets()
        },
        nt: shapes.octets(),
    };
    let nonces = header.key_nonces();
    let key = if mode == Mode::Clear {
        None
    } else {
        Some(traffic_key(&base, &of.owner, mode, Direction::Uplink, &nonces).unwrap())
    };
    let routine = 128 + 64 * usize::from(shapes.small(3));
    let octets = content.plaintext.len();
    let frame = uplink(&header, content.plaintext, routine, key.as_ref()).unwrap();
    let mut shown = json!({
        "frame": "uplink", "version": 1, "mode": code, "alarm": header.alarm,
        "answer": header.answer, "key_version": header.key_version,
        "identity": hex(&of.owner.identity.0), "counter": header.counter,
    });
    if mode != Mode::Clear {
        shown["ticket"] = hex(&header.ticket).into();
    }
    if mode.has_session_key() {
        shown["nt"] = hex(&header.nt).into();
    }
    let mut value = json!({
        "ok": true, "protocol": "otl", "header": shown,
        "security": {"mode": code, "verified": mode != Mode::Clear},
        "report": content.report, "records": content.records,
    });
    if !content.session.is_empty() {
        value["session_items"] = content.session.into();
    }
    value["padding"] = (frame.len() - fixed - octets).into();
    (frame, value)
}
