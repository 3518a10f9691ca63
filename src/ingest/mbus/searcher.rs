//! Looking in the log for a telegram whose counter was used.
//!
//! A gateway that was away for days sends again what others have sent meanwhile: more than the
//! table of meters has digests for. Whether such a telegram is durable, the log alone knows. Only
//! what verified is looked for, by one thread.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use super::Asker;
use crate::model::{Telegram, TerminalId};
use crate::store::log::{CommitLog, Walk};
use crate::store::state::fold::KIND_TELEGRAM;
use crate::store::state::meters::{Mark, Seen};

/// Telegrams that may wait to be looked for. Beyond them their gateways are told to come back.
const QUEUE_MAX: usize = 1_024;
/// Frames of a meter that are read for one telegram, at most.
const FRAMES_MAX: usize = 4_096;
/// Segments whose index is looked at for one telegram, at most.
const SEGMENTS_MAX: usize = 64;

/// A telegram that is looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) meter: TerminalId,
    pub(super) mark: Mark,
    /// What it is if it is not found.
    pub(super) otherwise: Seen,
    pub(super) asker: Asker,
}

/// The thread.
#[derive(Debug)]
pub(super) struct Searcher {
    queue: Option<SyncSender<Wanted>>,
    thread: Option<JoinHandle<()>>,
}

impl Searcher {
    /// `search` is given one after the other.
    pub(super) fn start(search: impl FnMut(Wanted) + Send + 'static) -> io::Result<Self> {
        let (queue, wanted) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new().name("mbus-search".to_owned());
        let thread = thread.spawn(move || search_all(&wanted, search))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Gives the asker back if there is no room.
    pub(super) fn look_for(&self, wanted: Wanted) -> Result<(), Asker> {
        let Some(queue) = &self.queue else {
            return Err(wanted.asker);
        };
        queue.try_send(wanted).map_err(|error| match error {
            TrySendError::Full(wanted) | TrySendError::Disconnected(wanted) => wanted.asker,
        })
    }
}

impl Drop for Searcher {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic was told when it happened.
            thread.join().ok();
        }
    }
}

fn search_all(wanted: &Receiver<Wanted>, mut search: impl FnMut(Wanted)) {
    for one in wanted {
        search(one);
    }
}

/// Whether the log has a copy of a telegram. One that cannot be read has none.
pub(super) fn is_in(log: &CommitLog, meter: TerminalId, mark: &Mark) -> bool {
    let walk = Walk {
        segments_max: SEGMENTS_MAX,
        frames_max: FRAMES_MAX,
        ..Walk::default()
    };
    let mut frames = log.walk(meter, walk).map_while(Result::ok);
    frames.any(|frame| {
        let telegram = Telegram::decode(&frame.payload).ok();
        let known = telegram.filter(|_| frame.kind == KIND_TELEGRAM);
        known.is_some_and(|known| mark.is_copy_of(&Mark::of(&known)))
    })
}
