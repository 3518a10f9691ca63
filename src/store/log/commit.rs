//! The commit thread: takes what waits, writes it in one go, syncs, and tells.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use nix::errno::Errno;

use super::append::{CommitObserver, DurableFrame, Guard, PoisonReason};
use super::error::Refused;
use super::frame::{self, Content};
use super::header::{self, FOOTER_LEN, Footer, Link};
use super::index::{Entries, IndexState};
use super::queue::{Lines, Queued, Taken};
use super::scan::to_u64;
use super::segment::{Segment, file_name, unfinished_name};
use super::{LogOptions, Shared};
use crate::model::Lsn;
use crate::store::fs::{Fs, FsFile};

/// Frames of the largest batch.
const BATCH_FRAMES: usize = 4_096;
/// Octets after which a batch takes no more frames.
const BATCH_BYTES: usize = 8 << 20;
/// Octets after which a segment takes no batch, even if the next one cannot be made: an index tells
/// places in 31 bits.
const SEGMENT_MAX: u64 = (1 << 31) - (16 << 20);

/// The end of the active segment.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) file: Arc<dyn FsFile>,
    pub(super) base: u64,
    /// Octets in the file.
    pub(super) len: u64,
    pub(super) frames: u64,
    pub(super) chain: u32,
}

/// Makes the file of a segment, durable with its header and its name.
pub(super) fn create_segment(
    fs: &dyn Fs,
    dir: &Path,
    base: u64,
    previous: Link,
) -> io::Result<Tail> {
    let file = fs.create(&dir.join(file_name(base)))?;
    let tail = begin(file, base, previous)?;
    sync_names(fs, dir)?;
    Ok(tail)
}

/// Writes the header of a segment.
pub(super) fn begin(file: Arc<dyn FsFile>, base: u64, previous: Link) -> io::Result<Tail> {
    let (octets, chain) = header::encode(base, previous);
    file.write_all_at(0, &octets)?;
    file.sync_data()?;
    Ok(Tail {
        file,
        base,
        len: header::LEN,
        frames: 0,
        chain,
    })
}

/// Tries to sync the names of a directory while the system has no file descriptor for it.
const NAMES_TRIES: u32 = 1_500;
/// The pause between two of them.
const NAMES_PAUSE: Duration = Duration::from_millis(20);

/// Makes the names in a directory durable. A want of descriptors is waited out: the directory
/// could not be opened then, so that nothing was synced and nothing has failed.
pub(super) fn sync_names(fs: &dyn Fs, dir: &Path) -> io::Result<()> {
    for _ in 0..NAMES_TRIES {
        match fs.sync_dir(dir) {
            Err(error) if lacks_descriptors(&error) => std::thread::sleep(NAMES_PAUSE),
            settled => return settled,
        }
    }
    fs.sync_dir(dir)
}

fn lacks_descriptors(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE))
}

impl Tail {
    /// Where the segment after this one will begin.
    fn next_base(&self) -> u64 {
        let end = self.base.saturating_add(self.len);
        end.saturating_add(FOOTER_LEN)
    }

    /// Makes the file of the segment after this one, under the name of an unfinished one. What has
    /// failed here has touched nothing that is durable.
    fn create_next(&self, fs: &dyn Fs, dir: &Path) -> io::Result<Arc<dyn FsFile>> {
        fs.create(&dir.join(unfinished_name(self.next_base())))
    }

    /// Writes the footer, and makes `next` the segment that follows. Returns its tail.
    fn seal(&mut self, fs: &dyn Fs, dir: &Path, next: Arc<dyn FsFile>) -> io::Result<Self> {
        let mut octets = Vec::new();
        let footer = Footer {
            frames: self.frames,
            chain: self.chain,
        };
        let base = self.next_base();
        let end = self.base.saturating_add(self.len);
        footer.encode(&mut octets, end);
        self.file.write_all_at(self.len, &octets)?;
        self.file.sync_data()?;
        let previous = Link {
            base: self.base,
            chain: self.chain,
        };
        let tail = begin(next, base, previous)?;
        fs.rename(&dir.join(unfinished_name(base)), &dir.join(file_name(base)))?;
        sync_names(fs, dir)?;
        Ok(tail)
    }
}

/// What the commit thread owns.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) observer: Box<dyn CommitObserver>,
    pub(super) dir: PathBuf,
    pub(super) options: LogOptions,
    pub(super) tail: Tail,
    pub(super) active: Arc<Segment>,
    /// Where sealed segments go to have their index written.
    pub(super) indexer: SyncSender<Arc<Segment>>,
    pub(super) versions: Vec<u32>,
    pub(super) lines: Lines,
    pub(super) octets: Vec<u8>,
    /// Whether the next segment could not be made when it was due.
    pub(super) is_late: bool,
}

/// A batch that is being made.
#[derive(Default)]
struct Batch {
    taken: Taken,
    written: Vec<(Lsn, Queued)>,
    refused: Vec<(Queued, Refused)>,
    chain: u32,
}

impl Committer {
    /// Commits until the log is closed or poisoned.
    pub(super) fn run(mut self) {
        let mut settled = Taken::default();
        while self.shared.queue.take(&mut self.lines, settled) {
            let batch = self.fill();
            settled = batch.taken;
            match self.write(&batch) {
                Ok(()) => self.tell(batch),
                Err((reason, error)) => {
                    self.poison(batch, reason, &error);
                    return;
                }
            }
            if self.tail.len >= self.options.segment_bytes
                && let Err(error) = self.rotate()
            {
                let reason = reason_of(&error, PoisonReason::Sync);
                self.poison(Batch::default(), reason, &error);
                return;
            }
        }
    }

    /// Encodes what waits, as much as a batch may hold, into `self.octets`.
    fn fill(&mut self) -> Batch {
        let room = self.shared.room();
        let start = self.tail.base.saturating_add(self.tail.len);
        let mut batch = Batch {
            chain: self.tail.chain,
            ..Batch::default()
        };
        self.octets.clear();
        for _ in 0..BATCH_FRAMES {
            if self.octets.len() >= BATCH_BYTES {
                break;
            }
            let Some(queued) = self.lines.pop() else {
                break;
            };
            let append = &queued.append;
            batch.taken.add(append);
            let offset = self.octets.len();
            let end = offset.saturating_add(frame::len_of(append.payload.len()));
            let limit = if queued.is_upkeep {
                room.upkeep
            } else if append.urgent {
                room.urgent
            } else {
                room.other
            };
            if to_u64(end) > limit {
                batch.refused.push((queued, Refused::DiskFull));
                continue;
            }
            if let Some(guard) = append.guard
                && let Err(found) = judge(&mut self.versions, guard)
            {
                batch.refused.push((queued, Refused::Guard { found }));
                continue;
            }
            let lsn = start.saturating_add(to_u64(offset));
            let place = u32::try_from(offset).unwrap_or(u32::MAX);
            let crc = frame::encode(&mut self.octets, lsn, place, content_of(&queued));
            batch.chain = frame::chain(batch.chain, crc);
            batch.written.push((Lsn::new(lsn), queued));
        }
        batch
    }

    /// Makes the batch durable.
    fn write(&mut self, batch: &Batch) -> Result<(), (PoisonReason, io::Error)> {
        if batch.written.is_empty() {
            return Ok(());
        }
        let file = &self.tail.file;
        file.write_all_at(self.tail.len, &self.octets)
            .map_err(|error| (reason_of(&error, PoisonReason::Write), error))?;
        file.sync_data()
            .map_err(|error| (reason_of(&error, PoisonReason::Sync), error))?;
        self.tail.len = self.tail.len.saturating_add(to_u64(self.octets.len()));
        self.tail.frames = self.tail.frames.saturating_add(to_u64(batch.written.len()));
        self.tail.chain = batch.chain;
        Ok(())
    }

    /// Says what became of the batch.
    fn tell(&mut self, batch: Batch) {
        if !batch.written.is_empty() {
            if let IndexState::Memory(entries) = &mut *self.active.index.lock() {
                note(entries, self.tail.base, &batch.written);
            }
            let end = self.tail.base.saturating_add(self.tail.len);
            self.shared.publish(end);
            let frames: Vec<_> = batch.written.iter().map(durable_frame).collect();
            self.observer.durable(&frames);
        }
        for (lsn, queued) in batch.written {
            if let Some(waiter) = queued.waiter {
                // A waiter that is gone needs no answer.
                waiter.try_send(Ok(lsn)).ok();
            }
        }
        for (queued, why) in batch.refused {
            self.refuse(&queued, why);
        }
    }

    fn refuse(&mut self, queued: &Queued, why: Refused) {
        match &queued.waiter {
            Some(waiter) => {
                waiter.try_send(Err(why)).ok();
            }
            None => {
                if let Some(ticket) = &queued.append.ticket {
                    self.observer.refused(ticket, why);
                }
            }
        }
    }

    /// Ends the log's taking of frames: refuses the batch and all that waits.
    fn poison(&mut self, batch: Batch, reason: PoisonReason, error: &io::Error) {
        tracing::error!(%error, %reason, "The log is read-only now.");
        let mut waiting = self.shared.queue.poison(reason, error.to_string());
        let why = Refused::ReadOnly(reason);
        let mut all: VecDeque<_> = batch.written.into_iter().map(|(_, q)| (q, why)).collect();
        all.extend(batch.refused);
        for lines in [&mut self.lines, &mut waiting] {
            while let Some(queued) = lines.pop() {
                all.push_back((queued, why));
            }
        }
        for (queued, why) in all {
            self.refuse(&queued, why);
        }
    }

    /// Seals the active segment and begins the next. While no file can be made for the next, the
    /// active one goes on.
    fn rotate(&mut self) -> io::Result<()> {
        let fs = &*self.shared.fs;
        let next = match self.tail.create_next(fs, &self.dir) {
            Ok(next) => next,
            Err(error) if self.tail.len < SEGMENT_MAX => {
                if !self.is_late {
                    tracing::error!(%error, "The log's next file cannot be made; this one grows.");
                }
                self.is_late = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.is_late = false;
        let tail = self.tail.seal(fs, &self.dir, next)?;
        let entries = IndexState::Memory(Entries::default());
        let next = Arc::new(Segment::new(&self.dir, tail.base, entries));
        // Nobody else sets it.
        self.active.sealed_end.set(tail.base).ok();
        self.shared.segments.0.write().push(Arc::clone(&next));
        self.shared.publish(next.first_frame());
        let sealed = std::mem::replace(&mut self.active, next);
        self.tail = tail;
        if let Err(error) = self.indexer.try_send(sealed) {
            // Its index stays in memory no longer than until it is asked for.
            let (std::sync::mpsc::TrySendError::Full(sealed)
            | std::sync::mpsc::TrySendError::Disconnected(sealed)) = error;
            *sealed.index.lock() = IndexState::Unknown;
        }
        Ok(())
    }
}

fn reason_of(error: &io::Error, otherwise: PoisonReason) -> PoisonReason {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => PoisonReason::Full,
        _ => otherwise,
    }
}

/// Judges a guard, and counts its slot's version on if it holds; else the version found.
fn judge(versions: &mut Vec<u32>, guard: Guard) -> Result<(), u32> {
    // `submit` refuses slots beyond the options' number.
    let slot = usize::try_from(guard.slot).unwrap_or(usize::MAX);
    if versions.len() <= slot {
        versions.resize(slot.saturating_add(1), 0);
    }
    let Some(version) = versions.get_mut(slot) else {
        return Err(0);
    };
    if guard.expected.is_some_and(|expected| expected != *version) {
        return Err(*version);
    }
    *version = version.wrapping_add(1);
    Ok(())
}

fn content_of(queued: &Queued) -> Content<'_> {
    let append = &queued.append;
    Content {
        kind: append.kind,
        lanes: append.lanes,
        terminal: append.terminal,
        payload: &append.payload,
    }
}

fn note(entries: &mut Entries, base: u64, written: &[(Lsn, Queued)]) {
    for (lsn, queued) in written {
        entries.note(lsn.get().saturating_sub(base), &content_of(queued));
    }
}

fn durable_frame((lsn, queued): &(Lsn, Queued)) -> DurableFrame<'_> {
    let append = &queued.append;
    let len = to_u64(frame::len_of(append.payload.len()));
    DurableFrame {
        lsn: *lsn,
        next: lsn.saturating_add(len),
        kind: append.kind,
        lanes: append.lanes,
        terminal: append.terminal,
        payload: &append.payload,
        guard: append.guard,
        ticket: append.ticket,
    }
}
