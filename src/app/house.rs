//! The thread of the housekeeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::telemetry::DiskLevel;
use crate::time::Clock;

use super::keeper::{self, Keeper};

/// How often the housekeeping looks.
const ROUND: Duration = Duration::from_millis(250);

/// When the last snapshot was taken, or else when the server started.
#[derive(Debug)]
pub(super) struct SnapshotTime {
    clock: Arc<dyn Clock>,
    at_ms: AtomicU64,
}

impl SnapshotTime {
    fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            at_ms: AtomicU64::new(clock.monotonic_ms()),
            clock: Arc::clone(clock),
        }
    }

    fn note(&self) {
        let now_ms = self.clock.monotonic_ms();
        self.at_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Seconds since then.
    pub(super) fn age_s(&self) -> u64 {
        let now_ms = self.clock.monotonic_ms();
        now_ms.saturating_sub(self.at_ms.load(Ordering::Relaxed)) / 1_000
    }
}

/// The housekeeping at work. Dropping it ends it, after its round.
#[derive(Debug)]
pub(super) struct House {
    ending: CancellationToken,
    broken: CancellationToken,
    snapshot_time: Arc<SnapshotTime>,
    thread: Option<JoinHandle<Keeper>>,
}

impl House {
    /// Sets it to work. Without a thread for it there is none, which is told.
    pub(super) fn start(keeper: Keeper, clock: &Arc<dyn Clock>) -> Self {
        let mut house = Self {
            ending: CancellationToken::new(),
            broken: CancellationToken::new(),
            snapshot_time: Arc::new(SnapshotTime::new(clock)),
            thread: None,
        };
        let (ending, broken) = (house.ending.clone(), house.broken.clone());
        let snapshot_time = Arc::clone(&house.snapshot_time);
        let mut keeper = keeper.with_snapshot_thread();
        let thread = std::thread::Builder::new().name("keeper".to_owned());
        let spawned = thread.spawn(move || {
            let mut was = DiskLevel::default();
            while !ending.is_cancelled() {
                let round = keeper.round();
                if let Some(Ok(_)) = &round.snapshot {
                    snapshot_time.note();
                }
                keeper::tell(&round, &mut was, &broken);
                std::thread::park_timeout(ROUND);
            }
            keeper
        });
        match spawned {
            Ok(thread) => house.thread = Some(thread),
            Err(error) => tracing::error!(%error, "There is no thread for the housekeeping."),
        }
        house
    }

    /// Is cancelled when the process has to start again.
    pub(super) const fn broken(&self) -> &CancellationToken {
        &self.broken
    }

    pub(super) const fn snapshot_time(&self) -> &Arc<SnapshotTime> {
        &self.snapshot_time
    }

    /// Ends it, and gives the housekeeper back.
    pub(super) fn end(mut self) -> Option<Keeper> {
        self.join()
    }

    fn join(&mut self) -> Option<Keeper> {
        self.ending.cancel();
        let thread = self.thread.take()?;
        thread.thread().unpark();
        let ended = thread.join();
        if ended.is_err() {
            tracing::error!("The thread of the housekeeping panicked.");
        }
        ended.ok()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.join();
    }
}
