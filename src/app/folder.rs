//! The thread that folds the log behind into what people ask for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::boot::{Booted, STATE_DIRECTORY};
use super::pace::Resting;
use crate::model::{Lsn, Zone};
use crate::store::log::{CommitLog, LogReader, ReadError};
use crate::store::state::fold::FoldFrame;
use crate::store::state::sqlite::{Delta, Folded, FoldedError, FoldedReader, Origin, Place};
use crate::threads::run_behind;
use crate::time::Clock;

/// Octets of the log in one transaction at most.
const BATCH_OCTETS: u64 = 64 << 20;
/// Octets of the log that are read at once.
const READ_OCTETS: usize = 256 << 10;
const READ_OCTETS_U64: u64 = 256 << 10;
/// How long a frame waits for others to be written with it, in milliseconds.
const GATHER_MS: u64 = 1_000;
/// How long to wait at the end of the log before looking again.
const LOOK: Duration = Duration::from_millis(100);
/// Octets of the log that are still folded when the server stops: more is read at the next start.
const AT_STOP_OCTETS: u64 = 1 << 20;
/// How often to look whether it has stopped.
const STOP_LOOK: Duration = Duration::from_millis(5);
/// How long to wait after a copy that failed, in milliseconds.
const COPY_RETRY_MS: u64 = 60_000;
/// How long to wait after something failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// What others know of the folding.
#[derive(Debug)]
pub struct Folding {
    position: AtomicU64,
    wanted_copy: AtomicU64,
    stop: Arc<AtomicBool>,
    reader: FoldedReader,
}

impl Folding {
    /// Nothing folded yet, into the file that is asked through `reader`.
    #[must_use]
    pub fn new(reader: FoldedReader) -> Self {
        Self {
            position: AtomicU64::new(0),
            wanted_copy: AtomicU64::new(0),
            stop: Arc::default(),
            reader,
        }
    }

    /// The position before which all of the log is folded.
    #[must_use]
    pub fn position(&self) -> Lsn {
        Lsn::new(self.position.load(Ordering::Acquire))
    }

    /// Asks for a copy that ends at a position or after it, as soon as folding is that far. The
    /// log may forget what lies before a copy.
    pub fn want_copy(&self, position: Lsn) {
        self.wanted_copy.fetch_max(position.get(), Ordering::AcqRel);
    }

    /// The position that a copy is wanted of, and not written yet.
    #[must_use]
    pub fn wanted_copy(&self) -> Option<Lsn> {
        let wanted = self.wanted_copy.load(Ordering::Acquire);
        (wanted != 0).then(|| Lsn::new(wanted))
    }

    /// Who asks what is folded.
    #[must_use]
    pub const fn reader(&self) -> &FoldedReader {
        &self.reader
    }
}

/// The folder at work. Dropping it ends it, and waits for SQLite's own check of the file if that is
/// under way, which reads all of it. What is not folded yet is folded after the next start.
#[derive(Debug)]
pub struct Folder {
    folding: Arc<Folding>,
    thread: Option<JoinHandle<()>>,
}

impl Folder {
    /// Sets it to work on the log of a server. It reads its file first, which may take seconds;
    /// nothing waits for that. `reader` is the one that is asked, or a clone of it. It leaves
    /// `reserve_octets` of the disk free.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn start(
        booted: &Booted,
        clock: &Arc<dyn Clock>,
        zone: Zone,
        reader: FoldedReader,
        reserve_octets: u64,
    ) -> io::Result<Self> {
        let dir = booted.data_dir.join(STATE_DIRECTORY);
        let folding = Arc::new(Folding::new(reader));
        let place = Place {
            dir,
            fs: Arc::clone(&booted.fs),
            reserve_octets,
            stop: Arc::clone(&folding.stop),
            pace: Resting::new(clock, &booted.log, &folding.stop),
        };
        let mut task = Task {
            folding: Arc::clone(&folding),
            log: Arc::clone(&booted.log),
            place,
            clock: Arc::clone(clock),
            zone,
            is_failing: false,
            copy_after_ms: 0,
        };
        let thread = std::thread::Builder::new().name("folder".to_owned());
        let thread = thread.spawn(move || {
            run_behind();
            task.run();
        })?;
        Ok(Self {
            folding,
            thread: Some(thread),
        })
    }

    /// What others know of it.
    #[must_use]
    pub const fn folding(&self) -> &Arc<Folding> {
        &self.folding
    }

    /// Tells it to end, and waits for nothing. What is not folded yet is folded after the next
    /// start.
    pub fn tell_to_stop(&self) {
        self.folding.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Ends it, and waits so long for that. Returns whether it has ended: if not, the end of the
    /// process leaves its file as a kill does, whole up to its position.
    pub fn stop(mut self, at_most: Duration) -> bool {
        self.tell_to_stop();
        let mut left = at_most;
        while self
            .thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
        {
            if left.is_zero() {
                tracing::warn!("Folded state was not closed in time; its file is as after a kill.");
                self.thread = None;
                return false;
            }
            std::thread::sleep(STOP_LOOK);
            left = left.saturating_sub(STOP_LOOK);
        }
        true
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.tell_to_stop();
        let thread = self.thread.take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("The thread that folds the log has panicked.");
        }
    }
}

/// Why folding does not go on with the file that it has.
enum Ended {
    /// The server stops.
    Stopped,
    /// The file is no good.
    File(FoldedError),
    /// The file is not there any more.
    Lost,
    /// Somebody who asked met damage in it.
    Doubted,
    /// The log begins after what is folded.
    Gone(ReadError),
}

struct Task {
    folding: Arc<Folding>,
    log: Arc<CommitLog>,
    place: Place,
    clock: Arc<dyn Clock>,
    zone: Zone,
    is_failing: bool,
    /// When a copy that failed is tried again, 0 if the last did not fail.
    copy_after_ms: u64,
}

impl Task {
    fn is_stopped(&self) -> bool {
        self.folding.stop.load(Ordering::Acquire)
    }

    /// Waits so long, or until it is told to stop, or less.
    fn wait(&self, at_most: Duration) {
        if !self.is_stopped() {
            std::thread::park_timeout(at_most);
        }
    }

    fn run(&mut self) {
        while !self.is_stopped() {
            let mut folded = match self.take_up() {
                Ok(folded) => folded,
                Err(error) => {
                    self.failed(&error);
                    continue;
                }
            };
            match self.follow(&mut folded) {
                Ended::Stopped => {
                    if let Err(error) = self.finish(folded) {
                        tracing::warn!(%error, "Folded state was not closed in order.");
                    }
                }
                Ended::File(cause) => match folded.give_up(cause) {
                    Ok(aside) => tell_aside(&aside.path, &aside.cause),
                    Err(error) => self.failed(&error),
                },
                Ended::Doubted => {
                    tracing::error!("A question met damage in folded state; it is taken up again.");
                }
                Ended::Lost => tracing::error!("The file of folded state is gone; it is rebuilt."),
                Ended::Gone(error) => tracing::error!(%error, "Folding cannot go on from here."),
            }
        }
    }

    /// Says what failed, once for all failures in a row, and waits.
    fn failed(&mut self, error: &dyn std::error::Error) {
        if self.is_stopped() {
            return;
        }
        if !self.is_failing {
            let error = error.to_string();
            tracing::error!(
                error,
                "The log is not folded for queries; it is tried again."
            );
        }
        self.is_failing = true;
        self.wait(AFTER_FAILURE);
    }

    fn take_up(&self) -> Result<Folded, FoldedError> {
        let range = (self.log.first(), self.log.durable_end());
        let taken = Folded::take_up(&self.place, range)?;
        for aside in &taken.aside {
            tell_aside(&aside.path, &aside.cause);
        }
        let position = taken.folded.meta().position.get();
        match taken.origin {
            Origin::File => {}
            Origin::Copy(_) => tracing::warn!(position, "Folded state goes on from a copy."),
            Origin::Log if taken.aside.is_empty() => {}
            Origin::Log => tracing::warn!("Folded state is built again from the log."),
            Origin::Gap => tracing::error!(
                position,
                "Folded state goes on from the first frame that the log has: health, meters and \
                 alarms that only earlier ones told come back as terminals tell them again."
            ),
        }
        self.folding.position.store(position, Ordering::Release);
        self.folding.reader.note_taken_up();
        Ok(taken.folded)
    }

    fn follow(&mut self, folded: &mut Folded) -> Ended {
        let mut delta = Delta::new(folded.meta(), self.zone);
        let mut reader = self
            .log
            .reader(folded.meta().position.max(self.log.first()));
        while !self.is_stopped() {
            match self.gather(&mut reader, &mut delta) {
                Ok(()) => {}
                Err(error @ ReadError::Gone { .. }) => return Ended::Gone(error),
                Err(error) => {
                    self.failed(&error);
                    continue;
                }
            }
            if self.is_stopped() {
                break;
            }
            if self.folding.reader.is_doubted() {
                return Ended::Doubted;
            }
            let written = self.write(folded, &mut delta);
            match written.and_then(|()| self.copy_if_wanted(folded)) {
                Ok(()) => self.is_failing = false,
                Err(error) if error.is_of_the_file() => return Ended::File(error),
                Err(error) => self.failed(&error),
            }
            if folded.is_lost() {
                return Ended::Lost;
            }
        }
        Ended::Stopped
    }

    /// Takes frames in until there are enough for a transaction, or the first of them has waited
    /// long enough, or the server stops.
    fn gather(&self, reader: &mut LogReader, delta: &mut Delta) -> Result<(), ReadError> {
        let from = reader.position();
        // What could not be written is tried again, also if nothing more comes.
        let is_left = delta.position() > self.folding.position();
        let mut since_ms = is_left.then(|| self.clock.monotonic_ms());
        while !self.is_stopped() && !delta.is_full() {
            self.place.pace.rest();
            if reader.position().saturating_since(from) >= BATCH_OCTETS {
                break;
            }
            let now_ms = self.clock.monotonic_ms();
            let is_more = self.take(reader, delta)?;
            if is_more {
                since_ms = since_ms.or(Some(now_ms));
            }
            let behind = self.log.durable_end().saturating_since(reader.position());
            if behind >= READ_OCTETS_U64 {
                continue;
            }
            match since_ms {
                Some(since_ms) if now_ms.saturating_sub(since_ms) >= GATHER_MS => break,
                None if self.is_copy_wanted() || self.folding.reader.is_doubted() => break,
                // Some more come soon, and are cheaper to take together.
                Some(_) => self.wait(LOOK),
                None => {
                    // Whatever comes, the log is read next.
                    let _is_more = reader.wait(LOOK);
                }
            }
            // To wait is no work.
            self.place.pace.begin();
        }
        Ok(())
    }

    /// Takes some frames in. Returns whether there were any.
    fn take(&self, reader: &mut LogReader, delta: &mut Delta) -> Result<bool, ReadError> {
        let batch = reader.next_batch(READ_OCTETS)?;
        for frame in batch.iter() {
            delta.fold(&FoldFrame::from(frame));
        }
        delta.note_position(reader.position());
        Ok(!batch.is_empty())
    }

    fn write(&self, folded: &mut Folded, delta: &mut Delta) -> Result<(), FoldedError> {
        if delta.position() <= folded.meta().position {
            return Ok(());
        }
        let not_folded = delta.not_folded();
        folded.apply(delta)?;
        let position = folded.meta().position.get();
        if not_folded > 0 {
            tracing::error!(
                not_folded,
                position,
                "Frames before this position cannot be folded; the audit names them."
            );
        }
        self.folding.position.store(position, Ordering::Release);
        folded.check_point()
    }

    fn is_copy_wanted(&self) -> bool {
        let wanted = self.folding.wanted_copy();
        wanted.is_some_and(|wanted| wanted <= self.folding.position())
            && self.clock.monotonic_ms() >= self.copy_after_ms
    }

    fn copy_if_wanted(&mut self, folded: &Folded) -> Result<(), FoldedError> {
        if !self.is_copy_wanted() {
            return Ok(());
        }
        let position = match folded.copy() {
            Ok(position) => position.get(),
            Err(error) if error.is_of_the_file() || self.is_stopped() => return Err(error),
            Err(error) => {
                // Folding itself goes on.
                if self.copy_after_ms == 0 {
                    tracing::error!(%error, "Folded state is not copied, and the log forgets \
                        nothing without that; it is tried again.");
                }
                self.copy_after_ms = self.clock.monotonic_ms().saturating_add(COPY_RETRY_MS);
                return Ok(());
            }
        };
        self.copy_after_ms = 0;
        let done = |wanted| (wanted <= position).then_some(0);
        let wanted = &self.folding.wanted_copy;
        // A later wish stays.
        wanted
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, done)
            .ok();
        tracing::info!(position, "Copied folded state.");
        Ok(())
    }

    /// Folds the little that is left, and closes the file.
    fn finish(&self, folded: Folded) -> Result<(), FoldedError> {
        let position = folded.meta().position.max(self.log.first());
        let lag = self.log.durable_end().saturating_since(position);
        let mut delta = Delta::new(folded.meta(), self.zone);
        if lag <= AT_STOP_OCTETS {
            let mut reader = self.log.reader(position);
            // What cannot be read now is met at the next start.
            while let Ok(true) = self.take(&mut reader, &mut delta) {}
        }
        folded.finish(&mut delta)
    }
}

fn tell_aside(path: &std::path::Path, cause: &FoldedError) {
    let path = path.display();
    tracing::error!(%path, %cause, "A file of folded state cannot be used and was moved aside.");
}
