//! What follows from an uplink: what must become durable, and what may be answered.

use crate::wire::otl::answer::{AnswerFlags, AnswerItem};
use crate::wire::otl::header::UplinkHeader;
use crate::wire::otl::ident::{FrameCounter, Mode};
use crate::wire::otl::record::Record;
use crate::wire::otl::report::Report;

use super::answer_gate::AnswerKey;
use super::hand_over::{HandedOver, WaitingCommand};
use super::ns_mark::NsMark;
use super::open::Promotion;
use super::records::{JudgedDamage, JudgedRecord};
use super::refusal::Refusal;
use super::window::{Kept, ReplayWindow, TagDigest};

/// What is to become durable in one atomic step, before anything is answered.
#[derive(Debug)]
pub struct Commit {
    /// The frame counter.
    pub counter: FrameCounter,
    /// What stands for the frame's tag in the window.
    pub digest: TagDigest,
    /// The terminal's report; none if the content cannot be read.
    pub report: Option<Report>,
    /// Why the content is refused whole, if it is.
    // spec: REC-12
    pub unreadable: Option<Refusal>,
    /// Whether the report is to be taken: only that of the highest counter is.
    // spec: REP-9
    pub takes_report: bool,
    /// All records that can be decoded, in the order of the frame, and what becomes of them.
    pub judged: Vec<JudgedRecord>,
    /// Records that are new.
    pub records: Vec<Record>,
    /// Records whose key is known with other content, for quarantine.
    // spec: REC-9
    pub conflicts: Vec<Record>,
    /// Items that cannot be decoded, for quarantine.
    // spec: REC-12
    pub damaged: Vec<JudgedDamage>,
    /// Whether it is certain that nothing was kept in the report's epoch before.
    pub proves_new_epoch: bool,
    /// How many records were repeats.
    // spec: REC-8
    pub repeats: usize,
    /// Whether the records came without a ticket.
    // spec: FRS-2
    pub freshness_unproven: bool,
    /// What the frame proves of keys and modes.
    pub promotion: Promotion,
    /// Whether the terminal knows more than this server's state: it was restored from an older
    /// copy. Guarded commands of the utility are to stop until a person releases them.
    // spec: ROL-1
    pub rollback_suspected: bool,
    /// A command that goes with the answer; it is handed over by this commit.
    // spec: CMD-21
    pub command: Option<WaitingCommand>,
    /// The pinned mode.
    pub mode: Mode,
    /// Whether the frame waits for an answer.
    pub wants_answer: bool,
    pub(super) asks_more: bool,
    pub(super) refused_items: Vec<u8>,
}

impl Commit {
    /// A commit of a frame with nothing in it.
    pub(super) const fn empty(
        header: &UplinkHeader,
        digest: TagDigest,
        promotion: Promotion,
    ) -> Self {
        Self {
            counter: header.counter(),
            digest,
            report: None,
            unreadable: None,
            takes_report: false,
            judged: Vec::new(),
            records: Vec::new(),
            conflicts: Vec::new(),
            damaged: Vec::new(),
            proves_new_epoch: false,
            repeats: 0,
            freshness_unproven: false,
            promotion,
            rollback_suspected: false,
            command: None,
            mode: header.mode(),
            wants_answer: header.answer(),
            asks_more: false,
            refused_items: Vec::new(),
        }
    }

    /// What this commit changes of the link. A clone that shows while it is under way follows as a
    /// change of its own.
    #[must_use]
    pub fn change(&self, cloned: bool) -> LinkChange {
        LinkChange {
            mode: self.mode,
            counter: self.counter,
            digest: self.digest,
            kept: self.kept(cloned),
            wants_answer: self.wants_answer,
            report: self.report.filter(|_| self.takes_report),
            handed_over: self.command.as_ref().map(WaitingCommand::handed_over),
        }
    }

    /// What the window is to know of the frame; `cloned` says that its counter was seen with
    /// another tag while the commit was under way.
    #[must_use]
    pub const fn kept(&self, cloned: bool) -> Kept {
        if !self.conflicts.is_empty() {
            Kept::Conflict
        } else if cloned || self.unreadable.is_some() {
            Kept::Seen
        } else {
            Kept::Safe
        }
    }
}

/// What a commit changes of a link: all that has to be kept of it, beside the frame, to rebuild the
/// link's state from the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkChange {
    /// The pinned mode. In mode 0 a link has no state.
    pub mode: Mode,
    /// The frame counter.
    pub counter: FrameCounter,
    /// What stands for the frame's tag in the window.
    pub digest: TagDigest,
    /// What became of the frame's records.
    pub kept: Kept,
    /// Whether the frame waits for an answer.
    pub wants_answer: bool,
    /// The report, if it is to be taken.
    // spec: REP-9
    pub report: Option<Report>,
    /// The command that goes with the answer.
    // spec: CMD-21
    pub handed_over: Option<HandedOver>,
}

/// What an answer is to say. The seal adds the server nonce, the command's MAC and the tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnswerPlan {
    /// The frame that it answers.
    pub counter: FrameCounter,
    /// The pinned mode.
    pub mode: Mode,
    /// The flags.
    pub flags: AnswerFlags,
    /// The acknowledgement map.
    pub map: u16,
    /// The items but commands.
    pub items: Vec<AnswerItem>,
    /// A command to be signed.
    pub command: Option<WaitingCommand>,
    /// What the frame proves of keys and modes; to be durable before this plan is sealed.
    // spec: ROT-5, ROT-11
    pub promotion: Promotion,
}

impl AnswerPlan {
    /// What it answers, for the answer gate.
    #[must_use]
    pub const fn key(&self) -> AnswerKey {
        AnswerKey::Counter(self.counter.get())
    }
}

/// What follows from a verified uplink.
#[derive(Debug)]
pub enum Step {
    /// Make this durable, then call [`Link::committed`](super::link::Link::committed).
    Commit(Box<Commit>),
    /// Answer at once, from what is durable.
    Answer(Box<AnswerPlan>),
    /// A repeat of a frame whose commit is under way: its answer will serve both.
    // spec: ANS-7
    Joined,
    /// A repeat of a frame that asks for no answer.
    Silent,
    /// The counter was seen with another tag: raise `counter_clone`, and answer
    /// nothing.
    // spec: REP-3
    Clone {
        /// The window as it is to be made durable now.
        window: ReplayWindow,
    },
    /// Too many commits of this terminal are under way; the frame is dropped.
    Shed,
    /// It cannot be said whether a record of the frame is kept already; the frame is dropped, and
    /// nothing of it is noted.
    // spec: GEN-4
    Unsure,
}

/// What the caller knows beside the uplink.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The server's UTC seconds.
    pub now_utc_s: u32,
    /// The command that waits for this terminal, or that was handed over last.
    pub waiting: Option<&'a WaitingCommand>,
    /// Whether guarded commands of the utility are stopped after a sign of rollback.
    // spec: ROL-1
    pub commands_stopped: bool,
    /// What is known of the server nonces that were sent.
    // spec: FRS-4
    pub mark: &'a NsMark,
}
