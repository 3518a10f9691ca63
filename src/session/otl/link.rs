//! One terminal's link: what an uplink means for what is durable, and what may be answered.
//!
//! The link never says that a record is safe by itself. [`Link::receive`] gives a [`Commit`] with
//! all that is to become durable in one atomic frame of the log; [`Link::committed`] takes it back
//! once it is, and only that makes an answer with ACK. A commit that failed goes to
//! [`Link::failed`], and nothing was said.

use crate::wire::otl::answer::{AnswerFlags, AnswerItem, ComeBack, WakeSlot};
use crate::wire::otl::header::UplinkHeader;
use crate::wire::otl::ident::{FrameCounter, Mode};
use crate::wire::otl::report::Report;
use crate::wire::otl::uplink::SessionItem;

use super::hand_over::{CommandState, NotNow, UplinkFacts};
use super::open::{OpenedUplink, Promotion, UnreadableUplink};
use super::records::{self, RecordIndex, Sorted, Unsure};
use super::step::{AnswerPlan, Commit, LinkChange, Step, Surroundings};
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
    /// The last call counter of a CALL_NOW, 0 before the first.
    // spec: SES-13
    pub last_call: u32,
}

impl LinkState {
    /// Folds a step in: the one function by which this state changes with a frame, now and when
    /// it is rebuilt from what was made durable.
    // spec: REP-1, REP-9, CMD-21
    pub fn apply(&mut self, change: &LinkChange) {
        let counter = change.counter.get();
        if change.mode == Mode::Clear {
            return;
        }
        self.window.note(counter, change.digest, change.kept);
        if let Some(report) = &change.report {
            self.commands
                .take_report(counter, change.wants_answer, report);
        }
        if let Some(command) = change.handed_over {
            self.commands.note(command, counter);
        }
    }
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

    /// COME_BACKs without ACK since the last frame that was taken.
    #[must_use]
    pub const fn come_backs(&self) -> u8 {
        self.come_backs
    }

    /// Takes up the count of COME_BACKs where another link of the same terminal left it.
    // spec: OVL-3
    #[must_use]
    pub const fn with_come_backs(mut self, come_backs: u8) -> Self {
        self.come_backs = come_backs;
        self
    }

    /// Notes a call counter that is durable now.
    // spec: SES-13
    pub fn called(&mut self, call_counter: u32) {
        self.state.last_call = self.state.last_call.max(call_counter);
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
        match self.judge(uplink.header.mode(), counter, digest) {
            None => Step::Joined,
            Some(CounterVerdict::New) if self.pending.len() >= PENDING_MAX => Step::Shed,
            Some(CounterVerdict::New) => {
                let Ok(commit) = self.commit(uplink, index, around) else {
                    return Step::Unsure;
                };
                self.pending.push(Pending {
                    counter,
                    digest,
                    hands_over: commit.command.is_some(),
                    cloned: false,
                });
                Step::Commit(Box::new(commit))
            }
            Some(CounterVerdict::Clone) => Step::Clone {
                window: self.note_clone(counter),
            },
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
    pub(super) fn judge(
        &self,
        mode: Mode,
        counter: u32,
        digest: TagDigest,
    ) -> Option<CounterVerdict> {
        if mode == Mode::Clear {
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
    fn note_clone(&mut self, counter: u32) -> ReplayWindow {
        self.state.window.note_clone(counter);
        for pending in &mut self.pending {
            pending.cloned |= pending.counter == counter;
        }
        self.state.window
    }

    /// Judges a verified uplink whose content is refused whole: its counter is used up like any
    /// other, and its terminal hears no ACK.
    // spec: REC-12, REP-1, REP-3, REP-5, ANS-4
    pub fn receive_unreadable(
        &mut self,
        uplink: &UnreadableUplink,
        around: &Surroundings<'_>,
    ) -> Step {
        let header = &uplink.header;
        let counter = header.counter().get();
        let digest = uplink.answered.tag.digest();
        match self.judge(header.mode(), counter, digest) {
            None => Step::Joined,
            Some(CounterVerdict::New) if self.pending.len() >= PENDING_MAX => Step::Shed,
            Some(CounterVerdict::New) => {
                self.pending.push(Pending {
                    counter,
                    digest,
                    hands_over: false,
                    cloned: false,
                });
                Step::Commit(Box::new(Commit {
                    unreadable: Some(uplink.refusal),
                    ..Commit::empty(header, digest, uplink.promotion)
                }))
            }
            Some(CounterVerdict::Clone) => Step::Clone {
                window: self.note_clone(counter),
            },
            Some(_) if !header.answer() => Step::Silent,
            Some(CounterVerdict::Duplicate) => {
                Step::Answer(Box::new(self.bare(header, uplink.promotion)))
            }
            Some(CounterVerdict::Stale) => {
                let mut plan = self.bare(header, uplink.promotion);
                plan.map = 0;
                plan.items = self.floor_item(around);
                Step::Answer(Box::new(plan))
            }
        }
    }

    /// An answer that tells nothing about the frame that it answers.
    fn bare(&self, header: &UplinkHeader, promotion: Promotion) -> AnswerPlan {
        AnswerPlan {
            counter: header.counter(),
            mode: header.mode(),
            flags: AnswerFlags::default(),
            map: self.map(header.mode(), header.counter().get()),
            items: Vec::new(),
            command: None,
            promotion,
        }
    }

    fn commit(
        &self,
        uplink: OpenedUplink,
        index: &dyn RecordIndex,
        around: &Surroundings<'_>,
    ) -> Result<Commit, Unsure> {
        let header = uplink.header;
        let counter = header.counter();
        let takes_report = header.mode() == Mode::Clear || self.is_highest(counter.get());
        let refused_items = refused_items(&uplink);
        let facts = facts(&uplink, takes_report);
        // The report may end what is in doubt before a new command is judged.
        let mut commands = self.state.commands;
        let mut rollback_suspected = names_a_lost_time(&uplink, around);
        if takes_report && !facts.clear_mode {
            let report = &uplink.body.report;
            rollback_suspected |= commands.take_report(counter.get(), header.answer(), report);
        }
        let stopped = around.commands_stopped || rollback_suspected;
        // What goes with another answer that is under way is in doubt already.
        let is_free = !self.pending.iter().any(|pending| pending.hands_over);
        let waiting = around.waiting.filter(|_| header.answer() && is_free);
        let offered = waiting.map(|waiting| {
            let may = commands.may_hand_over(waiting, &facts, around.now_utc_s, stopped);
            (waiting, may)
        });
        let report = uplink.body.report;
        let Sorted {
            judged,
            new,
            conflicts,
            repeats,
            damaged,
        } = records::sort(uplink.body, uplink.damaged, index)?;
        let digest = uplink.answered.tag.digest();
        Ok(Commit {
            report: Some(report),
            proves_new_epoch: index.proves_new(report.epoch),
            takes_report,
            judged,
            records: new,
            conflicts,
            damaged,
            repeats,
            freshness_unproven: is_unproven(&facts),
            rollback_suspected,
            command: match offered {
                Some((waiting, Ok(()))) => Some(waiting.clone()),
                _ => None,
            },
            asks_more: matches!(offered, Some((_, Err(NotNow::Unfresh)))),
            refused_items,
            ..Commit::empty(&header, digest, uplink.promotion)
        })
    }

    /// Takes a commit back that is durable now. Gives the answer, if the frame asks for one.
    // spec: GEN-4, ANS-1, ANS-2, REC-9, ANS-5
    pub fn committed(&mut self, commit: Commit) -> Option<AnswerPlan> {
        let counter = commit.counter.get();
        let cloned = self.forget_pending(counter, commit.digest);
        let change = commit.change(cloned);
        let kept = change.kept;
        self.state.apply(&change);
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
            items: self.slot_item(commit.mode, commit.report.as_ref()),
            command: commit.command,
            promotion: Promotion::default(),
        };
        finish(&mut plan, commit.report.as_ref(), &commit.refused_items);
        Some(plan)
    }

    /// Takes a commit back that did not become durable. Nothing is answered; the terminal sends
    /// the frame again.
    // spec: GEN-4
    pub fn failed(&mut self, commit: &Commit) {
        self.forget_pending(commit.counter.get(), commit.digest);
    }

    /// The answer to a verified uplink whose records cannot be taken now; none if it holds an
    /// alarm, was sent away twice already, or is no new frame: a repeat costs nothing.
    // spec: OVL-1, OVL-3, OVL-4, ANS-6
    pub fn come_back(&mut self, uplink: &OpenedUplink, time: ComeBack) -> Option<AnswerPlan> {
        let header = &uplink.header;
        let counter = header.counter().get();
        let verdict = self.judge(header.mode(), counter, uplink.answered.tag.digest());
        let may = header.answer()
            && verdict == Some(CounterVerdict::New)
            && !header.alarm()
            && !uplink.holds_alarm()
            && header.mode() != Mode::Clear
            && self.come_backs < COME_BACKS_MAX;
        if !may {
            return None;
        }
        self.come_backs = self.come_backs.saturating_add(1);
        let mut plan = self.bare(header, uplink.promotion);
        plan.items = vec![AnswerItem::ComeBack(time)];
        Some(plan)
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
            items: self.slot_item(uplink.header.mode(), Some(&uplink.body.report)),
            command: command.cloned(),
            promotion: uplink.promotion,
        };
        finish(&mut plan, Some(&uplink.body.report), &refused_items(uplink));
        plan
    }

    /// The answer to a counter below the window.
    // spec: REP-5, ANS-14
    fn behind(&self, uplink: &OpenedUplink, around: &Surroundings<'_>) -> AnswerPlan {
        let mut plan = self.bare(&uplink.header, uplink.promotion);
        plan.map = 0;
        plan.items = self.floor_item(around);
        plan
    }

    // spec: REP-6
    fn floor_item(&self, around: &Surroundings<'_>) -> Vec<AnswerItem> {
        let floor = FrameCounter::new(self.state.window.floor(around.now_utc_s));
        floor.map(AnswerItem::Floor).into_iter().collect()
    }

    /// Whether no higher counter is durable or under way.
    pub(super) fn is_highest(&self, counter: u32) -> bool {
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
    fn slot_item(&self, mode: Mode, report: Option<&Report>) -> Vec<AnswerItem> {
        let in_force = report.map(|report| report.slots.wake_slot_version());
        self.state
            .slot
            .filter(|slot| mode != Mode::Clear && in_force.is_some_and(|v| slot.version() != v))
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
fn finish(plan: &mut AnswerPlan, report: Option<&Report>, refused_items: &[u8]) {
    plan.items
        .retain(|item| !refused_items.contains(&item.number()));
    let flags = &mut plan.flags;
    let nothing_waits = !flags.more && !flags.new_epoch && plan.command.is_none();
    let nothing_follows = report.is_some_and(|report| report.slots.frames_following() == 0);
    flags.is_final = nothing_waits && nothing_follows;
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
