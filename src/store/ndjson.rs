//! Files of lines that are handed to somebody else: rotated, synced, whole lines only.
//!
//! A file is `<lane>-<utc yyyymmddThhmmssZ>-<first position>.ndjson.part` while it grows, and loses
//! `.part` when it is ended, by size, by age or with the process. Only files without `.part` are
//! complete. A file that a crash left is cut to its last whole line and goes on. The lock of
//! `.kenshin-lock` keeps any other sink out of the folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;

use crate::model::{Lane, Lsn};
use crate::time::{Clock, UtcSeconds};

use super::fs::{Access, Fs, FsFile, HeldLock};

/// The file whose lock keeps others out of a folder.
const LOCK: &str = ".kenshin-lock";
const ENDED: &str = ".ndjson";
const GROWING: &str = ".ndjson.part";
/// Octets that are looked at in one go for the last line feed.
const BLOCK: usize = 64 << 10;

/// When a file is ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// After the batch that brings it to so many octets.
    pub octets: u64,
    /// So long after its first line.
    pub age_ms: u64,
}

/// Why lines are not durable.
#[derive(Debug, thiserror::Error)]
pub enum NdjsonError {
    /// The operating system refused something.
    #[error("cannot write {}: {cause}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Somebody else writes in the folder.
    #[error(
        "another sink or another kenshin process writes in {}: give each sink its own folder",
        .0.display()
    )]
    Taken(PathBuf),
    /// The file is not where it was made.
    #[error(
        "{} was moved or removed while it grew; make sure that its folder exists",
        path.display()
    )]
    Moved {
        /// Which.
        path: PathBuf,
    },
}

#[derive(Debug)]
struct Part {
    name: String,
    file: Arc<dyn FsFile>,
    len: u64,
    since_ms: u64,
}

/// A folder that one sink writes in, and nobody else.
#[derive(Debug)]
pub struct NdjsonFolder {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    is_made: bool,
    lock: Option<HeldLock>,
}

impl NdjsonFolder {
    /// A folder, which is made and locked with the first line.
    #[must_use]
    pub fn new(fs: Arc<dyn Fs>, dir: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            fs,
            dir,
            held: Mutex::default(),
        })
    }

    /// Makes sure that the folder is this sink's.
    fn take(&self) -> Result<(), NdjsonError> {
        let io = |cause| NdjsonError::Io {
            path: self.dir.clone(),
            cause,
        };
        let mut held = self.held.lock();
        if !held.is_made {
            self.fs.create_dir_all(&self.dir).map_err(io)?;
            held.is_made = true;
        }
        let path = self.dir.join(LOCK);
        // A folder that somebody made anew has no lock file, or another one.
        if held.lock.is_some() && self.fs.open(&path, Access::Read).is_ok() {
            return Ok(());
        }
        held.lock = None;
        held.lock = match self.fs.lock(&path) {
            Ok(lock) => Some(lock),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                return Err(NdjsonError::Taken(self.dir.clone()));
            }
            Err(cause) => return Err(io(cause)),
        };
        Ok(())
    }
}

/// The files of one lane in a folder.
#[derive(Debug)]
pub struct NdjsonFiles {
    folder: Arc<NdjsonFolder>,
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    lane: &'static str,
    rotation: Rotation,
    clock: Arc<dyn Clock>,
    part: Option<Part>,
    /// The file of the last failure, and its octets that are durable.
    failed: Option<(String, u64)>,
    /// Whether the file should have ended and could not.
    is_overdue: bool,
}

impl NdjsonFiles {
    /// The files of a lane in a folder.
    #[must_use]
    pub fn new(
        folder: &Arc<NdjsonFolder>,
        lane: Lane,
        rotation: Rotation,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            folder: Arc::clone(folder),
            fs: Arc::clone(&folder.fs),
            dir: folder.dir.clone(),
            lane: match lane {
                Lane::Alarm => "alarm",
                Lane::Bulk => "bulk",
            },
            rotation,
            clock,
            part: None,
            failed: None,
            is_overdue: false,
        }
    }

    /// Appends whole lines, the first of them from position `first` of the log, and makes them
    /// durable. A file that cannot be ended then is no failure: whoever is told of one writes the
    /// lines again. It goes on, and is ended later.
    ///
    /// # Errors
    ///
    /// [`NdjsonError`]; some of the lines may be durable. The next call looks at the folder anew,
    /// and never makes it anew: an empty mount point is no place for records.
    pub fn append(&mut self, first: Lsn, lines: &[u8]) -> Result<(), NdjsonError> {
        let mut part = match self.part.take() {
            Some(part) => part,
            None => self.open(first)?,
        };
        let before = part.len;
        let name = part.name.clone();
        match self.write(&mut part, lines) {
            Ok(()) => {
                self.part = Some(part);
                self.end_or_go_on();
                Ok(())
            }
            Err(error) => {
                self.failed = Some((name, before));
                Err(error)
            }
        }
    }

    fn end_or_go_on(&mut self) {
        let was_overdue = self.is_overdue;
        if let Err(error) = self.rotate_if_due()
            && !was_overdue
        {
            tracing::warn!(%error, "A file of records was not ended in order; it is tried again.");
        }
    }

    fn write(&self, part: &mut Part, lines: &[u8]) -> Result<(), NdjsonError> {
        let path = self.dir.join(&part.name);
        let io = |cause| NdjsonError::Io {
            path: path.clone(),
            cause,
        };
        part.file.write_all_at(part.len, lines).map_err(io)?;
        part.file.sync_data().map_err(io)?;
        let len = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        part.len = part.len.saturating_add(len);
        // A file without a name takes lines for nobody.
        let named = self
            .fs
            .open(&path, Access::Read)
            .and_then(|file| file.len());
        match named {
            Ok(len) if len == part.len => Ok(()),
            Ok(_) => Err(NdjsonError::Moved { path }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                Err(NdjsonError::Moved { path })
            }
            Err(cause) => Err(io(cause)),
        }
    }

    /// Ends the file if it is large or old.
    ///
    /// # Errors
    ///
    /// [`NdjsonError`]; the lines are durable, and the file goes on.
    pub fn rotate_if_due(&mut self) -> Result<(), NdjsonError> {
        let now_ms = self.clock.monotonic_ms();
        let is_due = self.part.as_ref().is_some_and(|part| {
            part.len >= self.rotation.octets
                || now_ms.saturating_sub(part.since_ms) >= self.rotation.age_ms
        });
        if is_due { self.rotate() } else { Ok(()) }
    }

    /// Ends the file, if one grows.
    ///
    /// # Errors
    ///
    /// [`NdjsonError`]; the lines are durable, and the file goes on if it still has its name.
    pub fn rotate(&mut self) -> Result<(), NdjsonError> {
        let Some(part) = &self.part else {
            return Ok(());
        };
        let name = part.name.clone();
        let renamed = self.rename(&name);
        self.is_overdue = renamed.is_err();
        match &renamed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {}
            // It is complete, or nobody's any more.
            _ => self.part = None,
        }
        self.sync_after(renamed, &name)
    }

    fn rename(&self, name: &str) -> io::Result<()> {
        let ended = name.strip_suffix(".part").unwrap_or(name);
        self.fs.rename(&self.dir.join(name), &self.dir.join(ended))
    }

    fn sync_after(&self, renamed: io::Result<()>, name: &str) -> Result<(), NdjsonError> {
        let synced = renamed.and_then(|()| self.fs.sync_dir(&self.dir));
        synced.map_err(|cause| NdjsonError::Io {
            path: self.dir.join(name),
            cause,
        })
    }

    /// The file that a crash or a failure left, cut to what is whole; a new one if there is none.
    fn open(&mut self, first: Lsn) -> Result<Part, NdjsonError> {
        let dir = self.dir.clone();
        let io = |cause| NdjsonError::Io {
            path: dir.clone(),
            cause,
        };
        self.folder.take()?;
        let names = self.fs.list(&dir).map_err(io)?;
        let is_ours = |name: &&String| {
            let rest = name.strip_prefix(self.lane);
            rest.is_some_and(|rest| rest.starts_with('-')) && name.ends_with(GROWING)
        };
        let mut left: Vec<&String> = names.iter().filter(is_ours).collect();
        left.sort_unstable();
        let newest = left.pop();
        for name in left {
            self.mend(name)?;
            self.sync_after(self.rename(name), name)?;
        }
        let part = match newest {
            Some(name) => self.mend(name)?,
            None => self.create(first, &names)?,
        };
        self.failed = None;
        Ok(part)
    }

    /// Cuts a file to its last whole line, and after a failure to what was durable before: octets
    /// of a failed sync may be lost later, although they can be read.
    fn mend(&self, name: &str) -> Result<Part, NdjsonError> {
        let path = self.dir.join(name);
        let io = |cause| NdjsonError::Io {
            path: path.clone(),
            cause,
        };
        let file = self.fs.open(&path, Access::ReadWrite).map_err(io)?;
        let found = file.len().map_err(io)?;
        let failed = self.failed.as_ref().filter(|(failed, _)| failed == name);
        let len = match failed {
            Some((_, durable)) => found.min(*durable),
            None => whole_lines(&*file, found).map_err(io)?,
        };
        if len < found {
            let cut = found.saturating_sub(len);
            tracing::warn!(path = %path.display(), octets = cut, "Cut to what is whole.");
            file.set_len(len).map_err(io)?;
        }
        file.sync_data().map_err(io)?;
        self.fs.sync_dir(&self.dir).map_err(io)?;
        Ok(Part {
            name: name.to_owned(),
            file,
            len,
            since_ms: self.clock.monotonic_ms(),
        })
    }

    fn create(&self, first: Lsn, names: &[String]) -> Result<Part, NdjsonError> {
        let mut at = self.clock.utc_seconds();
        let mut stem = self.stem(at, first);
        // A redelivery within one second must not take the place of a file that is complete.
        while names
            .iter()
            .any(|name| name.strip_suffix(ENDED) == Some(&stem))
            && at < UtcSeconds::MAX
        {
            at = at.saturating_add(1);
            stem = self.stem(at, first);
        }
        let name = format!("{stem}{GROWING}");
        let path = self.dir.join(&name);
        let created = self.fs.create(&path);
        let file = created.and_then(|file| self.fs.sync_dir(&self.dir).map(|()| file));
        Ok(Part {
            file: file.map_err(|cause| NdjsonError::Io { path, cause })?,
            name,
            len: 0,
            since_ms: self.clock.monotonic_ms(),
        })
    }

    fn stem(&self, at: UtcSeconds, first: Lsn) -> String {
        let at = jiff::Timestamp::from_second(i64::from(at.get())).unwrap_or_default();
        format!("{}-{}-{first}", self.lane, at.strftime("%Y%m%dT%H%M%SZ"))
    }
}

/// A position that the log had passed when the newest records in a folder were delivered, as their
/// `position` and the names of their files tell; none if there are none.
///
/// # Errors
///
/// If the folder or a file cannot be read.
pub fn delivered_to(fs: &dyn Fs, dir: &Path) -> io::Result<Option<Lsn>> {
    let names = match fs.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        names => names?,
    };
    let mut farthest = None;
    for lane in ["alarm-", "bulk-"] {
        let of_lane = names.iter().filter(|name| name.starts_with(lane));
        let newest = of_lane
            .filter_map(|name| Some((first_of(name)?, name)))
            .max();
        let Some((first, name)) = newest else {
            continue;
        };
        let file = fs.open(&dir.join(name), Access::Read)?;
        let last = last_position(&*file)?.unwrap_or(0).max(first);
        // The frame that stands there is durable, and so is the octet that it begins with.
        farthest = farthest.max(Some(Lsn::new(last.saturating_add(1))));
    }
    Ok(farthest)
}

/// The first position of a file, by its name.
fn first_of(name: &str) -> Option<u64> {
    let stem = name
        .strip_suffix(GROWING)
        .or_else(|| name.strip_suffix(ENDED))?;
    stem.rsplit('-').next()?.parse().ok()
}

/// The position in the last whole line of a file, if that is near its end.
fn last_position(file: &dyn FsFile) -> io::Result<Option<u64>> {
    let len = file.len()?;
    let start = len.saturating_sub(len_of(BLOCK));
    let mut octets = vec![0; BLOCK];
    let read = file.read_at(start, &mut octets)?;
    octets.truncate(read);
    let text = String::from_utf8_lossy(&octets);
    let Some((whole, _)) = text.rsplit_once('\n') else {
        return Ok(None);
    };
    let line = whole.rsplit('\n').next().unwrap_or_default();
    let record: Option<Positioned> = serde_json::from_str(line).ok();
    Ok(record.map(|record| record.position))
}

/// What is read of a line.
#[derive(Deserialize)]
struct Positioned {
    position: u64,
}

/// Octets up to the last line feed before anything that was not written: lines hold no zeros, and
/// what a power cut kept of a batch may have holes.
fn whole_lines(file: &dyn FsFile, len: u64) -> io::Result<u64> {
    let (mut whole, mut at) = (0, 0);
    let mut block = vec![0; BLOCK];
    while at < len {
        let left = usize::try_from(len.saturating_sub(at)).unwrap_or(BLOCK);
        let wanted = block.get_mut(..left.min(BLOCK)).unwrap_or_default();
        let read = file.read_at(at, wanted)?;
        let octets = wanted.get(..read).unwrap_or_default();
        let hole = octets.iter().position(|octet| *octet == 0);
        let written = octets.get(..hole.unwrap_or(read)).unwrap_or_default();
        if let Some(end) = written.iter().rposition(|octet| *octet == b'\n') {
            whole = at.saturating_add(len_of(end)).saturating_add(1);
        }
        if hole.is_some() || read == 0 {
            break;
        }
        at = at.saturating_add(len_of(read));
    }
    Ok(whole)
}

fn len_of(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}
