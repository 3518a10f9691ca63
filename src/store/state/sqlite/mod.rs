//! What people ask for, folded out of the log into a file of SQLite: the health of terminals, their
//! meters with the latest values, open alarms, and what was done by whom. What memory knows of
//! terminals is asked there.
//!
//! Nothing waits for it and no session needs it. It is folded *behind*: one thread reads the log,
//! gathers what many frames change in a [`Delta`], and writes it in one transaction together with
//! the position up to which the log is folded, so that the file is always the fold of exactly the
//! frames before its position. It can be thrown away: it is built again from the latest of its
//! copies and the log.
//!
//! A row says the same in whatever order frames come: the latest measurement stays.
//!
//! Damage is seen: SQLite's own check is made when a file is opened, and each row has a check over
//! its cells, which is made then and whenever it is read. A file that is damaged, of another
//! schema, or ahead of the log is moved aside under a name that tells why.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, ErrorCode};

use crate::model::{Lsn, Zone};
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
#[cfg(test)]
mod tests;
mod write;

pub use delta::Delta;
pub use file::FILE;
pub use meter_rows::{AlarmRow, Latest, MeterRow, Mounted};
pub use query::{AlarmKey, AuditFilter, AuditKey, FoldedReader, ROWS_MAX, Seen};
pub use rows::{AuditRow, HealthCells, HealthRow, MetaRow, Moment};
pub use schema::SCHEMA;

/// What a damaged file is called when it is moved aside.
const DAMAGED: &str = "damaged";
/// Octets of journal after which its pages are moved into the file.
const JOURNAL_OCTETS: u64 = 64 << 20;
/// Octets that may be written between two looks at the disk's room: the writer's page cache, which
/// goes to the journal when a transaction ends, and the pages of some hundred terminals.
const STRIDE_OCTETS: u64 = 24 << 20;

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
    /// No server has folded anything yet, or the file was taken away.
    #[error("there is no folded state yet: `kenshin serve` makes it")]
    NotYet,
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
    /// The disk has too little room beside its reserve.
    #[error(
        "it needs {needed} octets, and the disk has {free} beside its reserve for alarms: make \
         room on it, or set disk.reserve_mib lower"
    )]
    NoRoom {
        /// Octets that it needs at most.
        needed: u64,
        /// Octets that it may use.
        free: u64,
    },
    /// The server stops.
    #[error("the server stops")]
    Stopped,
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

    /// Whether what is in the file is not what was written.
    fn is_damage(&self) -> bool {
        self.suffix() == Some(DAMAGED)
    }

    /// What a file that is moved aside for it is called from then on.
    fn suffix(&self) -> Option<&'static str> {
        match self {
            Self::NotOurs => Some("foreign"),
            Self::Schema(_) => Some("other-schema"),
            Self::Damaged(_) | Self::Row(_) => Some(DAMAGED),
            Self::Ahead { .. } => Some("ahead"),
            Self::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Some(DAMAGED),
                Some(_) => None,
                // A statement that does not fit the tables, a value of another type.
                None => Some(DAMAGED),
            },
            Self::Io { .. } | Self::NoRoom { .. } | Self::NotYet | Self::Stopped => None,
        }
    }

    /// Whether it says nothing of the file: opened later, it may be good.
    fn is_of_the_moment(&self) -> bool {
        match self {
            Self::Sql(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::DiskFull
                        | ErrorCode::OutOfMemory
                        // Of no descriptors, or of a right that somebody took away.
                        | ErrorCode::CannotOpen
                        | ErrorCode::PermissionDenied
                        | ErrorCode::ReadOnly
                )
            ),
            Self::Io { .. } | Self::NoRoom { .. } | Self::Stopped => true,
            _ => false,
        }
    }
}

/// Lets work that can wait make room for work that cannot.
pub trait Pace: std::fmt::Debug + Send + Sync {
    /// Work begins now: what passed since the last rest was none.
    fn begin(&self);

    /// Called every some milliseconds of work; returns when the work may go on.
    fn rest(&self);
}

/// Work that nothing else waits for, as at the stop.
#[derive(Debug)]
pub struct WithoutRest;

impl Pace for WithoutRest {
    fn begin(&self) {}

    fn rest(&self) {}
}

/// Where the file is, and what is minded while it is worked on.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder.
    pub dir: PathBuf,
    /// The disk.
    pub fs: Arc<dyn Fs>,
    /// Octets of the disk that neither the file nor its journal nor its copies use.
    pub reserve_octets: u64,
    /// Set when the server stops: what takes long is broken off then.
    pub stop: Arc<AtomicBool>,
    /// How fast it is worked.
    pub pace: Arc<dyn Pace>,
}

impl Place {
    fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Whether to go on with what takes long.
    fn go_on(&self) -> Result<(), FoldedError> {
        self.pace.rest();
        if self.stop.load(Ordering::Acquire) {
            return Err(FoldedError::Stopped);
        }
        Ok(())
    }

    /// Whether the disk has room for so much. One that does not tell its room is taken to have it.
    fn room_for(&self, needed: u64) -> Result<(), FoldedError> {
        let Ok(space) = self.fs.space(&self.dir) else {
            return Ok(());
        };
        let free = space.free.saturating_sub(self.reserve_octets);
        if free < needed {
            return Err(FoldedError::NoRoom { needed, free });
        }
        Ok(())
    }

    /// To be asked between two parts of work that writes. Whatever the journal holds then, there is
    /// room to move it into the file, which may grow by all of it before the journal is emptied.
    fn may_write_on(&self) -> Result<(), FoldedError> {
        self.go_on()?;
        let strides = STRIDE_OCTETS.saturating_mul(2);
        self.room_for(strides.saturating_add(self.journal_octets()))
    }

    fn journal_octets(&self) -> u64 {
        // SQLite's locks are on the other two files: to open this one lets go of none.
        let journal = self.dir.join(format!("{FILE}-wal"));
        let journal = self.fs.open(&journal, FileAccess::Read);
        journal.and_then(|file| file.len()).unwrap_or(0)
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
    /// The first frame that the log has: its beginning is gone, and so is what only that told.
    /// Health, meters and alarms come back as terminals tell them again; what was done before does
    /// not.
    Gap,
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
    place: Place,
}

impl Folded {
    /// Takes up the file in a folder: as it is if it is good, else from its latest copy, else from
    /// what the log has, which goes from `first` to `end`. Reads all of the file.
    ///
    /// # Errors
    ///
    /// [`FoldedError`] if no file can be made or moved aside.
    pub fn take_up(place: &Place, (first, end): (Lsn, Lsn)) -> Result<TakenUp, FoldedError> {
        let mut aside = Vec::new();
        let best = best_of(place, (first, end), &mut aside)?;
        let ((connection, meta), origin) = match best {
            Some(best) => best,
            None => {
                file::remove_beside(&place.path(), &*place.fs)?;
                (file::create(&place.path(), &*place.fs)?, Origin::Log)
            }
        };
        let mut folded = Self {
            connection,
            meta,
            place: place.clone(),
        };
        let origin = if meta.position >= first {
            origin
        } else {
            folded.go_on_from(first)?;
            Origin::Gap
        };
        Ok(TakenUp {
            folded,
            origin,
            aside,
        })
    }

    /// Passes over what the log has forgotten.
    fn go_on_from(&mut self, first: Lsn) -> Result<(), FoldedError> {
        let mut nothing = Delta::new(self.meta, Zone::JAPAN);
        nothing.note_position(first);
        self.apply(&mut nothing)
    }

    /// How far the log is folded.
    #[must_use]
    pub const fn meta(&self) -> MetaRow {
        self.meta
    }

    /// Whether somebody took the file's name away.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(
            file::is_there(&self.place.path(), &*self.place.fs),
            Ok(false)
        )
    }

    /// Writes a delta, with the position that it ends at, and empties it.
    ///
    /// # Errors
    ///
    /// [`FoldedError`]; nothing of it was written then.
    pub fn apply(&mut self, delta: &mut Delta) -> Result<(), FoldedError> {
        if let Err(error) = write::apply(&mut self.connection, delta, &self.place) {
            if matches!(error, FoldedError::NoRoom { .. }) {
                // The journal holds what was written of it, and gives its room back. If it cannot,
                // the want of room is still what is to be told.
                move_pages(&self.connection).ok();
            }
            return Err(error);
        }
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
        if self.place.journal_octets() < JOURNAL_OCTETS {
            return Ok(());
        }
        move_pages(&self.connection)
    }

    /// Writes a copy beside the snapshots, durable and checked when this returns; earlier copies
    /// are removed. From it and the log after its position, the state is built again.
    ///
    /// # Errors
    ///
    /// [`FoldedError`]; earlier copies are there still, and nothing of this one.
    pub fn copy(&self) -> Result<Lsn, FoldedError> {
        let position = self.meta.position;
        file::write_copy(&self.connection, position, &self.place)?;
        Ok(position)
    }

    /// Writes the last delta, although the server stops, and closes the file with nothing left
    /// beside it.
    ///
    /// # Errors
    ///
    /// [`FoldedError`]; nothing is lost.
    pub fn finish(mut self, delta: &mut Delta) -> Result<(), FoldedError> {
        self.place.stop = Arc::default();
        self.place.pace = Arc::new(WithoutRest);
        let applied = self.apply(delta);
        move_pages(&self.connection)?;
        let closed = self.connection.close();
        closed.map_err(|(_, error)| FoldedError::Sql(error))?;
        applied
    }

    /// Closes the file and moves it aside for an error that is of it.
    ///
    /// # Errors
    ///
    /// [`FoldedError`] if it cannot be moved.
    pub fn give_up(self, cause: FoldedError) -> Result<Aside, FoldedError> {
        let Self {
            connection, place, ..
        } = self;
        drop(connection);
        let why = cause.suffix().unwrap_or(DAMAGED);
        let path = file::move_aside(&place.path(), why, &*place.fs)?;
        Ok(Aside { path, cause })
    }
}

/// Moves all pages of the journal into the file, and leaves the journal empty: one that kept its
/// length would hold room that alarms may need.
fn move_pages(connection: &Connection) -> Result<(), FoldedError> {
    // Somebody who reads holds pages back: the next time moves them.
    let pragma = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(pragma, (), |_| Ok(()))?;
    Ok(())
}

/// Removes what a process that ended left unfinished.
///
/// # Errors
///
/// If the folder cannot be read, or a file not be removed.
pub fn remove_unfinished(dir: &Path, fs: &dyn Fs) -> Result<(), FoldedError> {
    file::remove_unfinished(dir, fs)
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

/// A file, open, and how far it is folded.
type Found = (Connection, MetaRow);

/// The file as it is, or the copy that was put in its place for it: the one that goes the farthest
/// if none goes to the log's beginning.
fn best_of(
    place: &Place,
    (first, end): (Lsn, Lsn),
    aside: &mut Vec<Aside>,
) -> Result<Option<(Found, Origin)>, FoldedError> {
    let (path, fs) = (place.path(), &*place.fs);
    let live = open_or_aside(place, end, aside)?;
    let mut best = live.map(|found| (found, Origin::File));
    for (position, copy) in file::copies(&place.dir, fs)? {
        let reached = best.as_ref().map(|((_, meta), _)| meta.position);
        if reached.is_some_and(|reached| reached >= first) {
            break;
        }
        if reached.is_some_and(|reached| reached >= position) {
            continue;
        }
        if let Err(cause) = file::check_copy(&copy, position, end, fs) {
            if cause.is_of_the_moment() {
                return Err(cause);
            }
            let why = cause.suffix().unwrap_or(DAMAGED);
            let path = file::move_aside(&copy, why, fs)?;
            aside.push(Aside { path, cause });
            continue;
        }
        file::room_for_copy_of(&copy, place)?;
        drop(best.take());
        file::remove_beside(&path, fs)?;
        file::copy_file(&copy, &path, place)?;
        if let Some(found) = open_or_aside(place, end, aside)? {
            best = Some((found, Origin::Copy(position)));
        } else if let Some(last) = aside.last_mut() {
            // It is the copy that is no good, and retention must not go by it.
            fs.remove(&last.path).ok();
            let why = last.cause.suffix().unwrap_or(DAMAGED);
            last.path = file::move_aside(&copy, why, fs)?;
        }
    }
    Ok(best)
}

/// Opens the file if it is there and good; one that is not is moved aside.
fn open_or_aside(
    place: &Place,
    end: Lsn,
    aside: &mut Vec<Aside>,
) -> Result<Option<Found>, FoldedError> {
    let (path, fs) = (place.path(), &*place.fs);
    if !file::is_there(&path, fs)? {
        return Ok(None);
    }
    let opened = file::open(place).and_then(|(connection, meta)| {
        let position = meta.position;
        if position > end {
            return Err(FoldedError::Ahead { position, end });
        }
        Ok((connection, meta))
    });
    match opened {
        Ok(found) => Ok(Some(found)),
        Err(cause) if cause.is_of_the_moment() => Err(cause),
        Err(cause) => {
            let why = cause.suffix().unwrap_or(DAMAGED);
            let path = file::move_aside(&path, why, fs)?;
            aside.push(Aside { path, cause });
            Ok(None)
        }
    }
}
