//! Writes the first inputs of the corpora, taken from the test vectors. Files that are there stay.
//!
//! ```text
//! cargo run -p kenshin-fuzz --example seeds
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;

use kenshin::wire::otl::frame::Frame;
use kenshin::wire::otl::header::{Header, Mode};
use kenshin_fuzz::keys::{self, Cipher};
use serde_json::Value as Json;
use toml::{Table, Value};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The files of vectors with frames, and the fields that hold one.
const FILES: [&str; 7] = [
    "answer", "call", "commands", "errors", "records", "resync", "uplink",
];

/// The octets of the chunk lengths that the framer's target reads first.
const CHUNKS: [&[u8]; 3] = [&[0], &[1, 7], &[3, 2, 130, 0]];

fn main() -> Outcome<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = root.join("../protocol-spec/vectors/otl");
    let mut seeds = Seeds::default();
    for file in FILES {
        for vector in read(&vectors, file)? {
            let field = |name| vector.get(name).and_then(Value::as_str).map(octets);
            let answered = field("uplink").transpose()?;
            if let Some(frame) = field("hex").transpose()? {
                seeds.frame(&frame, answered.as_deref());
            }
            if let Some(frame) = answered {
                seeds.frame(&frame, None);
            }
        }
    }
    for vector in read(&vectors, "tcp")? {
        let chunks = vector.get("chunks").and_then(Value::as_array);
        let mut stream = Vec::new();
        for chunk in chunks.into_iter().flatten() {
            stream.extend(octets(chunk.as_str().unwrap_or(""))?);
        }
        seeds.stream(&stream);
    }
    mbus(&root.join("../protocol-spec/vectors/mbus"), &mut seeds)?;
    for name in [
        "mbus_lines",
        "mbus_link",
        "mbus_afl",
        "mbus_app",
        "mbus_open",
        "otl_framer",
        "otl_frame",
        "otl_records",
        "otl_roundtrip",
        "otl_open",
    ] {
        let folder = root.join("corpus").join(name);
        fs::create_dir_all(&folder)?;
        for octets in seeds.of(name) {
            fs::write(folder.join(file_name(octets)), octets)?;
        }
    }
    Ok(())
}

/// The telegrams and application data of the M-Bus vectors.
fn mbus(vectors: &Path, seeds: &mut Seeds) -> Outcome<()> {
    let security: Json = serde_json::from_str(&fs::read_to_string(vectors.join("security.json"))?)?;
    for vector in security["vectors"].as_array().into_iter().flatten() {
        let digits = vector["telegram"].as_str().unwrap_or("");
        seeds.telegrams.insert(octets(digits)?);
        seeds.lines_of(digits);
    }
    let records: Json = serde_json::from_str(&fs::read_to_string(vectors.join("records.json"))?)?;
    for vector in records.as_array().into_iter().flatten() {
        let payload = octets(vector["payload"].as_str().unwrap_or(""))?;
        let ci = u8::try_from(vector["ci"].as_u64().unwrap_or(0))?;
        let wired = u8::from(vector["wired"].as_bool().unwrap_or(false));
        seeds
            .applications
            .insert([&[ci, wired], payload.as_slice()].concat());
        for (parts, order) in [(1, 0), (3, 0), (3, 1)] {
            seeds
                .messages
                .insert([&[parts, order], payload.as_slice()].concat());
        }
    }
    Ok(())
}

fn read(folder: &Path, file: &str) -> Outcome<Vec<Value>> {
    let table: Table = fs::read_to_string(folder.join(file).with_extension("toml"))?.parse()?;
    let vectors = table.get("vector").and_then(Value::as_array);
    Ok(vectors.cloned().unwrap_or_default())
}

fn octets(hex: &str) -> Outcome<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    let octets = digits.map(|pair| Ok(u8::from_str_radix(str::from_utf8(pair)?, 16)?));
    octets.collect()
}

/// A name that depends on the content alone: FNV-1a of 64 bits.
fn file_name(octets: &[u8]) -> String {
    let hash = octets
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01B3)
        });
    format!("seed-{hash:016x}")
}

/// Inputs by target.
#[derive(Default)]
struct Seeds {
    telegrams: BTreeSet<Vec<u8>>,
    lines: BTreeSet<Vec<u8>>,
    messages: BTreeSet<Vec<u8>>,
    applications: BTreeSet<Vec<u8>>,
    frames: BTreeSet<Vec<u8>>,
    streams: BTreeSet<Vec<u8>>,
    uplinks: BTreeSet<Vec<u8>>,
    plaintexts: BTreeSet<Vec<u8>>,
    /// Frames whose tag the keys of [`keys`] verify.
    sealed: BTreeSet<Vec<u8>>,
}

impl Seeds {
    fn of(&self, target: &str) -> &BTreeSet<Vec<u8>> {
        match target {
            "mbus_lines" => &self.lines,
            "mbus_link" | "mbus_open" => &self.telegrams,
            "mbus_afl" => &self.messages,
            "mbus_app" => &self.applications,
            "otl_framer" => &self.streams,
            "otl_frame" => &self.frames,
            "otl_records" => &self.uplinks,
            "otl_roundtrip" => &self.plaintexts,
            _ => &self.sealed,
        }
    }

    /// A telegram in each form in which gateways hand it on.
    fn lines_of(&mut self, digits: &str) {
        let forms = [
            digits.to_owned(),
            format!("T1;1;1;2026-11-28 08:00:00.000Z;-87;148;12345678;0x{digits}"),
            format!("telegram=|{digits}|+7"),
            format!("{{\"telegram\":\"{digits}\",\"time\":\"2026-11-28T08:00:00+09:00\"}}"),
            format!("{{\"hex\":\"{digits}\",\"timestamp\":1795910400123,\"rssi_dbm\":-87}}"),
        ];
        self.lines.extend(forms.map(String::into_bytes));
    }

    fn stream(&mut self, stream: &[u8]) {
        for chunks in CHUNKS {
            self.streams.insert([chunks, stream].concat());
        }
    }

    /// Takes a frame, and its plaintext as far as the keys open it. `answered` is the frame that an
    /// answer answers.
    fn frame(&mut self, octets: &[u8], answered: Option<&[u8]>) {
        self.frames.insert(octets.to_vec());
        let Some(header) = header(octets) else {
            return;
        };
        let Some((cut, mode)) = split(header, octets) else {
            return;
        };
        let cipher = match answered.and_then(answering) {
            Some(cipher) => Some(cipher),
            None => Cipher::of(&header),
        };
        let plaintext = match (cipher, mode) {
            // A counter mode: sealing a ciphertext opens it, whatever its tag is.
            (Some(cipher), _) => sealed(&cipher, cut.header_octets, cut.ciphertext),
            (None, Mode::Clear) => Some((cut.ciphertext.to_vec(), Vec::new())),
            (None, _) => None,
        };
        let Some((plaintext, _)) = plaintext else {
            self.sealed.insert(octets.to_vec());
            return;
        };
        // As the target opens it: an answer goes to the one frame that the target knows.
        if let Some(cipher) = Cipher::of(&header).filter(|_| answered.is_some())
            && let Some((ciphertext, tag)) = sealed(&cipher, cut.header_octets, &plaintext)
        {
            self.sealed
                .insert([cut.header_octets, &ciphertext, &tag].concat());
        } else {
            self.sealed.insert(octets.to_vec());
        }
        if matches!(header, Header::Uplink(_)) {
            self.uplinks.insert(plaintext.clone());
        }
        self.plaintexts.insert(plaintext);
    }
}

fn header(octets: &[u8]) -> Option<Header> {
    Header::parse(octets, keys::direction(*octets.first()?)).ok()
}

fn split(header: Header, octets: &[u8]) -> Option<(Frame<'_>, Mode)> {
    let mode = header.mode()?;
    Some((Frame::split(header, octets, mode).ok()?, mode))
}

/// The cipher of answers to a frame.
fn answering(octets: &[u8]) -> Option<Cipher> {
    let header = header(octets)?;
    let (cut, _) = split(header, octets)?;
    Cipher::answering(&header, cut.tag)
}

/// Octets sealed, and their tag.
fn sealed(cipher: &Cipher, header: &[u8], octets: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut buffer = octets.to_vec();
    let tag = cipher.seal(header, &mut buffer).ok()?;
    Some((buffer, tag.as_octets().to_vec()))
}
