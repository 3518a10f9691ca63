//! One terminal's link: what an uplink means for what is durable, and what may be answered.
//!
//! The link never says that a record is safe by itself. [`Link::receive`] gives a [`Commit`] with
//! all that is to become durable in one atomic frame of the log; [`Link::committed`] takes it back
//! once it is, and only that makes an answer with ACK. A commit that failed goes to
//! [`Link::failed`], and nothing was said.

use core::num::NonZeroU32;

use crate::wire::otl::answer::{AnswerFlags, AnswerItem, ComeBack, WakeSlot};
use crate::wire::otl::ident::{FrameCounter, KeyVersion, Mode};
use crate::wire::otl::record::Record;
use crate::wire::otl::report::Report;
use crate::wire::otl::uplink::{DamagedItem, SessionItem};

use super::answer_gate::AnswerKey;
use super::hand_over::{CommandState, HandOver, NotNow, UplinkFacts, WaitingCommand};
use super::open::OpenedUplink;
use super::records::{self, RecordIndex, Sorted};
use super::window::{CounterVerdict, ReplayWindow, TagDigest};

/// Commits of one terminal that may be under way at once: a whole batch and its repeats.
pub const PENDING_MAX: usize = 16;

/// COME_BACKs without ACK that a terminal may get in a row.
// spec: OVL-3
const COME_BACKS_MAX: u8 = 2;

/// What is durable about a terminal's link.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LinkState {
    /// Which frames were seen, and which are safe.
    pub window: ReplayWindow,
    /// What is known of its commands.
    pub commands: CommandState,
    /// The wake slot that the server wants it to have.
    pub slot: Option<WakeSlot>,
}

/// What is to become durable in one atomic step, before anything is answered.
#[derive(Debug)]
pub struct Commit {
    /// The frame counter.
    pub counter: FrameCounter,
    /// What stands for the frame's tag in the window.
    pub digest: TagDigest,
    /// The terminal's report.
    pub report: Report,
    /// Whether the report is to be taken: only that of the highest counter is.
    // spec: REP-9
    pub takes_report: bool,
    /// Records that are new.
    pub records: Vec<Record>,
    /// Records whose key is known with other content, for quarantine.
    // spec: REC-9
    pub conflicts: Vec<Record>,
    /// Items that cannot be decoded, for quarantine.
    // spec: REC-12
    pub damaged: Vec<DamagedItem>,
    /// How many records were repeats.
    // spec: REC-8
    pub repeats: usize,
    /// Whether the records came without a ticket.
    // spec: FRS-2
    pub freshness_unproven: bool,
    /// A link key version that is to be promoted.
    // spec: ROT-5
    pub promotes_version: Option<KeyVersion>,
    /// A mode that is to be promoted.
    // spec: ROT-11
    pub promotes_mode: Option<Mode>,
    /// A command that goes with the answer; it is handed over by this commit.
    // spec: CMD-21
    pub command: Option<WaitingCommand>,
    mode: Mode,
    wants_answer: bool,
    asks_more: bool,
    refused_items: Vec<u8>,
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
    /// Make this durable, then call [`Link::committed`].
    Commit(Box<Commit>),
    /// Answer at once, from what is durable.
    Answer(Box<AnswerPlan>),
    /// A repeat of a frame whose commit is under way: its answer will serve both.
    // spec: ANS-7
    Joined,
    /// A repeat of a frame that asks for no answer.
    Silent,
    /// The counter was seen with another tag: raise `counter_clone`, answer nothing.
    // spec: REP-3
    Clone,
    /// Too many commits of this terminal are under way; the frame is dropped.
    Shed,
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
}

/// The link of one terminal.
#[derive(Debug, Default)]
pub struct Link {
    state: LinkState,
    pending: Vec<(u32, TagDigest)>,
    come_backs: u8,
}

impl Link {
    /// A link as it was left durable.
    #[must_use]
    pub const fn new(state: LinkState) -> Self {
        Self {
            state,
            pending: Vec::new(),
            come_backs: 0,
        }
    }

    /// What is durable.
    #[must_use]
    pub const fn state(&self) -> &LinkState {
        &self.state
    }

    /// Judges a verified uplink.
    // spec: REP-2, REP-3, REP-4, REP-5, REP-8, ANS-5, ANS-7
    pub fn receive(
        &mut self,
        uplink: OpenedUplink,
        index: &dyn RecordIndex,
        around: &Surroundings<'_>,
    ) -> Step {
        let counter = uplink.header.counter();
        let digest = uplink.answered.tag.digest();
        let is_clear = uplink.header.mode() == Mode::Clear;
        if !is_clear && self.pending.contains(&(counter.get(), digest)) {
            return Step::Joined;
        }
        let verdict = if is_clear {
            CounterVerdict::New
        } else if self
            .pending
            .iter()
            .any(|(pending, _)| *pending == counter.get())
        {
            CounterVerdict::Clone
        } else {
            self.state.window.judge(counter.get(), digest)
        };
        match verdict {
            CounterVerdict::New if self.pending.len() >= PENDING_MAX => Step::Shed,
            CounterVerdict::New => {
                self.pending.push((counter.get(), digest));
                Step::Commit(Box::new(self.commit(uplink, index, around)))
            }
            CounterVerdict::Clone => {
                self.state.window.note_clone(counter.get());
                Step::Clone
            }
            CounterVerdict::Duplicate | CounterVerdict::Stale if !uplink.header.answer() => {
                Step::Silent
            }
            CounterVerdict::Duplicate => Step::Answer(Box::new(self.repeat(&uplink, around))),
            CounterVerdict::Stale => Step::Answer(Box::new(self.behind(&uplink, around))),
        }
    }

    fn commit(
        &self,
        uplink: OpenedUplink,
        index: &dyn RecordIndex,
        around: &Surroundings<'_>,
    ) -> Commit {
        let header = uplink.header;
        let counter = header.counter();
        let takes_report = header.mode() == Mode::Clear || self.is_highest(counter.get());
        let previous_epoch = previous_epoch(&uplink);
        let refused_items = refused_items(&uplink);
        let facts = facts(&uplink, takes_report);
        // The report may end what is in doubt before a new command is judged.
        let mut commands = self.state.commands;
        if takes_report {
            commands.take_report(counter.get(), &uplink.body.report);
        }
        let offered = around.waiting.filter(|_| header.answer()).map(|waiting| {
            let stopped = around.commands_stopped;
            (
                waiting,
                commands.may_hand_over(waiting, &facts, around.now_utc_s, stopped),
            )
        });
        let epoch = uplink.body.report.epoch;
        let Sorted {
            new,
            conflicts,
            repeats,
        } = records::sort(uplink.body.records, epoch, previous_epoch, index);
        Commit {
            counter,
            digest: uplink.answered.tag.digest(),
            report: uplink.body.report,
            takes_report,
            records: new,
            conflicts,
            damaged: uplink.damaged,
            repeats,
            freshness_unproven: is_unproven(&facts),
            promotes_version: header.key_version().filter(|_| uplink.promotes_version),
            promotes_mode: uplink.promotes_mode.then(|| header.mode()),
            command: match offered {
                Some((waiting, Ok(()))) => Some(waiting.clone()),
                _ => None,
            },
            mode: header.mode(),
            wants_answer: header.answer(),
            asks_more: matches!(offered, Some((_, Err(NotNow::Unfresh)))),
            refused_items,
        }
    }

    /// Takes a commit back that is durable now. Gives the answer, if the frame asks for one.
    // spec: GEN-4, ANS-1, ANS-2, REC-9, ANS-5
    pub fn committed(&mut self, commit: Commit) -> Option<AnswerPlan> {
        self.forget_pending(commit.counter.get(), commit.digest);
        let is_safe = commit.conflicts.is_empty();
        let counter = commit.counter.get();
        if commit.mode != Mode::Clear {
            self.state.window.note(counter, commit.digest, is_safe);
        }
        if commit.takes_report {
            self.state.commands.take_report(counter, &commit.report);
        }
        if let Some(command) = &commit.command {
            self.state.commands.note(command, counter);
        }
        self.come_backs = 0;
        if !commit.wants_answer {
            return None;
        }
        let mut plan = AnswerPlan {
            counter: commit.counter,
            mode: commit.mode,
            flags: AnswerFlags {
                ack: is_safe,
                new_epoch: !is_safe,
                more: commit.asks_more,
                unproven: commit.freshness_unproven,
                is_final: false,
            },
            map: self.map(commit.mode, counter),
            items: self.slot_item(commit.mode, &commit.report),
            command: commit.command,
        };
        finish(&mut plan, &commit.report, &commit.refused_items);
        Some(plan)
    }

    /// Takes a commit back that did not become durable. Nothing is answered; the terminal sends
    /// the frame again.
    // spec: GEN-4
    pub fn failed(&mut self, commit: &Commit) {
        self.forget_pending(commit.counter.get(), commit.digest);
    }

    /// The answer to a verified uplink whose records cannot be taken now; none if it holds an
    /// alarm, or was sent away twice already.
    // spec: OVL-1, OVL-3, OVL-4
    pub fn come_back(&mut self, uplink: &OpenedUplink, time: ComeBack) -> Option<AnswerPlan> {
        let header = &uplink.header;
        let may = header.answer()
            && !header.alarm()
            && !uplink.body.holds_alarm()
            && header.mode() != Mode::Clear
            && self.come_backs < COME_BACKS_MAX;
        if !may {
            return None;
        }
        self.come_backs = self.come_backs.saturating_add(1);
        Some(AnswerPlan {
            counter: header.counter(),
            mode: header.mode(),
            flags: AnswerFlags::default(),
            map: self.map(header.mode(), header.counter().get()),
            items: vec![AnswerItem::ComeBack(time)],
            command: None,
        })
    }

    /// The answer to a repeat, from what is durable.
    // spec: REP-2, ANS-6, CMD-19, CMD-20
    fn repeat(&self, uplink: &OpenedUplink, around: &Surroundings<'_>) -> AnswerPlan {
        let counter = uplink.header.counter();
        let facts = facts(uplink, self.is_highest(counter.get()));
        let is_safe = self.state.window.is_safe(counter.get());
        let command = around.waiting.filter(|waiting| {
            let same = HandOver::InDoubt {
                sequence: waiting.sequence,
                counter: counter.get(),
            };
            self.state.commands.last == Some(same)
                && !around.commands_stopped
                && around.now_utc_s <= waiting.not_after_utc_s
        });
        let mut plan = AnswerPlan {
            counter,
            mode: uplink.header.mode(),
            flags: AnswerFlags {
                ack: is_safe,
                new_epoch: self.state.window.is_conflict(counter.get()),
                unproven: is_unproven(&facts),
                more: false,
                is_final: false,
            },
            map: self.map(uplink.header.mode(), counter.get()),
            items: self.slot_item(uplink.header.mode(), &uplink.body.report),
            command: command.cloned(),
        };
        finish(&mut plan, &uplink.body.report, &refused_items(uplink));
        plan
    }

    /// The answer to a counter below the window.
    // spec: REP-5, ANS-14
    fn behind(&self, uplink: &OpenedUplink, around: &Surroundings<'_>) -> AnswerPlan {
        let floor = FrameCounter::new(self.state.window.floor(around.now_utc_s));
        AnswerPlan {
            counter: uplink.header.counter(),
            mode: uplink.header.mode(),
            flags: AnswerFlags::default(),
            map: 0,
            items: floor.map(AnswerItem::Floor).into_iter().collect(),
            command: None,
        }
    }

    /// Whether no higher counter is durable or under way.
    fn is_highest(&self, counter: u32) -> bool {
        let pending = self
            .pending
            .iter()
            .map(|(pending, _)| *pending)
            .max()
            .unwrap_or(0);
        counter >= self.state.window.highest().max(pending)
    }

    /// The map below a counter; mode 0 has counters that prove nothing, and an empty one.
    // spec: ANS-1, REP-8
    fn map(&self, mode: Mode, counter: u32) -> u16 {
        if mode == Mode::Clear {
            0
        } else {
            self.state.window.map_below(counter)
        }
    }

    // spec: ANS-18, SEC-4
    fn slot_item(&self, mode: Mode, report: &Report) -> Vec<AnswerItem> {
        let in_force = report.slots.wake_slot_version();
        self.state
            .slot
            .filter(|slot| mode != Mode::Clear && slot.version() != in_force)
            .map(AnswerItem::Slot)
            .into_iter()
            .collect()
    }

    fn forget_pending(&mut self, counter: u32, digest: TagDigest) {
        self.pending.retain(|pending| *pending != (counter, digest));
    }
}

/// Leaves out what the terminal said it cannot take, and sets FINAL if nothing more waits.
// spec: ANS-3, ANS-9, ANS-20
fn finish(plan: &mut AnswerPlan, report: &Report, refused_items: &[u8]) {
    plan.items
        .retain(|item| !refused_items.contains(&item.number()));
    let flags = &mut plan.flags;
    let nothing_waits = !flags.more && !flags.new_epoch && plan.command.is_none();
    flags.is_final = nothing_waits && report.slots.frames_following() == 0;
}

fn facts(uplink: &OpenedUplink, is_highest: bool) -> UplinkFacts {
    UplinkFacts {
        clear_mode: uplink.header.mode() == Mode::Clear,
        has_ticket: uplink
            .header
            .ticket()
            .is_some_and(|ticket| !ticket.is_zero()),
        is_highest,
        stamp: uplink.body.report.stamp,
    }
}

// spec: FRS-2
const fn is_unproven(facts: &UplinkFacts) -> bool {
    !facts.clear_mode && !facts.has_ticket
}

/// The epoch that the terminal says it left.
// spec: REC-28, REC-8
fn previous_epoch(uplink: &OpenedUplink) -> Option<NonZeroU32> {
    uplink
        .body
        .session_items
        .as_slice()
        .iter()
        .find_map(|item| match item {
            SessionItem::PreviousEpoch(epoch) => Some(*epoch),
            SessionItem::AnswerRefused(_) | SessionItem::Unknown(_) => None,
        })
}

/// The answer items that the terminal says it refused.
// spec: ANS-20
fn refused_items(uplink: &OpenedUplink) -> Vec<u8> {
    let number = |item: &SessionItem| match item {
        SessionItem::AnswerRefused(number) => Some(*number),
        SessionItem::PreviousEpoch(_) | SessionItem::Unknown(_) => None,
    };
    uplink
        .body
        .session_items
        .as_slice()
        .iter()
        .filter_map(number)
        .collect()
}
