//! One live terminal: what it sends, what becomes durable, what it is answered, and where to.
//!
//! A [`Machine`] does no IO and reads no clock. Its owner calls [`Machine::handle`], then
//! [`Machine::poll`] until that gives nothing, and [`Machine::handle`] with [`Input::Timeout`] when
//! the mark of server nonces was advanced, and now and then while it is waited for.
//!
//! ```text
//! Frame ──> judged by Link ──> Output::Commit ──> (durable) ──> Committed ──> sealed ──> Transmit
//!                └── a repeat: answered from what is durable ──────────────────┘
//! ```
//!
//! # What it sees to by itself
//!
//! - Nothing is said before what it rests on is durable: the records of the frame, the key version
//!   or mode that a repeat or a RESYNC proves, a call counter.
//! - What its commits decided holds only in the order in which they were given out. Each names the
//!   version that the terminal must have in the log; if one fails, the machine takes nothing more
//!   until [`Machine::resume`] hands it what is durable. So a record that is under way in another
//!   frame counts as kept: if that frame fails, what was decided after it fails too.
//! - One sealed answer a second for a frame, and none under a mark that is not durable.
//! - An answer goes to where its frame came from; a terminal has one connection at a time.
//!
//! # How long it lives
//!
//! A machine is made when a frame of its terminal verified, and is dropped as soon as
//! [`Machine::rest`] gives what is left of it: nothing is under way and no connection is held. So
//! the machines that are live are those of the commits that are under way, some milliseconds of the
//! fleet. [`Rest`] is what the next machine of the terminal takes up: that an uplink was answered
//! in this second must be known for [`ANSWERED_MS`], and the rest of it is worth keeping longer.

mod commands;
mod in_flight;
mod io;
mod order;
mod paths;
mod reply;

use std::collections::VecDeque;

pub use commands::{CommandSource, NoCommands, NoSigner};
pub use io::{Admission, CallOrder, Context, Input, MachineEvent, Output, PathKey, Token};
pub use order::{CommitOrder, StepOrder};
pub use paths::Listener;

use crate::crypto::otl::CALL_HEADER_OCTETS;
use crate::wire::otl::answer::ComeBack;
use crate::wire::otl::header::{CallNowHeader, HeaderOctets, Mode, UplinkHeader};
use crate::wire::otl::record::RecordBody;

use super::answer_gate::{AnswerGate, AnswerKey, Answered};
use super::link::{Link, LinkState, PENDING_MAX};
use super::open::{FrameTag, Opened, OpenedResync, OpenedUplink, Promotion, UnreadableUplink};
use super::records::{Question, RecordIndex, open_questions};
use super::refusal::{OnAir, Reason};
use super::step::{Step, Surroundings};
use super::window::CounterVerdict;
use in_flight::InFlight;
use order::{Asked, Destinations, Reply, Work};
use paths::Paths;

/// Orders and answers of one terminal that may be under way at once: the commits that its link
/// allows, and as much again as half of them for everything else.
pub const WORKS_MAX: usize = PENDING_MAX + PENDING_MAX / 2;

/// How long it is known at least that an uplink was answered, in milliseconds of the clock that
/// never goes back.
// spec: NON-8
pub const ANSWERED_MS: u64 = 2_000;

/// How long it is known at most, if the other clock was set back into an earlier second: from then
/// on the random bits of the server nonce keep answers apart.
// spec: NON-8
pub const ANSWERED_MAX_MS: u64 = 60_000;

/// How long an answer waits for the mark of server nonces, in milliseconds: a terminal has given
/// up by then.
pub const MARK_WAIT_MS: u64 = 30_000;

/// What is left of a machine that is dropped, and that the next machine of the terminal should
/// know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rest<P> {
    /// COME_BACKs without ACK since the last frame that was taken. A terminal stays away for hours
    /// between two.
    // spec: OVL-3
    pub come_backs: u8,
    /// Where the terminal listens, if it does. Worth knowing for minutes; losing it costs a way to
    /// call the terminal.
    // spec: SES-12
    pub listener: Option<Listener<P>>,
    /// Answers that must be known until they [`LateAnswers::are_over`].
    pub answers: Option<LateAnswers>,
}

impl<P> Default for Rest<P> {
    fn default() -> Self {
        Self {
            come_backs: 0,
            listener: None,
            answers: None,
        }
    }
}

/// Which uplinks a terminal was answered just now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LateAnswers {
    answered: Answered,
    at_ms: u64,
}

impl LateAnswers {
    /// Whether they need not be known any more.
    // spec: NON-8
    #[must_use]
    pub fn are_over(&self, now_ms: u64, now_utc_s: u32) -> bool {
        let age_ms = now_ms.saturating_sub(self.at_ms);
        age_ms >= ANSWERED_MS && now_utc_s > self.answered.utc_s() || age_ms >= ANSWERED_MAX_MS
    }
}

/// What was known of a frame before its link took it.
#[derive(Clone, Copy, Debug)]
struct Judged {
    /// It must not wait for room.
    urgent: bool,
    /// Its counter lies below the window.
    is_behind: bool,
    /// An answer may call this counter safe, now or when what is under way is durable.
    may_be_called_safe: bool,
}

/// One live terminal. Bounded: at most [`WORKS_MAX`] frames under way, two paths, four answers.
#[derive(Debug)]
pub struct Machine<P> {
    link: Link,
    gate: AnswerGate,
    paths: Paths<P>,
    works: Vec<Work<P>>,
    outputs: VecDeque<Output<P>>,
    next_token: u64,
    /// The version that the terminal has in the log once everything under way is durable.
    version: u32,
    /// When the last answer was sealed, in milliseconds.
    sealed_ms: u64,
    failed: bool,
    draining: bool,
}

impl<P: PathKey> Machine<P> {
    /// A machine on what is durable of a terminal, its link state and its version in the log, and
    /// on what is left of the one before it.
    ///
    /// `started_utc_s` is the second in which this *process* began, in which nothing is sealed. A
    /// terminal must not have two machines at a time.
    #[must_use]
    pub fn new(state: LinkState, version: u32, started_utc_s: u32, rest: Rest<P>) -> Self {
        let answered = rest.answers.map(|answers| answers.answered);
        Self {
            link: Link::new(state).with_come_backs(rest.come_backs),
            gate: AnswerGate::new(started_utc_s).after(answered),
            paths: Paths::new(rest.listener),
            works: Vec::new(),
            outputs: VecDeque::new(),
            next_token: 0,
            version,
            sealed_ms: rest.answers.map_or(0, |answers| answers.at_ms),
            failed: false,
            draining: false,
        }
    }

    /// What is durable of the link, as this machine knows it.
    #[must_use]
    pub const fn state(&self) -> &LinkState {
        self.link.state()
    }

    /// COME_BACKs without ACK since the last frame that was taken.
    // spec: OVL-3
    #[must_use]
    pub const fn come_backs(&self) -> u8 {
        self.link.come_backs()
    }

    /// What is left if the machine is dropped now; none if it must not be, because something is
    /// under way or a connection is held.
    // spec: NON-8
    #[must_use]
    pub fn rest(&self) -> Option<Rest<P>> {
        let is_busy = !self.works.is_empty() || !self.outputs.is_empty();
        if is_busy || self.paths.holds_connection() {
            return None;
        }
        let answers = self.gate.answered().map(|answered| LateAnswers {
            answered,
            at_ms: self.sealed_ms,
        });
        Some(Rest {
            come_backs: self.come_backs(),
            listener: self.paths.listener(),
            answers,
        })
    }

    /// An order that was given out and has not come back.
    #[must_use]
    pub fn commit_order(&self, token: Token) -> Option<&CommitOrder> {
        let work = self.works.iter().find(|work| work.token == token)?;
        work.order.as_ref()
    }

    /// Whether an order failed and [`Self::resume`] is wanted.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        self.failed
    }

    /// Takes up anew what is durable: after a failed commit, or because somebody else changed the
    /// terminal. Does nothing and returns false while orders are under way.
    #[must_use]
    pub fn resume(&mut self, state: LinkState, version: u32) -> bool {
        if self.works.iter().any(|work| work.order.is_some()) {
            return false;
        }
        self.link = Link::new(state).with_come_backs(self.link.come_backs());
        self.version = version;
        self.failed = false;
        true
    }

    /// What to do next; none until the next input.
    pub fn poll(&mut self) -> Option<Output<P>> {
        let output = self.outputs.pop_front();
        if self.outputs.is_empty() {
            // A live machine that waits holds no memory for what it said.
            self.outputs = VecDeque::new();
        }
        output
    }

    /// What `index` would have to know before it can judge this input, and does not know yet. An
    /// input that is handled while there are such questions is dropped with
    /// [`MachineEvent::Unsure`].
    #[must_use]
    pub fn open_questions(
        &self,
        input: &Input<P>,
        admission: Admission,
        index: &dyn RecordIndex,
    ) -> Vec<Question> {
        let Input::Frame { opened, .. } = input else {
            return Vec::new();
        };
        let Opened::Uplink(uplink) = opened else {
            return Vec::new();
        };
        let counter = uplink.header.counter().get();
        let digest = uplink.answered.tag.digest();
        let verdict = self.link.judge(uplink.header.mode(), counter, digest);
        let is_served = admission != Admission::Shed && sent_away(admission, uplink).is_none();
        if self.failed || self.is_full() || !is_served || verdict != Some(CounterVerdict::New) {
            return Vec::new();
        }
        let is_late = self.is_late(&uplink.header);
        open_questions(uplink, &InFlight::new(&self.works, counter, is_late, index))
    }

    /// Takes an input. Everything that follows from it is in [`Self::poll`].
    pub fn handle(&mut self, ctx: &mut Context<'_>, input: Input<P>) {
        match input {
            Input::Frame {
                opened,
                path,
                octets_len,
            } => self.frame(ctx, opened, path, octets_len),
            Input::Committed(token) => self.committed(token),
            Input::CommitFailed(token) => self.commit_failed(token),
            Input::PathClosed(path) => self.path_closed(path),
            Input::CallNow(order) => self.call_now(ctx, &order),
            Input::Drain => self.draining = true,
            Input::Timeout => {}
        }
        self.seal_waiting(ctx);
        if self.works.is_empty() {
            self.works = Vec::new();
            if self.draining {
                self.close_connection(Reason::Stopping);
            }
        }
    }

    fn event(&mut self, event: MachineEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn close_connection(&mut self, why: Reason) {
        if let Some(path) = self.paths.take_connection() {
            self.close(path, why);
        }
    }

    // spec: ERR-4
    fn close(&mut self, path: P, why: Reason) {
        if let OnAir::Close(code) = why.on_air() {
            for work in &mut self.works {
                work.to.forget(path);
            }
            self.outputs.push_back(Output::Close { path, code });
        }
    }

    fn path_closed(&mut self, path: P) {
        self.paths.closed(path);
        for work in &mut self.works {
            work.to.forget(path);
        }
    }

    fn frame(&mut self, ctx: &mut Context<'_>, opened: Opened, path: P, len: usize) {
        let is_shed = self.failed || ctx.admission == Admission::Shed;
        match opened {
            Opened::Uplink(uplink) if is_shed => self.shed(&uplink.header),
            Opened::Unreadable(uplink) if is_shed => self.shed(&uplink.header),
            Opened::Resync(_) if is_shed => self.event(MachineEvent::Shed { counter: 0 }),
            Opened::Uplink(uplink) => self.uplink(ctx, *uplink, path, len),
            Opened::Unreadable(uplink) => self.unreadable(ctx, *uplink, path, len),
            Opened::Resync(resync) => self.resync(resync, path),
        }
    }

    fn shed(&mut self, header: &UplinkHeader) {
        let counter = header.counter().get();
        self.event(MachineEvent::Shed { counter });
    }

    /// Whether a frame may come after others that its terminal made later. In mode 0 a counter
    /// proves nothing.
    // spec: REC-8, REP-8
    fn is_late(&self, header: &UplinkHeader) -> bool {
        header.mode() == Mode::Clear || !self.link.is_highest(header.counter().get())
    }

    fn is_full(&self) -> bool {
        self.works.len() >= WORKS_MAX
    }

    /// Notes where a frame came from; whatever it means, it verified.
    // spec: TCP-6, SES-12
    fn learn(&mut self, path: P, header: &UplinkHeader, verdict: Option<CounterVerdict>) {
        match verdict {
            Some(CounterVerdict::New) => {
                let counter = header.counter().get();
                let is_highest = header.mode() != Mode::Clear && self.link.is_highest(counter);
                if let Some(older) = self.paths.new_frame(path, counter, is_highest) {
                    self.event(MachineEvent::Moved);
                    self.close(older, Reason::TakenOver);
                }
            }
            None | Some(CounterVerdict::Duplicate) => self.paths.repeated_frame(path),
            Some(CounterVerdict::Clone | CounterVerdict::Stale) => {}
        }
    }

    /// Joins a frame whose answer is under way: that answer goes to this path too.
    // spec: ANS-7, UDP-3
    fn join(&mut self, key: AnswerKey, tag: FrameTag, path: P) -> bool {
        let work = self.works.iter_mut().find(|work| work.answers(key, tag));
        work.map(|work| work.to.add(path)).is_some()
    }

    fn uplink(&mut self, ctx: &mut Context<'_>, mut uplink: OpenedUplink, path: P, len: usize) {
        let header = uplink.header;
        let (counter, mode) = (header.counter().get(), header.mode());
        if uplink.off_ladder {
            self.event(MachineEvent::OffLadder);
        }
        if uplink.alarm_bit_wrong() {
            self.event(MachineEvent::AlarmBitWrong);
        }
        let tag = uplink.answered.tag;
        let verdict = self.link.judge(mode, counter, tag.digest());
        self.learn(path, &header, verdict);
        let joins = mode != Mode::Clear && self.join(AnswerKey::Counter(counter), tag, path);
        if joins || verdict.is_none() {
            return self.event(MachineEvent::Joined { counter });
        }
        if self.is_full() {
            return self.shed(&header);
        }
        let is_new = verdict == Some(CounterVerdict::New);
        if let (Some(time), true) = (sent_away(ctx.admission, &uplink), is_new) {
            return self.come_back(time, uplink, path, len);
        }
        let asked = Box::new(Asked::take(&mut uplink, len));
        let plaintext = core::mem::take(&mut uplink.plaintext);
        let waiting = ctx.commands.waiting(header.identity());
        let around = Surroundings {
            now_utc_s: ctx.now_utc_s,
            waiting: waiting.as_ref(),
            commands_stopped: ctx.commands_stopped,
            mark: ctx.mark,
        };
        let judged = self.judged(counter, verdict, is_served_always(&uplink));
        let is_late = self.is_late(&header);
        let index = InFlight::new(&self.works, counter, is_late, ctx.index);
        let step = self.link.receive(uplink, &index, &around);
        self.step(step, asked, plaintext, path, judged);
    }

    // spec: REC-12
    fn unreadable(&mut self, ctx: &Context<'_>, uplink: UnreadableUplink, path: P, len: usize) {
        let header = uplink.header;
        let counter = header.counter().get();
        let tag = uplink.answered.tag;
        self.event(MachineEvent::Refused(uplink.refusal));
        let verdict = self.link.judge(header.mode(), counter, tag.digest());
        self.learn(path, &header, verdict);
        if self.join(AnswerKey::Counter(counter), tag, path) || verdict.is_none() {
            return self.event(MachineEvent::Joined { counter });
        }
        let is_for_later = matches!(ctx.admission, Admission::AlarmsOnly(_)) && !header.alarm();
        if self.is_full() || is_for_later && verdict == Some(CounterVerdict::New) {
            return self.shed(&header);
        }
        let around = Surroundings {
            now_utc_s: ctx.now_utc_s,
            waiting: None,
            commands_stopped: ctx.commands_stopped,
            mark: ctx.mark,
        };
        let judged = self.judged(counter, verdict, header.alarm());
        let step = self.link.receive_unreadable(&uplink, &around);
        let asked = Box::new(Asked {
            header,
            answered: uplink.answered,
            len,
        });
        self.step(step, asked, uplink.plaintext, path, judged);
    }

    fn judged(&self, counter: u32, verdict: Option<CounterVerdict>, urgent: bool) -> Judged {
        let is_durable = self.link.state().window.is_safe(counter);
        Judged {
            urgent,
            is_behind: verdict == Some(CounterVerdict::Stale),
            may_be_called_safe: is_durable
                || self.works.iter().any(|work| work.is_step_of(counter)),
        }
    }

    fn step(&mut self, step: Step, asked: Box<Asked>, plaintext: Vec<u8>, path: P, judged: Judged) {
        let header = asked.header;
        let counter = header.counter().get();
        match step {
            Step::Commit(commit) => {
                if commit.rollback_suspected {
                    self.event(MachineEvent::RollbackSuspected);
                }
                if !commit.conflicts.is_empty() {
                    let records = commit.conflicts.len();
                    self.event(MachineEvent::Conflicts { records });
                }
                let order = CommitOrder::Step(Box::new(StepOrder {
                    header,
                    plaintext,
                    commit: *commit,
                }));
                let to = Destinations::only(path);
                self.order(order, judged.urgent, Reply::OfStep(asked), to);
            }
            Step::Answer(plan) => {
                self.event(if judged.is_behind {
                    MachineEvent::Behind { counter }
                } else {
                    MachineEvent::Repeat { counter }
                });
                let promotion = plan.promotion;
                self.reply(promotion, Reply::Planned(asked, plan), path);
            }
            Step::Clone { .. } => {
                self.event(MachineEvent::Clone { counter });
                if judged.may_be_called_safe {
                    let order = CommitOrder::CloneMark { counter };
                    let nobody = Destinations::all([None, None]);
                    self.order(order, true, Reply::Nothing, nobody);
                }
            }
            Step::Joined => self.event(MachineEvent::Joined { counter }),
            Step::Silent => self.event(MachineEvent::Repeat { counter }),
            Step::Shed => self.shed(&header),
            Step::Unsure => self.event(MachineEvent::Unsure { counter }),
        }
    }

    // spec: OVL-1, OVL-3
    fn come_back(&mut self, time: ComeBack, mut uplink: OpenedUplink, path: P, len: usize) {
        match self.link.come_back(&uplink, time) {
            Some(plan) => {
                let seconds = time.seconds();
                self.event(MachineEvent::CameBack { seconds });
                let asked = Box::new(Asked::take(&mut uplink, len));
                let promotion = plan.promotion;
                self.reply(promotion, Reply::Planned(asked, Box::new(plan)), path);
            }
            None => self.shed(&uplink.header),
        }
    }

    // spec: RSY-1
    fn resync(&mut self, resync: Box<OpenedResync>, path: P) {
        self.paths.repeated_frame(path);
        let key = AnswerKey::Resync(resync.header.nr().0);
        if self.join(key, resync.answered.tag, path) {
            return self.event(MachineEvent::Joined { counter: 0 });
        }
        if self.is_full() {
            return self.event(MachineEvent::Shed { counter: 0 });
        }
        self.event(MachineEvent::Resync);
        let promotion = resync.promotion;
        self.reply(promotion, Reply::Resync(resync), path);
    }

    /// Makes durable what a frame proves, if it proves anything, and replies then.
    // spec: ROT-5, ROT-11
    fn reply(&mut self, promotion: Promotion, reply: Reply, path: P) {
        let to = Destinations::only(path);
        if promotion == Promotion::default() {
            self.wait_for_seal(reply, to);
        } else {
            self.order(CommitOrder::Promotion(promotion), true, reply, to);
        }
    }

    // spec: SES-12, SES-13, SEC-8
    fn call_now(&mut self, ctx: &Context<'_>, order: &CallOrder) {
        let paths = self.paths.all();
        let last = self.link.state().last_call;
        let call_counter = last.saturating_add(1).max(ctx.now_utc_s);
        let header =
            CallNowHeader::new(order.mode, order.key_version, order.identity, call_counter);
        let octets = header.map(|header| header.encode());
        let header = octets.as_ref().and_then(call_header);
        let is_called = self.works.iter().any(Work::is_call);
        let may = !self.failed && !is_called && !self.is_full() && call_counter > last;
        let (Some(header), true) = (header, may && paths.iter().any(Option::is_some)) else {
            return self.event(MachineEvent::NotCallable);
        };
        let mut frame = header.to_vec();
        frame.extend_from_slice(order.key.call_key().tag(header).as_octets());
        let order = CommitOrder::Call { call_counter };
        let reply = Reply::Call {
            frame,
            call_counter,
        };
        self.order(order, true, reply, Destinations::all(paths));
    }
}

fn call_header(octets: &HeaderOctets) -> Option<&[u8; CALL_HEADER_OCTETS]> {
    octets.as_slice().try_into().ok()
}

/// When a new frame is to come back instead of being taken, if it is.
// spec: OVL-1, OVL-4
fn sent_away(admission: Admission, uplink: &OpenedUplink) -> Option<ComeBack> {
    let (time, takes_small) = match admission {
        Admission::ComeBack(time) => (time, true),
        Admission::AlarmsOnly(time) => (time, false),
        Admission::Serve | Admission::Shed => return None,
    };
    // A report without a record costs little, and fetches commands.
    let is_small = uplink.body.records.is_empty() && uplink.damaged.is_empty();
    let is_taken = is_served_always(uplink) || takes_small && is_small;
    (!is_taken).then_some(time)
}

/// Whether an input must not wait for room: an alarm, what tells what became of a command, or
/// whatever is no frame.
// spec: OVL-4
#[must_use]
pub fn is_urgent<P>(input: &Input<P>) -> bool {
    let Input::Frame { opened, .. } = input else {
        return true;
    };
    match opened {
        Opened::Uplink(uplink) => is_served_always(uplink),
        Opened::Unreadable(uplink) => uplink.header.alarm(),
        Opened::Resync(_) => false,
    }
}

/// Whether a frame is served even when there is only the reserve left: an alarm, or what tells what
/// became of a command.
// spec: OVL-4
fn is_served_always(uplink: &OpenedUplink) -> bool {
    let is_outcome = |body: &RecordBody| {
        matches!(
            body,
            RecordBody::CommandResult(_) | RecordBody::ValveState(_)
        )
    };
    let mut records = uplink.body.records.iter();
    uplink.header.alarm() || uplink.holds_alarm() || records.any(|record| is_outcome(&record.body))
}
