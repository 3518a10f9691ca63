//! The seam between what is durable and the disk.
//!
//! [`RealFs`] is the operating system's file system. [`SimFs`] is a disk in memory for tests and
//! simulations: it tells what was written from what was synced, loses the difference at a power
//! cut, and fails when told to. What is kept elsewhere than in files has no place here.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub mod lock;
pub mod real;
pub mod sim;

pub use lock::{DataDirLock, LockError};
pub use real::{RealFs, real_path};
pub use sim::{Faults, SimFs};

/// What a file is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// Room on a disk, in octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// What this process may still use.
    pub free: u64,
    /// The size of the whole file system.
    pub total: u64,
}

/// A lock that is held until this is dropped or the process ends.
pub type HeldLock = Box<dyn fmt::Debug + Send + Sync>;

/// The directory that a path is in; none for the root and for the working directory.
pub(crate) fn parent_of(path: &Path) -> Option<&Path> {
    let here = Path::new(".");
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Some(here).filter(|_| path != here),
        above => above,
    }
}

/// A file system.
///
/// Every error is the operating system's; a full disk is [`io::ErrorKind::StorageFull`].
pub trait Fs: fmt::Debug + Send + Sync {
    /// Makes a directory for its owner alone. One that exists stays. Its name is durable after
    /// [`Self::sync_dir`] of the one that it is in.
    ///
    /// # Errors
    ///
    /// If it cannot be made; [`io::ErrorKind::NotFound`] if the one above it does not exist.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a directory and those above it as [`Self::create_dir`] does, durable when this
    /// returns.
    ///
    /// # Errors
    ///
    /// If one cannot be made, or not be made durable.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let Some(above) = parent_of(dir) else {
            return Ok(());
        };
        match self.create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_dir_all(above)?;
                self.create_dir(dir)?;
            }
            made => made?,
        }
        // A process that ended between the two may have made one that exists.
        match self.sync_dir(above) {
            // Whoever may not look into it did not make anything there.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        }
    }

    /// Makes a file that only its owner may read and write (0600), for reading and writing. Its
    /// name is durable after [`Self::sync_dir`].
    ///
    /// # Errors
    ///
    /// If it exists, or cannot be made.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>>;

    /// Opens a file that exists.
    ///
    /// # Errors
    ///
    /// If it does not exist, or cannot be opened.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>>;

    /// The names of the files in a directory, in no order.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name, in place of a file that had it.
    ///
    /// # Errors
    ///
    /// If the file does not exist, or cannot be renamed.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away. Whoever has the file open can go on reading it.
    ///
    /// # Errors
    ///
    /// If the file does not exist, or cannot be removed.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    ///
    /// If that fails.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Locks a file, which is made if there is none and stays when the lock is let go. Does not
    /// wait.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if somebody has the lock, in this process or another.
    fn lock(&self, path: &Path) -> io::Result<HeldLock>;

    /// Room on the disk that a directory is on.
    ///
    /// # Errors
    ///
    /// If it cannot be told.
    fn space(&self, dir: &Path) -> io::Result<Space>;
}

/// An open file. All positions are octets from its beginning.
pub trait FsFile: fmt::Debug + Send + Sync {
    /// Reads at `offset` until `buffer` is full or the file ends. Returns how many octets it read.
    ///
    /// # Errors
    ///
    /// If reading fails.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `octets` at `offset`; beyond the end, the file grows. Durable after
    /// [`Self::sync_data`].
    ///
    /// # Errors
    ///
    /// If writing fails. A part may have been written.
    fn write_all_at(&self, offset: u64, octets: &[u8]) -> io::Result<()>;

    /// Makes what was written durable, with the length.
    ///
    /// # Errors
    ///
    /// If that fails. What was written since the last success may be lost then, although it can
    /// still be read, and another success says nothing of it.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file or lengthens it with zeros.
    ///
    /// # Errors
    ///
    /// If that fails.
    fn set_len(&self, octets: u64) -> io::Result<()>;

    /// The file's length in octets.
    ///
    /// # Errors
    ///
    /// If it cannot be told.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no octets.
    ///
    /// # Errors
    ///
    /// If it cannot be told.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}
