//! Which records of a frame are new, which are repeats, and which contradict what is kept.
//!
//! A repeat is found under its own key, under the epoch that its frame says was left, and, in a
//! frame that comes late, under the epochs that its terminal moved on to meanwhile.

use core::num::NonZeroU32;

use crate::wire::otl::limits::FRAME_MAX;
use crate::wire::otl::record::{Record, RecordBody};
use crate::wire::otl::uplink::{DamagedItem, SessionItem, UplinkBody};
use crate::wire::writer::Writer;

use super::open::OpenedUplink;

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
    /// Nobody can say now: what is kept cannot be read, or not fast enough. Taking the record for
    /// new could give one fact two ids, or acknowledge content that is not the one kept.
    Unknown,
}

/// What the store knows of a terminal's records: durable ones, and those of commits under way.
pub trait RecordIndex {
    /// Compares `content` ([`content`] or [`damaged_content`]) with what is kept under `key`.
    fn compare(&self, key: RecordKey, content: &[u8]) -> Known;

    /// Whether anything may be durable under `key`: false is a proof that nothing is.
    fn may_be_durable(&self, _: RecordKey) -> bool {
        true
    }

    /// The same, for what is under way as well.
    fn may_be_known(&self, key: RecordKey) -> bool {
        self.may_be_durable(key)
    }

    /// The epochs that the terminal moved on to from `epoch`, as far as they are remembered.
    fn later_epochs(&self, _: NonZeroU32) -> Vec<NonZeroU32> {
        Vec::new()
    }

    /// Whether it is certain that no record of `epoch` is known.
    fn proves_new(&self, _: NonZeroU32) -> bool {
        false
    }
}

/// One question to a [`RecordIndex`]: a key, and the content that is compared with what is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// The key.
    pub key: RecordKey,
    /// The content.
    pub content: Vec<u8>,
}

/// It cannot be said whether a record of a frame is kept already; the frame is to be dropped
/// without an answer, and its terminal sends it again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unsure;

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
    /// Kept already, under this epoch or another.
    // spec: REC-8
    pub repeats: usize,
    /// Items that cannot be decoded.
    // spec: REC-12
    pub damaged: Vec<JudgedDamage>,
}

/// An item that cannot be decoded, and whether it is kept already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JudgedDamage {
    /// The item.
    pub item: DamagedItem,
    /// Whether the same octets are kept under its key, or under that of another epoch.
    // spec: REC-8
    pub is_repeat: bool,
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

/// What stands before the octets of an item that cannot be decoded: no record has this number.
const DAMAGED: u8 = 0xFF;

/// The content of an item that cannot be decoded: its type and all of its octets.
// spec: REC-8, REC-12
#[must_use]
pub fn damaged_content(item: &DamagedItem) -> Vec<u8> {
    let mut octets = Vec::with_capacity(item.octets.len().saturating_add(2));
    octets.extend_from_slice(&[DAMAGED, item.number]);
    octets.extend_from_slice(&item.octets);
    octets
}

/// Whether a content is that of an item that cannot be decoded.
#[must_use]
pub fn is_damaged(content: &[u8]) -> bool {
    content.first() == Some(&DAMAGED)
}

/// What is known when `kept` is found under a key that is asked for with `wanted`. An item that
/// cannot be decoded has no content to contradict, and contradicts none.
// spec: REC-9, REC-12
#[must_use]
pub fn compare_contents(kept: &[u8], wanted: &[u8]) -> Known {
    if kept == wanted {
        Known::Same
    } else if is_damaged(kept) || is_damaged(wanted) {
        Known::No
    } else {
        Known::Other
    }
}

/// The epoch that the terminal says it left.
// spec: REC-28, REC-8
#[must_use]
pub fn previous_epoch(body: &UplinkBody) -> Option<NonZeroU32> {
    let items = body.session_items.as_slice().iter();
    let mut epochs = items.filter_map(|item| match item {
        SessionItem::PreviousEpoch(epoch) => Some(*epoch),
        SessionItem::AnswerRefused(_) | SessionItem::Unknown(_) => None,
    });
    epochs.next()
}

/// The epochs under which the records of a frame are looked for, that of the frame first.
// spec: REC-8
fn epochs_of(body: &UplinkBody, index: &dyn RecordIndex) -> Vec<NonZeroU32> {
    let epoch = body.report.epoch;
    let mut epochs = vec![epoch];
    let others = previous_epoch(body).into_iter();
    for other in others.chain(index.later_epochs(epoch)) {
        if !epochs.contains(&other) {
            epochs.push(other);
        }
    }
    epochs
}

/// What has to be asked of the log before a frame can be sorted: whatever `index` does not know.
#[must_use]
pub fn open_questions(uplink: &OpenedUplink, index: &dyn RecordIndex) -> Vec<Question> {
    let epochs = epochs_of(&uplink.body, index);
    let mut questions = Vec::new();
    let mut ask = |sequence, content: &dyn Fn() -> Vec<u8>| {
        let keys = epochs.iter().map(|epoch| RecordKey {
            epoch: *epoch,
            sequence,
        });
        for key in keys.filter(|key| index.may_be_durable(*key)) {
            let content = content();
            if index.compare(key, &content) == Known::Unknown {
                questions.push(Question { key, content });
            }
        }
    };
    for record in &uplink.body.records {
        ask(record.sequence, &|| content(record));
    }
    for item in &uplink.damaged {
        if let Some(sequence) = item.sequence {
            ask(sequence, &|| damaged_content(item));
        }
    }
    questions
}

/// What is known of one content under all epochs of a frame. The content is made only if there may
/// be another to compare it with: for most records there is none.
fn known_under(
    sequence: NonZeroU32,
    content: impl FnOnce() -> Vec<u8>,
    epochs: &[NonZeroU32],
    index: &dyn RecordIndex,
) -> Known {
    let key_in = |epoch: &NonZeroU32| RecordKey {
        epoch: *epoch,
        sequence,
    };
    if !epochs.iter().any(|epoch| index.may_be_known(key_in(epoch))) {
        return Known::No;
    }
    let content = content();
    let mut known = Known::No;
    for (place, epoch) in epochs.iter().enumerate() {
        match index.compare(key_in(epoch), &content) {
            Known::Same => return Known::Same,
            Known::Other if place == 0 => return Known::Other,
            // Of another epoch, other content is another fact.
            Known::Other | Known::No => {}
            Known::Unknown => known = Known::Unknown,
        }
    }
    known
}

/// Sorts the records of a frame.
///
/// # Errors
///
/// [`Unsure`].
// spec: REC-6, REC-8, REC-9
pub fn sort(
    body: UplinkBody,
    damaged: Vec<DamagedItem>,
    index: &dyn RecordIndex,
) -> Result<Sorted, Unsure> {
    let epochs = epochs_of(&body, index);
    let mut sorted = Sorted::default();
    for record in body.records {
        let mut before = sorted.new.iter();
        let known = match before.find(|before| before.sequence == record.sequence) {
            Some(before) => compare_contents(&content(before), &content(&record)),
            None => known_under(record.sequence, || content(&record), &epochs, index),
        };
        let verdict = match known {
            Known::Same => RecordVerdict::Repeat,
            Known::No => RecordVerdict::New,
            Known::Other => RecordVerdict::Conflict,
            Known::Unknown => return Err(Unsure),
        };
        sorted.judged.push(JudgedRecord {
            sequence: record.sequence,
            number: record.body.number(),
            verdict,
        });
        match verdict {
            RecordVerdict::Repeat => sorted.repeats = sorted.repeats.saturating_add(1),
            RecordVerdict::New => sorted.new.push(record),
            RecordVerdict::Conflict => sorted.conflicts.push(record),
        }
    }
    sort_damaged(&mut sorted, damaged, &epochs, index)?;
    Ok(sorted)
}

/// Tells which items that cannot be decoded are kept already. One without a sequence has no key: it
/// is new each time, under an id that its octets make.
// spec: REC-8, REC-12
fn sort_damaged(
    sorted: &mut Sorted,
    damaged: Vec<DamagedItem>,
    epochs: &[NonZeroU32],
    index: &dyn RecordIndex,
) -> Result<(), Unsure> {
    for item in damaged {
        let mut before = sorted.damaged.iter();
        let is_repeat = match item.sequence {
            None => false,
            Some(sequence) => {
                let same = |other: &JudgedDamage| {
                    let other = &other.item;
                    (other.number, other.sequence) == (item.number, item.sequence)
                        && other.octets == item.octets
                };
                let content = || damaged_content(&item);
                before.any(same)
                    || match known_under(sequence, content, epochs, index) {
                        Known::Same => true,
                        Known::No | Known::Other => false,
                        Known::Unknown => return Err(Unsure),
                    }
            }
        };
        if is_repeat {
            sorted.repeats = sorted.repeats.saturating_add(1);
        }
        sorted.damaged.push(JudgedDamage { item, is_repeat });
    }
    Ok(())
}
