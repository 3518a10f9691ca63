//! The housekeeping of a running server: how full the disk is, snapshots, what the log may forget.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::ingest::load::Load;
use crate::store::fs::{Fs, Space};
use crate::store::log::{CommitLog, LogStatus, PoisonReason, RetainError, Takes};
use crate::store::state::snapshot::{SnapshotInfo, WriteError};
use crate::telemetry::{DiskLevel, events};

use super::retention::Retention;
use super::snapshots::Snapshots;

use tokio_util::sync::CancellationToken;

/// What the housekeeping goes by.
#[derive(Clone, Copy, Debug)]
pub struct KeeperOptions {
    /// From how full a disk on readings are told to come back, in percent.
    pub come_back_percent: u8,
    /// From how full a disk on only alarms and results are taken, in percent.
    pub alarms_only_percent: u8,
    /// The size to count with instead of the disk's, in octets.
    pub quota_octets: Option<u64>,
    /// Octets of log between two snapshots.
    pub snapshot_every_octets: u64,
    /// Octets of the disk that no snapshot uses.
    pub reserve_octets: u64,
    /// Frames that wait in the log's queue at most.
    pub queue_frames: usize,
    /// Their octets at most.
    pub queue_octets: usize,
    /// Snapshots that are kept, at least 1.
    pub snapshots_kept: usize,
}

/// What one round found and did.
#[derive(Debug)]
pub struct Round {
    /// How full the disk is.
    pub disk: DiskLevel,
    /// How the log stands.
    pub log: LogStatus,
    /// Whether the log stopped for want of room, and a start would find room again.
    pub has_room_again: bool,
    /// The snapshot that ended since the last round.
    pub snapshot: Option<Result<SnapshotInfo, WriteError>>,
    /// What the log forgot could not be removed.
    pub retain_error: Option<RetainError>,
}

/// The housekeeper.
#[derive(Debug)]
pub struct Keeper {
    options: KeeperOptions,
    fs: Arc<dyn Fs>,
    data_dir: PathBuf,
    log: Arc<CommitLog>,
    load: Arc<Load>,
    snapshots: Snapshots,
    /// Rounds since the log stopped for want of room.
    rounds_stopped: u32,
    retention: Option<Retention>,
}

/// Rounds between two looks whether a disk that stopped the log has room again.
const PROBE_ROUNDS: u32 = 20;

impl Keeper {
    /// A housekeeper that keeps all of the log.
    #[must_use]
    pub fn new(options: KeeperOptions, booted: &super::boot::Booted, load: Arc<Load>) -> Self {
        Self {
            options,
            fs: Arc::clone(&booted.fs),
            data_dir: booted.data_dir.clone(),
            log: Arc::clone(&booted.log),
            load,
            snapshots: Snapshots::new(booted, &options),
            rounds_stopped: 0,
            retention: None,
        }
    }

    /// This housekeeper, letting the log forget.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// This housekeeper, with a thread of their own for snapshots. Without it a round blocks while
    /// one is written.
    #[must_use]
    pub fn with_snapshot_thread(mut self) -> Self {
        self.snapshots.start_thread();
        self
    }

    /// One round; to be called a few times a second.
    pub fn round(&mut self) -> Round {
        let log = self.log.status();
        let disk = self.disk_level(&log);
        self.load.set_disk(disk);
        if log.poison.is_some() {
            self.load.stop();
        }
        let waiting = (log.queue_frames, log.queue_bytes);
        self.load
            .set_queue_percent(queue_percent(&self.options, waiting));
        let snapshot = self.snapshots.round(disk != DiskLevel::Full);
        let retain_error = self
            .retention
            .as_mut()
            .and_then(|retention| retention.round(snapshot.is_some()).err());
        Round {
            disk,
            has_room_again: self.finds_room_again(&log),
            log,
            snapshot,
            retain_error,
        }
    }

    /// Writes a snapshot of state as it is folded now, after one that is being written. For the end
    /// of the process.
    ///
    /// # Errors
    ///
    /// [`WriteError`].
    pub fn snapshot(&mut self) -> Result<SnapshotInfo, WriteError> {
        self.snapshots.finish()
    }

    /// Notes how full the disk is, before the first frame comes.
    pub fn look(&self) -> DiskLevel {
        let disk = self.disk_level(&self.log.status());
        self.load.set_disk(disk);
        disk
    }

    /// What the log has room for decides; the percentages only say more before that.
    fn disk_level(&self, log: &LogStatus) -> DiskLevel {
        let by_log = match self.log.takes() {
            _ if is_stopped_by_full_disk(log) => DiskLevel::Full,
            Takes::Nothing => DiskLevel::Full,
            Takes::Urgent => DiskLevel::AlarmsOnly,
            Takes::All => DiskLevel::Plenty,
        };
        match self.used(log) {
            Ok((used, total)) => self.level_of(used, total).max(by_log),
            // A disk that cannot be asked is treated as before.
            Err(_) => self.load.disk().max(by_log),
        }
    }

    /// Whether the log stopped for want of room and there is room again. Seldom asked: it writes.
    fn finds_room_again(&mut self, log: &LogStatus) -> bool {
        if !is_stopped_by_full_disk(log) {
            return false;
        }
        self.rounds_stopped = self.rounds_stopped.saturating_add(1);
        self.rounds_stopped.is_multiple_of(PROBE_ROUNDS) && self.log.has_room_again()
    }

    /// Octets in use, and octets in all.
    fn used(&self, log: &LogStatus) -> io::Result<(u64, u64)> {
        if let Some(quota) = self.options.quota_octets {
            return Ok((log.durable_end.saturating_since(log.first), quota));
        }
        let Space { free, total } = self.fs.space(&self.data_dir)?;
        Ok((total.saturating_sub(free), total))
    }

    fn level_of(&self, used: u64, total: u64) -> DiskLevel {
        let percent = u128::from(used).saturating_mul(100);
        let percent = percent.checked_div(u128::from(total)).unwrap_or(100);
        if percent >= u128::from(self.options.alarms_only_percent) {
            DiskLevel::AlarmsOnly
        } else if percent >= u128::from(self.options.come_back_percent) {
            DiskLevel::ComeBack
        } else {
            DiskLevel::Plenty
        }
    }
}

fn is_stopped_by_full_disk(log: &LogStatus) -> bool {
    let poison = log.poison.as_ref();
    poison.is_some_and(|poison| poison.reason == PoisonReason::Full)
}

/// How full the log's queue is, by frames or by octets.
fn queue_percent(options: &KeeperOptions, (frames, octets): (usize, usize)) -> u32 {
    let share = |held: usize, most: usize| {
        let percent = held.saturating_mul(100).checked_div(most).unwrap_or(0);
        u32::try_from(percent).unwrap_or(u32::MAX)
    };
    share(frames, options.queue_frames).max(share(octets, options.queue_octets))
}

/// Tells what a round found. `broken` is cancelled when the process has to start again.
pub fn tell(round: &Round, was: &mut DiskLevel, broken: &CancellationToken) {
    if round.disk != *was {
        events::disk_level_changed(*was, round.disk);
        *was = round.disk;
    }
    match &round.snapshot {
        Some(Ok(info)) => {
            let (position, terminals) = (info.position.get(), info.terminals);
            tracing::info!(position, terminals, "Took a snapshot.");
        }
        Some(Err(error)) => tracing::error!(%error, "No snapshot was written."),
        None => {}
    }
    if let Some(error) = &round.retain_error {
        tracing::error!(%error, "The log could not forget what nobody needs.");
    }
    if let Some(poison) = &round.log.poison
        && (poison.reason != PoisonReason::Full || round.has_room_again)
        && !broken.is_cancelled()
    {
        events::log_stopped(&poison.cause);
        broken.cancel();
    }
}

#[cfg(test)]
impl KeeperOptions {
    /// A snapshot with every octet, and small queues.
    pub(super) const fn of_a_test() -> Self {
        Self {
            come_back_percent: 85,
            alarms_only_percent: 95,
            quota_octets: None,
            snapshot_every_octets: 1,
            reserve_octets: 0,
            queue_frames: 1_000,
            queue_octets: 50_000,
            snapshots_kept: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_as_full_as_its_frames_or_its_octets_make_it() {
        let options = KeeperOptions::of_a_test();
        assert_eq!(queue_percent(&options, (100, 5_000)), 10);
        assert_eq!(queue_percent(&options, (700, 5_000)), 70);
        assert_eq!(queue_percent(&options, (100, 45_000)), 90);
    }
}
