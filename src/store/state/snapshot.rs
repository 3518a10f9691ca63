//! Flat snapshots of the hot table and the directory: `hot-<20 digits>.snap`, where the digits are
//! the position in the log from which frames are folded in again.
//!
//! A snapshot is *fuzzy*: it is taken shard by shard while frames go on being folded. The position
//! is taken before the walk, and each entry says up to which frame it has seen the log, so that
//! folding from the position skips what an entry has seen already. Link masters are not in it:
//! keys stay in key files, and the directory has their states.
//!
//! The form of the file is in `block`, that of an entry in `entry`, that of customer numbers in
//! `customers`, that of M-Bus meters in `meters`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::fold::State;
use super::formats::UtilityFormats;
use super::hot::{HotEntry, MeterTrack};
use super::meters::MeterTable;
use super::table::{HotTable, SHARDS};
use crate::keyring::{LinkKeyring, UtilityId};
use crate::model::Lsn;
use crate::store::fs::{Access, Fs};
use crate::wire::mbus::app::FormatCatalog;

mod block;
mod customers;
mod entry;
mod meters;
#[cfg(test)]
mod tests;

use block::{BLOCK_MAX, BlockReader, BlockWriter, Counts, Kind};

/// The version of the files that are written.
const VERSION: u16 = 5;
/// The oldest version whose formats of compact frames are each utility's own, and whose meters have
/// floors of counters.
const MBUS_VERSION: u16 = 4;
/// The oldest version whose meters say what made room, and under which keys they sign.
const METERS_VERSION: u16 = 5;
/// The oldest version of files that are read: it knows no customer numbers.
const OLDEST_VERSION: u16 = 1;
/// What a file that could not be used is called from then on, so that it counts no more.
const DAMAGED_SUFFIX: &str = ".damaged";
const NEW_SUFFIX: &str = ".new";
/// Octets that a snapshot may need beside what is counted.
const BESIDE_OCTETS: u64 = 6 << 20;
/// Octets of a gateway with some ranges of addresses, at most.
const GATEWAY_OCTETS: u64 = 1 << 10;
/// Octets of a format of compact frames, at most.
const FORMAT_OCTETS: u64 = 5 + 253;
/// Octets of a mark of counters, at most.
const COUNTER_OCTETS: u64 = 48;

/// A snapshot that was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SnapshotInfo {
    /// Where folding goes on.
    pub position: Lsn,
    /// Terminals in it.
    pub terminals: u64,
    /// Its length in octets.
    pub octets: u64,
    /// The file.
    pub path: PathBuf,
}

/// Why a snapshot was not written. The ones before it are as they were.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk.
    #[error("cannot write the snapshot {}: {cause}", path.display())]
    Io {
        /// The file or the folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// There is no room but what is set aside for the log.
    #[error(
        "a snapshot needs {needed} octets, and the disk has {free} beyond the reserve: make room"
    )]
    NoRoom {
        /// Octets that it needs.
        needed: u64,
        /// Octets that are free, without the reserve.
        free: u64,
    },
    /// The directory has no form in JSON: a bug.
    #[error("the directory of utilities and sinks cannot be written")]
    Directory(#[source] serde_json::Error),
}

/// Why a snapshot file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk.
    #[error("it cannot be read: {0}")]
    Io(#[source] io::Error),
    /// It does not begin as one.
    #[error("it is no snapshot")]
    NotASnapshot,
    /// A later server wrote it.
    #[error("it has version {0}, and this server reads up to version {VERSION}")]
    Newer(u16),
    /// Its octets are not those that were written.
    #[error("it is damaged at octet {at} or after it")]
    Damaged {
        /// The offset of the block that is wrong.
        at: u64,
    },
}

/// A snapshot that was passed over for the one before it.
#[derive(Debug)]
pub struct PassedOver {
    /// The file, under the name that it had.
    pub path: PathBuf,
    /// Why.
    pub cause: FileError,
}

/// What [`load_latest`] found.
#[derive(Debug)]
pub struct Loaded {
    /// The state; without terminals if there is no usable snapshot.
    pub state: State,
    /// Where folding goes on; [`Lsn::ZERO`] if there is no usable snapshot.
    pub position: Lsn,
    /// Newer snapshots that cannot be used, to be said to the operator. Those that are damaged are
    /// called `….damaged` from now on.
    pub passed_over: Vec<PassedOver>,
}

/// Why no state was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder cannot be read.
    #[error("cannot read the folder {}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A later server wrote a snapshot.
    #[error(
        "the snapshot {} has version {version}, and this server reads up to version {VERSION}: \
         start the server that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
}

fn file_name(position: Lsn) -> String {
    format!("hot-{:020}.snap", position.get())
}

fn position_of(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix("hot-")?.strip_suffix(".snap")?;
    let is_plain = digits.len() == 20 && digits.bytes().all(|octet| octet.is_ascii_digit());
    let position = digits.parse().ok().filter(|_| is_plain)?;
    Some(Lsn::new(position))
}

/// The positions of the snapshots in a folder, newest first.
fn positions(dir: &Path, fs: &dyn Fs) -> io::Result<Vec<Lsn>> {
    let names = match fs.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names?,
    };
    let mut positions: Vec<Lsn> = names.iter().filter_map(|name| position_of(name)).collect();
    positions.sort_unstable_by(|a, b| b.cmp(a));
    Ok(positions)
}

/// The position of the oldest snapshot that is kept: the log has to be kept from there. None if
/// there is no snapshot, and then all of the log is needed.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn oldest_kept(dir: &Path, fs: &dyn Fs) -> io::Result<Option<Lsn>> {
    Ok(positions(dir, fs)?.last().copied())
}

/// The position of the newest snapshot: the log was durable up to there. None if there is none, or
/// no folder of snapshots.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn newest_kept(dir: &Path, fs: &dyn Fs) -> io::Result<Option<Lsn>> {
    Ok(positions(dir, fs)?.first().copied())
}

/// Whether the disk has room for a snapshot beside `reserve_octets`. A disk that does not tell its
/// room is taken to have it.
///
/// # Errors
///
/// [`WriteError::NoRoom`].
pub fn check_room(
    state: &State,
    dir: &Path,
    fs: &dyn Fs,
    reserve_octets: u64,
) -> Result<(), WriteError> {
    let terminals = u64::try_from(state.table.len()).unwrap_or(u64::MAX);
    let entry = u64::try_from(entry::ENTRY_LEN + entry::METER_LEN).unwrap_or(u64::MAX);
    let (customers, octets) = state.table.customers();
    let beside = u64::try_from(customers::BESIDE_LEN).unwrap_or(u64::MAX);
    let needed = terminals
        .saturating_mul(entry)
        .saturating_add(customers.saturating_mul(beside))
        .saturating_add(octets)
        .saturating_add(meter_octets(state))
        .saturating_add(directory_octets(state))
        .saturating_add(format_octets(state))
        .saturating_add(BESIDE_OCTETS);
    let Ok(space) = fs.space(dir) else {
        return Ok(());
    };
    let free = space.free.saturating_sub(reserve_octets);
    if free < needed {
        Err(WriteError::NoRoom { needed, free })
    } else {
        Ok(())
    }
}

/// Octets of the M-Bus meters at most.
fn meter_octets(state: &State) -> u64 {
    let meters = u64::try_from(state.meters.len()).unwrap_or(u64::MAX);
    meters.saturating_mul(u64::try_from(meters::METER_LEN_MAX).unwrap_or(u64::MAX))
}

/// Octets of the formats of compact frames at most.
fn format_octets(state: &State) -> u64 {
    let formats = state.formats.read();
    let of_catalog = |(_, catalog): (_, &FormatCatalog)| {
        let count = u64::try_from(catalog.len()).unwrap_or(u64::MAX);
        count.saturating_mul(FORMAT_OCTETS)
    };
    formats
        .catalogs()
        .map(of_catalog)
        .fold(0, u64::saturating_add)
}

/// Octets of what there may be much of in the directory, at most.
fn directory_octets(state: &State) -> u64 {
    let directory = state.directory();
    let count =
        |count: usize, octets: u64| u64::try_from(count).map_or(0, |it| it.saturating_mul(octets));
    let gateways = count(directory.gateways.len(), GATEWAY_OCTETS);
    gateways.saturating_add(count(directory.meter_counters.len(), COUNTER_OCTETS))
}

/// Removes what a process that ended left unfinished.
///
/// # Errors
///
/// If the folder cannot be read, or a file not be removed.
pub fn remove_unfinished(dir: &Path, fs: &dyn Fs) -> io::Result<()> {
    for name in fs.list(dir)? {
        if name.starts_with("hot-") && name.ends_with(NEW_SUFFIX) {
            fs.remove(&dir.join(&name))?;
        }
    }
    Ok(())
}

/// Writes a snapshot, durable under its name when this returns, and removes those that are more
/// than the `kept` newest, which are one at least. `position` is one up to which all frames were
/// folded before this call; folding may go on meanwhile. Holds the lock of one shard at a time,
/// while it copies some entries, and not while it encodes or writes.
///
/// # Errors
///
/// [`WriteError`].
pub fn write(
    state: &State,
    position: Lsn,
    dir: &Path,
    fs: &dyn Fs,
    kept: usize,
) -> Result<SnapshotInfo, WriteError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| WriteError::Io { path, cause }
    };
    fs.create_dir_all(dir).map_err(failed(dir))?;
    remove_unfinished(dir, fs).map_err(failed(dir))?;
    let path = dir.join(file_name(position));
    let new = dir.join(file_name(position) + NEW_SUFFIX);
    let written = write_file(state, position, &new, fs).and_then(|written| {
        fs.rename(&new, &path).map_err(failed(&path))?;
        Ok(written)
    });
    if written.is_err() {
        // What is left of it would take room that alarms may need.
        fs.remove(&new).ok();
    }
    let (counts, octets) = written?;
    fs.sync_dir(dir).map_err(failed(dir))?;
    let positions = positions(dir, fs).map_err(failed(dir))?;
    for old in positions.iter().skip(kept.max(1)) {
        let old = dir.join(file_name(*old));
        fs.remove(&old).map_err(failed(&old))?;
    }
    Ok(SnapshotInfo {
        position,
        terminals: counts.terminals,
        octets,
        path,
    })
}

fn write_file(
    state: &State,
    position: Lsn,
    path: &Path,
    fs: &dyn Fs,
) -> Result<(Counts, u64), WriteError> {
    let failed = |cause| WriteError::Io {
        path: path.to_owned(),
        cause,
    };
    let file = fs.create(path).map_err(failed)?;
    let mut writer = BlockWriter::begin(file, position).map_err(failed)?;
    let counts = write_table(&mut writer, &state.table).map_err(failed)?;
    write_meters(&mut writer, &state.meters).map_err(failed)?;
    write_formats(&mut writer, state).map_err(failed)?;
    let directory = serde_json::to_vec(&*state.directory()).map_err(WriteError::Directory)?;
    for part in directory.chunks(BLOCK_MAX) {
        writer.block(Kind::Directory, part).map_err(failed)?;
    }
    let octets = writer.finish(counts).map_err(failed)?;
    Ok((counts, octets))
}

/// Each utility's catalog, in as many blocks as it takes.
fn write_formats(writer: &mut BlockWriter, state: &State) -> io::Result<()> {
    let octets_of = |(utility, all): (UtilityId, &FormatCatalog)| (utility, all.to_octets());
    // Whoever expands or teaches meanwhile must not wait for the disk.
    let catalogs: Vec<_> = state.formats.read().catalogs().map(octets_of).collect();
    let mut block = Vec::new();
    for (utility, catalog) in catalogs {
        let utility = utility.octets();
        for part in catalog.chunks(BLOCK_MAX - utility.len()) {
            block.clear();
            block.extend_from_slice(&utility);
            block.extend_from_slice(part);
            writer.block(Kind::Formats, &block)?;
        }
    }
    Ok(())
}

fn write_table(writer: &mut BlockWriter, table: &HotTable) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let mut blocks = Blocks::default();
    for shard in 0..SHARDS {
        let mut written = Ok(());
        table.show_shard(shard, |hot, further, customer| {
            if written.is_ok() {
                counts.terminals += 1;
                counts.further_meters += u64::try_from(further.len()).unwrap_or(0);
                written = blocks.put(writer, hot, further, customer);
            }
        });
        written?;
    }
    blocks.write(writer)?;
    Ok(counts)
}

fn write_meters(writer: &mut BlockWriter, table: &MeterTable) -> io::Result<()> {
    let mut block = Vec::new();
    for shard in 0..MeterTable::SHARDS {
        for (key, meter) in table.copy_of_shard(shard) {
            if block.len().saturating_add(meters::METER_LEN_MAX) > BLOCK_MAX {
                writer.block(Kind::Meters, &block)?;
                block.clear();
            }
            meters::put(&mut block, key, &meter);
        }
    }
    if !block.is_empty() {
        writer.block(Kind::Meters, &block)?;
    }
    Ok(())
}

/// The contents of a block of entries, and of one of the customer numbers of its terminals or of
/// those before it.
#[derive(Debug, Default)]
struct Blocks {
    entries: Vec<u8>,
    customers: Vec<u8>,
}

impl Blocks {
    /// Puts a terminal in; what has no room for it is written before.
    fn put(
        &mut self,
        writer: &mut BlockWriter,
        hot: &HotEntry,
        further: &[MeterTrack],
        customer: Option<&str>,
    ) -> io::Result<()> {
        let meters = entry::METER_LEN.saturating_mul(further.len());
        let entry_len = entry::ENTRY_LEN.saturating_add(meters);
        let customer_len = customer.map_or(0, customers::len_of);
        let has_room = |block: &[u8], len: usize| block.len().saturating_add(len) <= BLOCK_MAX;
        if !has_room(&self.entries, entry_len) || !has_room(&self.customers, customer_len) {
            self.write(writer)?;
        }
        entry::put(&mut self.entries, hot, further);
        if let Some(customer) = customer {
            customers::put(&mut self.customers, hot.id, customer);
        }
        Ok(())
    }

    fn write(&mut self, writer: &mut BlockWriter) -> io::Result<()> {
        // A reader knows a terminal before it reads its customer number.
        for (kind, block) in [
            (Kind::Terminals, &mut self.entries),
            (Kind::Customers, &mut self.customers),
        ] {
            if !block.is_empty() {
                writer.block(kind, block)?;
                block.clear();
            }
        }
        Ok(())
    }
}

/// Loads the newest snapshot that is whole. A damaged one is passed over for the one before it.
///
/// # Errors
///
/// [`LoadError`]; a file of a later version is refused, not passed over.
pub fn load_latest(dir: &Path, fs: &dyn Fs, keys: LinkKeyring) -> Result<Loaded, LoadError> {
    let positions = positions(dir, fs).map_err(|cause| LoadError::Folder {
        path: dir.to_owned(),
        cause,
    })?;
    let mut passed_over = Vec::new();
    for position in positions {
        let path = dir.join(file_name(position));
        match read(&path, position, fs) {
            Ok(read) => {
                return Ok(Loaded {
                    state: State::restored(read.table, read.directory, keys)
                        .with_meters(read.meters, read.formats),
                    position,
                    passed_over,
                });
            }
            Err(FileError::Newer(version)) => return Err(LoadError::Newer { path, version }),
            Err(cause) => {
                if !matches!(cause, FileError::Io(_)) {
                    let aside = dir.join(file_name(position) + DAMAGED_SUFFIX);
                    // It is passed over in any case; the name only spares the next start the try.
                    fs.rename(&path, &aside).ok();
                }
                passed_over.push(PassedOver { path, cause });
            }
        }
    }
    Ok(Loaded {
        state: State::new(keys),
        position: Lsn::ZERO,
        passed_over,
    })
}

/// What a file holds.
struct Read {
    table: HotTable,
    meters: MeterTable,
    formats: UtilityFormats,
    directory: Directory,
}

fn read(path: &Path, position: Lsn, fs: &dyn Fs) -> Result<Read, FileError> {
    let file = fs.open(path, Access::Read).map_err(FileError::Io)?;
    let (mut reader, found) = BlockReader::begin(file)?;
    if found != position {
        return Err(FileError::Damaged { at: 0 });
    }
    let table = HotTable::with_room(reader.entries_at_most()?);
    let meters = MeterTable::default();
    let mut formats = BTreeMap::<_, Vec<u8>>::new();
    let mut directory = Vec::new();
    let mut counts = Counts::default();
    let version = reader.version();
    loop {
        let at = reader.at();
        match reader.next()? {
            (Kind::Directory, part) => directory.extend_from_slice(part),
            (Kind::Terminals, content) => {
                let read = read_entries(version, content, &table, &mut counts);
                read.ok_or(FileError::Damaged { at })?;
            }
            (Kind::Customers, content) => {
                customers::read(content, &table).ok_or(FileError::Damaged { at })?;
            }
            (Kind::Meters, content) => {
                meters::read(version, content, &meters).ok_or(FileError::Damaged { at })?;
            }
            // Whose they are is not in older files: meters teach them again.
            (Kind::Formats, _) if version < MBUS_VERSION => {}
            (Kind::Formats, part) => {
                let (utility, part) = part.split_first_chunk().ok_or(FileError::Damaged { at })?;
                let octets = formats.entry(UtilityId::new(*utility)).or_default();
                octets.extend_from_slice(part);
            }
            (Kind::End, _) => break,
        }
    }
    reader.check_end(counts)?;
    let directory = serde_json::from_slice(&directory);
    let directory = directory.map_err(|_| FileError::Damaged { at: reader.at() })?;
    let formats = UtilityFormats::from_octets(&formats);
    let formats = formats.map_err(|_| FileError::Damaged { at: reader.at() })?;
    Ok(Read {
        table,
        meters,
        formats,
        directory,
    })
}

fn read_entries(
    version: u16,
    mut content: &[u8],
    table: &HotTable,
    counts: &mut Counts,
) -> Option<()> {
    while !content.is_empty() {
        let (rest, (hot, further)) = entry::entry(version, content).ok()?;
        content = rest;
        counts.terminals += 1;
        counts.further_meters += u64::try_from(further.len()).ok()?;
        let placed = table.with_or_insert(&hot, |mut entry| {
            for track in further {
                *entry.meter_mut(track.meter) = track;
            }
        });
        placed.ok()?;
    }
    Some(())
}
