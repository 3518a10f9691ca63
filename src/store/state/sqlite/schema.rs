//! The tables, and opening the file that holds them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::fs::Fs;

/// The version of the tables, `user_version` of the file.
pub(super) const VERSION: i64 = 1;
/// How long a connection waits for another one's lock. Only the writer writes, so this is for the
/// moments of a checkpoint.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE applied(id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL);
INSERT INTO applied VALUES (1, 0);
CREATE TABLE terminals(
    terminal BLOB PRIMARY KEY,
    utility BLOB, customer TEXT, mode INTEGER, registered INTEGER,
    last_contact INTEGER NOT NULL, position INTEGER NOT NULL,
    health_rank INTEGER NOT NULL, battery_mv INTEGER, remaining_percent INTEGER,
    rsrp_dbm INTEGER, snr_db INTEGER, temperature_degc INTEGER,
    sends INTEGER NOT NULL, reset_cause INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE meters(
    terminal BLOB, meter INTEGER,
    measured_at INTEGER NOT NULL, register INTEGER NOT NULL, unit INTEGER NOT NULL,
    valve_rank INTEGER NOT NULL, valve INTEGER NOT NULL, valve_cause INTEGER NOT NULL,
    bound_rank INTEGER, serial TEXT, medium INTEGER, bound_unit INTEGER, digits INTEGER,
    PRIMARY KEY (terminal, meter)
) WITHOUT ROWID;
CREATE TABLE alarms(
    terminal BLOB, meter INTEGER, alarm INTEGER, code BLOB,
    raised INTEGER NOT NULL, seen INTEGER NOT NULL, cleared INTEGER NOT NULL,
    panel TEXT NOT NULL,
    PRIMARY KEY (terminal, meter, alarm, code)
) WITHOUT ROWID;
CREATE INDEX open_alarms ON alarms(seen) WHERE seen > cleared;
CREATE TABLE quarantine(
    position INTEGER, item INTEGER, terminal BLOB NOT NULL, received INTEGER NOT NULL,
    number INTEGER NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (position, item)
) WITHOUT ROWID;
";

/// The file in the folder of state.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("kenshin.sqlite")
}

/// Removes the file and what SQLite keeps beside it.
pub(super) fn remove(dir: &Path, fs: &dyn Fs) -> io::Result<()> {
    for name in ["kenshin.sqlite", "kenshin.sqlite-wal", "kenshin.sqlite-shm"] {
        match fs.remove(&dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Opens the file to write in it.
pub(super) fn open_to_write(dir: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path(dir), flags)?;
    connection.busy_timeout(BUSY)?;
    // What is lost at a power cut is folded in again from the log.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    Ok(connection)
}

/// Opens the file to read in it.
pub(super) fn open_to_read(dir: &Path) -> rusqlite::Result<Connection> {
    // Not read-only for the file system: a reader may be the first to open the shared index.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path(dir), flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA query_only = ON;")?;
    Ok(connection)
}

/// Makes the tables in an empty file.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

/// The version of the tables in a file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Whether SQLite finds the file whole.
pub(super) fn is_whole(connection: &Connection) -> rusqlite::Result<bool> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(answer == "ok")
}
