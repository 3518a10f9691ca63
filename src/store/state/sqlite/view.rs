//! Reading the database: everything that one [`View`] gives is of one position of the log.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::rows::{AlarmKey, AlarmRow, MeterRow, TerminalRow};
use super::schema;
use super::table::{
    self, ALARM_COLUMNS, METER_COLUMNS, TERMINAL_COLUMNS, alarm_key, alarm_row, meter_row,
    terminal_id, terminal_row,
};
use crate::keyring::UtilityId;
use crate::model::{Lsn, TerminalId};

/// Why the database was not read.
#[derive(Debug, thiserror::Error)]
#[error("the state database cannot be read; it is built again from the log if it is broken")]
pub struct ViewError(#[from] rusqlite::Error);

/// An item of quarantine as it is shown.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct QuarantineView {
    /// The frame that it is in.
    pub position: Lsn,
    /// Its place in the frame.
    pub item: u16,
    /// Its terminal.
    pub terminal: TerminalId,
    /// When it was received, UTC seconds.
    pub received_utc_s: u32,
    /// The number of its type, 0 for a whole frame.
    pub number: u8,
    /// Its record sequence, 0 if that cannot be read.
    pub sequence: u32,
    /// `conflict`, `undecodable` or `unreadable`.
    pub kind: String,
    /// Why, in words.
    pub reason: String,
}

/// The database as it stands at one position.
#[derive(Debug)]
pub struct View {
    connection: Connection,
    position: Lsn,
}

impl View {
    /// Opens the database of a folder of state.
    ///
    /// # Errors
    ///
    /// [`ViewError`].
    pub fn open(dir: &Path) -> Result<Self, ViewError> {
        let connection = schema::open_to_read(dir)?;
        // A read transaction, so that all that is read is of one moment.
        connection.execute_batch("BEGIN")?;
        let position = table::applied(&connection)?;
        Ok(Self {
            connection,
            position,
        })
    }

    /// The position of the log up to which everything is in it.
    #[must_use]
    pub const fn position(&self) -> Lsn {
        self.position
    }

    /// What is known of a terminal.
    ///
    /// # Errors
    ///
    /// [`ViewError`].
    pub fn terminal(&self, terminal: TerminalId) -> Result<Option<TerminalRow>, ViewError> {
        let query = format!("SELECT {TERMINAL_COLUMNS} FROM terminals WHERE terminal = ?1");
        let mut query = self.connection.prepare_cached(&query)?;
        let row = query.query_row([terminal.octets()], |row| terminal_row(row, 0));
        Ok(row.optional()?)
    }

    /// Registered terminals in the order of their identities, from the first after `after`, of one
    /// utility or of all.
    ///
    /// # Errors
    ///
    /// [`ViewError`].
    pub fn terminals(
        &self,
        utility: Option<UtilityId>,
        after: Option<TerminalId>,
        limit: u32,
    ) -> Result<Vec<(TerminalId, TerminalRow)>, ViewError> {
        let query = format!(
            "SELECT terminal, {TERMINAL_COLUMNS} FROM terminals
             WHERE terminal > ?1 AND registered AND (?2 IS NULL OR utility = ?2)
             ORDER BY terminal LIMIT ?3"
        );
        let mut query = self.connection.prepare_cached(&query)?;
        let after = after.map_or_else(Vec::new, |after| after.octets().to_vec());
        let utility = utility.map(UtilityId::octets);
        let rows = query.query_map(params![after, utility, limit], |row| {
            Ok((terminal_id(row, 0)?, terminal_row(row, 1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is known of the meters of a terminal, by slot and generation.
    ///
    /// # Errors
    ///
    /// [`ViewError`].
    pub fn meters(&self, terminal: TerminalId) -> Result<Vec<(u8, MeterRow)>, ViewError> {
        let query =
            format!("SELECT meter, {METER_COLUMNS} FROM meters WHERE terminal = ?1 ORDER BY meter");
        let mut query = self.connection.prepare_cached(&query)?;
        let rows = query.query_map([terminal.octets()], |row| {
            Ok((row.get(0)?, meter_row(row, 1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The alarms of a terminal, closed ones too.
    ///
    /// # Errors
    ///
    /// [`ViewError`].
    pub fn alarms(&self, terminal: TerminalId) -> Result<Vec<(AlarmKey, AlarmRow)>, ViewError> {
        let query =
            format!("SELECT meter, alarm, code, {ALARM_COLUMNS} FROM alarms WHERE terminal = ?1");
        let mut query = self.connection.prepare_cached(&query)?;
        let rows = query.query_map([terminal.octets()], |row| {
            Ok((alarm_key(row, 0)?, alarm_row(row, 3)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many alarms are open.
    ///
    /// # Errors
    ///
    /// [`ViewError`].
    pub fn open_alarm_count(&self) -> Result<u64, ViewError> {
        let query = "SELECT count(*) FROM alarms WHERE seen > cleared";
        let count: i64 = self.connection.query_row(query, [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// What is in quarantine, the newest first.
    ///
    /// # Errors
    ///
    /// [`ViewError`].
    pub fn quarantine(&self, limit: u32) -> Result<Vec<QuarantineView>, ViewError> {
        let mut query = self.connection.prepare_cached(
            "SELECT position, item, terminal, received, number, sequence, kind, reason
             FROM quarantine ORDER BY position DESC, item LIMIT ?1",
        )?;
        let rows = query.query_map([limit], |row| {
            let position: i64 = row.get(0)?;
            Ok(QuarantineView {
                position: Lsn::new(u64::try_from(position).unwrap_or(0)),
                item: row.get(1)?,
                terminal: terminal_id(row, 2)?,
                received_utc_s: row.get(3)?,
                number: row.get(4)?,
                sequence: row.get(5)?,
                kind: row.get(6)?,
                reason: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
