//! One process a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why a data directory was not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "another kenshin process uses the data directory {}: stop it, or use its admin socket",
        .0.display()
    )]
    Taken(PathBuf),
    /// The lock file cannot be used.
    #[error("cannot lock the data directory: {}: {cause}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// The right to write in a data directory, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct DataDirLock {
    /// Closing it lets the lock go.
    _file: File,
}

impl DataDirLock {
    /// Locks the data directory `data` by its file `lock`, which stays when the lock is let go.
    /// Does not wait.
    ///
    /// # Errors
    ///
    /// If another process has the lock, or the file cannot be made.
    pub fn take(data: &Path) -> Result<Self, LockError> {
        let path = data.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = match options.mode(0o600).open(&path) {
            Ok(file) => file,
            Err(cause) => return Err(LockError::Io { path, cause }),
        };
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(data.to_owned())),
            Err(TryLockError::Error(cause)) => Err(LockError::Io { path, cause }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_until_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DataDirLock::take(dir.path()).unwrap();
        assert!(matches!(
            DataDirLock::take(dir.path()),
            Err(LockError::Taken(_))
        ));
        drop(lock);
        DataDirLock::take(dir.path()).unwrap();
    }
}
