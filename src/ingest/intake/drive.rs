//! A machine is handed an input, and what it wants done is done.

use std::cell::Cell;

use crate::model::Lsn;
use crate::net::contract::{Outgoing, PathId};
use crate::session::otl::machine::{
    Admission, CommitOrder, Context, Input, Machine, MachineEvent, Output, Rest, Token, is_urgent,
};
use crate::store::state::Slot;
use crate::store::state::hot::HotEntry;
use crate::store::state::sequences::SequenceTrack;

use super::super::history::DurableRecords;
use super::super::live::Live;
use super::super::random::Randoms;
use super::Intake;
use super::keys::Found;
use super::order::Order;

/// How often the log is asked for one frame, at most: again if its terminal went on meanwhile.
const SEARCHES_MAX: u8 = 2;

/// For whom something is done, and for which frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) owner: u16,
    /// When the frame came, by the clock that never goes back; none if there is none.
    pub(super) received_us: Option<u64>,
}

impl Turn {
    /// Without a frame.
    pub(super) const fn of(owner: u16) -> Self {
        let received_us = None;
        Self { owner, received_us }
    }
}

/// What came of an input.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Driven {
    /// False if there is no machine, and no room for one.
    pub(super) is_served: bool,
    /// When the frame came whose order came back with the input.
    pub(super) received_us: Option<u64>,
}

impl Intake {
    /// Hands an input to the machine of a terminal and does what it wants done.
    pub(super) fn drive(
        &self,
        turn: Turn,
        found: Found,
        input: Input<PathId>,
        out: &mut Vec<Outgoing>,
    ) -> Driven {
        let mut randoms = Randoms::default();
        let over_tcp =
            matches!(&input, Input::Frame { path, .. } if matches!(path, PathId::Tcp { .. }));
        let may_make = matches!(input, Input::Frame { .. } | Input::CallNow(_));
        let mut driven = Driven::default();
        let is_urgent = is_urgent(&input);
        let mut input = Some(input);
        let mut answers = None;
        for searches_left in (0..=SEARCHES_MAX).rev() {
            let made_of = Cell::new(None);
            let make = |rest: Rest<PathId>| {
                let hot = self.hot(found.slot).filter(|_| may_make)?;
                made_of.set(Some((hot.sequences(), hot.applied)));
                let come_backs = hot.come_backs();
                let rest = Rest { come_backs, ..rest };
                Some(Live {
                    machine: Machine::new(hot.link(), hot.version, self.started_utc_s, rest),
                    ordered: Vec::new(),
                })
            };
            let served = self.live.with_or_make(found.slot, is_urgent, make, |live, room| {
                // Read under the lock of the machine: what is durable is here or still under way.
                let known = made_of.take().or_else(|| self.records_of(found.slot));
                let (track, applied) = known?;
                let admission = self.parts.load.admission(room, || randoms.draw_one());
                let index = DurableRecords::new(track, applied, answers.as_ref());
                let may_search = searches_left > 0 && !index.was_searched();
                if let Some(input) = input.as_ref().filter(|_| may_search) {
                    let questions = live.machine.open_questions(input, admission, &index);
                    if !questions.is_empty() {
                        return Some((questions, applied));
                    }
                }
                let input = input.take()?;
                driven.received_us = self.note_settled(found, live, &input);
                let come_backs = live.machine.come_backs();
                self.handle(&index, found, live, &mut randoms, admission, input);
                self.note_come_backs(found, come_backs, live);
                self.do_outputs(turn, found, over_tcp, live, &mut randoms, out);
                if live.machine.is_failed() {
                    self.resume(found, live);
                }
                None
            });
            let Some((questions, newest)) = served.flatten() else {
                break;
            };
            answers = Some(self.searches.search(found.terminal, questions, newest));
        }
        driven.is_served = input.is_none();
        if may_make && !driven.is_served {
            self.parts.witness.no_place();
        }
        driven
    }

    /// Tells of an order that came back. Gives the time of receipt of its frame, if it had one.
    fn note_settled(&self, found: Found, live: &mut Live, input: &Input<PathId>) -> Option<u64> {
        let (token, durable) = match input {
            Input::Committed(token) => (*token, true),
            Input::CommitFailed(token) => (*token, false),
            _ => return None,
        };
        if let (true, Some(CommitOrder::Step(step))) = (durable, live.machine.commit_order(token)) {
            self.parts.witness.durable(found.terminal, &step.commit);
        }
        let at = live.ordered.iter().position(|(of, _)| *of == token)?;
        live.ordered.swap_remove(at).1
    }

    /// Keeps the COME_BACKs of a terminal where they outlive its machine for as long as it stays
    /// away.
    // spec: OVL-3
    fn note_come_backs(&self, found: Found, before: u8, live: &Live) {
        let now = live.machine.come_backs();
        if now != before {
            let table = &self.parts.state.table;
            table.with_slot(found.slot, |entry| entry.hot.set_come_backs(now));
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

    fn handle(
        &self,
        index: &DurableRecords<'_>,
        found: Found,
        live: &mut Live,
        randoms: &mut Randoms,
        admission: Admission,
        input: Input<PathId>,
    ) {
        let mark = self.parts.state.nonce_mark();
        let mut ctx = Context {
            now_utc_s: self.parts.clock.utc_seconds().get(),
            now_ms: self.parts.clock.monotonic_ms(),
            index,
            commands: &*self.parts.commands,
            signer: &*self.parts.signer,
            mark: &mark,
            commands_stopped: found.commands_stopped,
            random: &mut || randoms.draw_one(),
            admission,
        };
        live.machine.handle(&mut ctx, input);
    }

    fn do_outputs(
        &self,
        turn: Turn,
        found: Found,
        over_tcp: bool,
        live: &mut Live,
        randoms: &mut Randoms,
        out: &mut Vec<Outgoing>,
    ) {
        let mut refused: Vec<Token> = Vec::new();
        loop {
            let Some(output) = live.machine.poll() else {
                // What the log did not take comes back at once.
                let Some(token) = refused.pop() else { break };
                let entry = self
                    .parts
                    .state
                    .table
                    .with_slot(found.slot, |entry| *entry.hot);
                let Some(hot) = entry else { break };
                let failed = Input::CommitFailed(token);
                let index = DurableRecords::new(hot.sequences(), hot.applied, None);
                self.handle(&index, found, live, randoms, Admission::Serve, failed);
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
                        over_tcp,
                    };
                    if self.order(turn.owner, found, live, order) {
                        live.ordered.push((token, turn.received_us));
                    } else {
                        refused.push(token);
                    }
                }
                Output::Transmit { path, octets } => out.push(Outgoing::Send { path, octets }),
                Output::Close { path, code } => out.push(Outgoing::Close { path, code }),
                Output::NeedsMark => {
                    self.waiting.lock().insert(found.slot);
                    self.keep_mark();
                }
                Output::Event(event) => self.note(found, &event),
            }
        }
    }

    fn note(&self, found: Found, event: &MachineEvent) {
        self.parts.witness.machine(found.terminal, event);
    }

    /// After a failed commit: goes on from what is durable, as soon as nothing is under way.
    fn resume(&self, found: Found, live: &mut Live) {
        let entry = self
            .parts
            .state
            .table
            .with_slot(found.slot, |entry| *entry.hot);
        if let Some(hot) = entry {
            // False while orders are under way; the next of them to come back asks again.
            let resumed = live.machine.resume(hot.link(), hot.version);
            if resumed {
                live.ordered.clear();
            }
        }
    }
}
