//! Every truncation and every flipped bit of every accepted vector, as frames and as plaintexts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/otl.rs"]
mod otl;

use std::alloc::System;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use kenshin::cli::decode::decoder::{Decoded, Decoder};
use kenshin::wire::error::ErrorKind;
use kenshin::wire::otl::annotate;
use kenshin::wire::otl::answer::Answer;
use kenshin::wire::otl::header::{Direction, FrameKind, Header, Mode};
use kenshin::wire::otl::resync::{ResyncAnswer, ResyncBody};
use kenshin::wire::otl::uplink::{Salvage, UplinkBody};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use otl::{Sealer, Vector};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most octets that decoding one frame may allocate, all of its allocations added up.
const DECODE_ALLOC_MAX: usize = 96 * 1024;

/// The most allocations of decoding one frame.
const DECODE_ALLOCS_MAX: usize = 1_024;

/// The allocator counts for the whole process, so these tests run one after the other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A vector, its frame decoded, and a decoder that has seen what it answers.
struct Subject {
    title: String,
    frame: Vec<u8>,
    decoder: Decoder,
    decoded: Decoded,
    answered: Option<Vec<u8>>,
}

impl Subject {
    fn new(vector: &Vector) -> Self {
        let mut decoder = otl::decoder_for(vector);
        let frame = vector.octets("hex");
        Self {
            title: vector.title.clone(),
            decoded: decoder.decode(&frame),
            answered: vector.has("uplink").then(|| vector.octets("uplink")),
            frame,
            decoder,
        }
    }

    fn kind(&self) -> FrameKind {
        self.decoded.header.unwrap().kind()
    }

    fn mode(&self) -> Mode {
        self.decoded.header.unwrap().mode().unwrap_or(Mode::Clear)
    }
}

fn subjects() -> Vec<Subject> {
    // Many frames differ in their content alone: each octet string once.
    let mut seen = BTreeSet::new();
    let mut vectors = otl::positive();
    vectors.retain(|vector| seen.insert(vector.octets("hex")));
    vectors.iter().map(Subject::new).collect()
}

fn flipped(octets: &[u8], bit: usize) -> Vec<u8> {
    let mut octets = octets.to_vec();
    octets[bit / 8] ^= 1 << (bit % 8);
    octets
}

/// What has to hold of a damaged frame, whatever it is.
fn check_damaged(subject: &mut Subject, damaged: &[u8], what: &str) {
    let title = &subject.title;
    let decoded = subject.decoder.decode(damaged);
    assert!(!decoded.verified, "{title}: {what} verifies");
    match &decoded.failure {
        Some(failure) => {
            assert_eq!(decoded.json["ok"], false, "{title}: {what}");
            assert!(
                failure.offset <= damaged.len(),
                "{title}: {what}: {failure:?}"
            );
        }
        None => {
            // It is now a frame in clear, a frame of another terminal, an answer to another
            // frame, or a CLOSE with another code: nothing that is believed.
            assert_eq!(decoded.json["ok"], true, "{title}: {what}");
            assert_eq!(
                decoded.json["security"]["verified"], false,
                "{title}: {what}"
            );
            if let (Some(header), Some(plaintext)) = (decoded.header, &decoded.plaintext) {
                let again = otl::recode(header.kind(), Mode::Clear, plaintext);
                assert_eq!(
                    again.as_deref(),
                    Some(plaintext.as_slice()),
                    "{title}: {what}"
                );
            }
        }
    }
}

// spec: SEC-5, SEC-6, SEC-7, SEC-8
#[test]
fn no_flipped_bit_verifies() {
    let _alone = alone();
    let (mut count, mut still_ok) = (0, 0);
    for mut subject in subjects() {
        for bit in 0..subject.frame.len() * 8 {
            let damaged = flipped(&subject.frame, bit);
            check_damaged(&mut subject, &damaged, &format!("bit {bit}"));
            let was_verified = subject.decoded.verified;
            let body = subject.kind().header_len(subject.mode());
            if was_verified && bit >= body * 8 {
                let failure = subject.decoder.decode(&damaged).failure.unwrap();
                assert_eq!(failure.kind, "tag_mismatch", "{}: bit {bit}", subject.title);
            } else {
                still_ok += usize::from(subject.decoder.decode(&damaged).failure.is_none());
            }
            count += 1;
        }
    }
    println!("{count} flipped bits, {still_ok} give another frame that nobody believes");
    assert!(count >= 100_000, "only {count}");
}

// spec: FRM-7, GEN-5
#[test]
fn every_truncation_is_an_error_or_is_not_believed() {
    let _alone = alone();
    let mut count = 0;
    for mut subject in subjects() {
        for len in 0..subject.frame.len() {
            let damaged = subject.frame[..len].to_vec();
            check_damaged(&mut subject, &damaged, &format!("the first {len} octets"));
            if subject.decoded.verified {
                let failure = subject.decoder.decode(&damaged).failure;
                assert!(failure.is_some(), "{}: {len} octets", subject.title);
            }
            count += 1;
        }
        // One octet more is damage too.
        let longer = [subject.frame.as_slice(), &[0]].concat();
        check_damaged(&mut subject, &longer, "one octet more");
    }
    println!("{count} truncations");
    assert!(count >= 10_000, "only {count}");
}

/// Decodes a plaintext as its kind of frame has it.
fn decode_plaintext(
    kind: FrameKind,
    mode: Mode,
    plaintext: &[u8],
) -> Result<(), (ErrorKind, usize)> {
    match kind {
        FrameKind::Uplink => UplinkBody::decode(plaintext, 0, mode).map(drop),
        FrameKind::Resync => ResyncBody::decode(plaintext, 0).map(drop),
        FrameKind::Answer => Answer::decode(plaintext, 0, mode).map(drop),
        FrameKind::ResyncAnswer => ResyncAnswer::decode(plaintext, 0).map(drop),
        FrameKind::CallNow | FrameKind::Close => Ok(()),
    }
    .map_err(|error| (error.kind, error.offset))
}

/// Damaged plaintexts: every flipped bit, and every truncation.
fn damaged_plaintexts(plaintext: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let bits = (0..plaintext.len() * 8).map(|bit| flipped(plaintext, bit));
    let short = (0..plaintext.len()).map(|len| plaintext[..len].to_vec());
    bits.chain(short)
}

// spec: GEN-3, GEN-5
#[test]
fn a_damaged_plaintext_is_an_error_or_another_value_with_one_encoding() {
    let _alone = alone();
    let (mut count, mut refused) = (0, 0);
    for subject in subjects() {
        let Some(plaintext) = &subject.decoded.plaintext else {
            continue;
        };
        let (kind, mode) = (subject.kind(), subject.mode());
        for damaged in damaged_plaintexts(plaintext) {
            count += 1;
            match decode_plaintext(kind, mode, &damaged) {
                Err((_, offset)) => {
                    assert!(offset <= damaged.len(), "{}", subject.title);
                    refused += 1;
                }
                // A RESYNC has one length, which the frame's header check sees to.
                Ok(()) if kind == FrameKind::Resync && damaged.len() != plaintext.len() => {}
                Ok(()) => {
                    let again = otl::recode(kind, mode, &damaged);
                    assert_eq!(
                        again.as_deref(),
                        Some(damaged.as_slice()),
                        "{}",
                        subject.title
                    );
                }
            }
        }
    }
    println!("{count} damaged plaintexts, {refused} refused");
    assert!(refused > 10_000 && refused < count, "{refused} of {count}");
}

/// Whoever holds a key can seal anything: what verifies must still be decoded with care.
// spec: GEN-5
#[test]
fn a_sealed_damaged_plaintext_verifies_and_is_judged() {
    let _alone = alone();
    let mut count = 0;
    for mut subject in subjects() {
        let (decoded, answered) = (&subject.decoded, subject.answered.as_deref());
        let Some(sealer) = Sealer::new(decoded, answered) else {
            continue;
        };
        let Some(plaintext) = decoded.plaintext.clone() else {
            continue;
        };
        let at = subject.kind().header_len(subject.mode());
        // Every bit of the short ones, every seventh of the long ones.
        let step = if plaintext.len() > 120 { 7 } else { 1 };
        for bit in (0..plaintext.len() * 8).step_by(step) {
            let damaged = flipped(&plaintext, bit);
            let got = subject.decoder.decode(&sealer.seal(&damaged));
            let want = decode_plaintext(subject.kind(), subject.mode(), &damaged);
            assert!(got.verified, "{}: bit {bit}", subject.title);
            let failure = got.failure.map(|failure| (failure.kind, failure.offset));
            let want = want.err().map(|(kind, offset)| (kind.id(), offset + at));
            assert_eq!(failure, want, "{}: bit {bit}", subject.title);
            count += 1;
        }
    }
    println!("{count} sealed plaintexts");
    assert!(count >= 10_000, "only {count}");
}

/// Octets that were allocated, growth of what was there included, and how often.
fn allocated(decode: impl FnOnce()) -> (usize, usize) {
    let region = Region::new(ALLOCATOR);
    decode();
    let change = region.change();
    (
        change.bytes_allocated,
        change.allocations + change.reallocations,
    )
}

#[test]
fn decoding_allocates_within_a_bound() {
    let _alone = alone();
    let (mut octets_max, mut count_max) = (0, 0);
    let mut measure = |kind, mode, plaintext: &[u8]| {
        let strict = allocated(|| {
            decode_plaintext(kind, mode, plaintext).ok();
        });
        let salvaged = allocated(|| {
            if kind == FrameKind::Uplink {
                drop(Salvage::decode(plaintext, 0, mode));
            }
        });
        for (octets, count) in [strict, salvaged] {
            octets_max = octets_max.max(octets);
            count_max = count_max.max(count);
        }
    };
    for subject in subjects() {
        let Some(plaintext) = &subject.decoded.plaintext else {
            continue;
        };
        let (kind, mode) = (subject.kind(), subject.mode());
        measure(kind, mode, plaintext);
        for damaged in damaged_plaintexts(plaintext) {
            measure(kind, mode, &damaged);
        }
    }
    // Frames full of what is short on the air and long in memory: records without content,
    // records that are set aside, series of 250 equal registers, and lists that just grew.
    let series = format!("032d01026b36ecf80015003cfa{}", "00".repeat(34));
    for (opaque, damaged, long) in [
        (391, 0, 0),
        (0, 587, 0),
        (0, 0, 24),
        (257, 201, 0),
        (257, 129, 3),
        (257, 0, 8),
        (49, 513, 0),
        (129, 257, 5),
    ] {
        let items = [
            "6f0101".repeat(opaque),
            "0e00".repeat(damaged),
            series.repeat(long),
        ];
        let plaintext = otl::unhex(&format!("026b36ecf81ceb00da1000{}", items.concat()));
        assert!(plaintext.len() <= 1_200 - 15);
        let salvage = Salvage::decode(&plaintext, 0, Mode::Clear).unwrap();
        let kept = (salvage.body.records.len(), salvage.damaged.len());
        assert_eq!(kept, (opaque + long, damaged));
        measure(FrameKind::Uplink, Mode::Clear, &plaintext);
    }
    for item in ["0100", "7e00", "4000"] {
        let plaintext = otl::unhex(&format!("010000{}", item.repeat(580)));
        measure(FrameKind::Answer, Mode::CcmStatic, &plaintext);
    }
    println!("at most {octets_max} octets in {count_max} allocations for one frame");
    assert!(octets_max <= DECODE_ALLOC_MAX, "{octets_max} octets");
    assert!(count_max <= DECODE_ALLOCS_MAX, "{count_max} allocations");
}

// spec: SES-9
#[test]
fn a_header_is_checked_without_allocation() {
    let _alone = alone();
    for subject in subjects() {
        for bit in 0..subject.frame.len().min(31) * 8 {
            let damaged = flipped(&subject.frame, bit);
            let region = Region::new(ALLOCATOR);
            let from_terminal = Header::parse(&damaged, Direction::FromTerminal).is_ok();
            let from_server = Header::parse(&damaged, Direction::FromServer).is_ok();
            let change = region.change();
            assert_eq!(change.allocations, 0, "{}: bit {bit}", subject.title);
            assert!(!(from_terminal && from_server));
        }
    }
}

#[test]
fn a_view_covers_every_octet_of_a_damaged_frame_once() {
    let _alone = alone();
    for subject in subjects() {
        let frames = (0..subject.frame.len() * 8)
            .step_by(5)
            .map(|bit| flipped(&subject.frame, bit))
            .chain((0..subject.frame.len()).map(|len| subject.frame[..len].to_vec()));
        for frame in frames {
            for from in [Direction::FromTerminal, Direction::FromServer] {
                let plaintext = subject.decoded.plaintext.as_deref();
                let view = annotate::view(&frame, from, plaintext);
                let mut at = 0;
                for span in &view.spans {
                    assert_eq!(span.offset, at, "{}", subject.title);
                    assert!(span.len > 0, "{}", subject.title);
                    at += span.len;
                }
                assert_eq!(at, frame.len(), "{}", subject.title);
            }
        }
    }
}
