//! Telegrams in clear that both sides read: the published vectors as wired frames, and what a
//! folder of captured telegrams adds (`MBUS_DATA`, as in `tests/mbus_corpus.rs`).

use std::path::Path;

use serde_json::Value;

const RECORDS: &str = include_str!("../../protocol-spec/vectors/mbus/records.json");

/// Identification, manufacturer, version, type, access number, status, configuration.
const HEADER: [u8; 12] = [
    0x78, 0x56, 0x34, 0x12, 0x93, 0x15, 0x33, 0x03, 0x2A, 0x00, 0x00, 0x00,
];

/// Wired long frames.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let vectors: Value = serde_json::from_str(RECORDS).unwrap();
    let of_response = |vector: &&Value| vector["ci"] == 0x72 && vector.get("records").is_some();
    let vectors = vectors.as_array().unwrap();
    let payloads = vectors
        .iter()
        .filter(of_response)
        .map(|vector| octets(&vector["payload"]));
    let mut frames: Vec<_> = payloads
        .filter(|payload| payload.len() < 200)
        .map(frame)
        .collect();
    if let Some(dir) = std::env::var_os("MBUS_DATA") {
        frames.extend(captured(&Path::new(&dir).join("wired")));
    }
    frames
}

fn captured(dir: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .collect();
    paths.sort();
    let text = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    paths.iter().map(|path| from_hex(&text(path))).collect()
}

fn octets(hex: &Value) -> Vec<u8> {
    from_hex(hex.as_str().unwrap())
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn frame(payload: Vec<u8>) -> Vec<u8> {
    let counted = [&[0x08, 0x01, 0x72], HEADER.as_slice(), payload.as_slice()].concat();
    let len = u8::try_from(counted.len()).unwrap();
    let sum = counted
        .iter()
        .fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
    [&[0x68, len, len, 0x68], counted.as_slice(), &[sum, 0x16]].concat()
}
