//! Frames in, answers out: the server as the listeners see it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::keyring::{CommandSigner, KeyError, OpeningKey, UtilityId};
use crate::model::step::StepTooLong;
use crate::model::{Event, Lsn, TerminalId};
use crate::net::contract::{FrameHandler, Outgoing, PathId, Verdict};
use crate::session::otl::failures::FailedOpens;
use crate::session::otl::machine::{
    Admission, CallOrder, CommandSource, CommitOrder, Context, Input, Machine, MachineEvent,
    Output, Token,
};
use crate::session::otl::open::{OpeningKeys, open};
use crate::session::otl::refusal::{FaultGroup, Refusal};
use crate::store::log::{Append, CommitLog, Guard, Ticket};
use crate::store::state::fold::{KIND_EVENT, KIND_STEP};
use crate::store::state::hot::HotEntry;
use crate::store::state::sequences::SequenceTrack;
use crate::store::state::{Slot, State};
use crate::time::Clock;
use crate::wire::otl::ident::{Identity, KeyVersion, Mode};

use super::completions::{Completion, Completions};
use super::history::DurableRecords;
use super::live::{Live, LiveTable};
use super::load::Load;
use super::plausibility::{KnownMeters, meter_of};
use super::random::Randoms;
use super::search::Searches;
use super::step::{EncodedStep, Received, encode};
use super::witness::Witness;
use crate::model::Lanes;

/// How often the work of ticks is done, in milliseconds.
const TICK_MS: u64 = 200;
/// Shards that one tick sweeps: all of them in two seconds.
const SWEPT_PER_TICK: usize = 8;
/// How often the log is asked for one frame, at most: again if its terminal went on meanwhile.
const SEARCHES_MAX: u8 = 2;
/// The token of a frame that no machine waits for.
const NO_TOKEN: u64 = u64::MAX;
/// The slot of a frame that is about no terminal.
const NO_SLOT: u32 = u32::MAX;

/// What an intake works with.
#[derive(Clone)]
pub struct Parts {
    /// What the log adds up to.
    pub state: Arc<State>,
    /// The log.
    pub log: Arc<CommitLog>,
    /// Where steps come back.
    pub completions: Arc<Completions>,
    /// Whether there is room.
    pub load: Arc<Load>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The queue of commands.
    pub commands: Arc<dyn CommandSource + Send + Sync>,
    /// Whoever signs commands.
    pub signer: Arc<dyn CommandSigner + Send + Sync>,
    /// Whoever counts what happens.
    pub witness: Arc<dyn Witness>,
    /// Whether terminals may be in mode 0, if their utility allows it too.
    // spec: SEC-3
    pub allow_mode0: bool,
    /// Terminals that are served at a time, at most.
    pub live_max: usize,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// The server behind the listeners.
#[derive(Debug)]
pub struct Intake {
    parts: Parts,
    live: LiveTable,
    searches: Searches,
    failures: Mutex<FailedOpens>,
    /// Slots whose machine waits for the mark of server nonces.
    waiting: Mutex<Vec<Slot>>,
    started_utc_s: u32,
    /// Whether the mark of server nonces is of a process before this one.
    mark_is_old: AtomicBool,
    next_shard: Mutex<usize>,
    pending: AtomicUsize,
    ticked_ms: AtomicU64,
}

/// How to open a frame: its terminal's registration from the hot table, its key from the ring.
struct Keys<'a> {
    state: &'a State,
    allow_mode0: bool,
    found: Cell<Option<Found>>,
}

/// The terminal of a frame that verified.
#[derive(Clone, Copy, Debug)]
struct Found {
    slot: Slot,
    terminal: TerminalId,
    utility: UtilityId,
    commands_stopped: bool,
}

impl OpeningKeys for Keys<'_> {
    fn opening_key(
        &self,
        identity: &[u8; 8],
        mode: Mode,
        key_version: u8,
    ) -> Result<OpeningKey, KeyError> {
        let terminal = TerminalId::new(*identity);
        let entry = self
            .state
            .table
            .with(terminal, |entry| (entry.slot, *entry.hot));
        let Some((slot, hot)) = entry.filter(|(_, hot)| hot.pinned.registered) else {
            return Err(KeyError::UnknownTerminal);
        };
        let (utility, allow_mode0, commands_stopped) = {
            let directory = self.state.directory();
            let utility = directory.utility(hot.utility);
            let utility = utility.ok_or(KeyError::UnknownTerminal)?;
            (
                utility.octets(),
                utility.allow_mode0,
                utility.commands_stopped,
            )
        };
        self.found.set(Some(Found {
            slot,
            terminal,
            utility,
            commands_stopped,
        }));
        // spec: SEC-3
        let registration = hot.registration(utility, allow_mode0 && self.allow_mode0);
        let keys = self.state.keys();
        keys.opening_key_for(&registration, identity, mode, key_version)
    }
}

impl Intake {
    /// An intake on what is durable. The mark of server nonces is durable ahead of now already, or
    /// [`Self::take_up_mark_later`] is called next.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let started_utc_s = parts.clock.utc_seconds().get();
        Self {
            live: LiveTable::new(parts.live_max),
            searches: Searches::new(Arc::clone(&parts.log), Arc::clone(&parts.witness)),
            parts,
            failures: Mutex::default(),
            waiting: Mutex::default(),
            started_utc_s,
            mark_is_old: AtomicBool::new(false),
            next_shard: Mutex::default(),
            pending: AtomicUsize::new(0),
            ticked_ms: AtomicU64::new(0),
        }
    }

    /// Has the mark of server nonces taken up as soon as the disk has room for it. Until then only
    /// the last process's mark covers an answer, and mostly none does.
    // spec: FRS-4
    pub fn take_up_mark_later(&self) {
        self.mark_is_old.store(true, Ordering::Release);
    }

    /// How many terminals are being served.
    #[must_use]
    pub fn live_machines(&self) -> usize {
        self.live.len()
    }

    /// Calls a terminal that holds a connection or listens. What is to be sent comes later, through
    /// the last owner.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if no key of the terminal can be used.
    // spec: SES-12, SES-13
    pub fn call_now(&self, terminal: TerminalId, out: &mut Vec<Outgoing>) -> Result<(), KeyError> {
        let entry = self.parts.state.table.with(terminal, |entry| *entry.hot);
        let hot = entry.ok_or(KeyError::UnknownTerminal)?;
        let keys = Keys {
            state: &self.parts.state,
            allow_mode0: self.parts.allow_mode0,
            found: Cell::new(None),
        };
        let mode = hot.pinned.mode;
        let version = KeyVersion::new(hot.pinned.promoted);
        let version = version.ok_or(KeyError::UnknownKeyVersion)?;
        let opening = keys.opening_key(&terminal.octets(), mode, version.get())?;
        let (Some(found), Some(key)) = (keys.found.get(), opening.key) else {
            return Err(KeyError::ModeMismatch);
        };
        let order = CallOrder {
            identity: Identity::new(terminal.octets()),
            mode,
            key_version: version,
            key,
        };
        let input = Input::CallNow(Box::new(order));
        self.drive(Turn::of(self.home()), found, input, out);
        Ok(())
    }

    /// Tells every machine that the server stops: what is under way ends first.
    pub fn drain(&self, out: &mut Vec<Outgoing>) {
        for slot in self.live.slots() {
            if let Some(found) = self.found_of(slot) {
                self.drive(Turn::of(self.home()), found, Input::Drain, out);
            }
        }
    }

    /// Sees to it that answers can be sealed in the next seconds: asks for a later mark if the
    /// durable one is about to be reached.
    // spec: FRS-4
    pub fn keep_mark(&self) {
        let now_utc_s = self.parts.clock.utc_seconds().get();
        let mark = self.parts.state.nonce_mark();
        if mark.covers(now_utc_s.saturating_add(MARK_SPARE_S)) {
            return;
        }
        // On a full disk nobody is answered, and the reserve is not for marks that nobody needs.
        if self.parts.load.takes_nothing() {
            return;
        }
        let known = (*mark).clone();
        let known = if self.mark_is_old.load(Ordering::Acquire) {
            known.started(now_utc_s)
        } else {
            known
        };
        let later = known.advanced(now_utc_s);
        let event = Event::NonceMark {
            mark_utc_s: later.mark(),
            gaps: later.gaps(),
        };
        self.submit_mark(&event);
    }

    fn found_of(&self, slot: Slot) -> Option<Found> {
        let table = &self.parts.state.table;
        let known = table.with_slot(slot, |entry| (entry.hot.id, entry.hot.utility));
        let (terminal, utility) = known?;
        let directory = self.parts.state.directory();
        let utility = directory.utility(utility)?;
        Some(Found {
            slot,
            terminal,
            utility: utility.octets(),
            commands_stopped: utility.commands_stopped,
        })
    }

    /// Hands an input to the machine of a terminal and does what it wants done.
    fn drive(
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
        let mut input = Some(input);
        let mut answers = None;
        for searches_left in (0..=SEARCHES_MAX).rev() {
            let made_of = Cell::new(None);
            let make = |rest| {
                let hot = self.hot(found.slot).filter(|_| may_make)?;
                made_of.set(Some((hot.sequences(), hot.applied)));
                Some(Live {
                    machine: Machine::new(hot.link(), hot.version, self.started_utc_s, rest),
                    ordered: Vec::new(),
                })
            };
            let served = self.live.with_or_make(found.slot, make, |live, room| {
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
                self.handle(&index, found, live, &mut randoms, admission, input);
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
            self.parts.witness.not_taken();
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
                // An answer sealed with what is no random number must not leave.
                Output::Transmit { .. } if randoms.failed() => self.parts.witness.no_randomness(),
                Output::Transmit { path, octets } => out.push(Outgoing::Send { path, octets }),
                Output::Close { path, code } => out.push(Outgoing::Close { path, code }),
                Output::NeedsMark => {
                    self.waiting.lock().push(found.slot);
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

    /// Gives an order to the log. False if the log did not take it.
    fn order(&self, owner: u16, found: Found, live: &Live, order: Order) -> bool {
        let Some(what) = live.machine.commit_order(order.token) else {
            return false;
        };
        let (kind, payload, lanes) = match what {
            CommitOrder::Step(step) => match self.encode(found, step, order.over_tcp) {
                Ok(encoded) => (KIND_STEP, encoded.payload, encoded.lanes),
                Err(StepTooLong) => return false,
            },
            other => match event_of(found.terminal, other).and_then(|event| event.encode().ok()) {
                Some(payload) => (KIND_EVENT, payload, Lanes::NONE),
                None => return false,
            },
        };
        let append = Append {
            kind,
            lanes,
            urgent: order.urgent,
            terminal: Some(found.terminal),
            payload,
            guard: Some(Guard {
                slot: found.slot.get(),
                expected: Some(order.guard_version),
            }),
            ticket: Some(Ticket {
                owner,
                slot: found.slot.get(),
                token: order.token.0,
            }),
        };
        // Counted before, since it may come back before `submit` does.
        self.pending.fetch_add(1, Ordering::AcqRel);
        let taken = self.parts.log.submit(append).is_ok();
        if !taken {
            self.pending.fetch_sub(1, Ordering::AcqRel);
            self.parts.witness.not_taken();
        }
        taken
    }

    fn encode(
        &self,
        found: Found,
        step: &crate::session::otl::machine::StepOrder,
        over_tcp: bool,
    ) -> Result<EncodedStep, StepTooLong> {
        let mut meters = KnownMeters::default();
        let named = step.commit.records.iter().filter_map(meter_of);
        for meter in named.map(|meter| meter.octet()) {
            if !meters.has(meter) {
                let table = &self.parts.state.table;
                let track = table.with_slot(found.slot, |entry| entry.meter(meter));
                if let Some(Some(track)) = track {
                    meters.know(track);
                }
            }
        }
        let received = Received {
            utility: found.utility,
            utc_s: self.parts.clock.utc_seconds().get(),
            over_tcp,
        };
        encode(step, &received, meters)
    }

    fn submit_mark(&self, event: &Event) {
        let Ok(payload) = event.encode() else { return };
        let append = Append {
            kind: KIND_EVENT,
            lanes: Lanes::NONE,
            urgent: true,
            terminal: None,
            payload,
            guard: None,
            ticket: Some(Ticket {
                owner: self.home(),
                slot: NO_SLOT,
                token: NO_TOKEN,
            }),
        };
        if self.parts.log.submit(append).is_err() {
            self.parts.witness.not_taken();
        }
    }

    /// The owner of work that no frame began: the last one, which always runs.
    fn home(&self) -> u16 {
        self.parts.completions.owners().saturating_sub(1)
    }

    /// Gives the time of receipt of the frame whose answer is in `out` now.
    fn came_back(
        &self,
        owner: u16,
        completion: Completion,
        out: &mut Vec<Outgoing>,
    ) -> Option<u64> {
        let ticket = completion.ticket;
        if ticket.token == NO_TOKEN {
            // Marks only have no token.
            if completion.durable {
                self.mark_is_old.store(false, Ordering::Release);
            }
            self.retry_waiting(owner, out);
            return None;
        }
        self.pending.fetch_sub(1, Ordering::AcqRel);
        let token = Token(ticket.token);
        let slot = Slot::new(ticket.slot);
        let found = self.found_of(slot)?;
        let input = if completion.durable {
            Input::Committed(token)
        } else {
            Input::CommitFailed(token)
        };
        let before = out.len();
        let driven = self.drive(Turn::of(owner), found, input, out);
        driven.received_us.filter(|_| out.len() > before)
    }

    /// Machines that waited for the mark look at it again.
    fn retry_waiting(&self, owner: u16, out: &mut Vec<Outgoing>) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for slot in waiting {
            if let Some(found) = self.found_of(slot) {
                self.drive(Turn::of(owner), found, Input::Timeout, out);
            }
        }
    }

    /// Tells a terminal's machine that a path ended.
    fn end_path(&self, path: PathId, slot: Slot) {
        if let Some(found) = self.found_of(slot) {
            let mut nothing = Vec::new();
            let input = Input::PathClosed(path);
            self.drive(Turn::of(self.home()), found, input, &mut nothing);
        }
    }

    // spec: SES-11, ERR-1
    fn refused(&self, found: Option<Found>, refusal: &Refusal, frame: &[u8]) -> Verdict {
        self.parts.witness.refused(refusal);
        if refusal.verified {
            // Its sender is known, so that nothing is counted against its address.
            // spec: SES-9
            return Verdict::Verified;
        }
        let group = refusal.reason.group();
        if group != FaultGroup::Authentication {
            return Verdict::Malformed;
        }
        if let Some(found) = found {
            let version = key_version_of(frame);
            let identity = found.terminal.octets();
            if self.failures.lock().count(identity, version) {
                self.parts.witness.steady_failures(found.terminal, version);
            }
        }
        Verdict::FailedAuthentication
    }
}

/// How long before the mark of server nonces is reached a later one is asked for, in seconds.
const MARK_SPARE_S: u32 = 20;

/// For whom something is done, and for which frame.
#[derive(Clone, Copy, Debug)]
struct Turn {
    owner: u16,
    /// When the frame came, by the clock that never goes back; none if there is none.
    received_us: Option<u64>,
}

impl Turn {
    /// Without a frame.
    const fn of(owner: u16) -> Self {
        let received_us = None;
        Self { owner, received_us }
    }
}

/// What came of an input.
#[derive(Clone, Copy, Debug, Default)]
struct Driven {
    /// False if there is no machine, and no room for one.
    is_served: bool,
    /// When the frame came whose order came back with the input.
    received_us: Option<u64>,
}

/// An order on its way into the log.
#[derive(Clone, Copy, Debug)]
struct Order {
    token: Token,
    guard_version: u32,
    urgent: bool,
    over_tcp: bool,
}

fn event_of(terminal: TerminalId, order: &CommitOrder) -> Option<Event> {
    match order {
        CommitOrder::Step(_) => None,
        CommitOrder::CloneMark { counter } => Some(Event::CounterCloned {
            terminal,
            counter: *counter,
        }),
        CommitOrder::Promotion(promotion) => Some(Event::Promoted {
            terminal,
            version: promotion.version.map(|version| version.get()),
            mode: promotion.mode.map(|mode| mode.number()),
        }),
        CommitOrder::Call { call_counter } => Some(Event::Called {
            terminal,
            counter: *call_counter,
        }),
    }
}

/// The key version in a header, for counting failures; 0 if it has none.
fn key_version_of(frame: &[u8]) -> u8 {
    use crate::wire::otl::header::{Direction, Header};
    match Header::parse(frame, Direction::FromTerminal) {
        Ok(Header::Uplink(header)) => header.key_version().map_or(0, |version| version.get()),
        Ok(Header::Resync(header)) => header.key_version().get(),
        _ => 0,
    }
}

impl FrameHandler for Intake {
    // spec: SES-9, SES-10
    fn receive(&self, owner: u16, path: PathId, frame: &[u8], out: &mut Vec<Outgoing>) -> Verdict {
        let turn = Turn {
            owner,
            received_us: Some(self.parts.clock.monotonic_us()),
        };
        let keys = Keys {
            state: &self.parts.state,
            allow_mode0: self.parts.allow_mode0,
            found: Cell::new(None),
        };
        let opened = open(frame, &keys);
        let found = keys.found.get();
        let (opened, found) = match (opened, found) {
            (Ok(opened), Some(found)) => (opened, found),
            (Err(refusal), found) => return self.refused(found, &refusal, frame),
            // A frame that opened was looked up.
            (Ok(_), None) => return Verdict::Malformed,
        };
        if let Some(silent) = self.live.note_path(path, found.slot) {
            self.end_path(path, silent);
        }
        let input = Input::Frame {
            opened,
            path,
            octets_len: frame.len(),
        };
        if self.drive(turn, found, input, out).is_served {
            Verdict::Verified
        } else {
            Verdict::Shed
        }
    }

    fn complete(&self, owner: u16, out: &mut Vec<Outgoing>) -> usize {
        let mut batch = Vec::new();
        self.parts.completions.take(owner, &mut batch);
        let came_back = |completion: &Completion| self.came_back(owner, *completion, out);
        let answered: Vec<u64> = batch.iter().filter_map(came_back).collect();
        if !answered.is_empty() {
            // The whole batch goes to the sockets together.
            let now_us = self.parts.clock.monotonic_us();
            for received_us in answered {
                let took_us = now_us.saturating_sub(received_us);
                self.parts.witness.answered(took_us);
            }
        }
        batch.len()
    }

    fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    fn path_closed(&self, path: PathId) {
        for slot in self.live.forget_path(path) {
            self.end_path(path, slot);
        }
    }

    fn tick(&self, owner: u16, out: &mut Vec<Outgoing>) {
        let now_ms = self.parts.clock.monotonic_ms();
        let last_ms = self.ticked_ms.load(Ordering::Relaxed);
        let is_due = now_ms >= last_ms.saturating_add(TICK_MS);
        let claims = || {
            let claim = self.ticked_ms.compare_exchange(
                last_ms,
                now_ms,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            claim.is_ok()
        };
        // Every owner ticks; one of them does the work.
        if !is_due || !claims() {
            return;
        }
        self.keep_mark();
        self.retry_waiting(owner, out);
        let now_utc_s = self.parts.clock.utc_seconds().get();
        let first = {
            let mut next = self.next_shard.lock();
            let first = *next;
            *next = first.saturating_add(SWEPT_PER_TICK) % crate::store::state::table::SHARDS;
            first
        };
        for shard in first..first.saturating_add(SWEPT_PER_TICK) {
            self.live.sweep(shard, now_ms, now_utc_s);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::LinkKeyring;
    use crate::model::Lsn;
    use crate::model::event::{TerminalEntry, UtilityEntry};
    use crate::store::state::fold::{FoldFrame, KIND_EVENT};

    fn fold(state: &State, lsn: u64, event: &Event) {
        let payload = event.encode().unwrap();
        let frame = FoldFrame {
            lsn: Lsn::new(lsn),
            kind: KIND_EVENT,
            terminal: event.terminal(),
            payload: &payload,
            raises_version: false,
        };
        state.fold(&frame).unwrap();
    }

    // spec: SEC-3
    #[test]
    fn a_terminal_in_mode_0_is_served_only_if_its_utility_and_the_server_allow_it() {
        let id = [0, 7, 0, 0, 0, 0, 0, 1];
        let utility = UtilityId::new(*b"gasworks");
        for (by_utility, by_server) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let state = State::new(LinkKeyring::new());
            let put = UtilityEntry {
                id: utility.to_string(),
                name: "gas".to_owned(),
                allow_mode0: by_utility,
            };
            fold(&state, 1, &Event::UtilityPut(put));
            let terminal = TerminalEntry {
                id: TerminalId::new(id),
                mode: 0,
                customer: None,
            };
            let put = Event::TerminalsPut {
                utility: utility.to_string(),
                terminals: vec![terminal],
            };
            fold(&state, 2, &put);
            let keys = Keys {
                state: &state,
                allow_mode0: by_server,
                found: Cell::new(None),
            };
            let opening = keys.opening_key(&id, Mode::Clear, 0);
            if by_utility && by_server {
                assert_eq!(opening.unwrap().mode, Mode::Clear);
            } else {
                assert_eq!(opening.unwrap_err(), KeyError::Mode0Forbidden);
            }
        }
    }
}
