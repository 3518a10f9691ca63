//! Which records of a terminal are durable, and with what content.
//!
//! What the hot table knows of sequences answers nearly every question. The others go to the log: a
//! few frames are read at once, outside of every lock; what costs more is looked for on a thread of
//! its own, while the frame that asked is dropped unacknowledged. Its terminal sends it again, and
//! finds the answers.

use core::num::NonZeroU32;
use std::fmt;

use crate::model::step::{RecordFlags, SessionStep};
use crate::model::{Lsn, TerminalId};
use crate::session::otl::records::{
    Known, Question, RecordIndex, RecordKey, compare_contents, content, damaged_content,
};
use crate::store::log::{CommitLog, ReadError, Walk};
use crate::store::state::fold::KIND_STEP;
use crate::store::state::sequences::SequenceTrack;
use crate::wire::otl::ident::Mode;
use crate::wire::otl::uplink::Salvage;

/// Epochs that one pass tells apart: more than a terminal has.
const EPOCHS_MAX: usize = 64;

/// The durable records of one terminal.
#[derive(Debug)]
pub struct DurableRecords<'a> {
    /// What is known without the log.
    track: SequenceTrack,
    /// What the log answered.
    answers: Option<&'a Answers>,
}

impl<'a> DurableRecords<'a> {
    /// The records that a hot entry knows of; `answers` count only if `applied`, the position of
    /// the terminal's last frame, is still the one that they were found with.
    #[must_use]
    pub fn new(track: SequenceTrack, applied: Lsn, answers: Option<&'a Answers>) -> Self {
        Self {
            track,
            answers: answers.filter(|answers| answers.newest == applied),
        }
    }

    /// Whether the log was asked already, and asking again would tell nothing more.
    #[must_use]
    pub const fn was_searched(&self) -> bool {
        self.answers.is_some()
    }
}

impl RecordIndex for DurableRecords<'_> {
    // spec: REC-6, REC-8
    fn compare(&self, key: RecordKey, content: &[u8]) -> Known {
        if !self.may_be_durable(key) {
            return Known::No;
        }
        let known = self.answers.and_then(|answers| answers.find(key, content));
        known.unwrap_or(Known::Unknown)
    }

    fn may_be_durable(&self, key: RecordKey) -> bool {
        self.track.may_be_durable(key.epoch, key.sequence.get())
    }

    // spec: REC-8
    fn later_epochs(&self, epoch: NonZeroU32) -> Vec<NonZeroU32> {
        self.track.later_epochs(epoch)
    }

    fn proves_new(&self, epoch: NonZeroU32) -> bool {
        let proof = self.answers.and_then(|answers| answers.epochs.as_ref());
        self.track.has_nothing_of(epoch) || proof.is_some_and(|epochs| !epochs.contains(&epoch))
    }
}

/// What the log says to the questions of one frame.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The position of the terminal's last frame then.
    newest: Lsn,
    known: Vec<(Question, Known)>,
    /// The epochs that records are kept in, if all of the log was looked through.
    epochs: Option<Vec<NonZeroU32>>,
}

impl Answers {
    fn find(&self, key: RecordKey, content: &[u8]) -> Option<Known> {
        let mut known = self.known.iter();
        let is_it =
            |(question, _): &&(Question, Known)| question.key == key && question.content == content;
        known.find(is_it).map(|(_, known)| *known)
    }

    /// The position up to which the log was looked through.
    pub(super) const fn newest(&self) -> Lsn {
        self.newest
    }

    /// Whether each of these questions has an answer here.
    pub(super) fn covers(&self, questions: &[Question]) -> bool {
        let mut questions = questions.iter();
        questions.all(|one| self.find(one.key, &one.content).is_some())
    }

    /// Adds what an earlier pass found in older frames.
    pub(super) fn complete_with(&mut self, earlier: &Self) {
        for (question, known) in &mut self.known {
            if *known == Known::No {
                let before = earlier.find(question.key, &question.content);
                *known = before.unwrap_or(Known::Unknown);
            }
        }
        self.epochs = match (self.epochs.take(), &earlier.epochs) {
            (Some(mut epochs), Some(earlier)) => {
                epochs.extend(earlier);
                Some(epochs)
            }
            _ => None,
        };
    }

    /// Makes of each "nothing was found" a "nobody knows".
    pub(super) fn leave_open(&mut self) {
        let open = self.known.iter_mut();
        for (_, known) in open.filter(|(_, known)| *known == Known::No) {
            *known = Known::Unknown;
        }
        self.epochs = None;
    }

    fn is_settled(&self) -> bool {
        self.known.iter().all(|(_, known)| *known != Known::No)
    }
}

/// How a pass through the log ended.
#[derive(Debug)]
pub enum PassEnd {
    /// Every question has its answer.
    Done,
    /// Going on would cost more than allowed.
    Cut,
    /// The log, or a step of it, cannot be read.
    Unreadable(Unreadable),
}

/// What cannot be read where a repeat was looked for.
#[derive(Debug)]
pub enum Unreadable {
    /// A frame.
    Frame(ReadError),
    /// The step of a frame.
    Step(Lsn),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Step(lsn) => write!(f, "the step at {lsn} cannot be decoded"),
        }
    }
}

/// One pass through the frames of a terminal for all questions, the newest frames first. `stops`
/// is asked before each frame.
pub fn pass(
    log: &CommitLog,
    terminal: TerminalId,
    questions: Vec<Question>,
    walk: Walk,
    stops: impl Fn() -> bool,
) -> (Answers, PassEnd) {
    let mut answers = Answers {
        newest: walk.newest.unwrap_or_default(),
        known: questions.into_iter().map(|one| (one, Known::No)).collect(),
        epochs: None,
    };
    let mut epochs = Vec::new();
    let mut history = log.walk(terminal, walk);
    for frame in history.by_ref() {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return (answers, PassEnd::Unreadable(Unreadable::Frame(error))),
        };
        if frame.kind == KIND_STEP
            && look_at(&frame.payload, &mut answers.known, &mut epochs) != Ok(())
        {
            return (answers, PassEnd::Unreadable(Unreadable::Step(frame.lsn)));
        }
        if answers.is_settled() {
            return (answers, PassEnd::Done);
        }
        if stops() {
            return (answers, PassEnd::Cut);
        }
    }
    if history.is_cut() {
        return (answers, PassEnd::Cut);
    }
    answers.epochs = (epochs.len() < EPOCHS_MAX).then_some(epochs);
    (answers, PassEnd::Done)
}

/// A step that does not decode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Undecodable;

/// Looks for records that a step kept.
fn look_at(
    payload: &[u8],
    known: &mut [(Question, Known)],
    epochs: &mut Vec<NonZeroU32>,
) -> Result<(), Undecodable> {
    let step = SessionStep::decode(payload).map_err(|_| Undecodable)?;
    let Some(epoch) = step
        .epoch
        .filter(|_| step.entries.iter().any(|one| one.flags.is_new()))
    else {
        return Ok(());
    };
    if !epochs.contains(&epoch) && epochs.len() < EPOCHS_MAX {
        epochs.push(epoch);
    }
    let mut kept = step.entries.iter().filter(|entry| entry.flags.is_new());
    let is_asked_for = kept.any(|entry| {
        let is_it = |(one, _): &(Question, Known)| {
            one.key.epoch == epoch && one.key.sequence.get() == entry.sequence
        };
        known.iter().any(is_it)
    });
    if !is_asked_for {
        return Ok(());
    }
    let mode = Mode::from_number(step.mode).ok_or(Undecodable)?;
    let salvage = Salvage::decode(step.plaintext, step.header.len(), mode);
    let Salvage { body, damaged } = salvage.map_err(|_| Undecodable)?;
    let is_new = |place, number, sequence: NonZeroU32| {
        let flags: RecordFlags = step.noted(place, number, sequence.get());
        flags.is_new()
    };
    for (place, record) in body.records.iter().enumerate() {
        if is_new(place, record.body.number(), record.sequence) {
            let sequence = record.sequence;
            answer(known, RecordKey { epoch, sequence }, &|| content(record));
        }
    }
    for (place, item) in damaged.iter().enumerate() {
        let place = place.saturating_add(body.records.len());
        if let Some(sequence) = item.sequence
            && is_new(place, item.number, sequence)
        {
            answer(known, RecordKey { epoch, sequence }, &|| {
                damaged_content(item)
            });
        }
    }
    Ok(())
}

/// Answers the questions about a key with what is kept under it. Of several contents that are kept
/// under one key, the one that is the same counts.
fn answer(known: &mut [(Question, Known)], key: RecordKey, kept: &dyn Fn() -> Vec<u8>) {
    let asked = known.iter_mut().filter(|(one, _)| one.key == key);
    for (question, known) in asked {
        if *known != Known::Same {
            match compare_contents(&kept(), &question.content) {
                Known::No => {}
                found => *known = found,
            }
        }
    }
}
