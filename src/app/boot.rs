//! What is durable, taken up: the lock, the latest snapshot, the log, and the frames after it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::ingest::completions::{Completions, StepObserver};
use crate::keyring::LinkKeyring;
use crate::keyring::mbus::MeterKeyring;
use crate::model::{Event, Lsn};
use crate::store::fs::{DataDirLock, Fs, LockError, RealFs};
use crate::store::log::{
    Append, AppendError, CommitLog, DIRECTORY, FrameRef, LogOptions, OpenError, Refused,
};
use crate::store::state::snapshot::{self, PassedOver};
use crate::store::state::{FoldError, State, sqlite};
use crate::telemetry::events;
use crate::time::Clock;

use super::followers::known_durable;
use super::options::log_options;
use super::replay::Replay;

/// The folder of state in the data folder.
pub const STATE_DIRECTORY: &str = "state";

/// Why the server cannot take up what is durable.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Another process works on the data folder, or it cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A folder cannot be made.
    #[error("cannot make the folder {}: {cause}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// No snapshot can be looked for.
    #[error(transparent)]
    Snapshot(#[from] snapshot::LoadError),
    /// The log.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// A frame of the log cannot be folded.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The log begins after the snapshot ends: what lies between is gone.
    #[error(
        "the log begins at {first}, and the latest usable snapshot ends at {snapshot}: restore the \
         missing segments or a later snapshot from a copy"
    )]
    Gap {
        /// Where the log begins.
        first: Lsn,
        /// Where the snapshot ends.
        snapshot: Lsn,
    },
}

/// The keys of a server, which are read before its start and stay as they are.
#[derive(Debug, Default)]
pub struct Rings {
    /// Those of terminals.
    pub link: LinkKeyring,
    /// Those of M-Bus meters.
    pub meters: Arc<MeterKeyring>,
}

impl From<LinkKeyring> for Rings {
    fn from(link: LinkKeyring) -> Self {
        let meters = Arc::default();
        Self { link, meters }
    }
}

/// What is durable, taken up. Where it has the data folder's lock, dropping it closes the log
/// before the lock is given back, whoever still has the log.
#[derive(Debug)]
pub struct Booted {
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// The data folder.
    pub data_dir: PathBuf,
    /// What the log adds up to.
    pub state: Arc<State>,
    /// The log.
    pub log: Arc<CommitLog>,
    /// Where steps come back.
    pub completions: Arc<Completions>,
    /// Where the snapshot ends that was loaded; the beginning without one.
    pub snapshot_end: Lsn,
    /// Frames that were folded again.
    pub replayed_frames: u64,
    /// Snapshots that cannot be used, to be said to the operator.
    pub passed_over: Vec<PassedOver>,
    /// The keys of M-Bus meters; none in it for operators.
    pub meter_keys: Arc<MeterKeyring>,
    /// The right to write in the data folder; none if the caller has it.
    pub data_lock: Option<DataDirLock>,
}

impl Drop for Booted {
    fn drop(&mut self) {
        if self.data_lock.is_some() {
            // Whoever wants to know closed it before.
            self.log.close().ok();
        }
    }
}

/// Takes the lock of a data folder, which is made if there is none.
///
/// # Errors
///
/// [`BootError`].
pub fn lock(fs: &dyn Fs, data_dir: &Path) -> Result<DataDirLock, BootError> {
    fs.create_dir_all(data_dir)
        .map_err(|cause| BootError::Folder {
            path: data_dir.to_owned(),
            cause,
        })?;
    Ok(DataDirLock::take(data_dir)?)
}

/// Takes the data folder of a configuration, takes up what is durable in it, and tells of it: for
/// servers and operators alike. `owners` is how many mailboxes steps come back to.
///
/// # Errors
///
/// [`BootError`]. The data folder is given back.
pub fn take_up(config: &Config, owners: u16, keys: LinkKeyring) -> Result<Booted, BootError> {
    let fs = Arc::new(RealFs);
    let data_lock = lock(&*fs, &config.data_dir)?;
    let options = LogOptions {
        known_durable: known_durable(config, &*fs),
        ..log_options(config)
    };
    let mut booted = boot(fs, &config.data_dir, options, owners, keys)?;
    booted.data_lock = Some(data_lock);
    tell_boot(&booted);
    Ok(booted)
}

fn tell_boot(booted: &Booted) {
    for passed in &booted.passed_over {
        tracing::error!(path = %passed.path.display(), cause = %passed.cause,
            "A snapshot cannot be used; an older one was.");
    }
    if let Some(torn) = booted.log.torn_end() {
        events::torn_end_cut(torn.from, torn.to);
    }
    let frames_after_snapshot = booted.replayed_frames;
    tracing::info!(frames_after_snapshot, "Took up what is durable.");
}

/// Takes up what is durable in a data folder, whose lock the caller holds. `owners` is how many
/// mailboxes steps come back to.
///
/// # Errors
///
/// [`BootError`]. Nothing that is whole is changed: the torn end of the log is cut and its last
/// batch written again, what was left unfinished is removed, and snapshots that are damaged are
/// called so.
pub fn boot(
    fs: Arc<dyn Fs>,
    data_dir: &Path,
    options: LogOptions,
    owners: u16,
    keys: LinkKeyring,
) -> Result<Booted, BootError> {
    let state_dir = data_dir.join(STATE_DIRECTORY);
    fs.create_dir_all(&state_dir)
        .map_err(|cause| BootError::Folder {
            path: state_dir.clone(),
            cause,
        })?;
    if let Err(error) = snapshot::remove_unfinished(&state_dir, &*fs) {
        tracing::warn!(%error, "What an earlier process left unfinished is still there.");
    }
    if let Err(error) = sqlite::remove_unfinished(&state_dir, &*fs) {
        tracing::warn!(%error, "What an earlier process left unfinished is still there.");
    }
    let loaded = snapshot::load_latest(&state_dir, &*fs, keys)?;
    let state = Arc::new(loaded.state);
    let completions = Arc::new(Completions::new(owners));
    let observer = StepObserver::new(
        Arc::clone(&state),
        Arc::clone(&completions),
        Box::new(|error| tracing::error!(%error, "A frame of this server cannot be folded.")),
    );
    let sinks = loaded_cursors(&state);
    let options = LogOptions {
        check_from: loaded.position,
        known_durable: loaded.position.max(sinks).max(options.known_durable),
        ..options
    };
    let log_dir = data_dir.join(DIRECTORY);
    let mut replay = Replay::new(&state);
    let mut each = |frame: &FrameRef<'_>| replay.take(frame);
    let observer = Box::new(observer);
    let log = CommitLog::open_and_show(Arc::clone(&fs), &log_dir, options, observer, &mut each)?;
    let (first, snapshot) = (log.first(), loaded.position);
    if snapshot != Lsn::ZERO && snapshot < first || snapshot == Lsn::ZERO && first != Lsn::ZERO {
        return Err(BootError::Gap { first, snapshot });
    }
    let replayed_frames = replay.end()?;
    state.note_folded(log.durable_end());
    Ok(Booted {
        fs,
        data_dir: data_dir.to_owned(),
        state,
        log: Arc::new(log),
        completions,
        snapshot_end: loaded.position,
        replayed_frames,
        passed_over: loaded.passed_over,
        meter_keys: Arc::default(),
        data_lock: None,
    })
}

/// The farthest that any sink has come, as the snapshot knows it.
fn loaded_cursors(state: &State) -> Lsn {
    let directory = state.directory();
    let cursors = directory.sinks.values();
    let farthest = cursors.map(|cursors| cursors.alarm.max(cursors.bulk)).max();
    farthest.unwrap_or(Lsn::ZERO)
}

impl Booted {
    /// Makes an event durable and folded.
    ///
    /// # Errors
    ///
    /// [`AppendError`].
    pub fn append(&self, event: &Event) -> Result<Lsn, AppendError> {
        append(&self.log, event)
    }

    /// Takes up the mark of server nonces: what passed since the last process is a gap in which
    /// none was sent, and the next minute is this process's. False if the disk has no room for it:
    /// the intake then takes it up once there is.
    ///
    /// # Errors
    ///
    /// [`AppendError`], but not for want of room.
    // spec: FRS-4
    pub fn take_up_mark(&self, clock: &dyn Clock) -> Result<bool, AppendError> {
        let now_utc_s = clock.utc_seconds().get();
        let mark = (*self.state.nonce_mark()).clone();
        let mark = mark.started(now_utc_s).advanced(now_utc_s);
        let event = Event::NonceMark {
            mark_utc_s: mark.mark(),
            gaps: mark.gaps(),
        };
        match self.append(&event) {
            Ok(_) => Ok(true),
            Err(AppendError::Refused(Refused::DiskFull)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Makes an event durable and folded. Blocks until it is.
///
/// # Errors
///
/// [`AppendError`].
pub fn append(log: &CommitLog, event: &Event) -> Result<Lsn, AppendError> {
    // JSON holds every event; an empty payload would be refused when it is folded.
    let payload = event.encode().unwrap_or_default();
    log.append_and_wait(Append::event(event.terminal(), payload, true))
}
