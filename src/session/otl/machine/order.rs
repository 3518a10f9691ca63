//! What a machine orders to be durable, and what it says afterwards.

use core::num::NonZeroU32;

use crate::wire::otl::header::UplinkHeader;

use super::super::answer_gate::AnswerKey;
use super::super::open::{Answered, FrameTag, OpenedResync, OpenedUplink, Promotion};
use super::super::records::{self, JudgedDamage, Known, RecordKey, compare_contents};
use super::super::step::{AnswerPlan, Commit};
use super::io::{PathKey, Token};

/// One order: all of it becomes durable, or nothing.
#[derive(Debug)]
pub enum CommitOrder {
    /// A session step: a frame with its records, and what follows for the terminal. A clone that
    /// shows while it is under way follows as a [`Self::CloneMark`].
    Step(Box<StepOrder>),
    /// A counter was seen with two tags: no answer may call its frame safe again. Folded with
    /// [`ReplayWindow::note_clone`](super::super::window::ReplayWindow::note_clone).
    // spec: REP-3
    CloneMark {
        /// The counter.
        counter: u32,
    },
    /// A key version or mode was proven by a frame that changes nothing else, and is to be durable
    /// before that frame is answered.
    // spec: ROT-5, ROT-11
    Promotion(Promotion),
    /// A call counter that is about to be used. Folded into
    /// [`LinkState::last_call`](super::super::link::LinkState::last_call).
    // spec: SES-13
    Call {
        /// The call counter.
        call_counter: u32,
    },
}

/// A frame on its way into the log.
#[derive(Debug)]
pub struct StepOrder {
    /// Its header, the octets of which are kept as they came.
    pub header: UplinkHeader,
    /// The octets between header and tag, decrypted.
    pub plaintext: Vec<u8>,
    /// What was decided about it.
    pub commit: Commit,
}

impl StepOrder {
    /// Compares `content` with what this frame adds under a key; none if it adds nothing.
    // spec: REC-8, REC-9
    fn compare(&self, key: RecordKey, content: &[u8]) -> Option<Known> {
        if self.epoch() != Some(key.epoch) {
            return None;
        }
        let commit = &self.commit;
        let records = commit.records.iter();
        let records = records.filter(|record| record.sequence == key.sequence);
        let is_it = |one: &&JudgedDamage| !one.is_repeat && one.item.sequence == Some(key.sequence);
        let damaged = commit.damaged.iter().filter(is_it);
        let kept = records.map(records::content);
        let kept = kept.chain(damaged.map(|one| records::damaged_content(&one.item)));
        let known = kept.map(|kept| compare_contents(&kept, content));
        let known = known.filter(|known| *known != Known::No);
        known.reduce(|a, b| if a == Known::Same { a } else { b })
    }

    /// The store epoch of its records.
    fn epoch(&self) -> Option<NonZeroU32> {
        self.commit.report.map(|report| report.epoch)
    }
}

/// A frame that waits for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) header: UplinkHeader,
    pub(super) answered: Answered,
    pub(super) len: usize,
}

impl Asked {
    /// Takes out of an uplink what its answer needs.
    pub(super) const fn take(uplink: &mut OpenedUplink, len: usize) -> Self {
        let answered = &mut uplink.answered;
        Self {
            header: uplink.header,
            answered: Answered {
                header: answered.header,
                tag: answered.tag,
                key: answered.key.take(),
            },
            len,
        }
    }
}

/// What is to be said once the order is durable.
#[derive(Debug)]
pub(super) enum Reply {
    /// What the commit gives when it comes back.
    OfStep(Box<Asked>),
    /// This.
    Planned(Box<Asked>, Box<AnswerPlan>),
    /// The floor.
    Resync(Box<OpenedResync>),
    /// A CALL_NOW, made already.
    Call { frame: Vec<u8>, call_counter: u32 },
    /// Nothing.
    Nothing,
}

impl Reply {
    /// The frame that it answers.
    fn answers(&self) -> Option<(AnswerKey, FrameTag)> {
        match self {
            Self::OfStep(asked) | Self::Planned(asked, _) => {
                let key = AnswerKey::Counter(asked.header.counter().get());
                Some((key, asked.answered.tag))
            }
            Self::Resync(resync) => {
                let key = AnswerKey::Resync(resync.header.nr().0);
                Some((key, resync.answered.tag))
            }
            Self::Call { .. } | Self::Nothing => None,
        }
    }
}

/// Where an answer goes: to the path that the frame came on first, and to the last one that it was
/// repeated on. Two, so that neither a network that gave the terminal a new address nor somebody
/// who repeats its frame from elsewhere keeps the answer from it.
// spec: UDP-3
#[derive(Clone, Copy, Debug)]
pub(super) struct Destinations<P>([Option<P>; 2]);

impl<P: PathKey> Destinations<P> {
    pub(super) const fn only(path: P) -> Self {
        Self([Some(path), None])
    }

    pub(super) const fn all(paths: [Option<P>; 2]) -> Self {
        Self(paths)
    }

    pub(super) fn add(&mut self, path: P) {
        let [first, last] = &mut self.0;
        match first {
            Some(known) if *known == path => {}
            Some(_) => *last = Some(path),
            None => *first = Some(path),
        }
    }

    pub(super) fn forget(&mut self, path: P) {
        for place in &mut self.0 {
            *place = place.filter(|known| *known != path);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = P> {
        self.0.into_iter().flatten()
    }
}

/// One thing under way: an order that becomes durable, then a reply that may have to wait for the
/// mark of server nonces.
#[derive(Debug)]
pub(super) struct Work<P> {
    pub(super) token: Token,
    pub(super) order: Option<CommitOrder>,
    pub(super) reply: Reply,
    pub(super) to: Destinations<P>,
    pub(super) give_up_ms: u64,
}

impl<P> Work<P> {
    /// Whether it will answer this very frame.
    pub(super) fn answers(&self, key: AnswerKey, tag: FrameTag) -> bool {
        self.reply.answers() == Some((key, tag))
    }

    /// Compares `content` with what its order adds under a key; none if it adds nothing.
    pub(super) fn compare(&self, key: RecordKey, content: &[u8]) -> Option<Known> {
        match &self.order {
            Some(CommitOrder::Step(step)) => step.compare(key, content),
            _ => None,
        }
    }

    /// The counter and the store epoch of the step that it orders.
    pub(super) fn counter_and_epoch(&self) -> Option<(u32, NonZeroU32)> {
        match &self.order {
            Some(CommitOrder::Step(step)) => Some((step.commit.counter.get(), step.epoch()?)),
            _ => None,
        }
    }

    /// Whether its order is the step of this counter.
    pub(super) fn is_step_of(&self, counter: u32) -> bool {
        matches!(&self.order, Some(CommitOrder::Step(step))
            if step.commit.counter.get() == counter)
    }

    /// Whether it is a call.
    pub(super) const fn is_call(&self) -> bool {
        matches!(self.reply, Reply::Call { .. })
    }
}
