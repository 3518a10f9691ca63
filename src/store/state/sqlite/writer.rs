//! The one writer of the database: opens it, builds it again if it is lost, and takes passes.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::pass::{Pass, PassError};
use super::rows::{MeterRow, Registered, TerminalRow};
use super::{schema, table};
use crate::model::Lsn;
use crate::model::step::Observation;
use crate::store::fs::Fs;
use crate::store::log::{CommitLog, ReadError};
use crate::store::state::fold::State;
use crate::store::state::hot::{HotEntry, MeterTrack};
use crate::store::state::table::SHARDS;

/// Frames of one pass at most.
const PASS_FRAMES: usize = 200_000;
/// Octets of the log that one pass reads, at most and about.
const PASS_BYTES: u64 = 64 << 20;
const BATCH_BYTES: usize = 1 << 20;

/// Why the database was built again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rebuilt {
    /// There was no file.
    Missing,
    /// The file cannot be used as it is.
    Broken(String),
    /// Another server's tables.
    OtherVersion(i64),
    /// It stands at a position that the log does not hold.
    Elsewhere(Lsn),
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the state database is built again from the log: ")?;
        match self {
            Self::Missing => f.write_str("there was none"),
            Self::Broken(why) => write!(f, "it was broken ({why})"),
            Self::OtherVersion(version) => write!(f, "it had version {version}"),
            Self::Elsewhere(position) => {
                write!(f, "it stood at {position}, which the log does not hold")
            }
        }
    }
}

/// Why the database did not go on.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The database.
    #[error("the state database {} cannot be written: {cause}", path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rusqlite::Error,
    },
    /// The file.
    #[error("the state database {} cannot be made: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The log.
    #[error("the state database cannot read the log")]
    Log(#[from] ReadError),
    /// A frame.
    #[error(transparent)]
    Frame(#[from] PassError),
}

impl WriterError {
    /// Whether opening the database again, and so building it again, may help.
    #[must_use]
    pub fn is_broken_file(&self) -> bool {
        match self {
            Self::Sql { cause, .. } => matches!(
                cause.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            Self::Log(cause) => matches!(cause, ReadError::Gone { .. }),
            Self::Io { .. } | Self::Frame(_) => false,
        }
    }
}

/// What one pass did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PassDone {
    /// Frames that it took in.
    pub frames: usize,
    /// Whether it ended at the end of the log.
    pub at_end: bool,
}

/// The writer.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    connection: Connection,
    applied: Lsn,
}

impl Writer {
    /// Opens the database in the folder of state, or builds it again as far as there is no log: of
    /// terminals whose frames are dropped, what the hot table knows. Tells whether it had to.
    ///
    /// # Errors
    ///
    /// [`WriterError`].
    pub fn open(
        dir: &Path,
        fs: &dyn Fs,
        log: &CommitLog,
        state: &State,
    ) -> Result<(Self, Option<Rebuilt>), WriterError> {
        let path = schema::path(dir);
        let why = match Self::open_existing(dir, log) {
            Ok(writer) => return Ok((writer, None)),
            Err(why) => why,
        };
        let io_failed = |cause| WriterError::Io {
            path: path.clone(),
            cause,
        };
        fs.create_dir_all(dir).map_err(io_failed)?;
        schema::remove(dir, fs).map_err(io_failed)?;
        // Made here and not by SQLite, so that only its owner can read it.
        drop(fs.create(&path).map_err(io_failed)?);
        fs.sync_dir(dir).map_err(io_failed)?;
        let sql_failed = |cause| WriterError::Sql {
            path: path.clone(),
            cause,
        };
        let mut connection = schema::open_to_write(dir).map_err(sql_failed)?;
        schema::create(&connection).map_err(sql_failed)?;
        let applied = log.first();
        if applied > Lsn::ZERO {
            seed(&mut connection, state, applied).map_err(sql_failed)?;
        }
        let is_news = why != Rebuilt::Missing || !log.reader(applied).next_batch(1)?.is_empty();
        let writer = Self {
            path,
            connection,
            applied,
        };
        Ok((writer, is_news.then_some(why)))
    }

    fn open_existing(dir: &Path, log: &CommitLog) -> Result<Self, Rebuilt> {
        let broken = |cause: rusqlite::Error| match cause.sqlite_error_code() {
            Some(ErrorCode::CannotOpen) => Rebuilt::Missing,
            _ => Rebuilt::Broken(cause.to_string()),
        };
        let connection = schema::open_to_write(dir).map_err(broken)?;
        let version = schema::version(&connection).map_err(broken)?;
        if version != schema::VERSION {
            return Err(Rebuilt::OtherVersion(version));
        }
        if !schema::is_whole(&connection).map_err(broken)? {
            return Err(Rebuilt::Broken("SQLite finds damage".to_owned()));
        }
        let applied = table::applied(&connection).map_err(broken)?;
        if applied < log.first() || applied > log.durable_end() {
            return Err(Rebuilt::Elsewhere(applied));
        }
        Ok(Self {
            path: schema::path(dir),
            connection,
            applied,
        })
    }

    /// The position of the log up to which everything is in it.
    #[must_use]
    pub const fn applied(&self) -> Lsn {
        self.applied
    }

    /// Takes one bounded stretch of the log in.
    ///
    /// # Errors
    ///
    /// [`WriterError`]; nothing of the stretch is in the database then.
    pub fn pass(&mut self, log: &CommitLog) -> Result<PassDone, WriterError> {
        let mut reader = log.reader(self.applied);
        let mut pass = Pass::default();
        let mut at_end = false;
        while pass.frames < PASS_FRAMES
            && reader.position().saturating_since(self.applied) < PASS_BYTES
        {
            let batch = reader.next_batch(BATCH_BYTES)?;
            at_end = batch.is_empty();
            if at_end {
                break;
            }
            for frame in batch.iter() {
                pass.take(frame.lsn, frame.kind, frame.terminal, frame.payload)?;
            }
        }
        let (frames, position) = (pass.frames, reader.position());
        if frames > 0 {
            table::apply(&mut self.connection, pass, position).map_err(|cause| {
                WriterError::Sql {
                    path: self.path.clone(),
                    cause,
                }
            })?;
        }
        self.applied = position;
        Ok(PassDone { frames, at_end })
    }

    /// Takes passes until it is at the end of the log.
    ///
    /// # Errors
    ///
    /// [`WriterError`].
    pub fn catch_up(&mut self, log: &CommitLog) -> Result<(), WriterError> {
        while !self.pass(log)?.at_end {}
        Ok(())
    }
}

/// Writes what the hot table knows of every terminal.
fn seed(connection: &mut Connection, state: &State, applied: Lsn) -> rusqlite::Result<()> {
    let utilities: Vec<_> = {
        let directory = state.directory();
        let octets = directory.utilities.iter().map(|utility| utility.octets());
        octets.collect()
    };
    for shard in 0..SHARDS {
        let mut pass = Pass::default();
        state.table.show_shard(shard, |hot, further| {
            let utility = utilities.get(usize::from(hot.utility.get()));
            let row = TerminalRow {
                registered: utility.map(|utility| {
                    Box::new(Registered {
                        utility: *utility,
                        customer: None,
                    })
                }),
                ..hot_row(hot)
            };
            pass.terminals.insert(hot.id, row);
            for track in further
                .iter()
                .chain([&hot.meter])
                .filter(|track| track.used)
            {
                pass.meters.insert((hot.id, track.meter), meter_of(track));
            }
        });
        table::apply(connection, pass, applied)?;
    }
    Ok(())
}

fn hot_row(hot: &HotEntry) -> TerminalRow {
    TerminalRow {
        mode: Some(hot.pinned.mode.number()),
        is_registered: Some(hot.pinned.registered),
        last_contact_utc_s: hot.last_contact_utc_s,
        position: hot.applied,
        ..TerminalRow::default()
    }
}

fn meter_of(track: &MeterTrack) -> MeterRow {
    let mut row = MeterRow::default();
    row.observe(&Observation {
        meter: track.meter,
        unit: track.unit,
        bound: track.bound,
        at_utc_s: track.at_utc_s,
        register: track.register,
    });
    row
}
