//! Files of lines that are handed to somebody else: rotated, synced, whole lines only.
//!
//! A file is `<lane>-<utc yyyymmddThhmmssZ>-<first position>.ndjson.part` while it grows, and loses
//! `.part` when it is ended, by size, by age or with the process. Only files without `.part` are
//! complete. A file that a crash left is cut to its last whole line and goes on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{Lane, Lsn};
use crate::time::{Clock, UtcSeconds};

use super::fs::{Access, Fs, FsFile};

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

/// The files of one lane in a folder.
#[derive(Debug)]
pub struct NdjsonFiles {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    lane: &'static str,
    rotation: Rotation,
    clock: Arc<dyn Clock>,
    is_dir_made: bool,
    part: Option<Part>,
    /// The file of the last failure, and its octets that are durable.
    failed: Option<(String, u64)>,
}

impl NdjsonFiles {
    /// Files in a folder, which is made with the first line. Nobody else writes in it.
    #[must_use]
    pub fn new(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        lane: Lane,
        rotation: Rotation,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            fs,
            dir,
            lane: match lane {
                Lane::Alarm => "alarm",
                Lane::Bulk => "bulk",
            },
            rotation,
            clock,
            is_dir_made: false,
            part: None,
            failed: None,
        }
    }

    /// Appends whole lines, the first of them from position `first` of the log, and makes them
    /// durable.
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
                self.rotate_if_due()
            }
            Err(error) => {
                self.failed = Some((name, before));
                Err(error)
            }
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
    /// [`NdjsonError`]; the lines are durable.
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
    /// [`NdjsonError`]; the lines are durable.
    pub fn rotate(&mut self) -> Result<(), NdjsonError> {
        match self.part.take() {
            Some(part) => {
                let name = part.name.clone();
                self.end(&name)
            }
            None => Ok(()),
        }
    }

    fn end(&self, name: &str) -> Result<(), NdjsonError> {
        let path = self.dir.join(name);
        let ended = self.dir.join(name.strip_suffix(".part").unwrap_or(name));
        let renamed = self.fs.rename(&path, &ended);
        let synced = renamed.and_then(|()| self.fs.sync_dir(&self.dir));
        synced.map_err(|cause| NdjsonError::Io { path, cause })
    }

    /// The file that a crash or a failure left, cut to what is whole; a new one if there is none.
    fn open(&mut self, first: Lsn) -> Result<Part, NdjsonError> {
        let dir = self.dir.clone();
        let io = |cause| NdjsonError::Io {
            path: dir.clone(),
            cause,
        };
        if !self.is_dir_made {
            self.fs.create_dir_all(&dir).map_err(io)?;
            self.is_dir_made = true;
        }
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
            self.end(name)?;
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

/// Octets up to the last line feed.
fn whole_lines(file: &dyn FsFile, len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut block = vec![0; BLOCK];
    while end > 0 {
        let take = usize::try_from(end).unwrap_or(BLOCK).min(BLOCK);
        let start = end.saturating_sub(u64::try_from(take).unwrap_or(0));
        let wanted = block.get_mut(..take).unwrap_or_default();
        let read = file.read_at(start, wanted)?;
        let found = wanted.iter().take(read).rposition(|octet| *octet == b'\n');
        if let Some(at) = found {
            return Ok(start
                .saturating_add(u64::try_from(at).unwrap_or(0))
                .saturating_add(1));
        }
        end = start;
    }
    Ok(0)
}
