//! Which records of a frame are new, which are repeats, and which contradict what is kept.

use core::num::NonZeroU32;

use crate::wire::otl::limits::FRAME_MAX;
use crate::wire::otl::record::{Record, RecordBody};
use crate::wire::writer::Writer;

/// The key of idempotence of a record, within one terminal.
// spec: REC-6
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordKey {
    /// The store epoch.
    pub epoch: NonZeroU32,
    /// The record sequence.
    pub sequence: NonZeroU32,
}

/// What is known under a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Known {
    /// Nothing.
    No,
    /// The same content.
    Same,
    /// Other content.
    Other,
}

/// What the store knows of a terminal's records: durable ones, and those of commits under way.
pub trait RecordIndex {
    /// Compares `content` ([`content`]) with what is kept under `key`.
    fn compare(&self, key: RecordKey, content: &[u8]) -> Known;
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordVerdict {
    /// It is kept.
    New,
    /// It is known under its key, or under that of the epoch before.
    // spec: REC-8
    Repeat,
    /// Other content is known under its key.
    // spec: REC-9
    Conflict,
}

/// A record of a frame and what becomes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JudgedRecord {
    /// Its sequence.
    pub sequence: NonZeroU32,
    /// The number of its type.
    pub number: u8,
    /// What becomes of it.
    pub verdict: RecordVerdict,
}

/// The records of a frame by what becomes of them.
#[derive(Debug, Default)]
pub struct Sorted {
    /// All of them, in the order of the frame.
    pub judged: Vec<JudgedRecord>,
    /// To be kept.
    pub new: Vec<Record>,
    /// To be quarantined; their frame is not acknowledged.
    // spec: REC-9
    pub conflicts: Vec<Record>,
    /// Kept already, under this or the previous epoch.
    // spec: REC-8
    pub repeats: usize,
}

/// The content of a record that two copies must have in common: type octet and body, the MAC left
/// out, because it covers the epoch and is made anew with it.
// spec: REC-8
#[must_use]
pub fn content(record: &Record) -> Vec<u8> {
    let mut octets = vec![record.body.number()];
    let mut out = Writer::new(&mut octets, FRAME_MAX);
    let written = match &record.body {
        RecordBody::ValveState(body) => body.encode_before_mac(&mut out),
        RecordBody::CommandResult(body) => body.encode_before_mac(&mut out),
        body => body.encode(&mut out),
    };
    // A decoded record came out of a frame and so fits one; what did not fit compares as unequal.
    if written.is_err() {
        octets.clear();
    }
    octets
}

/// Sorts the records of a frame.
// spec: REC-6, REC-8, REC-9
pub fn sort(
    records: Vec<Record>,
    epoch: NonZeroU32,
    previous_epoch: Option<NonZeroU32>,
    index: &dyn RecordIndex,
) -> Sorted {
    let mut sorted = Sorted::default();
    let mut in_frame: Vec<(NonZeroU32, Vec<u8>)> = Vec::with_capacity(records.len());
    for record in records {
        let content = content(&record);
        let key = RecordKey {
            epoch,
            sequence: record.sequence,
        };
        let within = in_frame
            .iter()
            .find(|(sequence, _)| *sequence == record.sequence);
        let known = match within {
            Some((_, other)) if *other == content => Known::Same,
            Some(_) => Known::Other,
            None => index.compare(key, &content),
        };
        let moved = previous_epoch.is_some_and(|epoch| {
            let key = RecordKey { epoch, ..key };
            index.compare(key, &content) == Known::Same
        });
        let verdict = match known {
            Known::Same => RecordVerdict::Repeat,
            Known::No if moved => RecordVerdict::Repeat,
            Known::No => RecordVerdict::New,
            Known::Other => RecordVerdict::Conflict,
        };
        sorted.judged.push(JudgedRecord {
            sequence: record.sequence,
            number: record.body.number(),
            verdict,
        });
        match verdict {
            RecordVerdict::Repeat => sorted.repeats = sorted.repeats.saturating_add(1),
            RecordVerdict::New => {
                in_frame.push((record.sequence, content));
                sorted.new.push(record);
            }
            RecordVerdict::Conflict => sorted.conflicts.push(record),
        }
    }
    sorted
}
