//! What people ask for, folded out of the log into a file of SQLite: terminals and their meters
//! with the latest values, open alarms, and what was done by whom.
//!
//! Nothing waits for it and no session needs it. It is folded *behind*: one thread reads the log,
//! gathers what many frames change in a [`Delta`], and writes it in one transaction together with
//! the position up to which the log is folded, so that the file is always the fold of exactly the
//! frames before its position. It can be thrown away: it is built again from the latest of its
//! copies, or from what is in memory, and the log.
//!
//! A row says the same in whatever order frames come: the latest measurement stays. What a person
//! decides (registration, keys) has the order of the log.
//!
//! Damage is seen: SQLite's own check is made when a file is opened, and each row has a check over
//! its cells, which is made then and whenever it is read. A file that is damaged, of another
//! schema, or ahead of the log is moved aside under a name that tells why.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode};

use super::State;
use crate::model::Lsn;
use crate::store::fs::{Access as FileAccess, Fs};

mod cells;
mod delta;
mod extract;
mod facts;
mod file;
mod meter_rows;
mod query;
mod rows;
mod schema;
mod seed;
#[cfg(test)]
mod tests;
mod write;

pub use delta::Delta;
pub use file::FILE;
pub use meter_rows::{AlarmRow, Latest, MeterRow, Mounted};
pub use query::{AlarmKey, AuditFilter, AuditKey, Counts, FoldedReader, ROWS_MAX, Seen};
pub use rows::{AuditRow, HealthCells, MetaRow, Moment, TerminalRow, UtilityRow};
pub use schema::SCHEMA;

/// Octets of journal after which its pages are moved into the file.
const JOURNAL_OCTETS: u64 = 64 << 20;

/// Why folded state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FoldedError {
    /// The operating system refused something.
    #[error("cannot use {}: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is a file of somebody else.
    #[error("it is no file of folded state")]
    NotOurs,
    /// Another version of this server wrote it.
    #[error("its tables have version {0}, and this server knows version {SCHEMA}")]
    Schema(i32),
    /// SQLite's check found damage.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A row is not what was written.
    #[error("a row of its table {0} is damaged")]
    Row(&'static str),
    /// The log ends before what is folded: it was restored from an older copy.
    #[error("it is folded up to {position}, and the log ends at {end}")]
    Ahead {
        /// How far it is folded.
        position: Lsn,
        /// Where the log ends.
        end: Lsn,
    },
    /// SQLite refused something.
    #[error("SQLite: {0}")]
    Sql(#[from] rusqlite::Error),
}

impl FoldedError {
    /// Whether the file itself is no good, so that it has to be built again. Of others, a full
    /// disk for example, the file is as it was.
    #[must_use]
    pub fn is_of_the_file(&self) -> bool {
        self.suffix().is_some()
    }

    /// What a file that is moved aside for it is called from then on.
    fn suffix(&self) -> Option<&'static str> {
        match self {
            Self::NotOurs => Some("foreign"),
            Self::Schema(_) => Some("other-schema"),
            Self::Damaged(_) | Self::Row(_) => Some("damaged"),
            Self::Ahead { .. } => Some("ahead"),
            Self::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Some("damaged"),
                Some(_) => None,
                // A statement that does not fit the tables, a value of another type.
                None => Some("damaged"),
            },
            Self::Io { .. } => None,
        }
    }
}

/// What folded state was taken up from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The file as it was left.
    File,
    /// The copy at a position.
    Copy(Lsn),
    /// Nothing: the log is there from its beginning.
    Log,
    /// What is in memory: the log's beginning is gone, and so is what only it told: health, valves
    /// and alarms that nobody has told of since, and what was done before.
    Memory,
}

/// A file that could not be used.
#[derive(Debug)]
pub struct Aside {
    /// Where it is now.
    pub path: PathBuf,
    /// Why.
    pub cause: FoldedError,
}

/// Folded state, taken up.
#[derive(Debug)]
pub struct TakenUp {
    /// The state.
    pub folded: Folded,
    /// What from.
    pub origin: Origin,
    /// Files that could not be used, to be said to the operator.
    pub aside: Vec<Aside>,
}

/// The file of folded state, open to be written. One thread has it.
#[derive(Debug)]
pub struct Folded {
    connection: Connection,
    meta: MetaRow,
    dir: PathBuf,
    fs: Arc<dyn Fs>,
}

impl Folded {
    /// Takes up the file in a folder: as it is if it is good, else from its latest copy, else from
    /// what the log and `state` have. The log goes from `first` to `end`. Reads all of the file;
    /// `rest` is called between parts of that.
    ///
    /// # Errors
    ///
    /// [`FoldedError`] if no file can be made or moved aside.
    pub fn take_up(
        dir: &Path,
        fs: &Arc<dyn Fs>,
        (first, end): (Lsn, Lsn),
        state: &State,
        rest: &mut dyn FnMut(),
    ) -> Result<TakenUp, FoldedError> {
        let path = dir.join(FILE);
        let mut aside = Vec::new();
        let live = open_or_aside(&path, &**fs, end, &mut aside, rest)?;
        let mut best = live.map(|found| (found, Origin::File));
        let is_good = |best: &Option<((Connection, MetaRow), Origin)>| {
            best.as_ref()
                .is_some_and(|((_, meta), _)| meta.position >= first)
        };
        for (position, copy) in file::copies(dir, &**fs)? {
            if is_good(&best) {
                break;
            }
            if best
                .as_ref()
                .is_some_and(|((_, meta), _)| meta.position >= position)
            {
                continue;
            }
            drop(best.take());
            file::remove_beside(&path, &**fs)?;
            file::copy_file(&copy, &path, &**fs)?;
            if let Some(found) = open_or_aside(&path, &**fs, end, &mut aside, rest)? {
                best = Some((found, Origin::Copy(position)));
            } else if let Some(last) = aside.last_mut() {
                // It is the copy that is no good, and retention must not go by it.
                fs.remove(&last.path).ok();
                let why = last.cause.suffix().unwrap_or("damaged");
                last.path = file::move_aside(&copy, why, &**fs)?;
            }
        }
        let is_good = is_good(&best);
        let ((connection, meta), origin) = match best {
            Some(best) => best,
            None => {
                file::remove_beside(&path, &**fs)?;
                (file::create(&path, &**fs)?, Origin::Log)
            }
        };
        let mut folded = Self {
            connection,
            meta,
            dir: dir.to_owned(),
            fs: Arc::clone(fs),
        };
        let is_from_log = origin == Origin::Log && first == Lsn::ZERO;
        if is_good || is_from_log {
            return Ok(TakenUp {
                folded,
                origin,
                aside,
            });
        }
        folded.meta = seed::seed(&mut folded.connection, state, first)?;
        let origin = Origin::Memory;
        Ok(TakenUp {
            folded,
            origin,
            aside,
        })
    }

    /// How far the log is folded.
    #[must_use]
    pub const fn meta(&self) -> MetaRow {
        self.meta
    }

    /// Writes a delta, with the position that it ends at, and empties it. `rest` is called between
    /// parts of the work.
    ///
    /// # Errors
    ///
    /// [`FoldedError`]; nothing of it was written then.
    pub fn apply(&mut self, delta: &mut Delta, rest: &mut dyn FnMut()) -> Result<(), FoldedError> {
        write::apply(&mut self.connection, delta, rest)?;
        self.meta = delta.meta;
        delta.clear();
        Ok(())
    }

    /// Moves the pages of the journal into the file if there are many.
    ///
    /// # Errors
    ///
    /// [`FoldedError`]; nothing is lost.
    pub fn check_point(&self) -> Result<(), FoldedError> {
        let journal = self.dir.join(format!("{FILE}-wal"));
        let len = match self.fs.open(&journal, FileAccess::Read) {
            Ok(file) => file.len().unwrap_or(0),
            Err(_) => 0,
        };
        if len < JOURNAL_OCTETS {
            return Ok(());
        }
        self.move_pages("RESTART")
    }

    fn move_pages(&self, mode: &str) -> Result<(), FoldedError> {
        // Somebody who reads holds pages back: the next time moves them.
        let pragma = format!("PRAGMA wal_checkpoint({mode})");
        self.connection.query_row(&pragma, (), |_| Ok(()))?;
        Ok(())
    }

    /// Writes a copy beside the snapshots, durable and checked when this returns; earlier copies
    /// are removed. From it and the log after its position, the state is built again. `rest` is
    /// called between parts of the work.
    ///
    /// # Errors
    ///
    /// [`FoldedError`]; earlier copies are there still.
    pub fn copy(&self, rest: &mut dyn FnMut()) -> Result<Lsn, FoldedError> {
        let position = self.meta.position;
        file::write_copy(&self.connection, position, &self.dir, &*self.fs, rest)?;
        Ok(position)
    }

    /// Closes the file, with nothing left beside it.
    ///
    /// # Errors
    ///
    /// [`FoldedError`]; nothing is lost.
    pub fn close(self) -> Result<(), FoldedError> {
        self.move_pages("TRUNCATE")?;
        let closed = self.connection.close();
        closed.map_err(|(_, error)| FoldedError::Sql(error))
    }

    /// Closes the file and moves it aside for an error that is of it.
    ///
    /// # Errors
    ///
    /// [`FoldedError`] if it cannot be moved.
    pub fn give_up(self, cause: FoldedError) -> Result<Aside, FoldedError> {
        let (path, fs) = (self.dir.join(FILE), Arc::clone(&self.fs));
        drop(self.connection);
        let why = cause.suffix().unwrap_or("damaged");
        let path = file::move_aside(&path, why, &*fs)?;
        Ok(Aside { path, cause })
    }
}

/// The position of the latest copy in a folder: the log has to be kept from there. None if there is
/// no copy.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn latest_copy(dir: &Path, fs: &dyn Fs) -> Result<Option<Lsn>, FoldedError> {
    Ok(file::copies(dir, fs)?
        .first()
        .map(|(position, _)| *position))
}

/// Opens a file if it is there and good; one that is not is moved aside.
fn open_or_aside(
    path: &Path,
    fs: &dyn Fs,
    end: Lsn,
    aside: &mut Vec<Aside>,
    rest: &mut dyn FnMut(),
) -> Result<Option<(Connection, MetaRow)>, FoldedError> {
    match fs.open(path, FileAccess::Read) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => {
            let path = path.to_owned();
            return Err(FoldedError::Io { path, cause });
        }
        Ok(_) => {}
    }
    let opened = file::open(path, rest).and_then(|(connection, meta)| {
        let position = meta.position;
        if position > end {
            return Err(FoldedError::Ahead { position, end });
        }
        Ok((connection, meta))
    });
    match opened {
        Ok(found) => Ok(Some(found)),
        Err(cause) => {
            let why = cause.suffix().unwrap_or("damaged");
            let path = file::move_aside(path, why, fs)?;
            aside.push(Aside { path, cause });
            Ok(None)
        }
    }
}
