//! Frames in, answers out: the server as the listeners see it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::keyring::{CommandSigner, KeyError};
use crate::model::TerminalId;
use crate::net::contract::{FrameHandler, Outgoing, PathId, Verdict};
use crate::session::otl::failures::FailedOpens;
use crate::session::otl::machine::{CallOrder, CommandSource, Input, Token};
use crate::session::otl::open::{OpeningKeys, open};
use crate::session::otl::refusal::{FaultGroup, Refusal};
use crate::store::log::CommitLog;
use crate::store::state::table::SHARDS;
use crate::store::state::{Slot, State};
use crate::time::Clock;
use crate::wire::otl::ident::{Identity, KeyVersion};

use super::completions::{Completion, Completions};
use super::live::{Found, LiveTable};
use super::load::Load;
use super::search::Searches;
use super::witness::Witness;

mod drive;
mod keys;
mod mark;
mod order;

use drive::Turn;
use keys::{Keys, key_version_of};
use mark::NO_TOKEN;

/// How often the work of ticks is done, in milliseconds.
const TICK_MS: u64 = 200;
/// Shards that one tick sweeps: all of them in two seconds.
const SWEPT_PER_TICK: usize = 8;

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
    waiting: Mutex<HashSet<Slot>>,
    started_utc_s: u32,
    /// Whether the mark of server nonces is of a process before this one.
    mark_is_old: AtomicBool,
    /// Whether a later mark is on its way into the log.
    mark_asked: AtomicBool,
    next_shard: Mutex<usize>,
    pending: AtomicUsize,
    ticked_ms: AtomicU64,
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
            mark_asked: AtomicBool::new(false),
            next_shard: Mutex::default(),
            pending: AtomicUsize::new(0),
            ticked_ms: AtomicU64::new(0),
        }
    }

    /// How many terminals are being served.
    #[must_use]
    pub fn live_machines(&self) -> usize {
        self.live.len()
    }

    /// Calls a terminal that holds a connection or listens. What is to be sent comes later, through
    /// the last owner. False if there is no place to serve another terminal.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if no key of the terminal can be used.
    // spec: SES-12, SES-13
    pub fn call_now(
        &self,
        terminal: TerminalId,
        out: &mut Vec<Outgoing>,
    ) -> Result<bool, KeyError> {
        let entry = self.parts.state.table.with(terminal, |entry| *entry.hot);
        let hot = entry.ok_or(KeyError::UnknownTerminal)?;
        let keys = Keys::new(&self.parts);
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
        Ok(self.drive(Turn::of(self.home()), found, input, out))
    }

    /// Tells every machine that the server stops: what is under way ends first.
    pub fn drain(&self, out: &mut Vec<Outgoing>) {
        for slot in self.live.slots() {
            self.go_on(self.home(), slot, Input::Drain, out);
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
            self.mark_came_back(completion.durable);
            if completion.durable {
                self.retry_waiting(owner, out);
            }
            return None;
        }
        self.pending.fetch_sub(1, Ordering::AcqRel);
        let token = Token(ticket.token);
        let slot = Slot::new(ticket.slot);
        let input = if completion.durable {
            Input::Committed(token)
        } else {
            Input::CommitFailed(token)
        };
        let before = out.len();
        self.go_on(owner, slot, input, out);
        ticket.begun_us.filter(|_| out.len() > before)
    }

    /// Tells a terminal's machine that a path ended.
    fn end_path(&self, path: PathId, slot: Slot) {
        let mut nothing = Vec::new();
        self.go_on(self.home(), slot, Input::PathClosed(path), &mut nothing);
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

impl FrameHandler for Intake {
    // spec: SES-9, SES-10
    fn receive(&self, owner: u16, path: PathId, frame: &[u8], out: &mut Vec<Outgoing>) -> Verdict {
        let turn = Turn {
            owner,
            received_us: Some(self.parts.clock.monotonic_us()),
            over_tcp: matches!(path, PathId::Tcp { .. }),
        };
        let keys = Keys::new(&self.parts);
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
        if self.drive(turn, found, input, out) {
            Verdict::Verified
        } else {
            Verdict::Shed
        }
    }

    fn complete(&self, owner: u16, out: &mut Vec<Outgoing>) -> usize {
        let mut batch = Vec::new();
        self.parts.completions.take(owner, &mut batch);
        let came_back = |completion: &Completion| self.came_back(owner, *completion, out);
        let mut times_us: Vec<u64> = batch.iter().filter_map(came_back).collect();
        if !times_us.is_empty() {
            // The whole batch goes to the sockets together.
            let now_us = self.parts.clock.monotonic_us();
            for time_us in &mut times_us {
                *time_us = now_us.saturating_sub(*time_us);
            }
            self.parts.witness.answered(&times_us);
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
            *next = first.saturating_add(SWEPT_PER_TICK) % SHARDS;
            first
        };
        for shard in first..first.saturating_add(SWEPT_PER_TICK) {
            self.live.sweep(shard, now_ms, now_utc_s);
        }
    }
}
