#![allow(
    clippy::string_slice,
    clippy::type_complexity,
    clippy::let_underscore_must_use,
    reason = "tests"
)]

use hex_literal::hex;
use serde_json::Value;

use super::keys::{KeyId, KeyVersion, MeterKeys, NoKeys, Policy};
use super::*;
use crate::crypto::key::Key128;
use crate::wire::mbus::address::Address;
use crate::wire::mbus::app::Body;
use crate::wire::mbus::app::json::write_body;
use crate::wire::mbus::error::MbusErrorKind;
use crate::wire::mbus::link::Carriage;

const VECTORS: &str = include_str!("../../../protocol-spec/vectors/mbus/security.json");

/// One key for every meter.
struct One(Key128, Policy);

impl MeterKeys for One {
    fn visit(&self, _: Address, id: KeyId, visit: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {
        if id == KeyId::PERSISTENT {
            visit(KeyVersion(1), &self.0);
        }
    }

    fn policy(&self, _: Address) -> Policy {
        self.1
    }
}

/// No key, and no doubt of what a recorder has decrypted.
struct Recorder;

impl MeterKeys for Recorder {
    fn visit(&self, _: Address, _: KeyId, _: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {}

    fn policy(&self, _: Address) -> Policy {
        Policy::ClearAllowed
    }

    fn takes_decrypted(&self) -> bool {
        true
    }
}

#[test]
fn ciphertext_that_begins_like_plaintext_is_no_reading_for_a_server() {
    let of_recorders = |vector: &Value| {
        let name = vector["name"].as_str().unwrap();
        name.starts_with("ell_in_clear_already")
    };
    let all = vectors().into_iter().filter(of_recorders);
    let refused = all.map(|vector| {
        let telegram = octets(vector["telegram"].as_str().unwrap());
        open_one(&telegram, &NoKeys).unwrap_err().id()
    });
    assert_eq!(refused.collect::<Vec<_>>(), ["no_key", "no_key"]);
}

fn octets(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn key_of(vector: &Value) -> Option<One> {
    let key = octets(vector.get("key")?.as_str()?);
    let key: [u8; 16] = key.try_into().unwrap();
    Some(One(Key128::from(key), Policy::ClearAllowed))
}

fn vectors() -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    all["vectors"].as_array().unwrap().clone()
}

/// Opens one telegram; the JSON of its records, with what was found before.
fn open_one(telegram: &[u8], keys: &impl MeterKeys) -> Result<(String, Value), Refusal> {
    let mut scratch = Scratch::default();
    let mut fragments = Fragments::default();
    let step = open(
        telegram,
        Carriage::Auto,
        keys,
        &mut fragments,
        0,
        &mut scratch,
    )?;
    let Step::Opened(opened) = step else {
        return Ok(("link only".to_owned(), Value::Null));
    };
    let body = Body::read(opened.ci, opened.is_wired, opened.payload).map_err(Refusal::Octets)?;
    let mut json = String::from("{");
    write_body(&mut json, opened.ci, &body);
    json.push('}');
    let records: Value = serde_json::from_str(&json).unwrap();
    let found = serde_json::json!({
        "meter": opened.meter.map(|meter| meter.to_string()),
        "format": opened.format.id(),
        "mode": opened.security.mode,
        "verified": opened.security.verified.id(),
        "counter": opened.security.counter,
        "clear_tail_octets": opened.security.clear_tail_octets,
        "link_encrypted": opened.security.link_encrypted,
        "plain": opened.payload.iter().map(|octet| format!("{octet:02X}")).collect::<String>(),
        "values": records["records"].as_array().unwrap().iter().map(|one| one["value"].clone())
            .collect::<Vec<_>>(),
    });
    Ok((json, found))
}

#[test]
fn published_telegrams_open_to_what_their_sources_say() {
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let telegram = octets(vector["telegram"].as_str().unwrap());
        let outcome = match key_of(&vector) {
            Some(key) => open_one(&telegram, &key),
            None => open_one(&telegram, &Recorder),
        };
        if let Some(refused) = vector.get("refused") {
            assert_eq!(
                outcome.unwrap_err().id(),
                refused.as_str().unwrap(),
                "{name}"
            );
            continue;
        }
        let (json, found) = outcome.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        for (field, expected) in vector.as_object().unwrap() {
            match field.as_str() {
                "name" | "source" | "key" | "telegram" => {}
                "plain_starts" => {
                    let start = expected.as_str().unwrap().to_uppercase();
                    assert!(
                        found["plain"].as_str().unwrap().starts_with(&start),
                        "{name}"
                    );
                }
                field => assert_eq!(&found[field], expected, "{name} {field} {json}"),
            }
        }
    }
}

#[test]
fn no_damaged_secured_telegram_gives_plaintext_that_a_mac_or_tag_should_cover() {
    for vector in vectors() {
        let mode = vector["mode"].as_u64();
        let (Some(key), Some(7 | 10)) = (key_of(&vector), mode) else {
            continue;
        };
        let name = vector["name"].as_str().unwrap();
        let telegram = octets(vector["telegram"].as_str().unwrap());
        let (whole, _) = open_one(&telegram, &key).unwrap();
        for bit in 0..telegram.len() * 8 {
            let mut damaged = telegram.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // Bits that no MAC covers are those of the link and of the extended link layer.
            if let Ok((json, found)) = open_one(&damaged, &key) {
                let is_clear = found["verified"] == "none";
                assert!(
                    json == whole || is_clear || found.is_null(),
                    "{name} bit {bit} {json}"
                );
                assert!(!is_clear || !json.contains("28504.27"), "{name} bit {bit}");
            }
        }
        for end in 0..telegram.len() {
            if let Ok((json, _)) = open_one(&telegram[..end], &key) {
                // Noise behind the end may be missing.
                assert_eq!(json, whole, "{name} {end}");
            }
        }
    }
}

#[test]
fn wrong_key_no_key_and_clear_are_different_refusals() {
    let five = octets(vectors()[1]["telegram"].as_str().unwrap());
    let seven = octets(vectors()[6]["telegram"].as_str().unwrap());
    let ten = octets(vectors()[8]["telegram"].as_str().unwrap());
    let clear = octets(vectors()[2]["telegram"].as_str().unwrap());
    let link = octets(vectors()[12]["telegram"].as_str().unwrap());
    let wrong = One(Key128::from([9; 16]), Policy::MustBeEncrypted);
    let id = |telegram: &[u8], keys: &dyn Fn(&[u8]) -> Result<(String, Value), Refusal>| {
        keys(telegram).unwrap_err().id()
    };
    let with_wrong = |telegram: &[u8]| open_one(telegram, &wrong);
    let without = |telegram: &[u8]| open_one(telegram, &NoKeys);
    assert_eq!(id(&five, &with_wrong), "wrong_key");
    assert_eq!(id(&seven, &with_wrong), "wrong_mac");
    assert_eq!(id(&ten, &with_wrong), "wrong_tag");
    assert_eq!(id(&link, &with_wrong), "wrong_key");
    assert_eq!(id(&clear, &with_wrong), "clear_not_allowed");
    for telegram in [&five, &seven, &ten, &link] {
        assert_eq!(id(telegram, &without), "no_key");
    }
    let mut named = seven.clone();
    // Without its AFL a telegram of mode 7 has no MAC.
    named.drain(13..30);
    named[0] -= 17;
    assert_eq!(id(&named, &with_wrong), "mac_missing");
}

#[test]
fn every_mode_that_is_not_taken_is_refused_by_its_name() {
    let mut telegram = octets(vectors()[1]["telegram"].as_str().unwrap());
    for mode in 0..32_u8 {
        telegram[14] = mode;
        let refused = open_one(&telegram, &NoKeys);
        if !matches!(mode, 0 | 5 | 7 | 10) {
            let refusal = refused.unwrap_err();
            assert_eq!(refusal, Refusal::UnsupportedMode(mode));
            assert!(
                refusal.to_string().contains(&format!("mode {mode}")),
                "{refusal}"
            );
        }
    }
}

/// The message of section 5.4 of our notes in two fragments: made by hand, no standard's vector.
const FIRST: &[u8] = &hex!(
    "3F0893157856341233038C80469009017865B40A00004E007278563412931533037500400710CCE92D281A45F7D7"
    "0E77D3281C82D89A634333D5B0B56BFC7BF9"
);
const SECOND: &[u8] = &hex!(
    "3E0893157856341233038C8046900A02049E0E75FAC389F38A12C15E8080478D311180973D627E8A07332A38B83D"
    "82910FEF7B71CF91F3038ADC96B495D830"
);

#[test]
fn fragments_in_their_order_are_one_message_and_in_no_other() {
    let key = One(
        Key128::from(hex!("000102030405060708090A0B0C0D0E0F")),
        Policy::MustBeEncrypted,
    );
    let run = |parts: &[(u64, &[u8])]| {
        let mut fragments = Fragments::default();
        let mut scratch = Scratch::default();
        let mut last = None;
        for (now_ms, part) in parts {
            let step = open(
                part,
                Carriage::Auto,
                &key,
                &mut fragments,
                *now_ms,
                &mut scratch,
            );
            last = Some(match step {
                Ok(Step::Opened(opened)) => Ok(opened.payload.len()),
                Ok(_) => Ok(0),
                Err(Refusal::Octets(error)) => Err(error.kind),
                Err(other) => panic!("{other}"),
            });
        }
        last.unwrap()
    };
    assert_eq!(run(&[(0, FIRST)]), Ok(0));
    assert_eq!(run(&[(0, FIRST), (1, SECOND)]), Ok(62));
    assert_eq!(run(&[(0, FIRST), (1, FIRST), (2, SECOND)]), Ok(62));
    // Another gateway hands the last one on once more, or the same one because the message could
    // not be kept: it comes again, and whoever keeps messages knows a copy.
    assert_eq!(run(&[(0, FIRST), (1, SECOND), (2, SECOND)]), Ok(62));
    assert_eq!(run(&[(0, FIRST), (1, SECOND), (2, FIRST)]), Ok(0));
    assert_eq!(
        run(&[(0, FIRST), (1, SECOND), (2, FIRST), (3, SECOND)]),
        Ok(62)
    );
    let gap = Err(MbusErrorKind::Fragment);
    assert_eq!(run(&[(0, SECOND)]), gap);
    assert_eq!(run(&[(0, SECOND), (1, FIRST)]), Ok(0));
    assert_eq!(run(&[(0, FIRST), (400_000, SECOND)]), gap);
    let numbered = |access_number: u8| {
        let mut second = SECOND.to_vec();
        second[12] = access_number;
        second
    };
    // The next request has another access number; 80h is another session's.
    assert_eq!(run(&[(0, FIRST), (1, &numbered(0x47))]), Ok(62));
    assert_eq!(run(&[(0, FIRST), (1, &numbered(0x80))]), gap);
    let mut third = SECOND.to_vec();
    third[15] = 3;
    assert_eq!(run(&[(0, FIRST), (1, &third)]), gap);
    // What did not fit has spoilt nothing.
    assert_eq!(run(&[(0, FIRST), (1, &third), (2, SECOND)]), Ok(62));
    let mut longer = SECOND.to_vec();
    longer.push(0x2F);
    longer[0] += 1;
    assert_eq!(run(&[(0, FIRST), (1, &longer)]), gap);
}

proptest::proptest! {
    #[test]
    fn any_octets_are_opened_or_refused_in_bounds(
        telegram in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
    ) {
        let key = One(Key128::from([7; 16]), Policy::ClearAllowed);
        let _ = open_one(&telegram, &key);
    }
}
