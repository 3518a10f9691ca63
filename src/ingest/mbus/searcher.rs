//! Looking in the log for a telegram that may be a copy of what the table of meters has forgotten:
//! its counter was used, or it lacks the MAC that its meter's others have, or it was heard too long
//! ago.
//!
//! A gateway that was away for days sends again what others have sent meanwhile: more than the
//! table of meters has digests for. Whether such a telegram is durable, the log alone knows. One
//! thread looks for them, a part of the log at a time, and turns to the next utility and gateway
//! after each part: a long search delays nobody but whoever waits for that telegram, and those
//! whose lines came behind it over the same connection. What is urgent has every other turn.
//!
//! What is damaged may be the copy, or not: what would be refused without one is looked for behind
//! it, and whoever brought anything else is told to come back.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::core::Fresh;
use super::turns::Lanes;
use crate::model::{Lsn, Telegram};
use crate::net::mbus::contract::Gateway;
use crate::store::log::{CommitLog, ReadError, Walk};
use crate::store::state::fold::KIND_TELEGRAM;
use crate::store::state::meters::{Mark, SPAN_S, Seen};

/// Telegrams of one gateway that may wait to be looked for: twice the lines that a connection has
/// under way. Beyond them it is told to come back.
const WAITING_MAX: usize = 256;
/// Frames that are read in one turn, at most.
const FRAMES_A_TURN: usize = 1_024;
/// Segments whose index is looked at in one turn, at most.
const SEGMENTS_A_TURN: usize = 64;
/// Frames of a meter that are read for one telegram with a counter, at most.
const COUNTED_MAX: usize = 65_536;
/// Frames one behind the other that were received too early for a copy, and end a search: a clock
/// that was behind for a while must not end it.
const PAST_MAX: usize = 64;
/// By how much, in seconds, the times of receipt of frames may be out of order, or a gateway's
/// clock be ahead.
const DISORDER_S: u32 = 3_600;

/// A telegram that is looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) gateway: Gateway,
    pub(super) fresh: Fresh,
    /// What it is if it is not found.
    pub(super) otherwise: Seen,
    /// From here on the log was looked through.
    before: Option<Lsn>,
    /// Telegrams of its meter, as its utility hears it, that were read.
    read: usize,
    /// Frames one behind the other that were received too early for a copy.
    past: usize,
}

impl Wanted {
    pub(super) const fn new(gateway: Gateway, fresh: Fresh, otherwise: Seen) -> Self {
        Self {
            gateway,
            fresh,
            otherwise,
            before: None,
            read: 0,
            past: 0,
        }
    }
}

/// What the log says of a telegram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// It has a copy.
    Durable,
    /// It has none.
    Absent,
    /// It has none among as many as are looked at, or as are kept.
    Beyond,
    /// It cannot be read now.
    Unknown,
}

/// What came of a turn.
#[derive(Debug)]
pub(super) enum Turn {
    /// The search is over.
    Over,
    /// It goes on.
    GoesOn(Wanted),
}

/// What waits, and whether the thread is to end.
#[derive(Debug)]
struct Queue {
    lanes: Lanes<Wanted>,
    is_ending: bool,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The thread.
#[derive(Debug)]
pub(super) struct Searcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Searcher {
    /// `search` is given one after the other, and `give_up` what still waits at the end.
    pub(super) fn start(
        search: impl FnMut(Wanted) -> Turn + Send + 'static,
        give_up: impl FnMut(Wanted) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                lanes: Lanes::new(WAITING_MAX),
                is_ending: false,
            }),
            changed: Condvar::new(),
        });
        let with_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("mbus-search".to_owned());
        let thread = thread.spawn(move || search_all(&with_thread, search, give_up))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Gives the telegram back if there is no room.
    pub(super) fn look_for(&self, wanted: Wanted) -> Result<(), Box<Wanted>> {
        let is_over = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        if is_over {
            // By a bug: nobody is to wait for it.
            return Err(Box::new(wanted));
        }
        let name = Arc::clone(&wanted.gateway.name);
        let of = (wanted.gateway.utility, &name);
        let mut queue = self.shared.queue.lock();
        if queue.is_ending {
            return Err(Box::new(wanted));
        }
        let pushed = queue.lanes.turns(wanted.fresh.urgent).push(of, wanted);
        drop(queue);
        self.shared.changed.notify_one();
        pushed.map_err(Box::new)
    }

    /// Ends all searches: what waits is given up, and nothing more is taken.
    pub(super) fn end(&self) {
        self.shared.queue.lock().is_ending = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Searcher {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            // A panic was told when it happened.
            thread.join().ok();
        }
    }
}

fn search_all(
    shared: &Shared,
    mut search: impl FnMut(Wanted) -> Turn,
    mut give_up: impl FnMut(Wanted),
) {
    while let Some(wanted) = next(shared) {
        if let Turn::GoesOn(wanted) = search(wanted) {
            let name = Arc::clone(&wanted.gateway.name);
            let of = (wanted.gateway.utility, &name);
            let mut queue = shared.queue.lock();
            queue
                .lanes
                .turns(wanted.fresh.urgent)
                .push_begun(of, wanted);
        }
    }
    loop {
        // Not while the queue is locked.
        let left = shared.queue.lock().lanes.pop();
        let Some(wanted) = left else { return };
        give_up(wanted);
    }
}

/// Waits for what is next; none at the end.
fn next(shared: &Shared) -> Option<Wanted> {
    let mut queue = shared.queue.lock();
    loop {
        if queue.is_ending {
            return None;
        }
        if let Some(wanted) = queue.lanes.pop() {
            return Some(wanted);
        }
        shared.changed.wait(&mut queue);
    }
}

/// Looks for a copy of a telegram in a part of the log. `newest` is its meter's last frame, if it
/// is known. None if more of the log has to be looked through. `tell` hears what cannot be read.
pub(super) fn look_in(
    log: &CommitLog,
    newest: Option<Lsn>,
    wanted: &mut Wanted,
    tell: impl FnOnce(&ReadError),
) -> Option<Found> {
    let walk = Walk {
        newest: newest.filter(|_| wanted.before.is_none()),
        segments_max: SEGMENTS_A_TURN,
        frames_max: FRAMES_A_TURN,
        ..Walk::default()
    };
    let Fresh {
        utility,
        meter,
        mark,
        ..
    } = &wanted.fresh;
    let mut frames = log.walk(*meter, walk);
    if let Some(before) = wanted.before {
        frames = frames.before(before);
    }
    while let Some(frame) = frames.next() {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                tell(&error);
                let is_refused = matches!(
                    wanted.otherwise,
                    Seen::Replay | Seen::TooOld | Seen::Unsigned
                );
                wanted.before = Some(frames.reached());
                return match error {
                    ReadError::Damage { .. } if is_refused => None,
                    _ => Some(Found::Unknown),
                };
            }
        };
        let telegram = Telegram::decode(&frame.payload).ok();
        let Some(known) = telegram.filter(|_| frame.kind == KIND_TELEGRAM) else {
            continue;
        };
        let is_own = known.utility == *utility;
        if is_own && mark.is_copy_of(&Mark::of(&known)) {
            return Some(Found::Durable);
        }
        wanted.past = match is_past(mark, &known) {
            true => wanted.past.saturating_add(1),
            false => 0,
        };
        if wanted.past >= PAST_MAX {
            return Some(Found::Absent);
        }
        wanted.read = wanted.read.saturating_add(usize::from(is_own));
        if mark.counter.is_some() && wanted.read >= COUNTED_MAX {
            return Some(Found::Beyond);
        }
    }
    match frames.cut_at() {
        Some(at) => {
            wanted.before = Some(at);
            None
        }
        // What retention has dropped may have been a copy. Without a counter it is taken again.
        None if mark.counter.is_some() && log.first() > Lsn::ZERO => Some(Found::Beyond),
        None => Some(Found::Absent),
    }
}

/// Whether a telegram was received so long before another was heard that it cannot be a copy. With
/// a counter a copy is one whenever it came.
fn is_past(mark: &Mark, known: &Telegram<'_>) -> bool {
    let heard = u64::from(mark.at_utc_s.saturating_sub(SPAN_S + DISORDER_S));
    mark.counter.is_none() && known.received_utc_ms / 1_000 < heard
}
