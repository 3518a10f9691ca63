//! The published vectors, against this implementation.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/from_json.rs"]
mod from_json;
#[path = "../examples/emit/keys.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the example")]
mod keys;

use keys::{Entry, unhex};
use serde_json::Value;
use simulator::codec::answer::{self, Downlink, split};
use simulator::codec::frame::{ResyncHeader, UplinkHeader, aead_nonce, ladder, resync, uplink};
use simulator::codec::wire::Writer;
use simulator::codec::{EncodeError, Refusal};
use simulator::crypto::{SecretKey, cmac, derive, open, seal, unwrap, wrap};
use simulator::json::{self, List, Names, hex};
use simulator::keys::{Direction, Identity, Mode, Purpose, command_key, traffic_key, wrap_key};

fn read(path: &str) -> String {
    let path = format!(
        "{}/../protocol-spec/vectors/{path}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

fn vectors(path: &str) -> Vec<toml::Value> {
    let file: toml::Value = toml::from_str(&read(path)).unwrap();
    file["vector"].as_array().unwrap().clone()
}

fn text<'a>(v: &'a toml::Value, name: &str) -> &'a str {
    v.get(name).and_then(|t| t.as_str()).unwrap_or_default()
}

fn terminals() -> Vec<Entry> {
    keys::load(&read("keys.toml"))
}

fn entry(all: &[Entry], identity: [u8; 8]) -> Option<&Entry> {
    all.iter().find(|t| t.owner.identity.0 == identity)
}

fn key(octets: &str) -> SecretKey {
    SecretKey::new(&unhex(octets)).unwrap()
}

// spec: KEY-1, KEY-2, KEY-3, KEY-4, KEY-6, ROT-1
#[test]
fn derivations_and_wraps_are_those_of_the_vectors() {
    for v in vectors("otl/kdf.toml") {
        let name = text(&v, "name");
        if v.get("label").is_none() {
            let (kek, new) = (key(text(&v, "wrap_key")), key(text(&v, "new_key")));
            assert_eq!(
                wrap(&kek, &new).unwrap(),
                unhex(text(&v, "wrapped")),
                "{name}"
            );
            assert_eq!(
                unwrap(&kek, &unhex(text(&v, "wrapped"))).unwrap(),
                new,
                "{name}"
            );
            continue;
        }
        let octets = usize::try_from(v["bits"].as_integer().unwrap()).unwrap() / 8;
        let label = text(&v, "label").as_bytes();
        let out = derive(
            &key(text(&v, "master")),
            label,
            &unhex(text(&v, "context")),
            octets,
        );
        assert_eq!(out.unwrap().expose(), unhex(text(&v, "output")), "{name}");
    }
}

#[test]
fn primitives_are_those_of_their_standards() {
    for v in vectors("crypto/cmac.toml") {
        let mac = cmac(&key(text(&v, "key")), &[&unhex(text(&v, "message"))]).unwrap();
        assert_eq!(
            mac.as_slice(),
            unhex(text(&v, "mac")),
            "{}",
            text(&v, "name")
        );
    }
    for v in vectors("crypto/key_wrap.toml") {
        let kek = key(text(&v, "kek"));
        let wrapped = wrap(&kek, &key(text(&v, "key"))).unwrap();
        assert_eq!(wrapped, unhex(text(&v, "wrapped")), "{}", text(&v, "name"));
    }
    for (file, mode) in [("ccm", Mode::CcmStatic), ("gcm", Mode::GcmSession)] {
        for v in vectors(&format!("crypto/{file}.toml")) {
            let Ok(nonce) = <[u8; 12]>::try_from(unhex(text(&v, "nonce"))) else {
                continue;
            };
            let cipher = mode.cipher().unwrap();
            let (key, aad) = (key(text(&v, "key")), unhex(text(&v, "aad")));
            let sealed = seal(cipher, &key, &nonce, &aad, &unhex(text(&v, "plaintext"))).unwrap();
            assert_eq!(
                sealed,
                unhex(text(&v, "ciphertext_and_tag")),
                "{}",
                text(&v, "name")
            );
        }
    }
}

// spec: SER-2, SER-3, SER-4, SER-5, SER-7, SER-8
#[test]
fn series_and_gauges_are_written_as_in_the_vectors() {
    for v in vectors("otl/series.toml") {
        let name = text(&v, "name");
        let value: Value = serde_json::from_str(text(&v, "value_json")).unwrap();
        let mut w = Writer::new();
        if text(&v, "kind") == "series" {
            let count = usize::try_from(v["count"].as_integer().unwrap()).unwrap();
            from_json::series(&value, count)
                .unwrap()
                .encode(&mut w)
                .unwrap();
        } else {
            from_json::gauges(&value).unwrap().encode(&mut w).unwrap();
        }
        assert_eq!(hex(&w.into_vec()), text(&v, "hex"), "{name}");
    }
}

fn plaintext(json: &Value, names: &Names) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    from_json::report(&json["report"], names).encode(&mut w)?;
    for r in json["records"].as_array().unwrap() {
        let record = from_json::record(r, names).unwrap();
        let mut body = Writer::new();
        body.varint(r["sequence"].as_u64().unwrap());
        if let simulator::codec::record::Record::Maker { body: raw, .. } = &record {
            body.bytes(raw);
        } else {
            body.bytes(&record.body_before_mac()?);
        }
        if let Some(proof) = record.proof() {
            body.bytes(&proof.mac);
        }
        let critical = u8::from(r["critical"] == true) << 7;
        w.item(record.number() | critical, &body.into_vec())?;
    }
    let none = Vec::new();
    for item in json["session_items"].as_array().unwrap_or(&none) {
        let of = |name: &str| u32::try_from(item[name].as_u64().unwrap()).unwrap();
        match item["item"].as_str().unwrap() {
            "previous_epoch" => w.item(0x70, &of("epoch").to_be_bytes())?,
            "answer_refused" => w.item(0x72, &[u8::try_from(of("number")).unwrap()])?,
            _ => {
                let critical = u8::from(item["critical"] == true) << 7;
                let number = u8::try_from(of("number")).unwrap();
                w.item(number | critical, &unhex(item["body"].as_str().unwrap()))?;
            }
        }
    }
    Ok(w.into_vec())
}

fn array<const N: usize>(v: &Value) -> [u8; N] {
    v.as_str().map_or([0; N], |t| unhex(t).try_into().unwrap())
}

fn rebuilt(json: &Value, len: usize, all: &[Entry], names: &Names) -> Option<Vec<u8>> {
    let h = &json["header"];
    let of = entry(all, array(&h["identity"]))?;
    let mode = Mode::from_code(u8::try_from(h["mode"].as_u64()?).ok()?)?;
    let key_version = u8::try_from(h["key_version"].as_u64()?).ok()?;
    let base = of.base(Purpose::Link, key_version);
    let report = from_json::report(json.get("report")?, names);
    if h["frame"] == "resync" {
        let nr = array(&h["nr"]);
        let head = ResyncHeader {
            mode,
            key_version,
            identity: of.owner.identity,
            nr,
        };
        let key = traffic_key(&base?, &of.owner, mode, Direction::Resync, &nr).ok()?;
        let reason = u8::try_from(json["report"]["resync_reason"].as_u64()?).ok()?;
        return Some(resync(&head, &report, reason, &key).unwrap());
    }
    let head = UplinkHeader {
        mode,
        alarm: h["alarm"] == true,
        answer: h["answer"] == true,
        key_version,
        identity: of.owner.identity,
        counter: u32::try_from(h["counter"].as_u64()?).ok()?,
        ticket: array(&h["ticket"]),
        nt: array(&h["nt"]),
    };
    let key = match base.filter(|_| mode != Mode::Clear) {
        Some(b) => {
            Some(traffic_key(&b, &of.owner, mode, Direction::Uplink, &head.key_nonces()).ok()?)
        }
        None => None,
    };
    if mode != Mode::Clear && ladder(len) != Some(len) {
        return None;
    }
    Some(uplink(&head, plaintext(json, names).unwrap(), len, key.as_ref()).unwrap())
}

// spec: GEN-1, GEN-3, FRM-8, FRM-9, FRM-13, FRM-14, FRM-18, NON-1, SEC-6, REC-1, EXT-2, EXT-7
#[test]
fn uplinks_and_resyncs_are_rebuilt_octet_by_octet() {
    let (all, names) = (terminals(), Names::load().unwrap());
    let mut rebuilt_count = 0;
    for file in ["uplink", "records", "resync", "commands", "rotation"] {
        for v in vectors(&format!("otl/{file}.toml")) {
            let json: Value = serde_json::from_str(text(&v, "json")).unwrap();
            let frame = &json["header"]["frame"];
            if *frame != "uplink" && *frame != "resync" {
                continue;
            }
            let expected = text(&v, "hex");
            if let Some(octets) = rebuilt(&json, expected.len() / 2, &all, names) {
                rebuilt_count += 1;
                assert_eq!(hex(&octets), expected, "{}", text(&v, "name"));
            }
        }
    }
    assert!(rebuilt_count > 100, "{rebuilt_count}");
}

/// Whether a record is of a type that a terminal makes.
fn is_made(record: &Value) -> bool {
    record["critical"] != true
        && record["number"]
            .as_u64()
            .is_none_or(|number| number >= 0x60)
}

#[test]
fn reports_and_records_have_the_form_of_the_vectors() {
    let names = Names::load().unwrap();
    let (mut reports, mut kinds) = (0, std::collections::BTreeMap::new());
    for file in ["uplink", "records", "resync", "commands", "rotation"] {
        for v in vectors(&format!("otl/{file}.toml")) {
            let (name, text) = (text(&v, "name"), text(&v, "json"));
            let mut json: Value = serde_json::from_str(text).unwrap();
            if let Some(expected) = json.get_mut("report") {
                expected
                    .as_object_mut()
                    .unwrap()
                    .shift_remove("resync_reason");
                let report = json::report(&from_json::report(expected, names), names);
                assert_eq!(report.to_string(), expected.to_string(), "{name}");
                reports += 1;
            }
            for expected in json["records"].as_array().into_iter().flatten() {
                if !is_made(expected) {
                    continue;
                }
                let sequence = u32::try_from(expected["sequence"].as_u64().unwrap()).unwrap();
                let record = from_json::record(expected, names).unwrap();
                let record = json::record(&record, sequence, names);
                // As text, so that the order of fields is compared too.
                assert_eq!(record.to_string(), expected.to_string(), "{name}");
                *kinds.entry(expected["type"].to_string()).or_insert(0) += 1;
            }
        }
    }
    assert!(reports > 100, "{reports}");
    assert_eq!(kinds.len(), 15, "{kinds:?}");
}

/// Opens an answer as the terminal does, from the frame that it answers.
fn opened(frame: &[u8], asked: &[u8], all: &[Entry]) -> Result<(Mode, Downlink, Vec<u8>), Refusal> {
    let (head, header, rest) = split(frame)?;
    let identity = asked.get(3..11).and_then(|i| i.try_into().ok());
    let of = identity
        .and_then(|i| entry(all, i))
        .ok_or(Refusal::UnknownTerminal)?;
    let (mode, direction, ns, counter) = match head {
        Downlink::Answer {
            mode,
            counter,
            ns: Some(ns),
        } => (mode, Direction::Answer, ns, counter),
        Downlink::Answer { mode, .. } => return Ok((mode, head, rest.to_vec())),
        Downlink::ResyncAnswer { mode, ns } => (mode, Direction::ResyncAnswer, ns, 0),
        _ => return Err(Refusal::NotOutstanding),
    };
    let resync = asked[0] == 0x12;
    let nonces = match (resync, mode.has_session_key()) {
        (true, _) => asked[11..27].to_vec(),
        (false, true) => [&asked[23..31], &asked[15..23]].concat(),
        (false, false) => Vec::new(),
    };
    let octets = if resync {
        27
    } else {
        mode.uplink_header_octets()
    };
    let base = of
        .base(Purpose::Link, asked[2])
        .ok_or(Refusal::UnknownKeyVersion)?;
    let key = traffic_key(&base, &of.owner, mode, direction, &nonces)
        .map_err(|_| Refusal::UnknownKeyVersion)?;
    let tag = &asked[asked.len() - mode.tag_octets()..];
    let aad = [header, &asked[..octets], tag].concat();
    let cipher = mode.cipher().ok_or(Refusal::ModeMismatch)?;
    let plain = open(cipher, &key, &aead_nonce(&ns, counter), &aad, rest)
        .map_err(|_| Refusal::TagMismatch)?;
    Ok((mode, head, plain))
}

fn items_json(items: &answer::Items, names: &Names) -> Vec<Value> {
    let mut out = Vec::new();
    if let Some(s) = items.come_back_s {
        out.push((1, serde_json::json!({"item":"come_back","seconds":s})));
    }
    if let Some(s) = items.slot {
        let slot = serde_json::json!({"item":"slot","version":s.version,"second_of_day":s.second});
        out.push((2, slot));
    }
    if let Some(f) = items.floor {
        out.push((3, serde_json::json!({"item":"floor","counter":f})));
    }
    for c in &items.commands {
        out.push((
            5,
            serde_json::json!({
            "item":"command","key_version":c.key_version,"sequence":c.sequence,
            "kind":names.id(List::Command, c.kind),
            "meter":{"slot":c.meter.slot,"generation":c.meter.generation},
            "bound":c.bound,"precondition":c.precondition,"not_after_utc_s":c.not_after,
            "parameters":hex(&c.parameters),"mac":hex(&c.mac)}),
        ));
    }
    for (number, body) in &items.skipped {
        out.push((
            *number,
            serde_json::json!({
            "item":"unknown","number":number,"critical":false,"body":hex(body)}),
        ));
    }
    out.sort_by_key(|(number, _)| *number);
    out.into_iter().map(|(_, v)| v).collect()
}

// spec: NON-1, SEC-7, ANS-11, ANS-12, ANS-13
#[test]
fn answers_open_and_read_as_in_the_vectors() {
    let (all, names) = (terminals(), Names::load().unwrap());
    let mut read_count = 0;
    for file in ["answer", "resync", "commands", "rotation"] {
        for v in vectors(&format!("otl/{file}.toml")) {
            let json: Value = serde_json::from_str(text(&v, "json")).unwrap();
            let Some(expected) = json.get("answer") else {
                continue;
            };
            let (name, asked) = (text(&v, "name"), unhex(text(&v, "uplink")));
            let (mode, head, plain) = opened(&unhex(text(&v, "hex")), &asked, &all).expect(name);
            let got = if matches!(head, Downlink::ResyncAnswer { .. }) {
                let (floor, items) = answer::resync_answer(&plain).expect(name);
                serde_json::json!({"floor":floor,"items":items_json(&items, names)})
            } else {
                let a = answer::answer(mode, &plain).expect(name);
                serde_json::json!({"ack":a.ack,"final":a.finished,"more":a.more,
                    "new_epoch":a.new_epoch,"unproven":a.unproven,"map":a.map,
                    "items":items_json(&a.items, names)})
            };
            assert_eq!(got, *expected, "{name}");
            read_count += 1;
        }
    }
    assert!(read_count > 40, "{read_count}");
}

// spec: CMD-1, ROT-1, KEY-4
#[test]
fn command_macs_and_wrapped_keys_verify() {
    let all = terminals();
    let mut verified = 0;
    for file in ["commands", "rotation"] {
        for v in vectors(&format!("otl/{file}.toml")) {
            if v.get("command_key").is_none() || v.get("uplink").is_none() {
                continue;
            }
            let (name, asked) = (text(&v, "name"), unhex(text(&v, "uplink")));
            let frame = unhex(text(&v, "hex"));
            let (mode, head, plain) = opened(&frame, &asked, &all).expect(name);
            let of = entry(&all, asked[3..11].try_into().unwrap()).unwrap();
            let Downlink::Answer { ns: Some(ns), .. } = head else {
                panic!("{name}")
            };
            for c in answer::answer(mode, &plain).expect(name).items.commands {
                let base = of.base(Purpose::Command, c.key_version).expect(name);
                let key = command_key(&base, &of.owner, 2).unwrap();
                let length = u16::try_from(c.parameters.len()).unwrap().to_be_bytes();
                let mut parts: Vec<&[u8]> =
                    vec![b"OTL1 cmd", &asked[3..11], &c.head, &length, &c.parameters];
                let header = &asked[..mode.uplink_header_octets()];
                let tag = &asked[asked.len() - mode.tag_octets()..];
                if c.bound {
                    parts.extend([ns.as_slice(), header, tag]);
                }
                assert_eq!(cmac(&key, &parts).unwrap(), c.mac, "{name}");
                verified += 1;
                if c.kind == 0x10 {
                    let kek = of.base(Purpose::KeyEncryption, c.parameters[2]).unwrap();
                    let kek = wrap_key(&kek, &of.owner).unwrap();
                    let new = unwrap(&kek, &c.parameters[3..]).expect(name);
                    assert_eq!(new, key_of(&v), "{name}");
                }
            }
        }
    }
    assert!(verified > 15, "{verified}");
}

fn key_of(v: &toml::Value) -> SecretKey {
    key(text(v, "new_key"))
}

// spec: SEC-8, KEY-4
#[test]
fn calls_verify_and_a_changed_octet_does_not() {
    let all = terminals();
    for v in vectors("otl/call.toml") {
        let frame = unhex(text(&v, "hex"));
        let json: Value = serde_json::from_str(text(&v, "json")).unwrap();
        let (head, header, tag) = split(&frame).unwrap();
        let Downlink::CallNow {
            mode,
            key_version,
            identity,
            counter,
        } = head
        else {
            assert_eq!(json["header"]["frame"], "close");
            continue;
        };
        assert_eq!(json["header"]["call_counter"], counter);
        let Some(of) = entry(&all, identity.0) else {
            continue;
        };
        let Some(base) = of.base(Purpose::Link, key_version) else {
            continue;
        };
        let key = traffic_key(&base, &of.owner, mode, Direction::CallNow, &[]).unwrap();
        let mac = cmac(&key, &[header]).unwrap();
        let right = mac[..mode.tag_octets()] == *tag;
        assert_eq!(
            json["security"]["verified"] == true,
            right,
            "{}",
            text(&v, "name")
        );
    }
    assert_eq!(Identity([0; 8]).0, [0; 8]);
}

// spec: FRM-1, FRM-2, FRM-3, FRM-4, FRM-7, FRM-16, FRM-17, FRM-19, FRM-20, FRM-21
// spec: ANS-3, ANS-11, ANS-14, ANS-15, ANS-19, ERR-1, ERR-2, GEN-2, GEN-6
#[test]
fn frames_that_a_terminal_must_refuse_are_refused_by_name() {
    let all = terminals();
    let mut refused = 0;
    for v in vectors("otl/errors.toml") {
        let (name, frame) = (text(&v, "name"), unhex(text(&v, "hex")));
        let from_server = frame.first().is_some_and(|f| f & 0x08 != 0);
        if !from_server || text(&v, "receiver") == "server" {
            continue;
        }
        let asked = unhex(text(&v, "uplink"));
        let got = match split(&frame) {
            Err(refusal) => refusal,
            Ok(_) if asked.is_empty() => continue,
            Ok(_) => match opened(&frame, &asked, &all) {
                Err(refusal) => refusal,
                Ok((_, Downlink::ResyncAnswer { .. }, plain)) => {
                    answer::resync_answer(&plain).expect_err(name)
                }
                Ok((mode, _, plain)) => answer::answer(mode, &plain).expect_err(name),
            },
        };
        assert_eq!(got.to_string(), text(&v, "error"), "{name}");
        refused += 1;
    }
    assert!(refused > 30, "{refused}");
}
