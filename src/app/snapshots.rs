//! Snapshots of a running server: when one is due, and who writes it.
//!
//! Writing one may take minutes, and nobody else may wait for it: a thread of its own does it, and
//! the housekeeping hears of it in a later round. It does not run behind those that serve
//! terminals: it takes the locks that they wait for, and would keep them while it waits for a core.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use crate::model::Lsn;
use crate::store::fs::Fs;
use crate::store::state::State;
use crate::store::state::snapshot::{self, SnapshotInfo, WriteError};

use super::boot::{Booted, STATE_DIRECTORY};
use super::keeper::KeeperOptions;

/// Rounds of the housekeeping, four a second, after which one that failed is tried again.
const RETRY_ROUNDS: u32 = 240;

type Outcome = Result<SnapshotInfo, WriteError>;

#[derive(Clone, Debug)]
struct Writer {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    state: Arc<State>,
    reserve_octets: u64,
    kept: usize,
}

impl Writer {
    fn write(&self) -> Outcome {
        snapshot::check_room(&self.state, &self.dir, &*self.fs, self.reserve_octets)?;
        let position = self.state.folded();
        snapshot::write(&self.state, position, &self.dir, &*self.fs, self.kept)
    }
}

#[derive(Debug)]
struct Thread {
    asked: SyncSender<()>,
    done: Receiver<Outcome>,
    handle: JoinHandle<()>,
}

/// The snapshots of a server.
#[derive(Debug)]
pub(super) struct Snapshots {
    writer: Writer,
    every_octets: u64,
    /// The position of the latest.
    at: Lsn,
    rounds_to_wait: u32,
    thread: Option<Thread>,
    is_writing: bool,
}

impl Snapshots {
    /// Snapshots by these options, written by whoever calls [`Self::round`].
    pub(super) fn new(booted: &Booted, options: &KeeperOptions) -> Self {
        Self {
            writer: Writer {
                fs: Arc::clone(&booted.fs),
                dir: booted.data_dir.join(STATE_DIRECTORY),
                state: Arc::clone(&booted.state),
                reserve_octets: options.reserve_octets,
                kept: options.snapshots_kept,
            },
            every_octets: options.snapshot_every_octets,
            // Not what was replayed since: a server that is killed again and again would never
            // take one, and each start would read more.
            at: booted.snapshot_end,
            rounds_to_wait: 0,
            thread: None,
            is_writing: false,
        }
    }

    /// Has them written by a thread of their own from now on. Without one they are written as
    /// before.
    pub(super) fn start_thread(&mut self) {
        let (asked, questions) = sync_channel::<()>(1);
        let (answers, done) = sync_channel(1);
        let writer = self.writer.clone();
        let builder = std::thread::Builder::new().name("snapshots".to_owned());
        let spawned = builder.spawn(move || {
            for () in questions {
                if answers.send(writer.write()).is_err() {
                    return;
                }
            }
        });
        match spawned {
            Ok(handle) => {
                self.thread = Some(Thread {
                    asked,
                    done,
                    handle,
                });
            }
            Err(error) => tracing::error!(%error, "There is no thread for snapshots."),
        }
    }

    /// Begins one if it is due and may be. Returns what became of one that ended since the last
    /// round.
    pub(super) fn round(&mut self, may_write: bool) -> Option<Outcome> {
        if self.is_writing {
            let outcome = self.ended()?;
            return Some(self.note(outcome));
        }
        if self.rounds_to_wait > 0 {
            self.rounds_to_wait = self.rounds_to_wait.saturating_sub(1);
            return None;
        }
        let since = self.writer.state.folded().saturating_since(self.at);
        if !may_write || since < self.every_octets {
            return None;
        }
        match &self.thread {
            Some(thread) => {
                self.is_writing = thread.asked.try_send(()).is_ok();
                None
            }
            None => Some(self.write()),
        }
    }

    /// What became of the one that is being written; none while it is.
    fn ended(&mut self) -> Option<Outcome> {
        let received = self.thread.as_ref().map(|thread| thread.done.try_recv());
        match received {
            Some(Ok(outcome)) => Some(outcome),
            Some(Err(TryRecvError::Empty)) => None,
            // The thread is gone; the next is written here.
            Some(Err(TryRecvError::Disconnected)) | None => {
                tracing::error!("The thread of the snapshots ended.");
                self.thread = None;
                self.is_writing = false;
                None
            }
        }
    }

    fn note(&mut self, outcome: Outcome) -> Outcome {
        self.is_writing = false;
        match &outcome {
            Ok(info) => self.at = info.position,
            Err(_) => self.rounds_to_wait = RETRY_ROUNDS,
        }
        outcome
    }

    /// Writes one now.
    fn write(&mut self) -> Outcome {
        let outcome = self.writer.write();
        self.note(outcome)
    }

    /// Writes the last one, after that which is being written.
    pub(super) fn finish(&mut self) -> Outcome {
        if let Some(thread) = self.thread.take() {
            drop(thread.asked);
            // Its outcome is of no use any more: another one follows.
            while thread.done.recv().is_ok() {}
            if thread.handle.join().is_err() {
                tracing::error!("The thread of the snapshots panicked.");
            }
            self.is_writing = false;
        }
        self.write()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::keyring::LinkKeyring;
    use crate::model::Event;
    use crate::store::fs::{Faults, SimFs};
    use crate::store::log::LogOptions;

    fn booted(fs: &SimFs) -> Booted {
        let options = LogOptions {
            floor_bytes: 0,
            urgent_floor_bytes: 0,
            ..LogOptions::default()
        };
        let fs = Arc::new(fs.clone());
        super::super::boot::boot(fs, Path::new("data"), options, 1, LinkKeyring::new()).unwrap()
    }

    fn mark(booted: &Booted, mark_utc_s: u32) {
        let event = Event::NonceMark {
            mark_utc_s,
            gaps: Vec::new(),
        };
        booted.append(&event).unwrap();
    }

    fn outcome_of(snapshots: &mut Snapshots) -> Outcome {
        for _ in 0..2_000 {
            if let Some(outcome) = snapshots.round(true) {
                return outcome;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("no snapshot within ten seconds");
    }

    #[test]
    fn a_thread_writes_what_is_due_and_one_that_failed_is_tried_again_later() {
        let fs = SimFs::new();
        let booted = booted(&fs);
        let mut snapshots = Snapshots::new(&booted, &KeeperOptions::of_a_test());
        snapshots.at = booted.state.folded();
        snapshots.start_thread();
        assert!(snapshots.round(true).is_none(), "nothing is due");
        mark(&booted, 7);
        assert!(snapshots.round(false).is_none(), "none may be written");
        assert!(snapshots.round(true).is_none(), "nobody waits for it");
        let info = outcome_of(&mut snapshots).unwrap();
        assert_eq!(info.position, booted.state.folded());
        assert!(snapshots.round(true).is_none(), "nothing new is due");
        mark(&booted, 8);
        fs.set_faults(Faults {
            short_write: Some((fs.counts().writes + 1, 3)),
            ..Faults::default()
        });
        assert!(outcome_of(&mut snapshots).is_err());
        for _ in 0..RETRY_ROUNDS {
            assert!(snapshots.round(true).is_none(), "it is tried too often");
        }
        let info = outcome_of(&mut snapshots).unwrap();
        assert_eq!(info.position, booted.state.folded());
        mark(&booted, 9);
        assert_eq!(snapshots.finish().unwrap().position, booted.state.folded());
    }
}
