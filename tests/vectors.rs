//! All vectors of `protocol-spec/vectors`, in process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/otl.rs"]
mod otl;

use std::collections::BTreeSet;

use kenshin::crypto::aead::{CcmKey, GcmKey};
use kenshin::crypto::cmac::CmacKey;
use kenshin::crypto::kdf;
use kenshin::crypto::key::{BaseKey, Command, KeyEncryption, KeyOctets, Link, Master};
use kenshin::crypto::keywrap::KeyWrapKey;
use kenshin::crypto::otl::{AnsweredUplink, CommandHead, CommandInput, CommandMac, KeyOwner};
use kenshin::keyring::{CommandKeyring, KeyError};
use kenshin::wire::error::ErrorKind;
use kenshin::wire::otl::answer::{Answer, AnswerItem};
use kenshin::wire::otl::command::CommandItem;
use kenshin::wire::otl::framer::{TcpFramer, TcpPiece};
use kenshin::wire::otl::gauges::Gauges;
use kenshin::wire::otl::header::{Direction, FrameKind, Header, Mode};
use kenshin::wire::otl::json;
use kenshin::wire::otl::meter::{Meter, Register, Unit};
use kenshin::wire::otl::record::{IntervalGauges, IntervalSeries, Record, RecordBody, StepMinutes};
use kenshin::wire::otl::registry::items::record_id;
use kenshin::wire::otl::report::{Report, Slots};
use kenshin::wire::otl::series::{Segment, SegmentReason, Series};
use kenshin::wire::otl::stamp::{Stamp, Uncertainty};
use kenshin::wire::otl::uplink::UplinkBody;
use kenshin::wire::writer::Writer;
use serde_json::Value;

use otl::{Sealer, Vector, hex};

/// What is wrong, with the vector's file and name.
#[derive(Default)]
struct Findings {
    checked: usize,
    wrong: Vec<String>,
}

impl Findings {
    fn equal<T: PartialEq + std::fmt::Debug>(
        &mut self,
        vector: &Vector,
        what: &str,
        got: T,
        want: T,
    ) {
        self.checked += 1;
        if got != want {
            self.wrong.push(format!(
                "{}: {what}:\n      got {got:?}\n     want {want:?}",
                vector.title
            ));
        }
    }

    fn finish(self, at_least: usize) {
        assert!(
            self.wrong.is_empty(),
            "{} of {} checks failed:\n{}",
            self.wrong.len(),
            self.checked,
            self.wrong.join("\n")
        );
        println!("{} checks", self.checked);
        assert!(self.checked >= at_least, "only {} checks", self.checked);
    }
}

// spec: SEC-5, SEC-6, SEC-7, SEC-8, NON-1, KEY-4
#[test]
fn accepted_frames_give_their_json() {
    let mut findings = Findings::default();
    for vector in otl::positive() {
        let decoded = otl::decoder_for(&vector).decode(&vector.octets("hex"));
        findings.equal(
            &vector,
            "json",
            decoded.json.to_string(),
            vector.text("json").to_owned(),
        );
    }
    findings.finish(100);
}

// spec: GEN-3
#[test]
fn accepted_frames_encode_and_seal_to_their_octets() {
    let mut findings = Findings::default();
    let mut sealed = 0;
    for vector in otl::positive() {
        let frame = vector.octets("hex");
        let decoded = otl::decoder_for(&vector).decode(&frame);
        let header = decoded.header.unwrap();
        findings.equal(
            &vector,
            "header",
            hex(header.encode().as_slice()),
            hex(&frame[..header.encode().as_slice().len()]),
        );
        let Some(plaintext) = &decoded.plaintext else {
            continue;
        };
        let again = otl::recode(header.kind(), header.mode().unwrap(), plaintext);
        findings.equal(
            &vector,
            "plaintext",
            again.map(|o| hex(&o)),
            Some(hex(plaintext)),
        );
        let uplink = vector.has("uplink").then(|| vector.octets("uplink"));
        if let Some(sealer) = Sealer::new(&decoded, uplink.as_deref()) {
            findings.equal(&vector, "frame", hex(&sealer.seal(plaintext)), hex(&frame));
            sealed += 1;
        }
    }
    findings.finish(200);
    assert!(sealed >= 100, "only {sealed} frames sealed again");
}

// spec: ERR-1, ERR-2, ERR-3
#[test]
fn refused_frames_give_their_kind_and_offset() {
    let mut findings = Findings::default();
    for vector in otl::negative() {
        let frame = vector.octets("hex");
        let got = if vector.has("receiver") {
            let from = match vector.text("receiver") {
                "server" => Direction::FromTerminal,
                _ => Direction::FromServer,
            };
            let error = Header::parse(&frame, from).err();
            error.map(|error| (error.kind.id().to_owned(), error.offset))
        } else {
            let failure = otl::decoder_for(&vector).decode(&frame).failure;
            failure.map(|failure| (failure.kind.to_owned(), failure.offset))
        };
        let want = Some((vector.text("error").to_owned(), vector.number("offset")));
        findings.equal(&vector, "refusal", got, want);
    }
    findings.finish(100);
}

#[test]
fn the_vectors_hold_everything_that_the_registries_name() {
    let (mut frames, mut modes, mut records) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let positive = otl::positive();
    for vector in &positive {
        let json: Value = serde_json::from_str(vector.text("json")).unwrap();
        let frame = json["header"]["frame"].as_str().unwrap().to_owned();
        if let Some(mode) = json["header"]["mode"].as_u64() {
            modes.insert((frame.clone(), mode));
        }
        frames.insert(frame);
        for record in json["records"].as_array().into_iter().flatten() {
            records.insert(record["type"].as_str().unwrap().to_owned());
        }
    }
    let negative = otl::negative();
    let kinds: BTreeSet<_> = negative.iter().map(|vector| vector.text("error")).collect();
    assert!(positive.len() + negative.len() >= 100);
    for kind in FrameKind::ALL {
        assert!(frames.contains(kind.id()), "no frame {}", kind.id());
        for mode in 0..=3 {
            let exists = match kind {
                FrameKind::Close => false,
                FrameKind::Uplink | FrameKind::Answer => true,
                _ => mode > 0,
            };
            assert_eq!(
                modes.contains(&(kind.id().to_owned(), mode)),
                exists,
                "{kind:?} {mode}"
            );
        }
    }
    for id in (1..=0x6F).filter_map(record_id).chain(["opaque"]) {
        assert!(records.contains(id), "no record {id}");
    }
    // A frame of an unknown terminal is shown and not refused, see decode-json.md.
    let of_keys = KeyError::ALL
        .into_iter()
        .filter(|error| *error != KeyError::UnknownTerminal);
    let wanted = ErrorKind::ALL.into_iter().map(ErrorKind::id);
    for id in wanted
        .chain(of_keys.map(KeyError::id))
        .chain(["tag_mismatch"])
    {
        assert!(kinds.contains(id), "no error {id}");
    }
}

fn key(octets: &[u8]) -> KeyOctets {
    KeyOctets::from_slice(octets).unwrap()
}

// spec: KEY-1, KEY-2, KEY-3, KEY-4, ROT-1
#[test]
fn keys_are_derived_and_wrapped_as_stated() {
    let mut findings = Findings::default();
    for vector in otl::vectors("otl/kdf") {
        if vector.has("wrapped") {
            let wrap = KeyWrapKey::new(&key(&vector.octets("wrap_key")));
            let new = key(&vector.octets("new_key"));
            let wrapped = vector.octets("wrapped");
            findings.equal(
                &vector,
                "wrapped",
                hex(wrap.wrap(&new).as_octets()),
                hex(&wrapped),
            );
            findings.equal(&vector, "unwrapped", wrap.unwrap(&wrapped).ok(), Some(new));
            continue;
        }
        let (master, context) = (vector.octets("master"), vector.octets("context"));
        let output = vector.octets("output");
        let cmac = CmacKey::new(&key(&master));
        let blocks = vector.list("blocks");
        let macs: Vec<u8> = blocks.iter().flat_map(|block| cmac.mac(&[block])).collect();
        findings.equal(&vector, "blocks", hex(&macs), hex(&output));
        let length = key(&output).length();
        findings.equal(
            &vector,
            "bits",
            length.bits(),
            vector.number("bits").try_into().unwrap(),
        );
        let (head, tail) = context.split_at(context.len() / 2);
        let label = vector.text("label").as_bytes();
        let derived = kdf::derive(&cmac, label, [head, tail], length);
        findings.equal(&vector, "output", derived, key(&output));
        if label == b"OTL1 base" {
            findings.equal(
                &vector,
                "base key",
                derives_base(&master, &context, &output),
                true,
            );
        }
    }
    findings.finish(60);
}

/// Whether the typed schedule gives the same base key; the context is utility, identity, purpose,
/// version.
fn derives_base(master: &[u8], context: &[u8], output: &[u8]) -> bool {
    let owner = KeyOwner {
        utility: context[..8].try_into().unwrap(),
        identity: context[8..16].try_into().unwrap(),
    };
    let version = context[17];
    match context[16] {
        1 => {
            let base = Master::<Link>::new(key(master)).derive_base(owner, version);
            base == BaseKey::import(key(output))
        }
        2 => {
            let base = Master::<Command>::new(key(master)).derive_base(owner, version);
            base == BaseKey::import(key(output))
        }
        _ => {
            let base = Master::<KeyEncryption>::new(key(master)).derive_base(owner, version);
            base == BaseKey::import(key(output))
        }
    }
}

// spec: CMD-1
#[test]
fn command_macs_are_as_stated() {
    let mut findings = Findings::default();
    let keys = otl::keys();
    let ring = keys.command.unwrap();
    for vector in ["otl/commands", "otl/rotation"]
        .iter()
        .flat_map(|file| otl::vectors(file))
    {
        if !vector.has("command_key") {
            continue;
        }
        let uplink = vector.octets("uplink");
        let of = Header::parse(&uplink, Direction::FromTerminal).unwrap();
        let Header::Uplink(of_uplink) = of else {
            panic!("{}: not an uplink", vector.title);
        };
        let decoded = otl::decoder_for(&vector).decode(&vector.octets("hex"));
        let Some(Header::Answer(header)) = decoded.header else {
            panic!("{}: no answer", vector.title);
        };
        let mode = header.mode();
        let answer = Answer::decode(&decoded.plaintext.unwrap(), 14, mode).unwrap();
        let tag = &uplink[uplink.len() - mode.tag_len()..];
        let uplink_header = of_uplink.encode();
        let binding = AnsweredUplink {
            server_nonce: header.ns().unwrap().octets(),
            header: uplink_header.as_slice(),
            tag,
        };
        let stated = CmacKey::new(&key(&vector.octets("command_key")));
        for item in answer.items() {
            let AnswerItem::Command(item) = item else {
                continue;
            };
            let bound = item.bound.then_some(binding);
            let input = command_mac_input(of_uplink.identity().octets(), item, bound);
            findings.equal(
                &vector,
                "mac",
                hex(&stated.mac(&[&input])),
                item.mac.to_string(),
            );
            let identity = of_uplink.identity().octets();
            let verified = verifies(&ring, identity, item, bound);
            findings.equal(&vector, "mac under the derived key", verified, true);
            if vector.has("new_key") {
                let wrap = KeyWrapKey::new(&key(&vector.octets("wrap_key")));
                let new = wrap.unwrap(&item.parameters[3..]).ok();
                findings.equal(
                    &vector,
                    "new key",
                    new,
                    Some(key(&vector.octets("new_key"))),
                );
            }
        }
    }
    findings.finish(40);
}

fn command_head(item: &CommandItem) -> CommandHead {
    CommandHead {
        key_version: item.key_version.get(),
        sequence: item.sequence.get(),
        kind: item.kind.code(),
        meter: item.meter.octet(),
        precondition: item.precondition.code(),
        not_after_utc_s: item.not_after_utc_s,
    }
}

/// What the MAC of a command is made over, put together by the text and not by the code under test.
fn command_mac_input(
    identity: [u8; 8],
    item: &CommandItem,
    bound_to: Option<AnsweredUplink<'_>>,
) -> Vec<u8> {
    let mut input = b"OTL1 cmd".to_vec();
    input.extend_from_slice(&identity);
    input.extend_from_slice(&command_head(item).to_octets(item.bound));
    let len = u16::try_from(item.parameters.len()).unwrap();
    input.extend_from_slice(&len.to_be_bytes());
    input.extend_from_slice(&item.parameters);
    if let Some(bound_to) = bound_to {
        input.extend_from_slice(&bound_to.server_nonce);
        input.extend_from_slice(bound_to.header);
        input.extend_from_slice(bound_to.tag);
    }
    input
}

/// Whether the signer's own key of the terminal gives the MAC of a command.
fn verifies(
    ring: &CommandKeyring,
    identity: [u8; 8],
    item: &CommandItem,
    bound_to: Option<AnsweredUplink<'_>>,
) -> bool {
    let input = CommandInput {
        identity,
        head: command_head(item),
        parameters: &item.parameters,
        bound_to,
    };
    let key = ring.command_key(&identity, item.key_version.get());
    key.unwrap().verify(&input, &CommandMac(item.mac.0)).is_ok()
}

// spec: CMD-14, REC-26
#[test]
fn result_macs_are_as_stated() {
    let mut findings = Findings::default();
    for vector in otl::vectors("otl/commands") {
        if !vector.has("result_key") {
            continue;
        }
        let decoded = otl::decoder().decode(&vector.octets("hex"));
        let Some(Header::Uplink(header)) = decoded.header else {
            panic!("{}: not an uplink", vector.title);
        };
        let body = UplinkBody::decode(&decoded.plaintext.unwrap(), 0, header.mode()).unwrap();
        let stated = CmacKey::new(&key(&vector.octets("result_key")));
        for record in &body.records {
            let proof = match &record.body {
                RecordBody::ValveState(body) => body.proof,
                RecordBody::CommandResult(body) => body.proof,
                _ => continue,
            };
            let content = kenshin::session::otl::records::content(record);
            let input = [
                b"OTL1 res".as_slice(),
                &header.identity().octets(),
                &body.report.epoch.get().to_be_bytes(),
                &record.sequence.get().to_be_bytes(),
                &content,
            ]
            .concat();
            let mac = proof.map(|_| hex(&stated.mac(&[&input])));
            let want = proof.map(|proof| proof.mac.to_string());
            findings.equal(&vector, "mac", mac, want);
        }
    }
    findings.finish(3);
}

/// A record with a series or gauges, in a plaintext of mode 0.
fn in_plaintext(body: RecordBody) -> Vec<u8> {
    let sequence = 1.try_into().unwrap();
    let body = UplinkBody {
        report: Report {
            stamp: stamp(),
            epoch: 1.try_into().unwrap(),
            slots: Slots::new(0, 0).unwrap(),
            command: None,
        },
        records: vec![Record { sequence, body }],
        session_items: Default::default(),
        padding: 0,
    };
    let mut octets = Vec::new();
    body.encode(Mode::Clear, &mut Writer::new(&mut octets, 1_185))
        .unwrap();
    octets
}

const fn stamp() -> Stamp {
    Stamp::Set {
        uncertainty: Uncertainty::UNKNOWN,
        utc_s: 1,
    }
}

fn series_record(value: &Value, count: u8) -> RecordBody {
    let number = |value: &Value| u8::try_from(value.as_u64().unwrap()).unwrap();
    let lists: Vec<(SegmentReason, u8, Vec<Register>)> = value
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| {
            let registers = segment["registers"].as_array().unwrap().iter();
            let registers = registers.map(|r| Register::new(r.as_u64().unwrap()).unwrap());
            let reason = SegmentReason::from_code(number(&segment["reason"])).unwrap();
            (reason, number(&segment["first_mark"]), registers.collect())
        })
        .collect();
    let segments: Vec<Segment<'_>> = lists
        .iter()
        .map(|(reason, first_mark, registers)| Segment {
            reason: *reason,
            first_mark: *first_mark,
            registers,
        })
        .collect();
    RecordBody::IntervalSeries(IntervalSeries {
        stamp: stamp(),
        meter: Meter::from_octet(0),
        unit: Unit::from_code(0x15).unwrap(),
        step: StepMinutes::new(60).unwrap(),
        series: Series::new(count, &segments).unwrap(),
    })
}

fn gauges_record(value: &Value) -> RecordBody {
    let values = value.as_array().unwrap().iter();
    let values: Vec<Option<u16>> = values
        .map(|value| value.as_u64().map(|value| u16::try_from(value).unwrap()))
        .collect();
    RecordBody::IntervalGauges(IntervalGauges {
        stamp: stamp(),
        meter: Meter::from_octet(0),
        unit: Unit::from_code(0x15).unwrap(),
        step: StepMinutes::new(60).unwrap(),
        gauges: Gauges::new(&values).unwrap(),
    })
}

// spec: SER-1, SER-2, SER-3, SER-4, SER-5, SER-6, SER-7, SER-8
#[test]
fn series_and_gauges_have_their_one_encoding() {
    let mut findings = Findings::default();
    for vector in otl::vectors("otl/series") {
        let value: Value = serde_json::from_str(vector.text("value_json")).unwrap();
        let count = u8::try_from(vector.number("count")).unwrap();
        let (record, field) = match vector.text("kind") {
            "series" => (series_record(&value, count), "series"),
            _ => (gauges_record(&value), "gauges"),
        };
        let plaintext = in_plaintext(record);
        let want = vector.octets("hex");
        let got = &plaintext[plaintext.len() - want.len()..];
        findings.equal(&vector, "octets", hex(got), hex(&want));
        // What stands before the value is the same for every value but for the length.
        let head = plaintext.len() - want.len();
        findings.equal(&vector, "count", plaintext[head - 1], count);
        let decoded = UplinkBody::decode(&plaintext, 0, Mode::Clear).unwrap();
        let shown = json::record(&decoded.records[0]);
        findings.equal(
            &vector,
            "value",
            shown[field].to_string(),
            value.to_string(),
        );
    }
    findings.finish(90);
}

/// What came out of a stream.
#[derive(Debug, Default, PartialEq)]
struct Cut {
    frames: Vec<String>,
    keepalives: usize,
    error: Option<(String, usize)>,
}

fn cut<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Cut {
    let mut framer = TcpFramer::new();
    let mut found = Cut::default();
    for chunk in chunks {
        let mut rest = chunk;
        loop {
            let fed = match framer.feed(rest) {
                Ok(fed) => fed,
                Err(error) => {
                    found.error = Some((error.kind.id().to_owned(), error.offset));
                    return found;
                }
            };
            match fed.piece {
                Some(TcpPiece::Frame(frame)) => found.frames.push(hex(frame)),
                Some(TcpPiece::KeepAlive) => found.keepalives += 1,
                None => break,
            }
            rest = &rest[fed.taken..];
        }
    }
    found
}

// spec: TCP-1, TCP-2, TCP-3
#[test]
fn streams_are_cut_alike_however_they_arrive() {
    let mut findings = Findings::default();
    for vector in otl::vectors("otl/tcp") {
        let has_error = vector.has("error");
        let want = || Cut {
            frames: vector
                .list("frames")
                .iter()
                .map(|frame| hex(frame))
                .collect(),
            keepalives: vector.number("keepalives"),
            error: has_error.then(|| (vector.text("error").to_owned(), vector.number("offset"))),
        };
        let chunks = vector.list("chunks");
        let stream = chunks.concat();
        findings.equal(
            &vector,
            "as stated",
            cut(chunks.iter().map(Vec::as_slice)),
            want(),
        );
        for size in [1, 2, 3, 7, 64] {
            findings.equal(&vector, "in pieces", cut(stream.chunks(size)), want());
        }
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            findings.equal(
                &vector,
                "in two parts",
                cut([head, tail].into_iter()),
                want(),
            );
        }
    }
    findings.finish(100);
}

#[test]
fn published_vectors_of_the_primitives_hold() {
    let mut findings = Findings::default();
    for vector in otl::vectors("crypto/cmac") {
        let mac = CmacKey::new(&key(&vector.octets("key"))).mac(&[&vector.octets("message")]);
        findings.equal(&vector, "mac", hex(&mac), vector.text("mac").to_owned());
    }
    for vector in otl::vectors("crypto/key_wrap") {
        let kek = KeyWrapKey::new(&key(&vector.octets("kek")));
        let (plain, wrapped) = (key(&vector.octets("key")), vector.octets("wrapped"));
        findings.equal(
            &vector,
            "wrapped",
            hex(kek.wrap(&plain).as_octets()),
            hex(&wrapped),
        );
        findings.equal(&vector, "unwrapped", kek.unwrap(&wrapped).ok(), Some(plain));
    }
    for file in ["crypto/ccm", "crypto/gcm"] {
        for vector in otl::vectors(file) {
            // The ciphers here take nonces of 12 octets alone, as OTL has them.
            let Ok(nonce) = <[u8; 12]>::try_from(vector.octets("nonce")) else {
                continue;
            };
            let (aad, mut buffer) = (vector.octets("aad"), vector.octets("plaintext"));
            let secret = vector.octets("key");
            let tag = if file == "crypto/ccm" {
                let key = CcmKey::new(&<[u8; 16]>::try_from(secret).unwrap().into());
                let tag = key.seal_in_place(&nonce, &aad, &mut buffer).unwrap();
                let mut opened = buffer.clone();
                key.open_in_place(&nonce, &aad, &mut opened, &tag).unwrap();
                findings.equal(
                    &vector,
                    "opened",
                    hex(&opened),
                    vector.text("plaintext").to_owned(),
                );
                tag.to_vec()
            } else {
                let key = GcmKey::new(&<[u8; 32]>::try_from(secret).unwrap().into());
                let tag = key.seal_in_place(&nonce, &aad, &mut buffer).unwrap();
                let mut opened = buffer.clone();
                key.open_in_place(&nonce, &aad, &mut opened, &tag).unwrap();
                findings.equal(
                    &vector,
                    "opened",
                    hex(&opened),
                    vector.text("plaintext").to_owned(),
                );
                tag.to_vec()
            };
            buffer.extend(tag);
            findings.equal(
                &vector,
                "sealed",
                hex(&buffer),
                vector.text("ciphertext_and_tag").to_owned(),
            );
        }
    }
    findings.finish(20);
}
