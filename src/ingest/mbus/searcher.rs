//! Looking in the log for a telegram whose counter was used, or that was heard before all that is
//! kept of its meter.
//!
//! A gateway that was away for days sends again what others have sent meanwhile: more than the
//! table of meters has digests for. Whether such a telegram is durable, the log alone knows. One
//! thread looks for them, one after the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use super::{Asker, Fresh};
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
    pub(super) fresh: Fresh,
    /// What it is if it is not found.
    pub(super) otherwise: Seen,
}

/// What the log says of a telegram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// It has a copy.
    Durable,
    /// It has none, as far as it was looked through.
    Absent,
    /// It cannot be read now.
    Unknown,
}

/// The thread.
#[derive(Debug)]
pub(super) struct Searcher {
    queue: Option<SyncSender<(Wanted, Asker)>>,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Searcher {
    /// `search` is given one after the other, with what is set when it has to end.
    pub(super) fn start(
        search: impl FnMut(Wanted, Asker, &AtomicBool) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, wanted) = sync_channel(QUEUE_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("mbus-search".to_owned());
        let thread = thread.spawn(move || search_all(&wanted, &stopping, search))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            stop,
        })
    }

    /// Gives the asker back if there is no room.
    pub(super) fn look_for(&self, wanted: Wanted, asker: Asker) -> Result<(), Asker> {
        let Some(queue) = &self.queue else {
            return Err(asker);
        };
        queue
            .try_send((wanted, asker))
            .map_err(|error| match error {
                TrySendError::Full((_, asker)) | TrySendError::Disconnected((_, asker)) => asker,
            })
    }
}

impl Drop for Searcher {
    /// What still waits is not looked for: whoever asked hears that there is no room now.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic was told when it happened.
            thread.join().ok();
        }
    }
}

fn search_all(
    wanted: &Receiver<(Wanted, Asker)>,
    stop: &AtomicBool,
    mut search: impl FnMut(Wanted, Asker, &AtomicBool),
) {
    for (wanted, asker) in wanted {
        if !stop.load(Ordering::Relaxed) {
            search(wanted, asker, stop);
        }
    }
}

/// Whether the log has a copy of a telegram.
pub(super) fn look_in(log: &CommitLog, meter: TerminalId, mark: &Mark, stop: &AtomicBool) -> Found {
    let walk = Walk {
        segments_max: SEGMENTS_MAX,
        frames_max: FRAMES_MAX,
        ..Walk::default()
    };
    for frame in log.walk(meter, walk) {
        let Ok(frame) = frame else {
            return Found::Unknown;
        };
        if stop.load(Ordering::Relaxed) {
            return Found::Unknown;
        }
        let telegram = Telegram::decode(&frame.payload).ok();
        let known = telegram.filter(|_| frame.kind == KIND_TELEGRAM);
        if known.is_some_and(|known| mark.is_copy_of(&Mark::of(&known))) {
            return Found::Durable;
        }
    }
    Found::Absent
}
