//! One terminal's link: what an uplink means for what is durable, and what may be answered.
//!
//! The link never says that a record is safe by itself. [`Link::receive`] gives a [`Commit`] with
//! all that is to become durable in one atomic frame of the log; [`Link::committed`] takes it back
//! once it is, and only that makes an answer with ACK. A commit that failed goes to
//! [`Link::failed`], and nothing was said.

use core::num::NonZeroU32;

use crate::wire::otl::answer::{AnswerFlags, AnswerItem, ComeBack, WakeSlot};
use crate::wire::otl::ident::{FrameCounter, Mode};
use crate::wire::otl::report::Report;
use crate::wire::otl::uplink::SessionItem;

use super::hand_over::{CommandState, NotNow, UplinkFacts};
use super::open::{OpenedUplink, Promotion, UnreadableUplink};
use super::records::{self, RecordIndex, Sorted};
use super::step::{AnswerPlan, Commit, Step, Surroundings};
use super::window::{CounterVerdict, Kept, ReplayWindow, TagDigest};

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

/// A commit that is under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    counter: u32,
    digest: TagDigest,
    hands_over: bool,
    cloned: bool,
}

/// The link of one terminal.
#[derive(Debug, Default)]
pub struct Link {
    state: LinkState,
    pending: Vec<Pending>,
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
        let counter = uplink.header.counter().get();
        let digest = uplink.answered.tag.digest();
        match self.judge(&uplink, counter, digest) {
            None => Step::Joined,
            Some(CounterVerdict::New) if self.pending.len() >= PENDING_MAX => Step::Shed,
            Some(CounterVerdict::New) => {
                let commit = self.commit(uplink, index, around);
                self.pending.push(Pending {
                    counter,
                    digest,
                    hands_over: commit.command.is_some(),
                    cloned: false,
                });
                Step::Commit(Box::new(commit))
            }
            Some(CounterVerdict::Clone) => {
                self.note_clone(counter);
                Step::Clone
            }
            Some(CounterVerdict::Duplicate | CounterVerdict::Stale) if !uplink.header.answer() => {
                Step::Silent
            }
            Some(CounterVerdict::Duplicate) => Step::Answer(Box::new(self.repeat(&uplink, around))),
            Some(CounterVerdict::Stale) => Step::Answer(Box::new(self.behind(&uplink, around))),
        }
    }

    /// What the counter means; none if the same frame's commit is under way. In mode 0 a counter
    /// proves nothing, and every frame is new.
    // spec: REP-8, ANS-7
    fn judge(
        &self,
        uplink: &OpenedUplink,
        counter: u32,
        digest: TagDigest,
    ) -> Option<CounterVerdict> {
        if uplink.header.mode() == Mode::Clear {
            return Some(CounterVerdict::New);
        }
        match self
            .pending
            .iter()
            .find(|pending| pending.counter == counter)
        {
            Some(pending) if pending.digest == digest => None,
            Some(_) => Some(CounterVerdict::Clone),
            None => Some(self.state.window.judge(counter, digest)),
        }
    }

    // spec: REP-3
    fn note_clone(&mut self, counter: u32) {
        self.state.window.note_clone(counter);
        for pending in &mut self.pending {
            pending.cloned |= pending.counter == counter;
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
        let mut rollback_suspected = names_a_lost_time(&uplink, around);
        if takes_report && !facts.clear_mode {
            rollback_suspected |= commands.take_report(counter.get(), &uplink.body.report);
        }
        let stopped = around.commands_stopped || rollback_suspected;
        // What goes with another answer that is under way is in doubt already.
        let is_free = !self.pending.iter().any(|pending| pending.hands_over);
        let waiting = around.waiting.filter(|_| header.answer() && is_free);
        let offered = waiting.map(|waiting| {
            let may = commands.may_hand_over(waiting, &facts, around.now_utc_s, stopped);
            (waiting, may)
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
            promotion: uplink.promotion,
            rollback_suspected,
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
        let counter = commit.counter.get();
        let cloned = self.forget_pending(counter, commit.digest);
        let kept = match (commit.conflicts.is_empty(), cloned) {
            (false, _) => Kept::Conflict,
            (true, true) => Kept::Cloned,
            (true, false) => Kept::Safe,
        };
        if commit.mode != Mode::Clear {
            self.state.window.note(counter, commit.digest, kept);
            if commit.takes_report {
                self.state.commands.take_report(counter, &commit.report);
            }
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
                ack: kept == Kept::Safe,
                new_epoch: kept == Kept::Conflict,
                more: commit.asks_more,
                unproven: commit.freshness_unproven,
                is_final: false,
            },
            map: self.map(commit.mode, counter),
            items: self.slot_item(commit.mode, &commit.report),
            command: commit.command,
            promotion: Promotion::default(),
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
            promotion: uplink.promotion,
        })
    }

    /// The answer to a verified uplink whose content is refused whole: no ACK, no items. None if it
    /// asks for no answer.
    // spec: REC-12, ANS-4
    #[must_use]
    pub fn unreadable(&self, uplink: &UnreadableUplink) -> Option<AnswerPlan> {
        let header = &uplink.header;
        header.answer().then(|| AnswerPlan {
            counter: header.counter(),
            mode: header.mode(),
            flags: AnswerFlags::default(),
            map: self.map(header.mode(), header.counter().get()),
            items: Vec::new(),
            command: None,
            promotion: uplink.promotion,
        })
    }

    /// The answer to a repeat, from what is durable.
    // spec: REP-2, ANS-6, CMD-19, CMD-20
    fn repeat(&self, uplink: &OpenedUplink, around: &Surroundings<'_>) -> AnswerPlan {
        let counter = uplink.header.counter();
        let facts = facts(uplink, self.is_highest(counter.get()));
        let is_safe = self.state.window.is_safe(counter.get());
        let stopped = around.commands_stopped || names_a_lost_time(uplink, around);
        let commands = &self.state.commands;
        let command = around.waiting.filter(|waiting| {
            commands.may_repeat(waiting, counter.get(), &facts, around.now_utc_s, stopped)
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
            promotion: uplink.promotion,
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
            promotion: uplink.promotion,
        }
    }

    /// Whether no higher counter is durable or under way.
    fn is_highest(&self, counter: u32) -> bool {
        let pending = self.pending.iter().map(|pending| pending.counter).max();
        let pending = pending.unwrap_or(0);
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

    /// Takes a commit off the list; says whether its counter was cloned meanwhile.
    fn forget_pending(&mut self, counter: u32, digest: TagDigest) -> bool {
        let is_it = |pending: &Pending| pending.counter == counter && pending.digest == digest;
        let cloned = self
            .pending
            .iter()
            .any(|pending| is_it(pending) && pending.cloned);
        self.pending.retain(|pending| !is_it(pending));
        cloned
    }
}

/// Whether the ticket names a second in which this server, by its state, sent nothing.
// spec: FRS-4, ROL-1
fn names_a_lost_time(uplink: &OpenedUplink, around: &Surroundings<'_>) -> bool {
    let ticket = uplink.header.ticket().filter(|ticket| !ticket.is_zero());
    ticket.is_some_and(|ticket| around.mark.never_sent(ticket.utc_s()))
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
