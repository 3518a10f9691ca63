//! Questions. Each answer says up to which position the log was folded when it was given.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::FoldedError;
use super::cells::{Access, Row, columns_of, position_cell, read};
use super::file::{self, FILE};
use super::meter_rows::{AlarmRow, MeterRow};
use super::rows::{AuditRow, HealthRow};
use crate::model::{Lsn, TerminalId};

/// Rows in one answer at most.
pub const ROWS_MAX: u32 = 1_000;

/// An answer, and the position before which all of the log is in it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Seen<T> {
    /// The position.
    pub position: Lsn,
    /// The answer.
    pub value: T,
}

/// Where a list of alarms goes on: after this terminal, meter, alarm and code.
pub type AlarmKey = (TerminalId, u8, u8, u16);

/// Where the audit goes on: before this position and number.
pub type AuditKey = (Lsn, u8);

/// Which entries of the audit; what is none does not matter.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditFilter {
    /// What happened.
    pub kind: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Not known to be older than this, UTC seconds.
    pub from_utc_s: Option<u32>,
    /// After a frame that was received before this, UTC seconds.
    pub to_utc_s: Option<u32>,
}

/// Asks a file that another thread folds. Clones share what they met: damage is told to that
/// thread, which takes the file up again.
#[derive(Clone, Debug)]
pub struct FoldedReader {
    path: PathBuf,
    doubt: Arc<Doubt>,
}

/// Which of the files that were taken up, one after the other, is doubted.
#[derive(Debug, Default)]
struct Doubt {
    taken_up: AtomicU64,
    doubted: AtomicU64,
}

impl FoldedReader {
    /// A reader of the file in a folder.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            path: dir.join(FILE),
            doubt: Arc::default(),
        }
    }

    /// Notes that a file was taken up: what is met in those before it is of no interest any more.
    pub fn note_taken_up(&self) {
        self.doubt.taken_up.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether somebody met damage in the file that was taken up last.
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        let doubted = self.doubt.doubted.load(Ordering::Acquire);
        doubted != 0 && doubted == self.doubt.taken_up.load(Ordering::Acquire)
    }

    /// Asks in one transaction, so that the position is that of the answer.
    fn ask<T>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, FoldedError>,
    ) -> Result<Seen<T>, FoldedError> {
        let asked = self.doubt.taken_up.load(Ordering::Acquire);
        let seen = file::open_to_read(&self.path).and_then(|mut connection| {
            let transaction = connection.transaction()?;
            let position = file::meta_of(&transaction)?.position;
            let value = ask(&transaction)?;
            Ok(Seen { position, value })
        });
        if seen.as_ref().is_err_and(FoldedError::is_damage) {
            self.doubt.doubted.store(asked, Ordering::Release);
        }
        seen
    }

    /// The health of a terminal; none if it has not told it.
    ///
    /// # Errors
    ///
    /// [`FoldedError`], if the file is being built again too.
    pub fn health(&self, terminal: TerminalId) -> Result<Seen<Option<HealthRow>>, FoldedError> {
        let key = i64::from_be_bytes(terminal.octets());
        self.ask(|connection| Access::new::<HealthRow>(connection)?.get(&[key]))
    }

    /// The meters of a terminal, 256 at most, by slot and generation.
    ///
    /// # Errors
    ///
    /// As [`Self::health`].
    pub fn meters(&self, terminal: TerminalId) -> Result<Seen<Vec<MeterRow>>, FoldedError> {
        let key = i64::from_be_bytes(terminal.octets());
        self.ask(|connection| {
            let rest = "WHERE terminal = ?1 ORDER BY meter LIMIT 256";
            rows(connection, rest, params![key])
        })
    }

    /// The alarms of a terminal that go on, [`ROWS_MAX`] at most.
    ///
    /// # Errors
    ///
    /// As [`Self::health`].
    pub fn alarms_of(&self, terminal: TerminalId) -> Result<Seen<Vec<AlarmRow>>, FoldedError> {
        let key = i64::from_be_bytes(terminal.octets());
        self.ask(|connection| {
            let rest = "WHERE is_open = 1 AND terminal = ?1 ORDER BY meter, alarm, code LIMIT ?2";
            rows(connection, rest, params![key, ROWS_MAX])
        })
    }

    /// The alarms that go on, by terminal, from the one after `after` on; `limit` of them, and
    /// [`ROWS_MAX`] at most. The last one's key is where the next page begins.
    ///
    /// # Errors
    ///
    /// As [`Self::health`].
    pub fn open_alarms(
        &self,
        after: Option<AlarmKey>,
        limit: u32,
    ) -> Result<Seen<Vec<AlarmRow>>, FoldedError> {
        self.ask(|connection| {
            let order = "ORDER BY terminal, meter, alarm, code LIMIT ?1";
            let limit = limit.min(ROWS_MAX);
            match after {
                None => rows(
                    connection,
                    &format!("WHERE is_open = 1 {order}"),
                    params![limit],
                ),
                Some((terminal, meter, alarm, code)) => {
                    let terminal = i64::from_be_bytes(terminal.octets());
                    let rest = "WHERE is_open = 1 \
                        AND (terminal, meter, alarm, code) > (?2, ?3, ?4, ?5)";
                    let values = params![limit, terminal, meter, alarm, code];
                    rows(connection, &format!("{rest} {order}"), values)
                }
            }
        })
    }

    /// What was done, the newest first, from before `before` on; `limit` entries, and [`ROWS_MAX`]
    /// at most.
    ///
    /// # Errors
    ///
    /// As [`Self::health`].
    pub fn audit(
        &self,
        wanted: &AuditFilter,
        before: Option<AuditKey>,
        limit: u32,
    ) -> Result<Seen<Vec<AuditRow>>, FoldedError> {
        let (position, number) = before.map_or((i64::MAX, u8::MAX), |(position, number)| {
            (position_cell(position), number)
        });
        self.ask(|connection| {
            let rest = "WHERE (position, number) < (?1, ?2) \
                AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR subject = ?5) \
                AND (?6 IS NULL OR after_utc_s >= ?6) AND (?7 IS NULL OR after_utc_s < ?7) \
                ORDER BY position DESC, number DESC LIMIT ?3";
            rows(
                connection,
                rest,
                params![
                    position,
                    number,
                    limit.min(ROWS_MAX),
                    wanted.kind,
                    wanted.subject,
                    wanted.from_utc_s,
                    wanted.to_utc_s
                ],
            )
        })
    }
}

/// The rows of a table, checked.
pub(super) fn rows<R: Row>(
    connection: &Connection,
    rest: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<R>, FoldedError> {
    let (columns, table) = (columns_of::<R>(), R::TABLE.name);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table} {rest}"))?;
    let mut found = statement.query(values)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(read(row)?);
    }
    Ok(rows)
}
