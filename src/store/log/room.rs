//! How much of the disk frames may use, by how much they matter.

use std::io;
use std::path::Path;

use super::LogOptions;
use crate::store::fs::Fs;

/// Room for less than this is none: the disk counts as full before the last frames that fit are
/// tried one by one.
const LEAST_BYTES: u64 = 4 << 10;
/// The file that shows whether a disk that was full takes octets again.
const PROBE: &str = "room.probe";
/// Octets that it takes for that.
const PROBE_BYTES: usize = 256 << 10;

/// Which frames the disk has room for.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Takes {
    /// All.
    #[default]
    All,
    /// Urgent ones only, from the reserve.
    Urgent,
    /// None, but those by which room is made.
    Nothing,
}

/// What frames leave free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floors {
    quota_bytes: Option<u64>,
    other: u64,
    urgent: u64,
    upkeep: u64,
}

/// Octets that frames may still take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Those by which room is made.
    pub(super) upkeep: u64,
    pub(super) urgent: u64,
    pub(super) other: u64,
}

impl Floors {
    pub(super) const fn new(options: &LogOptions) -> Self {
        Self {
            quota_bytes: options.quota_bytes,
            other: options.floor_bytes,
            urgent: options.urgent_floor_bytes,
            upkeep: options.urgent_floor_bytes / 4,
        }
    }

    /// The room that there is, for a log of `used` octets.
    pub(super) fn room(&self, fs: &dyn Fs, dir: &Path, used: u64) -> Room {
        // Where the disk does not tell its room, a full one is met at the write.
        let free = fs.space(dir).map_or(u64::MAX, |space| space.free);
        let allowed = self.quota_bytes.map(|quota| quota.saturating_sub(used));
        let free = free.min(allowed.unwrap_or(u64::MAX));
        Room {
            upkeep: free.saturating_sub(self.upkeep),
            urgent: free.saturating_sub(self.urgent),
            other: free.saturating_sub(self.other),
        }
    }
}

impl Room {
    pub(super) const fn takes(&self) -> Takes {
        if self.urgent < LEAST_BYTES {
            Takes::Nothing
        } else if self.other < LEAST_BYTES {
            Takes::Urgent
        } else {
            Takes::All
        }
    }
}

/// Writes and syncs a file that nobody needs, and removes it.
pub(super) fn probe(fs: &dyn Fs, dir: &Path) -> io::Result<()> {
    let path = dir.join(PROBE);
    if let Err(error) = fs.remove(&path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let file = fs.create(&path)?;
    // No zeros: some disks keep none.
    let written = file.write_all_at(0, &vec![0xA5; PROBE_BYTES]);
    let synced = written.and_then(|()| file.sync_data());
    fs.remove(&path)?;
    synced
}
