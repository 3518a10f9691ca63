//! What waits for the commit thread: two bounded queues behind one lock that is held for a push or
//! a swap.

use std::collections::VecDeque;
use std::mem;
use std::sync::mpsc::SyncSender;

use parking_lot::{Condvar, Mutex};

use super::append::{Append, Poison, PoisonReason};
use super::error::{Refused, SubmitError, SubmitRefusal};
use crate::model::Lsn;

/// An append that waits, and whom to tell if that is not the observer.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) append: Append,
    pub(super) waiter: Option<SyncSender<Result<Lsn, Refused>>>,
    /// Whether room is made by it, so that it may use the last of the disk.
    pub(super) is_upkeep: bool,
}

/// The two queues, urgent ones first.
#[derive(Debug, Default)]
pub(super) struct Lines {
    urgent: VecDeque<Queued>,
    other: VecDeque<Queued>,
}

impl Lines {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.other.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Queued> {
        self.urgent.pop_front().or_else(|| self.other.pop_front())
    }

    fn take_all(&mut self, from: &mut Self) {
        for (to, from) in [
            (&mut self.urgent, &mut from.urgent),
            (&mut self.other, &mut from.other),
        ] {
            if to.is_empty() {
                mem::swap(to, from);
            } else {
                to.append(from);
            }
        }
    }
}

/// Frames and octets of payload, in a queue or of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    pub(super) frames: usize,
    pub(super) octets: usize,
}

impl Load {
    fn add(&mut self, octets: usize) {
        self.frames = self.frames.saturating_add(1);
        self.octets = self.octets.saturating_add(octets);
    }

    fn subtract(&mut self, other: Self) {
        self.frames = self.frames.saturating_sub(other.frames);
        self.octets = self.octets.saturating_sub(other.octets);
    }
}

/// What a batch took, by queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    urgent: Load,
    other: Load,
}

impl Taken {
    pub(super) fn add(&mut self, append: &Append) {
        self.of(append.urgent).add(append.payload.len());
    }

    fn of(&mut self, is_urgent: bool) -> &mut Load {
        if is_urgent {
            &mut self.urgent
        } else {
            &mut self.other
        }
    }
}

#[derive(Debug, Default)]
struct State {
    lines: Lines,
    /// All that was submitted and is not settled, what the commit thread holds included.
    load: Taken,
    poison: Option<Poison>,
    is_closing: bool,
    is_waiting: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    frames_max: usize,
    octets_max: usize,
}

impl Queue {
    pub(super) fn new(frames_max: usize, octets_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            frames_max,
            octets_max,
        }
    }

    pub(super) fn push(&self, queued: Queued) -> Result<(), SubmitError> {
        let refuse = |queued: Queued, why| {
            let append = queued.append;
            Err(SubmitError { append, why })
        };
        let octets = queued.append.payload.len();
        let is_urgent = queued.append.urgent;
        let mut state = self.state.lock();
        if let Some(poison) = &state.poison {
            let why = SubmitRefusal::ReadOnly(poison.reason);
            return refuse(queued, why);
        }
        if state.is_closing {
            return refuse(queued, SubmitRefusal::Closed);
        }
        let load = state.load.of(is_urgent);
        let octets_after = load.octets.saturating_add(octets);
        if load.frames >= self.frames_max || octets_after > self.octets_max {
            return refuse(queued, SubmitRefusal::QueueFull);
        }
        load.add(octets);
        if is_urgent {
            state.lines.urgent.push_back(queued);
        } else {
            state.lines.other.push_back(queued);
        }
        let is_waiting = mem::take(&mut state.is_waiting);
        drop(state);
        if is_waiting {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Moves all that waits into `lines`, after counting off what was settled. Waits while both are
    /// empty. Returns false when there is nothing and will be nothing.
    pub(super) fn take(&self, lines: &mut Lines, settled: Taken) -> bool {
        let mut state = self.state.lock();
        state.load.urgent.subtract(settled.urgent);
        state.load.other.subtract(settled.other);
        loop {
            lines.take_all(&mut state.lines);
            if !lines.is_empty() {
                return true;
            }
            if state.is_closing || state.poison.is_some() {
                return false;
            }
            state.is_waiting = true;
            self.filled.wait(&mut state);
        }
    }

    /// Takes nothing any more; what waits is still committed.
    pub(super) fn close(&self) {
        self.state.lock().is_closing = true;
        self.filled.notify_one();
    }

    /// Takes nothing any more, for good. The first poison stays. Returns what was waiting.
    pub(super) fn poison(&self, reason: PoisonReason, cause: String) -> Lines {
        let mut state = self.state.lock();
        if state.poison.is_none() {
            state.poison = Some(Poison { reason, cause });
        }
        state.load = Taken::default();
        mem::take(&mut state.lines)
    }

    /// Frames and octets that wait, and the poison.
    pub(super) fn status(&self) -> (Load, Option<Poison>) {
        let state = self.state.lock();
        let (urgent, other) = (state.load.urgent, state.load.other);
        let load = Load {
            frames: urgent.frames.saturating_add(other.frames),
            octets: urgent.octets.saturating_add(other.octets),
        };
        (load, state.poison.clone())
    }
}
