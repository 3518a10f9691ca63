//! Rows as cells: how a row is written, read, and checked.
//!
//! SQLite tells a torn page from a whole one, but not a flipped octet in a value. So each row ends
//! in a check over all of its cells, and a row whose check does not hold is never shown.

use rusqlite::types::Value;
use rusqlite::{Connection, Row as SqlRow, Statement, params_from_iter};

use super::FoldedError;
use crate::model::{Lsn, TerminalId};

/// A table as its rows see it. Its last column, after these, is `row_check`.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    /// How many of the first columns are the key.
    pub(super) keys: usize,
}

/// What is kept as a row.
pub(super) trait Row: Sized {
    const TABLE: Table;

    /// Writes the cells in the order of the columns.
    fn put(&self, cells: &mut Cells);

    /// Reads the cells; none if one of them is not what [`Self::put`] writes.
    fn take(cells: &mut Taker<'_>) -> Option<Self>;
}

/// The cells of a row.
#[derive(Debug, Default)]
pub(super) struct Cells(pub(super) Vec<Value>);

impl Cells {
    pub(super) fn int(&mut self, value: impl Into<i64>) {
        self.0.push(Value::Integer(value.into()));
    }

    pub(super) fn option(&mut self, value: Option<impl Into<i64>>) {
        let cell = value.map_or(Value::Null, |value| Value::Integer(value.into()));
        self.0.push(cell);
    }

    pub(super) fn text(&mut self, value: Option<&str>) {
        let cell = value.map_or(Value::Null, |text| Value::Text(text.to_owned()));
        self.0.push(cell);
    }

    pub(super) fn position(&mut self, value: Lsn) {
        self.int(position_cell(value));
    }

    pub(super) fn terminal(&mut self, id: TerminalId) {
        self.int(i64::from_be_bytes(id.octets()));
    }
}

/// A position as a cell. No log reaches 2^63 octets.
pub(super) fn position_cell(position: Lsn) -> i64 {
    i64::try_from(position.get()).unwrap_or(i64::MAX)
}

/// The cells of a row that is read, from the first to the last.
#[derive(Debug)]
pub(super) struct Taker<'a>(std::slice::Iter<'a, Value>);

impl Taker<'_> {
    pub(super) fn int<T: TryFrom<i64>>(&mut self) -> Option<T> {
        match self.0.next()? {
            Value::Integer(value) => T::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(super) fn option<T: TryFrom<i64>>(&mut self) -> Option<Option<T>> {
        match self.0.next()? {
            Value::Null => Some(None),
            Value::Integer(value) => T::try_from(*value).ok().map(Some),
            _ => None,
        }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.int::<u8>().map(|value| value != 0)
    }

    pub(super) fn text(&mut self) -> Option<Option<String>> {
        match self.0.next()? {
            Value::Null => Some(None),
            Value::Text(text) => Some(Some(text.clone())),
            _ => None,
        }
    }

    pub(super) fn position(&mut self) -> Option<Lsn> {
        self.int().map(Lsn::new)
    }

    pub(super) fn terminal(&mut self) -> Option<TerminalId> {
        let id: i64 = self.int()?;
        Some(TerminalId::new(id.to_be_bytes()))
    }
}

/// CRC-32C over the table's name and all cells.
fn check_of(table: &str, cells: &[Value]) -> i64 {
    let mut octets = Vec::with_capacity(256);
    octets.extend_from_slice(table.as_bytes());
    for cell in cells {
        match cell {
            Value::Null => octets.push(0),
            Value::Integer(value) => {
                octets.push(1);
                octets.extend_from_slice(&value.to_le_bytes());
            }
            Value::Text(text) => put_octets(&mut octets, 2, text.as_bytes()),
            Value::Blob(blob) => put_octets(&mut octets, 3, blob),
            Value::Real(value) => put_octets(&mut octets, 4, &value.to_le_bytes()),
        }
    }
    i64::from(crc32c::crc32c(&octets))
}

fn put_octets(out: &mut Vec<u8>, tag: u8, octets: &[u8]) {
    out.push(tag);
    let len = u64::try_from(octets.len()).unwrap_or(u64::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(octets);
}

/// `column, …, row_check` of a table, for a query.
pub(super) fn columns_of<R: Row>() -> String {
    format!("{}, row_check", R::TABLE.columns.join(", "))
}

/// Reads a row that was selected with [`columns_of`] first, and checks it.
pub(super) fn read<R: Row>(row: &SqlRow<'_>) -> Result<R, FoldedError> {
    let count = R::TABLE.columns.len();
    let mut cells = Vec::with_capacity(count);
    for column in 0..count {
        cells.push(row.get::<_, Value>(column)?);
    }
    let told: Value = row.get(count)?;
    let damaged = || FoldedError::Row(R::TABLE.name);
    if told != Value::Integer(check_of(R::TABLE.name, &cells)) {
        return Err(damaged());
    }
    R::take(&mut Taker(cells.iter())).ok_or_else(damaged)
}

/// The statements on one table.
#[derive(Debug)]
pub(super) struct Access<'c> {
    select: Statement<'c>,
    replace: Statement<'c>,
    cells: Cells,
}

impl<'c> Access<'c> {
    pub(super) fn new<R: Row>(connection: &'c Connection) -> Result<Self, FoldedError> {
        let Table {
            name,
            columns,
            keys,
        } = R::TABLE;
        let of_key: Vec<String> = columns
            .iter()
            .take(keys)
            .map(|key| format!("{key} = ?"))
            .collect();
        let (all, of_key) = (columns_of::<R>(), of_key.join(" AND "));
        let places = vec!["?"; columns.len() + 1].join(", ");
        let select = format!("SELECT {all} FROM {name} WHERE {of_key}");
        let replace = format!("REPLACE INTO {name} ({all}) VALUES ({places})");
        Ok(Self {
            select: connection.prepare(&select)?,
            replace: connection.prepare(&replace)?,
            cells: Cells::default(),
        })
    }

    /// The row of a key.
    pub(super) fn get<R: Row>(&mut self, key: &[i64]) -> Result<Option<R>, FoldedError> {
        let mut rows = self.select.query(params_from_iter(key))?;
        rows.next()?.map(read).transpose()
    }

    /// Puts a row in place of one with its key.
    pub(super) fn put<R: Row>(&mut self, row: &R) -> Result<(), FoldedError> {
        self.cells.0.clear();
        row.put(&mut self.cells);
        let check = check_of(R::TABLE.name, &self.cells.0);
        self.cells.int(check);
        self.replace.execute(params_from_iter(&self.cells.0))?;
        Ok(())
    }
}
