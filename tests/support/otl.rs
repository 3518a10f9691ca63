//! The vectors of OTL, and the decoder in process.

#![allow(dead_code, reason = "each test uses some of it")]

use std::path::{Path, PathBuf};

use kenshin::cli::decode::decoder::{Decoded, Decoder};
use kenshin::keyring::keys_toml::{self, PlainKeys};
use kenshin::wire::error::EncodeError;
use kenshin::wire::otl::answer::Answer;
use kenshin::wire::otl::header::{FrameKind, Header, Mode};
use kenshin::wire::otl::resync::{ResyncAnswer, ResyncBody};
use kenshin::wire::otl::uplink::UplinkBody;
use kenshin::wire::writer::Writer;

/// Files of frames in `vectors/otl` that hold accepted frames.
pub(crate) const POSITIVE_FILES: [&str; 7] = [
    "uplink", "records", "answer", "commands", "rotation", "resync", "call",
];

/// A file below the folder of vectors.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("protocol-spec/vectors")
        .join(name)
}

pub(crate) fn read(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One entry of a file of vectors.
pub(crate) struct Vector {
    /// File and name, for messages.
    pub(crate) title: String,
    table: toml::Table,
}

impl Vector {
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        let value = self.table.get(key).and_then(toml::Value::as_str);
        value.unwrap_or_else(|| panic!("{}: no text `{key}`", self.title))
    }

    pub(crate) fn number(&self, key: &str) -> usize {
        let value = self.table.get(key).and_then(toml::Value::as_integer);
        let value = value.unwrap_or_else(|| panic!("{}: no number `{key}`", self.title));
        usize::try_from(value).unwrap()
    }

    pub(crate) fn octets(&self, key: &str) -> Vec<u8> {
        unhex(self.text(key))
    }

    /// A list of octet strings.
    pub(crate) fn list(&self, key: &str) -> Vec<Vec<u8>> {
        let values = self.table.get(key).and_then(toml::Value::as_array);
        let values = values.unwrap_or_else(|| panic!("{}: no list `{key}`", self.title));
        values
            .iter()
            .map(|value| unhex(value.as_str().unwrap()))
            .collect()
    }
}

/// All entries of a file below the folder of vectors, named without `.toml`.
pub(crate) fn vectors(name: &str) -> Vec<Vector> {
    let table: toml::Table = read(&format!("{name}.toml")).parse().unwrap();
    let entries = table["vector"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| {
            let table = entry.as_table().unwrap().clone();
            let title = format!("{name} {}", table["name"].as_str().unwrap());
            Vector { title, table }
        })
        .collect()
}

/// All accepted frames.
pub(crate) fn positive() -> Vec<Vector> {
    POSITIVE_FILES
        .iter()
        .flat_map(|file| vectors(&format!("otl/{file}")))
        .collect()
}

/// All refused frames.
pub(crate) fn negative() -> Vec<Vector> {
    vectors("otl/errors")
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap())
        .collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty(), "odd number of digits: {text}");
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}

pub(crate) fn hex(octets: &[u8]) -> String {
    kenshin::wire::hex::Hex(octets).to_string()
}

pub(crate) fn keys() -> PlainKeys {
    keys_toml::parse(&read("keys.toml")).unwrap()
}

/// A decoder with the keys of the vectors.
pub(crate) fn decoder() -> Decoder {
    Decoder::new(Some(keys().link))
}

/// A decoder that has seen the frame which a vector's frame answers.
pub(crate) fn decoder_for(vector: &Vector) -> Decoder {
    let mut decoder = decoder();
    if vector.has("uplink") {
        let uplink = decoder.decode(&vector.octets("uplink"));
        assert!(uplink.failure.is_none(), "{}: its uplink", vector.title);
    }
    decoder
}

/// The octets that a plaintext has after it was decoded and encoded again; none if it cannot be
/// decoded.
pub(crate) fn recode(kind: FrameKind, mode: Mode, plaintext: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let mut out = Writer::new(&mut octets, 2_000);
    let encoded: Result<(), EncodeError> = match kind {
        FrameKind::Uplink => UplinkBody::decode(plaintext, 0, mode)
            .ok()?
            .encode(mode, &mut out),
        FrameKind::Resync => ResyncBody::decode(plaintext, 0)
            .ok()?
            .encode(mode, &mut out),
        FrameKind::Answer => Answer::decode(plaintext, 0, mode)
            .ok()?
            .encode(mode, &mut out),
        FrameKind::ResyncAnswer => ResyncAnswer::decode(plaintext, 0).ok()?.encode(&mut out),
        FrameKind::CallNow | FrameKind::Close => return None,
    };
    encoded.unwrap();
    Some(octets)
}

/// Seals plaintexts as a terminal or server would, for frames whose keys are known.
pub(crate) struct Sealer {
    header: Header,
    header_octets: Vec<u8>,
    opening: kenshin::keyring::OpeningKey,
    /// Header and tag of the frame that is answered.
    answered: Option<(Header, Vec<u8>, Vec<u8>)>,
}

impl Sealer {
    /// A sealer of frames with the header of this frame; none without a key.
    pub(crate) fn new(decoded: &Decoded, answered: Option<&[u8]>) -> Option<Self> {
        let header = decoded.header?;
        let answered = answered.map(|frame| {
            let from = kenshin::wire::otl::header::Direction::FromTerminal;
            let header = Header::parse(frame, from).unwrap();
            let tag_at = frame.len() - header.kind().tag_len(header.mode().unwrap());
            let octets = header.encode().as_slice().to_vec();
            (header, octets, frame[tag_at..].to_vec())
        });
        let of_terminal = answered.as_ref().map_or(header, |(header, ..)| *header);
        let (identity, version) = match of_terminal {
            Header::Uplink(of) => (of.identity(), of.key_version()?.get()),
            Header::Resync(of) => (of.identity(), of.key_version().get()),
            _ => return None,
        };
        let opening = keys()
            .link
            .opening_key(&identity.octets(), header.mode()?, version)
            .ok()?;
        opening.key.as_ref()?;
        Some(Self {
            header,
            header_octets: header.encode().as_slice().to_vec(),
            opening,
            answered,
        })
    }

    /// The whole frame with this plaintext.
    pub(crate) fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        use kenshin::session::otl::open::session_nonces;
        let key = self.opening.key.as_ref().unwrap();
        let mut body = plaintext.to_vec();
        let header = self.header_octets.as_slice();
        let tag = match (&self.header, &self.answered) {
            (Header::Uplink(of), _) => key
                .uplink_cipher(session_nonces(of))
                .seal(header, &mut body),
            (Header::Resync(of), _) => key.resync_cipher(of.nr().0).seal(header, &mut body),
            (_, Some((to, to_octets, to_tag))) => {
                let answered = kenshin::crypto::otl::AnsweredFrame {
                    header: to_octets,
                    tag: to_tag,
                };
                match to {
                    Header::Uplink(to) => key
                        .answer_cipher(session_nonces(to))
                        .seal(header, answered, &mut body),
                    Header::Resync(to) => key
                        .resync_answer_cipher(to.nr().0)
                        .seal(header, answered, &mut body),
                    other => panic!("{other:?} is not answered"),
                }
            }
            (other, None) => panic!("{other:?} is not sealed alone"),
        };
        [header, &body, tag.unwrap().as_octets()].concat()
    }
}
