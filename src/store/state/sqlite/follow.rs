//! The thread that lets the database follow the log, in a bounded share of a core.
//!
//! After a pass it rests six times as long as the pass took, and a second at least: under load it
//! lags, and catches up when there is less to do. Sessions never wait for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::writer::{Writer, WriterError};
use crate::model::Lsn;
use crate::store::fs::Fs;
use crate::store::log::CommitLog;
use crate::store::state::fold::State;
use crate::time::Clock;

/// The shortest rest between two passes.
const REST_MIN_MS: u64 = 1_000;
/// How many times as long as the last pass the rest is.
const REST_FACTOR: u64 = 6;
/// The rest after a failure.
const REST_FAILED_MS: u64 = 10_000;

/// What the database follows with.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folder of state.
    pub dir: PathBuf,
    /// Its file system.
    pub fs: Arc<dyn Fs>,
    /// The log.
    pub log: Arc<CommitLog>,
    /// The hot table, to begin with where the log no longer has everything.
    pub state: Arc<State>,
    /// What passes are measured with.
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Shared {
    applied: AtomicU64,
    failure: Mutex<Option<String>>,
    is_stopping: Mutex<bool>,
    stop: Condvar,
}

impl Shared {
    /// Rests, and tells whether it is time to stop.
    fn rest(&self, ms: u64) -> bool {
        let mut is_stopping = self.is_stopping.lock();
        let goes_on = |is_stopping: &mut bool| !*is_stopping;
        let time = Duration::from_millis(ms);
        self.stop.wait_while_for(&mut is_stopping, goes_on, time);
        *is_stopping
    }
}

/// The thread that follows. Dropping it stops the thread after its present pass.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts to follow.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn start(sources: Sources) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let dir = sources.dir.clone();
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("state-sqlite".to_owned());
        let thread = thread.spawn(move || run(&sources, &for_thread))?;
        Ok(Self {
            dir,
            shared,
            thread: Some(thread),
        })
    }

    /// The folder of state, for [`View::open`](super::View::open).
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The position of the log up to which everything is in the database: its lag is the distance
    /// to the log's durable end.
    #[must_use]
    pub fn applied(&self) -> Lsn {
        Lsn::new(self.shared.applied.load(Ordering::Acquire))
    }

    /// Why it does not get on at present.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.lock().clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        *self.shared.is_stopping.lock() = true;
        self.shared.stop.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            thread.join().ok();
        }
    }
}

fn run(sources: &Sources, shared: &Shared) {
    let mut writer = None;
    let mut rest_ms = 0;
    while !shared.rest(rest_ms) {
        let begun_ms = sources.clock.monotonic_ms();
        match step(sources, &mut writer) {
            Ok(applied) => {
                shared.applied.store(applied.get(), Ordering::Release);
                *shared.failure.lock() = None;
                let took_ms = sources.clock.monotonic_ms().saturating_sub(begun_ms);
                rest_ms = took_ms.saturating_mul(REST_FACTOR).max(REST_MIN_MS);
            }
            Err(error) => {
                tracing::error!(%error, "The state database does not follow the log.");
                *shared.failure.lock() = Some(error.to_string());
                writer = None;
                rest_ms = if error.is_broken_file() {
                    REST_MIN_MS
                } else {
                    REST_FAILED_MS
                };
            }
        }
    }
}

fn step(sources: &Sources, writer: &mut Option<Writer>) -> Result<Lsn, WriterError> {
    let open = match writer {
        Some(open) => open,
        None => {
            let Sources {
                dir,
                fs,
                log,
                state,
                ..
            } = sources;
            let (opened, rebuilt) = Writer::open(dir, &**fs, log, state)?;
            if let Some(rebuilt) = rebuilt {
                tracing::warn!("{rebuilt}");
            }
            writer.insert(opened)
        }
    };
    open.pass(&sources.log)?;
    Ok(open.applied())
}
