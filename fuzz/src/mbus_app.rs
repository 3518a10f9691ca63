//! Application data of any kind: the walk, values, load profiles, JSON, and compact frames of what
//! full ones taught.

use kenshin::wire::mbus::address::Address;
use kenshin::wire::mbus::app::{
    Body, DeviceKind, Expanded, FormatCatalog, Item, Learned, ProfilesLeft, Records,
    decode_records, full_frame_crc, json,
};
use kenshin::wire::mbus::crc::crc;

/// Runs the target: a CI field, whether the link is a wired one, and application data.
pub fn run(data: &[u8]) {
    let [ci, wired, payload @ ..] = data else {
        return;
    };
    let body = match Body::read(*ci, wired & 1 == 1, payload) {
        Ok(body) => body,
        Err(error) => {
            assert!(error.offset <= payload.len());
            return;
        }
    };
    let mut text = String::from("{");
    json::write_body(&mut text, *ci, &body);
    text.push('}');
    let object: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    if let Body::Records { records, .. } = body {
        walk(records, payload);
        let decoded = decode_records(records);
        let shown = object["records"].as_array().expect("an array").len();
        assert!(shown >= decoded.records.len().min(1), "records are shown");
        assert_eq!(
            object.get("faults").is_some(),
            !decoded.faults.is_empty(),
            "both ways of reading find the same faults"
        );
        learn(records, payload);
    }
}

fn walk(records: Records<'_>, payload: &[u8]) {
    let mut at = 0;
    let mut steps = 0_usize;
    let mut profiles = ProfilesLeft::default();
    for item in records {
        steps += 1;
        assert!(steps <= payload.len(), "each step takes an octet");
        let offset = match item {
            Ok(Item::Record(record)) => {
                let meaning = record.meaning();
                let _value = record.value(&meaning);
                if let Some(Ok(profile)) = record.profile(&meaning, records, &mut profiles) {
                    assert!(profile.points().count() <= record.data.len());
                }
                record.offset
            }
            Ok(Item::Manufacturer { offset, .. } | Item::GlobalReadout { offset }) => offset,
            Err(fault) => {
                assert!(fault.at <= payload.len());
                fault.offset
            }
        };
        assert!(offset >= at, "the walk goes forward");
        at = offset;
    }
}

/// What a full frame teaches expands the compact frame that is made of it to the same octets.
fn learn(records: Records<'_>, payload: &[u8]) {
    let kind = DeviceKind::from(Address::from_link_order([1; 8]));
    let mut catalog = FormatCatalog::default();
    let Learned::New(signature) = catalog.learn(kind, records) else {
        return;
    };
    let heads = catalog
        .heads(kind, signature)
        .expect("it was learned")
        .to_vec();
    assert_eq!(crc(&heads), signature);
    let (mut full, mut data) = (Vec::new(), Vec::new());
    for item in records {
        let Ok(Item::Record(record)) = item else {
            return;
        };
        full.extend_from_slice(record.octets);
        let head = record.octets.len() - record.data.len();
        data.extend_from_slice(&record.octets[head..]);
        if record.lvar.is_some() || !record.unit_text.is_empty() {
            // Lengths and texts stand where each version of the text puts them.
            return;
        }
    }
    let mut compact = signature.to_le_bytes().to_vec();
    compact.extend(full_frame_crc(&full).to_le_bytes());
    compact.extend_from_slice(&data);
    let Ok(Body::Compact(compact)) = Body::read(0x79, false, &compact) else {
        panic!("a compact frame");
    };
    assert!(payload.len() >= full.len());
    if let Expanded::Records(expanded) = catalog.expand(kind, &compact) {
        assert_eq!(expanded, full);
    }
}
