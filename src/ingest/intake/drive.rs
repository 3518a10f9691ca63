//! A machine is handed an input, and what it wants done is done.

use std::cell::Cell;

use crate::model::Lsn;
use crate::net::contract::{Outgoing, PathId};
use crate::session::otl::machine::{
    Admission, CommitOrder, Context, Input, Machine, MachineEvent, Output, Rest, Token, is_urgent,
};
use crate::session::otl::records::{Known, RecordIndex, RecordKey};
use crate::store::state::Slot;
use crate::store::state::hot::HotEntry;
use crate::store::state::sequences::SequenceTrack;

use super::super::history::DurableRecords;
use super::super::live::{Found, Live};
use super::super::random;
use super::Intake;
use super::order::Order;

/// How often the log is asked for one frame, at most: again if its terminal went on meanwhile.
const SEARCHES_MAX: u8 = 2;

/// For whom something is done, and for which frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) owner: u16,
    /// When the frame came, by the clock that never goes back; none if there is none.
    pub(super) received_us: Option<u64>,
    /// Whether it came over TCP.
    pub(super) over_tcp: bool,
}

impl Turn {
    /// Without a frame.
    pub(super) const fn of(owner: u16) -> Self {
        Self {
            owner,
            received_us: None,
            over_tcp: false,
        }
    }
}

/// What a frame is judged by.
#[derive(Clone, Copy)]
struct Judge<'a> {
    index: &'a dyn RecordIndex,
    admission: Admission,
}

impl Judge<'static> {
    /// For an input that is no frame, and asks for nothing of it.
    const NONE: Self = Self {
        index: &NotAsked,
        admission: Admission::Shed,
    };
}

/// Knows nothing, so that nothing is taken by it.
#[derive(Debug)]
struct NotAsked;

impl RecordIndex for NotAsked {
    fn compare(&self, _: RecordKey, _: &[u8]) -> Known {
        Known::Unknown
    }
}

impl Intake {
    /// Hands a frame or a call to the machine of its terminal, which is made if there is none, and
    /// does what it wants done. False if there is no machine, and no room for one.
    pub(super) fn drive(
        &self,
        turn: Turn,
        found: Found,
        input: Input<PathId>,
        out: &mut Vec<Outgoing>,
    ) -> bool {
        let is_urgent = is_urgent(&input);
        let mut input = Some(input);
        let mut answers = None;
        for searches_left in (0..=SEARCHES_MAX).rev() {
            let made_of = Cell::new(None);
            let make = |rest: Rest<PathId>| {
                let hot = self.hot(found.slot)?;
                made_of.set(Some((hot.sequences(), hot.applied)));
                let come_backs = hot.come_backs();
                let rest = Rest { come_backs, ..rest };
                let machine = Machine::new(hot.link(), hot.version, self.started_utc_s, rest);
                Some(Live { machine, found })
            };
            let slot = found.slot;
            let served = self.live.with_or_make(slot, is_urgent, make, |live, room| {
                live.found = found;
                // Read under the lock of the machine: what is durable is here or still under way.
                let known = made_of.take().or_else(|| self.records_of(found.slot));
                let (track, applied) = known?;
                let admission = self.parts.load.admission(room, random::draw_one);
                let index = DurableRecords::new(track, applied, answers.as_ref());
                let may_search = searches_left > 0 && !index.was_searched();
                if let Some(input) = input.as_ref().filter(|_| may_search) {
                    let questions = live.machine.open_questions(input, admission, &index);
                    if !questions.is_empty() {
                        return Some((questions, applied));
                    }
                }
                let index = &index;
                self.advance(turn, live, Judge { index, admission }, input.take()?, out);
                None
            });
            let Some((questions, newest)) = served.flatten() else {
                break;
            };
            answers = Some(self.searches.search(found.terminal, questions, newest));
        }
        let is_served = input.is_none();
        if !is_served {
            self.parts.witness.no_place();
        }
        is_served
    }

    /// Hands what is no frame to the machine of a slot, if there is one.
    pub(super) fn go_on(
        &self,
        owner: u16,
        slot: Slot,
        input: Input<PathId>,
        out: &mut Vec<Outgoing>,
    ) {
        self.live.with(slot, |live| {
            if let Input::Committed(token) = &input
                && let Some(CommitOrder::Step(step)) = live.machine.commit_order(*token)
            {
                let terminal = live.found.terminal;
                self.parts.witness.durable(terminal, &step.commit);
            }
            self.advance(Turn::of(owner), live, Judge::NONE, input, out);
        });
    }

    fn advance(
        &self,
        turn: Turn,
        live: &mut Live,
        judge: Judge<'_>,
        input: Input<PathId>,
        out: &mut Vec<Outgoing>,
    ) {
        let come_backs = live.machine.come_backs();
        self.handle(live, judge, input);
        self.do_outputs(turn, live, out);
        if live.machine.is_failed() {
            self.resume(live);
        }
        self.note_come_backs(come_backs, live);
    }

    /// Keeps the COME_BACKs of a terminal where they outlive its machine for as long as it stays
    /// away.
    // spec: OVL-3
    fn note_come_backs(&self, before: u8, live: &Live) {
        let now = live.machine.come_backs();
        if now != before {
            let table = &self.parts.state.table;
            table.with_slot(live.found.slot, |entry| entry.hot.set_come_backs(now));
        }
    }

    /// Which records of a terminal may be durable, and the position of its last frame.
    fn records_of(&self, slot: Slot) -> Option<(SequenceTrack, Lsn)> {
        let table = &self.parts.state.table;
        table.with_slot(slot, |entry| (entry.hot.sequences(), entry.hot.applied))
    }

    fn hot(&self, slot: Slot) -> Option<HotEntry> {
        let table = &self.parts.state.table;
        table.with_slot(slot, |entry| *entry.hot)
    }

    fn handle(&self, live: &mut Live, judge: Judge<'_>, input: Input<PathId>) {
        let mark = self.parts.state.nonce_mark();
        let mut ctx = Context {
            now_utc_s: self.parts.clock.utc_seconds().get(),
            now_ms: self.parts.clock.monotonic_ms(),
            index: judge.index,
            commands: &*self.parts.commands,
            signer: &*self.parts.signer,
            mark: &mark,
            commands_stopped: live.found.commands_stopped,
            random: &mut random::draw_one,
            admission: judge.admission,
        };
        live.machine.handle(&mut ctx, input);
    }

    fn do_outputs(&self, turn: Turn, live: &mut Live, out: &mut Vec<Outgoing>) {
        let mut refused: Vec<Token> = Vec::new();
        loop {
            let Some(output) = live.machine.poll() else {
                // What the log did not take comes back at once.
                let Some(token) = refused.pop() else { break };
                self.handle(live, Judge::NONE, Input::CommitFailed(token));
                continue;
            };
            match output {
                Output::Commit {
                    token,
                    guard_version,
                    urgent,
                } => {
                    let order = Order {
                        token,
                        guard_version,
                        urgent,
                    };
                    if !self.order(turn, live, order) {
                        refused.push(token);
                    }
                }
                Output::Transmit { path, octets } => out.push(Outgoing::Send { path, octets }),
                Output::Close { path, code } => out.push(Outgoing::Close { path, code }),
                Output::NeedsMark => {
                    self.waiting.lock().insert(live.found.slot);
                    self.keep_mark();
                }
                Output::Event(event) => self.note(live, &event),
            }
        }
    }

    fn note(&self, live: &Live, event: &MachineEvent) {
        self.parts.witness.machine(live.found.terminal, event);
    }

    /// After a failed commit: goes on from what is durable, as soon as nothing is under way.
    fn resume(&self, live: &mut Live) {
        if let Some(hot) = self.hot(live.found.slot) {
            // False while orders are under way; the next of them to come back asks again.
            let _resumed: bool = live.machine.resume(hot.link(), hot.version);
        }
    }
}
