//! The custody log: what Kenshin has promised to keep, in the order in which it promised.
//!
//! # Format
//!
//! The log is a row of octets that only grows at its end. A position in it, an [`Lsn`], counts
//! octets from the beginning of the row. The row is cut into *segments*, a file each:
//! `<base>.klog`, where `<base>` is the position of the file's first octet in 20 digits. A file's
//! octet at offset `n` stands at position `base + n`; the next segment's base is where the file
//! ends. All numbers are little-endian, all checks are CRC-32C.
//!
//! ```text
//! segment = header frame* [footer]
//! header  = "KENSHLOG" version:u16=1 zero:6 base:u64 previous_base:u64 previous_chain:u32
//!           zero:24 crc:u32                                          64 octets
//! frame   = crc:u32 length:u32 version:u8=1 kind:u8 lanes:u8 zero:1 batch_offset:u32
//!           terminal:8 payload                                       24 octets and the payload
//! footer  = a frame of kind 255 with payload frames:u64 chain:u32
//! ```
//!
//! A frame's check covers the frame's position (as 8 octets) and then all that follows the check,
//! so that a frame that was moved does not pass. A segment's *chain* begins as its header's check
//! and goes on with each frame but the footer: `crc(chain, frame's crc)`. The footer holds the
//! chain, and so does the next segment's header, so that no frame and no file can be missing or
//! exchanged unseen. The chain is not carried over the footer: a check over octets that end with
//! the chain, mixed with that chain, would be the same whatever the chain was. `batch_offset`
//! counts octets from the first frame that was written and synced together with this one: a batch
//! is written only after the one before it was synced.
//!
//! `protocol-spec/log-format.md` tells the same to whoever checks a log with tools of their own.
//!
//! # Opening
//!
//! The last segment may end in a torn batch. It is cut if no frame of a later batch follows and
//! nobody knows of a later position that was durable ([`LogOptions::known_durable`]): a batch that
//! was torn was told to nobody. Damage of the last batch after it was durable looks the same, and a
//! file that was cut between two batches looks whole; so what is cut is told, and whatever follows
//! the log notes how far it came. Any other damage, and a missing or foreign file, ends
//! in an error that names positions and file. The last batch is written and synced once more: a
//! sync that failed may have left it readable and not durable.
//!
//! # Committing
//!
//! One thread takes all that waits, up to 4,096 frames and 8 MiB, urgent frames first; judges
//! guards, writes once, syncs once, and tells the [`CommitObserver`]. There is no timer: what came
//! during the last sync is the next batch. A write or sync that failed is never tried again, also
//! if it failed for want of room: the log takes nothing any more until it is opened again. A file
//! that cannot be made for the next segment is no such failure: nothing was written, and the
//! present segment goes on. The observer is told "durable" after the sync and never otherwise (P1
//! of the architecture).
//!
//! What frames mean is not known here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::model::{Lsn, TerminalId};
use crate::store::fs::Fs;

mod append;
mod commit;
mod error;
mod frame;
mod header;
mod history;
mod index;
mod queue;
mod reader;
mod recover;
mod retain;
mod room;
mod scan;
mod segment;
mod survey;

pub use append::{
    Append, CommitObserver, DurableFrame, Guard, LogOptions, LogStatus, Poison, PoisonReason,
    Ticket, TornEnd,
};
pub use error::{
    AppendError, OpenError, ReadError, Refused, RetainError, SubmitError, SubmitRefusal,
};
pub use frame::PAYLOAD_MAX;
pub use history::{History, OwnedFrame, Walk};
pub use reader::{Batch, FrameRef, LogReader};
pub use retain::Retained;
pub use room::Takes;
pub use survey::{Damage, Survey, SurveyError, SurveyedSegment, survey};

use commit::Committer;
use queue::{Lines, Queue, Queued};
use room::{Floors, Room};
use segment::{Segment, Segments};

/// The directory of the log in a data directory.
pub const DIRECTORY: &str = "log";
/// Sealed segments that may wait for their index to be written.
const INDEXER_QUEUE: usize = 4;

/// What the threads and readers of a log share.
#[derive(Debug)]
struct Shared {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    floors: Floors,
    queue: Queue,
    segments: Segments,
    durable_end: AtomicU64,
    ends: watch::Sender<Lsn>,
    end_lock: Mutex<()>,
    end_moved: Condvar,
}

impl Shared {
    fn durable_end(&self) -> u64 {
        self.durable_end.load(Ordering::Acquire)
    }

    fn publish(&self, end: u64) {
        {
            let _guard = self.end_lock.lock();
            self.durable_end.store(end, Ordering::Release);
        }
        self.end_moved.notify_all();
        self.ends.send_replace(Lsn::new(end));
    }

    /// The room that there is now.
    fn room(&self) -> Room {
        let used = Lsn::new(self.durable_end()).saturating_since(self.segments.first());
        self.floors.room(&*self.fs, &self.dir, used)
    }

    /// Waits until the end is after `position`. Returns whether it is.
    fn wait_beyond(&self, position: u64, timeout: Duration) -> bool {
        let mut guard = self.end_lock.lock();
        let is_waiting = |(): &mut ()| self.durable_end() <= position;
        let waited = self
            .end_moved
            .wait_while_for(&mut guard, is_waiting, timeout);
        !waited.timed_out() || self.durable_end() > position
    }
}

/// A frame that is queued.
#[derive(Debug)]
pub struct Underway(mpsc::Receiver<Result<Lsn, Refused>>);

impl Underway {
    /// Waits until it is durable and the observer was told so. Returns where it stands.
    ///
    /// # Errors
    ///
    /// [`AppendError::Refused`].
    pub fn wait(self) -> Result<Lsn, AppendError> {
        match self.0.recv() {
            Ok(settled) => Ok(settled?),
            Err(mpsc::RecvError) => Err(Refused::ReadOnly(PoisonReason::Stopped).into()),
        }
    }
}

/// An open log. Dropping it does what [`CommitLog::close`] does.
#[derive(Debug)]
pub struct CommitLog {
    shared: Arc<Shared>,
    dir: PathBuf,
    guard_slots: u32,
    threads: Mutex<Vec<JoinHandle<()>>>,
    retaining: Mutex<()>,
    torn_end: Option<TornEnd>,
}

impl CommitLog {
    /// Opens the log in a directory, which is made if it does not exist, and starts its threads.
    /// One process may have a log open: take a [`DataDirLock`](crate::store::fs::DataDirLock)
    /// first.
    ///
    /// # Errors
    ///
    /// If an option is out of range, a file cannot be used, or the log is damaged.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        options: LogOptions,
        observer: Box<dyn CommitObserver>,
    ) -> Result<Self, OpenError> {
        Self::open_and_show(fs, dir, options, observer, &mut |_| {})
    }

    /// As [`Self::open`], and shows each frame at or after [`LogOptions::check_from`] while it is
    /// checked, in the order of the log: whoever has to take these frames up need not read them
    /// again. If opening fails, what was shown means nothing.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_and_show(
        fs: Arc<dyn Fs>,
        dir: &Path,
        options: LogOptions,
        observer: Box<dyn CommitObserver>,
        each: &mut dyn FnMut(&FrameRef<'_>),
    ) -> Result<Self, OpenError> {
        let recovered = recover::recover(&*fs, dir, &options, each)?;
        let end = recovered.tail.base.saturating_add(recovered.tail.len);
        let active = Arc::clone(&recovered.active);
        let shared = Arc::new(Shared {
            fs,
            dir: dir.to_owned(),
            floors: Floors::new(&options),
            queue: Queue::new(options.queue_frames, options.queue_bytes),
            segments: recovered.segments,
            durable_end: AtomicU64::new(end),
            ends: watch::Sender::new(Lsn::new(end)),
            end_lock: Mutex::new(()),
            end_moved: Condvar::new(),
        });
        let (indexer, sealed) = mpsc::sync_channel(INDEXER_QUEUE);
        let committer = Committer {
            shared: Arc::clone(&shared),
            observer,
            dir: dir.to_owned(),
            options,
            tail: recovered.tail,
            active,
            indexer,
            versions: Vec::new(),
            lines: Lines::default(),
            octets: Vec::new(),
            is_late: false,
        };
        let for_index = Arc::clone(&shared);
        let threads = [
            spawn(dir, "log-commit", move || commit(committer))?,
            spawn(dir, "log-index", move || write_indexes(&for_index, &sealed))?,
        ];
        Ok(Self {
            shared,
            dir: dir.to_owned(),
            guard_slots: options.guard_slots,
            threads: Mutex::new(threads.into()),
            retaining: Mutex::new(()),
            torn_end: recovered.torn_end,
        })
    }

    /// Queues a frame. Never waits. The observer learns what becomes of it.
    ///
    /// # Errors
    ///
    /// With the frame, if its queue is full, the log is closed or read-only, or the frame is not
    /// one that can be appended.
    pub fn submit(&self, append: Append) -> Result<(), SubmitError> {
        self.enqueue(Queued {
            append,
            waiter: None,
            is_upkeep: false,
        })
    }

    fn enqueue(&self, mut queued: Queued) -> Result<(), SubmitError> {
        let append = &mut queued.append;
        let why = if append.payload.len() > PAYLOAD_MAX {
            Some(SubmitRefusal::TooLong)
        } else if matches!(append.kind, 0 | u8::MAX) {
            Some(SubmitRefusal::Kind)
        } else if append.guard.is_some_and(|g| g.slot >= self.guard_slots) {
            Some(SubmitRefusal::Slot)
        } else {
            None
        };
        if let Some(why) = why {
            let append = queued.append;
            return Err(SubmitError { append, why });
        }
        append.terminal = append.terminal.filter(|id| *id != TerminalId::default());
        self.shared.queue.push(queued)
    }

    /// Appends a frame and waits until it is durable and the observer was told so. Returns where it
    /// stands. For work of operators; must not be called by the observer.
    ///
    /// # Errors
    ///
    /// If the frame is not queued, or is refused later.
    pub fn append_and_wait(&self, append: Append) -> Result<Lsn, AppendError> {
        self.append_waiting(append, false)
    }

    /// As [`Self::append_and_wait`], for a frame by which room is made: where a sink goes on, that
    /// it skips, that it is gone. It may use what urgent frames leave of a full disk. To be called
    /// seldom, and for small frames, or it fills the rest.
    ///
    /// # Errors
    ///
    /// If the frame is not queued, or is refused later.
    pub fn append_upkeep_and_wait(&self, append: Append) -> Result<Lsn, AppendError> {
        self.append_waiting(append, true)
    }

    /// Queues a frame and does not wait for it yet, so that several go into one batch.
    ///
    /// # Errors
    ///
    /// If the frame is not queued.
    pub fn append_later(&self, append: Append) -> Result<Underway, SubmitError> {
        self.append_underway(append, false)
    }

    fn append_waiting(&self, append: Append, is_upkeep: bool) -> Result<Lsn, AppendError> {
        self.append_underway(append, is_upkeep)?.wait()
    }

    fn append_underway(&self, append: Append, is_upkeep: bool) -> Result<Underway, SubmitError> {
        let (waiter, answer) = mpsc::sync_channel(1);
        self.enqueue(Queued {
            append,
            waiter: Some(waiter),
            is_upkeep,
        })?;
        Ok(Underway(answer))
    }

    /// The end of what is durable: where the next frame will stand, or after it by the ends of two
    /// segments.
    #[must_use]
    pub fn durable_end(&self) -> Lsn {
        Lsn::new(self.shared.durable_end())
    }

    /// What was cut off when the log was opened; none if nothing was.
    #[must_use]
    pub const fn torn_end(&self) -> Option<TornEnd> {
        self.torn_end
    }

    /// The oldest position that is kept.
    #[must_use]
    pub fn first(&self) -> Lsn {
        self.shared.segments.first()
    }

    /// Follows [`Self::durable_end`].
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Lsn> {
        self.shared.ends.subscribe()
    }

    /// A reader that begins at a position: that of a frame, that after one, or [`Self::first`].
    #[must_use]
    pub fn reader(&self, from: Lsn) -> LogReader {
        LogReader::new(Arc::clone(&self.shared), from)
    }

    /// The frames of a terminal that are durable now, the newest first.
    #[must_use]
    pub fn history(&self, terminal: TerminalId) -> History {
        self.walk(terminal, Walk::default())
    }

    /// Frames of a terminal, the newest first, within bounds.
    #[must_use]
    pub fn walk(&self, terminal: TerminalId, walk: Walk) -> History {
        History::new(Arc::clone(&self.shared), terminal, walk)
    }

    /// Drops the sealed segments that end at or before a position, the oldest first. The segment
    /// that holds the position stays, and the active one does.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed, or its removal not be made durable.
    pub fn retain_from(&self, lowest_needed: Lsn) -> Result<Retained, RetainError> {
        let _one_at_a_time = self.retaining.lock();
        retain::retain_from(&self.shared, &self.dir, lowest_needed)
    }

    /// How the log stands.
    #[must_use]
    pub fn status(&self) -> LogStatus {
        let (load, poison) = self.shared.queue.status();
        LogStatus {
            first: self.first(),
            durable_end: self.durable_end(),
            segments: self.shared.segments.count(),
            queue_frames: load.frames,
            queue_bytes: load.octets,
            poison,
        }
    }

    /// Which frames there is room for now. Asks the system, so it is not for every request.
    #[must_use]
    pub fn takes(&self) -> Takes {
        self.shared.room().takes()
    }

    /// Whether a log that stopped because the disk was full could go on if it were opened again.
    /// Writes a small file to know it, since a disk may refuse what it says that it has room for.
    #[must_use]
    pub fn has_room_again(&self) -> bool {
        self.shared.room().takes() != Takes::Nothing
            && room::probe(&*self.shared.fs, &self.dir).is_ok()
    }

    /// Takes nothing any more, commits what waits, and ends the threads. Readers go on reading.
    /// Must not be called by the observer. Calling it again does nothing more.
    ///
    /// # Errors
    ///
    /// If the log is read-only: what was wrong.
    pub fn close(&self) -> Result<Lsn, Poison> {
        self.shared.queue.close();
        for thread in self.threads.lock().drain(..) {
            // A thread that panicked has poisoned the log.
            thread.join().ok();
        }
        match self.shared.queue.status().1 {
            Some(poison) => Err(poison),
            None => Ok(self.durable_end()),
        }
    }
}

impl Drop for CommitLog {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`; the failure was logged when it happened.
        self.close().ok();
    }
}

fn spawn(
    dir: &Path,
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(body).map_err(|cause| OpenError::Io {
        path: dir.to_owned(),
        cause,
    })
}

/// Poisons the log if the commit thread panics, so that no submitter waits for nobody.
struct Bell(Arc<Shared>);

impl Drop for Bell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let cause = "see the message of the panic".to_owned();
            self.0.queue.poison(PoisonReason::Stopped, cause);
        }
    }
}

fn commit(committer: Committer) {
    let _bell = Bell(Arc::clone(&committer.shared));
    committer.run();
}

/// Writes the indexes of sealed segments, off the commit thread.
fn write_indexes(shared: &Shared, sealed: &mpsc::Receiver<Arc<Segment>>) {
    for segment in sealed {
        if let Err(error) = segment.save_index(&*shared.fs) {
            // It is made again when it is asked for.
            tracing::warn!(%error, path = %segment.index_path.display(), "Index not written.");
        }
        // Retention takes a segment off the list before it removes its files: an index that came
        // after that would stay for ever.
        let kept = shared.segments.0.read();
        if !kept.iter().any(|one| Arc::ptr_eq(one, &segment)) {
            shared.fs.remove(&segment.index_path).ok();
        }
    }
}
