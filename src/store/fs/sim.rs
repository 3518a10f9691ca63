//! A disk in memory that tells what was written from what is durable. For tests and simulations.
//!
//! Octets are pending until `sync_data` of their file, names until `sync_dir` of their directory.
//! A power cut ([`SimFs::crash`]) keeps an arbitrary part of what is pending: of octets any subset
//! of sectors, one of them perhaps torn, and of each directory's names a prefix of the changes. The
//! name of a directory is one of the directory that it is in: what is in one that is lost is lost
//! with it. A failed sync behaves as on Linux: what it did not
//! write counts as written, and is gone after the next power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Access, Fs, FsFile, HeldLock, Space};

mod cut;
mod inode;

use inode::Inode;

/// Octets that a disk writes at once or not at all, mostly.
const SECTOR: usize = 512;
/// The number of "too many open files" on Linux.
const EMFILE: i32 = 24;

/// What goes wrong, and when. Counts are of this disk since it was made; the first is 1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Faults {
    /// The octets that all files together may hold. A write beyond it writes what fits, then
    /// fails with a full disk.
    pub capacity: Option<u64>,
    /// The `sync_data` that fails.
    pub fail_sync: Option<u64>,
    /// The `sync_dir` that fails.
    pub fail_sync_dir: Option<u64>,
    /// The write that fails, and how many octets it writes before that.
    pub short_write: Option<(u64, usize)>,
    /// The operation that changes the disk (write, sync, create, rename, remove, `create_dir`,
    /// `set_len`) at which the power goes: it and all later calls fail.
    pub power_cut: Option<u64>,
    /// What `space` says, in place of the truth.
    pub space: Option<Space>,
    /// The first of the operations that open something (create, open, `sync_dir`) that fails for
    /// want of file descriptors, and how many of them do.
    pub no_descriptors: Option<(u64, u64)>,
    /// Whether every rename fails.
    pub fail_renames: bool,
}

/// How often each operation was called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// All operations that change the disk.
    pub changes: u64,
    /// `read_at`.
    pub reads: u64,
    /// `write_all_at`.
    pub writes: u64,
    /// `sync_data`.
    pub syncs: u64,
    /// `sync_dir`.
    pub dir_syncs: u64,
    /// `create`, `open` and `sync_dir`.
    pub opens: u64,
}

/// A change of a directory that is not durable yet.
#[derive(Clone, Debug)]
enum NameChange {
    Set(PathBuf, InodeId),
    Remove(PathBuf),
    Directory(PathBuf),
}

type InodeId = usize;

/// Names of files and directories; the root and the working directory always exist.
#[derive(Clone, Debug, Default)]
struct Names {
    files: BTreeMap<PathBuf, InodeId>,
    dirs: BTreeSet<PathBuf>,
}

impl Names {
    fn has_dir(&self, dir: &Path) -> bool {
        matches!(dir.to_str(), Some("" | "." | "/")) || self.dirs.contains(dir)
    }

    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Set(path, id) => {
                self.files.insert(path.clone(), *id);
            }
            NameChange::Remove(path) => {
                self.files.remove(path);
            }
            NameChange::Directory(path) => {
                self.dirs.insert(path.clone());
            }
        }
    }

    /// Makes a path's directories.
    fn hold(&mut self, path: &Path) {
        let dirs = path.ancestors().skip(1).map(Path::to_owned);
        self.dirs.extend(dirs);
    }

    /// Drops what is in no directory.
    fn prune(&mut self) {
        let all = self.dirs.clone();
        let is_in = |path: &Path| {
            let mut dirs = path.ancestors().skip(1);
            dirs.all(|dir| matches!(dir.to_str(), Some("" | "." | "/")) || all.contains(dir))
        };
        self.dirs.retain(|dir| is_in(dir));
        self.files.retain(|file, _| is_in(file));
    }
}

#[derive(Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: Names,
    durable_names: Names,
    pending_names: Vec<(PathBuf, NameChange)>,
    faults: Faults,
    counts: Counts,
    has_power: bool,
    locks: BTreeSet<PathBuf>,
}

/// The disk. Clones share it.
#[derive(Clone, Debug)]
pub struct SimFs {
    disk: Arc<Mutex<Disk>>,
}

impl Default for SimFs {
    fn default() -> Self {
        Self::new()
    }
}

impl SimFs {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Disk {
            has_power: true,
            ..Disk::default()
        })
    }

    fn with(disk: Disk) -> Self {
        Self {
            disk: Arc::new(Mutex::new(disk)),
        }
    }

    /// Replaces what goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.disk.lock().faults = faults;
    }

    /// How often each operation was called.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.disk.lock().counts
    }

    /// Cuts the power, and gives the disk as it is found afterwards: the same for the same history
    /// and seed. Every later call on this disk, and on files opened from it, fails.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        let mut disk = self.disk.lock();
        disk.has_power = false;
        Self::with(cut::survivor(&disk, seed))
    }

    /// All of a file as it can be read now; none if it does not exist. Costs no operation.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        let id = disk.names.files.get(path)?;
        disk.inodes.get(*id).map(|inode| inode.current.clone())
    }

    /// Flips a bit of a file, durable at once: as by damage of the medium. Whoever has the file
    /// open meets it.
    pub fn flip(&self, path: &Path, offset: usize) {
        let disk = &mut *self.disk.lock();
        let id = disk.names.files.get(path).copied();
        let inode = id.and_then(|id| disk.inodes.get_mut(id));
        if let Some(Inode {
            current, durable, ..
        }) = inode
        {
            for content in [current, durable] {
                if let Some(octet) = content.get_mut(offset) {
                    *octet ^= 1;
                }
            }
        }
    }

    /// Puts a file with this content, durable at once, in place of one that exists: damage done
    /// behind the back of whoever uses the disk.
    pub fn put(&self, path: &Path, content: Vec<u8>) {
        let disk = &mut *self.disk.lock();
        let id = disk.inodes.len();
        disk.inodes.push(Inode::durable(content));
        for names in [&mut disk.names, &mut disk.durable_names] {
            names.hold(path);
            names.files.insert(path.to_owned(), id);
        }
    }
}

fn no_power() -> io::Error {
    io::Error::other("the simulated disk has no power")
}

fn injected(what: &str) -> io::Error {
    io::Error::other(format!("injected: {what}"))
}

fn no_file(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

fn parent(path: &Path) -> PathBuf {
    plain(path.parent().unwrap_or_else(|| Path::new("")))
}

/// A directory under one name, the working directory under none.
fn plain(dir: &Path) -> PathBuf {
    let here = dir == Path::new(".");
    if here { PathBuf::new() } else { dir.to_owned() }
}

impl Disk {
    fn check_power(&self) -> io::Result<()> {
        if self.has_power {
            Ok(())
        } else {
            Err(no_power())
        }
    }

    /// Counts what opens something.
    fn take_descriptor(&mut self) -> io::Result<()> {
        self.check_power()?;
        self.counts.opens += 1;
        match self.faults.no_descriptors {
            Some((first, count))
                if (first..first.saturating_add(count)).contains(&self.counts.opens) =>
            {
                Err(io::Error::from_raw_os_error(EMFILE))
            }
            _ => Ok(()),
        }
    }

    /// Counts a change, and cuts the power at the one that is told.
    fn change(&mut self) -> io::Result<()> {
        self.check_power()?;
        self.counts.changes += 1;
        if self.faults.power_cut == Some(self.counts.changes) {
            self.has_power = false;
        }
        self.check_power()
    }

    fn rename_to(&mut self, change: NameChange) {
        self.names.apply(&change);
        let (NameChange::Set(path, _) | NameChange::Remove(path) | NameChange::Directory(path)) =
            &change;
        self.pending_names.push((parent(path), change));
    }

    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        if self.names.has_dir(dir) {
            Ok(())
        } else {
            Err(no_file(dir))
        }
    }

    fn used(&self) -> u64 {
        let ids = self.names.files.values();
        let lens = ids.filter_map(|id| self.inodes.get(*id)).map(Inode::len);
        lens.sum()
    }

    fn inode(&mut self, id: InodeId) -> io::Result<&mut Inode> {
        self.inodes
            .get_mut(id)
            .ok_or_else(|| injected("no such inode"))
    }

    fn write(&mut self, id: InodeId, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.change()?;
        self.counts.writes += 1;
        let end = offset.saturating_add(octets.len() as u64); // cast: a length fits in 64 bits
        let growth = end.saturating_sub(self.inode(id)?.len());
        if let Some(capacity) = self.faults.capacity
            && growth > capacity.saturating_sub(self.used())
        {
            let missing = growth - capacity.saturating_sub(self.used());
            let kept = octets.len().saturating_sub(usize_of(missing));
            self.inode(id)?.write(usize_of(offset), octets, kept);
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some((write, kept)) = self.faults.short_write
            && write == self.counts.writes
        {
            self.inode(id)?.write(usize_of(offset), octets, kept);
            return Err(injected("short write"));
        }
        self.inode(id)?
            .write(usize_of(offset), octets, octets.len());
        Ok(())
    }
}

/// A length or place in memory; what is larger cannot be in memory.
fn usize_of(octets: u64) -> usize {
    usize::try_from(octets).unwrap_or(usize::MAX)
}

impl Fs for SimFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.check_power()?;
        if disk.names.has_dir(dir) {
            return Ok(());
        }
        disk.check_dir(&parent(dir))?;
        disk.change()?;
        disk.rename_to(NameChange::Directory(dir.to_owned()));
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let mut disk = self.disk.lock();
        disk.take_descriptor()?;
        disk.change()?;
        disk.check_dir(&parent(path))?;
        if disk.names.files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.rename_to(NameChange::Set(path.to_owned(), id));
        Ok(self.file(id, Access::ReadWrite))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        let mut disk = self.disk.lock();
        disk.check_power()?;
        disk.take_descriptor()?;
        let id = disk.names.files.get(path).ok_or_else(|| no_file(path))?;
        Ok(self.file(*id, access))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk.lock();
        disk.check_power()?;
        disk.check_dir(dir)?;
        let files = disk.names.files.keys();
        let here = files.filter(|path| path.parent() == Some(dir));
        let names = here.filter_map(|path| path.file_name()?.to_str());
        Ok(names.map(str::to_owned).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.change()?;
        if disk.faults.fail_renames {
            return Err(injected("failed rename"));
        }
        let id = *disk.names.files.get(from).ok_or_else(|| no_file(from))?;
        disk.rename_to(NameChange::Set(to.to_owned(), id));
        disk.rename_to(NameChange::Remove(from.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.change()?;
        if !disk.names.files.contains_key(path) {
            return Err(no_file(path));
        }
        disk.rename_to(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.take_descriptor()?;
        disk.change()?;
        disk.counts.dir_syncs += 1;
        if disk.faults.fail_sync_dir == Some(disk.counts.dir_syncs) {
            return Err(injected("failed sync of a directory"));
        }
        let dir = plain(dir);
        let Disk {
            pending_names,
            durable_names,
            ..
        } = &mut *disk;
        pending_names.retain(|(of, change)| {
            if *of == dir {
                durable_names.apply(change);
            }
            *of != dir
        });
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<HeldLock> {
        let mut disk = self.disk.lock();
        disk.check_power()?;
        disk.check_dir(&parent(path))?;
        if !disk.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock {
            disk: Arc::clone(&self.disk),
            path: path.to_owned(),
        }))
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let disk = self.disk.lock();
        disk.check_power()?;
        if let Some(space) = disk.faults.space {
            return Ok(space);
        }
        let total = disk.faults.capacity.unwrap_or(1 << 40);
        Ok(Space {
            free: total.saturating_sub(disk.used()),
            total,
        })
    }
}

impl SimFs {
    fn file(&self, id: InodeId, access: Access) -> Arc<dyn FsFile> {
        Arc::new(SimFile {
            disk: Arc::clone(&self.disk),
            id,
            access,
        })
    }
}

#[derive(Debug)]
struct SimLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct SimFile {
    disk: Arc<Mutex<Disk>>,
    id: InodeId,
    access: Access,
}

impl SimFile {
    fn check_access(&self) -> io::Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl FsFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        disk.check_power()?;
        disk.counts.reads += 1;
        let content = &disk.inode(self.id)?.current;
        let rest = content.get(usize_of(offset)..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(read)
    }

    fn write_all_at(&self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.check_access()?;
        self.disk.lock().write(self.id, offset, octets)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.change()?;
        disk.counts.syncs += 1;
        if disk.faults.fail_sync == Some(disk.counts.syncs) {
            disk.inode(self.id)?.forget();
            return Err(injected("failed sync"));
        }
        disk.inode(self.id)?.sync();
        Ok(())
    }

    fn set_len(&self, octets: u64) -> io::Result<()> {
        self.check_access()?;
        let mut disk = self.disk.lock();
        disk.change()?;
        disk.inode(self.id)?.set_len(usize_of(octets));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.check_power()?;
        Ok(disk.inode(self.id)?.len())
    }
}
