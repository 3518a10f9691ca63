//! The file: made, opened and checked, moved aside if it is no good, and copied.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::cells::{Access, Row, columns_of, read};
use super::meter_rows::{AlarmRow, MeterRow};
use super::rows::{AuditRow, HealthRow, MetaRow};
use super::schema::{APPLICATION_ID, SCHEMA, TABLES};
use super::{FoldedError, Place, STRIDE_OCTETS};
use crate::model::Lsn;
use crate::store::fs::{Access as FileAccess, Fs};

/// The name of the file in the folder of state.
pub const FILE: &str = "folded.sqlite";
const COPY_PREFIX: &str = "folded-";
const COPY_SUFFIX: &str = ".sqlite";
const NEW_SUFFIX: &str = ".new";
/// What belongs to a file of SQLite beside it.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// Octets that are copied in one go, and how many pages they are.
const COPY_OCTETS: usize = 1 << 20;
const COPY_PAGES: i32 = 256;
/// How long to wait for pages that somebody holds.
const COPY_PAUSE: Duration = Duration::from_millis(10);
/// Rows that are checked between two looks whether the server stops.
const ROWS_AT_ONCE: u32 = 1_024;
const BUSY: Duration = Duration::from_secs(5);
/// Octets of page cache of the writer, as SQLite counts: negative KiB.
const CACHE_KIB: i32 = -16_384;

/// The name of a copy that ends at a position.
fn copy_name(position: Lsn) -> String {
    format!("{COPY_PREFIX}{:020}{COPY_SUFFIX}", position.get())
}

fn position_of_copy(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix(COPY_PREFIX)?.strip_suffix(COPY_SUFFIX)?;
    let is_plain = digits.len() == 20 && digits.bytes().all(|octet| octet.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain).map(Lsn::new)
}

fn io_of(path: &Path) -> impl FnOnce(io::Error) -> FoldedError {
    let path = path.to_owned();
    move |cause| FoldedError::Io { path, cause }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, FoldedError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> Result<(), FoldedError> {
    // NORMAL: after a power cut the file is whole, and its position says how far it is. The syncs
    // come with checkpoints, which are made when there is much to move and never by chance.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// Whether a file is in its folder. One that SQLite may have open is never opened to find out:
/// closing it would let go of all locks that this process has on it.
pub(super) fn is_there(path: &Path, fs: &dyn Fs) -> Result<bool, FoldedError> {
    let dir = path.parent().unwrap_or(path);
    let names = fs.list(dir).map_err(io_of(dir))?;
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(names.iter().any(|one| Some(one.as_str()) == name))
}

/// Makes a file with empty tables that nothing is folded into. Only its owner may read it.
pub(super) fn create(path: &Path, fs: &dyn Fs) -> Result<(Connection, MetaRow), FoldedError> {
    // SQLite gives the files beside it the same mode.
    fs.create(path).map_err(io_of(path))?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    set_up(&connection)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    let meta = MetaRow::default();
    Access::new::<MetaRow>(&transaction)?.put(&meta)?;
    transaction.commit()?;
    Ok((connection, meta))
}

/// Opens a file and checks it: SQLite's own check, and then each row. Reads all of it.
pub(super) fn open(place: &Place) -> Result<(Connection, MetaRow), FoldedError> {
    let connection = connect(&place.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check(&connection)?;
    place.go_on()?;
    // A key that is flipped within its order is a good key to SQLite.
    check_rows::<HealthRow>(&connection, place)?;
    check_rows::<MeterRow>(&connection, place)?;
    check_rows::<AlarmRow>(&connection, place)?;
    check_rows::<AuditRow>(&connection, place)?;
    set_up(&connection)?;
    let meta = meta_of(&connection)?;
    Ok((connection, meta))
}

fn check_rows<R: Row>(connection: &Connection, place: &Place) -> Result<(), FoldedError> {
    let (columns, table) = (columns_of::<R>(), R::TABLE.name);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table}"))?;
    let mut rows = statement.query(())?;
    let mut number = 0_u32;
    while let Some(row) = rows.next()? {
        read::<R>(row)?;
        number = number.wrapping_add(1);
        if number.is_multiple_of(ROWS_AT_ONCE) {
            place.go_on()?;
        }
    }
    Ok(())
}

/// Opens a file that somebody else writes, to ask it something.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, FoldedError> {
    if !path.exists() {
        return Err(FoldedError::NotYet);
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    check_kind(&connection)?;
    Ok(connection)
}

/// How far a file is folded.
pub(super) fn meta_of(connection: &Connection) -> Result<MetaRow, FoldedError> {
    let meta = Access::new::<MetaRow>(connection)?.get(&[1])?;
    meta.ok_or(FoldedError::Row("meta"))
}

fn check_kind(connection: &Connection) -> Result<(), FoldedError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    judge_kind(number("application_id")?, number("user_version")?)
}

const fn judge_kind(application_id: i32, user_version: i32) -> Result<(), FoldedError> {
    match (application_id, user_version) {
        (APPLICATION_ID, SCHEMA) => Ok(()),
        (APPLICATION_ID, version) => Err(FoldedError::Schema(version)),
        _ => Err(FoldedError::NotOurs),
    }
}

fn check(connection: &Connection) -> Result<(), FoldedError> {
    check_kind(connection)?;
    let found: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get::<_, String>(0))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(FoldedError::Damaged(found))
    }
}

/// Moves a file aside, with what is beside it. An older one of the same kind makes room.
pub(super) fn move_aside(path: &Path, why: &str, fs: &dyn Fs) -> Result<PathBuf, FoldedError> {
    let aside = with_suffix(path, &format!(".{why}"));
    for suffix in BESIDE {
        // Without its journal a file aside shows an older state, which nobody goes by.
        remove_if_there(&with_suffix(path, suffix), fs)?;
    }
    match fs.rename(path, &aside) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(io_of(path)(cause)),
        _ => Ok(aside),
    }
}

fn remove_if_there(path: &Path, fs: &dyn Fs) -> Result<(), FoldedError> {
    match fs.remove(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(io_of(path)(cause)),
        _ => Ok(()),
    }
}

/// Removes what is beside a file that is not there.
pub(super) fn remove_beside(path: &Path, fs: &dyn Fs) -> Result<(), FoldedError> {
    let beside = BESIDE.iter().map(|suffix| with_suffix(path, suffix));
    beside
        .into_iter()
        .try_for_each(|path| remove_if_there(&path, fs))
}

/// The copies in a folder, the latest first.
pub(super) fn copies(dir: &Path, fs: &dyn Fs) -> Result<Vec<(Lsn, PathBuf)>, FoldedError> {
    let names = fs.list(dir).map_err(io_of(dir))?;
    let of_name = |name: &String| Some((position_of_copy(name)?, dir.join(name)));
    let mut copies: Vec<(Lsn, PathBuf)> = names.iter().filter_map(of_name).collect();
    copies.sort_by(|a, b| b.cmp(a));
    Ok(copies)
}

/// Where in its header a file of SQLite has the two numbers of [`check_kind`].
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;

/// Whether a copy, which nobody has open, is worth copying, as far as its first octets tell.
pub(super) fn check_copy(
    copy: &Path,
    position: Lsn,
    end: Lsn,
    fs: &dyn Fs,
) -> Result<(), FoldedError> {
    if position > end {
        return Err(FoldedError::Ahead { position, end });
    }
    let mut header = [0; 72];
    let file = fs.open(copy, FileAccess::Read).map_err(io_of(copy))?;
    file.read_at(0, &mut header).map_err(io_of(copy))?;
    let number = |at: usize| {
        let octets = header.get(at..).and_then(|rest| rest.first_chunk());
        octets.map_or(0, |octets| i32::from_be_bytes(*octets))
    };
    judge_kind(number(APPLICATION_ID_AT), number(USER_VERSION_AT))
}

/// Whether there is room for what [`copy_file`] makes.
pub(super) fn room_for_copy_of(from: &Path, place: &Place) -> Result<(), FoldedError> {
    let source = place.fs.open(from, FileAccess::Read);
    let octets = source.and_then(|file| file.len()).map_err(io_of(from))?;
    place.room_for(octets)
}

/// Copies a copy, which nobody has open, durably, and puts it in the place of a file.
pub(super) fn copy_file(from: &Path, to: &Path, place: &Place) -> Result<(), FoldedError> {
    let new = with_suffix(to, NEW_SUFFIX);
    remove_if_there(&new, &*place.fs)?;
    finish_new(&new, to, place, copy_octets(from, &new, place))
}

fn copy_octets(from: &Path, new: &Path, place: &Place) -> Result<(), FoldedError> {
    let source = place.fs.open(from, FileAccess::Read).map_err(io_of(from))?;
    let target = place.fs.create(new).map_err(io_of(new))?;
    let mut block = vec![0; COPY_OCTETS];
    let mut at = 0;
    loop {
        place.may_write_on()?;
        let read = source.read_at(at, &mut block).map_err(io_of(from))?;
        let octets = block.get(..read).unwrap_or_default();
        if octets.is_empty() {
            break;
        }
        target.write_all_at(at, octets).map_err(io_of(new))?;
        at = at.saturating_add(u64::try_from(read).unwrap_or(0));
    }
    target.sync_data().map_err(io_of(new))
}

/// Gives what was written its name, durably; what was not written whole is removed, for it takes
/// room that alarms may need.
fn finish_new(
    new: &Path,
    to: &Path,
    place: &Place,
    written: Result<(), FoldedError>,
) -> Result<(), FoldedError> {
    let fs = &*place.fs;
    let named = written.and_then(|()| fs.rename(new, to).map_err(io_of(to)));
    if named.is_err() {
        remove_unfinished(&place.dir, fs).ok();
    }
    named?;
    fs.sync_dir(&place.dir).map_err(io_of(&place.dir))
}

/// Removes files that were begun and not finished.
pub(super) fn remove_unfinished(dir: &Path, fs: &dyn Fs) -> Result<(), FoldedError> {
    let unfinished = format!("{COPY_SUFFIX}{NEW_SUFFIX}");
    for name in fs.list(dir).map_err(io_of(dir))? {
        if name.starts_with("folded") && name.contains(&unfinished) {
            remove_if_there(&dir.join(name), fs)?;
        }
    }
    Ok(())
}

/// Writes a copy of what is folded up to `position`, durable and checked when this returns, and
/// removes those before it.
pub(super) fn write_copy(
    connection: &Connection,
    position: Lsn,
    place: &Place,
) -> Result<(), FoldedError> {
    let (dir, fs) = (&place.dir, &*place.fs);
    remove_unfinished(dir, fs)?;
    place.room_for(octets_of(connection)?.saturating_add(STRIDE_OCTETS))?;
    let path = dir.join(copy_name(position));
    let new = with_suffix(&path, NEW_SUFFIX);
    let written = copy_pages(connection, position, &new, place);
    finish_new(&new, &path, place, written)?;
    for (_, old) in copies(dir, fs)?.iter().filter(|(of, _)| *of != position) {
        remove_if_there(old, fs)?;
    }
    Ok(())
}

/// The octets of a database.
fn octets_of(connection: &Connection) -> Result<u64, FoldedError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let octets = number("page_count")?.saturating_mul(number("page_size")?);
    Ok(u64::try_from(octets).unwrap_or(0))
}

fn copy_pages(
    connection: &Connection,
    position: Lsn,
    new: &Path,
    place: &Place,
) -> Result<(), FoldedError> {
    let fs = &*place.fs;
    fs.create(new).map_err(io_of(new))?;
    let mut target = connect(new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    target.pragma_update(None, "synchronous", "OFF")?;
    {
        let backup = Backup::new(connection, &mut target)?;
        loop {
            // The log takes room meanwhile.
            place.may_write_on()?;
            match backup.step(COPY_PAGES)? {
                StepResult::Done => break,
                StepResult::Busy | StepResult::Locked => std::thread::sleep(COPY_PAUSE),
                _ => {}
            }
        }
    }
    check(&target)?;
    let found = meta_of(&target)?;
    drop(target);
    remove_beside(new, fs)?;
    if found.position != position {
        return Err(FoldedError::Row("meta"));
    }
    let file = fs.open(new, FileAccess::ReadWrite).map_err(io_of(new))?;
    file.sync_data().map_err(io_of(new))
}
