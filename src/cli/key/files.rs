//! Files that hold secrets: key files to read, and new ones to make.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::decode::key_file::KEY_FILE_MAX;
use crate::keyring::sealed;
use crate::keyring::{OsRandom, RandomSource as _};
use crate::wire::hex::Hex;

/// Octets beyond the length of a file, so that its end is found without growing the buffer.
const SPARE: u64 = 64;

/// Why a key file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadKeysError {
    /// It cannot be read.
    #[error("cannot read the key file {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// It is longer than is read.
    #[error("the key file {} is longer than {} MiB", path.display(), max_octets >> 20)]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that is read, in octets.
        max_octets: u64,
    },
}

/// Why a new file was not made.
#[derive(Debug, thiserror::Error)]
pub enum WriteNewError {
    /// There is such a file already.
    #[error("{} exists already and is not replaced", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

/// Reads a key file of at most [`KEY_FILE_MAX`] octets, plain or sealed, as it is.
///
/// # Errors
///
/// [`ReadKeysError`].
pub fn read_keys(path: &Path) -> Result<Zeroizing<Vec<u8>>, ReadKeysError> {
    read_keys_up_to(path, KEY_FILE_MAX)
}

/// Reads a key file of at most so many octets, plain or sealed, as it is.
///
/// # Errors
///
/// [`ReadKeysError`].
pub fn read_keys_up_to(path: &Path, max_octets: u64) -> Result<Zeroizing<Vec<u8>>, ReadKeysError> {
    let failed = |cause| ReadKeysError::Read {
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(failed)?;
    // Room for all of it at once: a buffer that grows leaves copies of keys behind.
    let len = file.metadata().map_err(failed)?.len();
    let room = len.min(max_octets).saturating_add(SPARE);
    let mut octets = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0)));
    file.take(max_octets.saturating_add(1))
        .read_to_end(&mut octets)
        .map_err(failed)?;
    if u64::try_from(octets.len()).is_ok_and(|len| len > max_octets) {
        let path = path.to_owned();
        return Err(ReadKeysError::TooLong { path, max_octets });
    }
    Ok(octets)
}

/// Whether a file, if it can be read twice, begins as a sealed key ring does.
#[must_use]
pub fn begins_sealed(path: &Path) -> bool {
    // Looked at before it is opened: a pipe that is opened and closed again would be spoilt.
    if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let mut start = Vec::with_capacity(16);
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    read.is_ok() && sealed::is_sealed(&start)
}

/// Refuses a path at which there is something, if only a link that leads nowhere.
///
/// # Errors
///
/// [`WriteNewError`].
pub fn refuse_existing(path: &Path) -> Result<(), WriteNewError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(WriteNewError::Exists(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(WriteNewError::Write {
            path: path.to_owned(),
            cause,
        }),
    }
}

/// Makes a file that only its owner can read and write, whole and durable or not at all. A file
/// that exists is never replaced.
///
/// # Errors
///
/// [`WriteNewError`].
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), WriteNewError> {
    refuse_existing(path)?;
    let failed = |cause| WriteNewError::Write {
        path: path.to_owned(),
        cause,
    };
    let beside = temporary_path(path).map_err(failed)?;
    let placed = write_synced(&beside, content).and_then(|()| place(&beside, path));
    if placed.is_err() {
        // The first error is the one to tell.
        fs::remove_file(&beside).ok();
    }
    match placed {
        Ok(()) => sync_folder(path).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(WriteNewError::Exists(path.to_owned()))
        }
        Err(cause) => Err(failed(cause)),
    }
}

/// A name beside the file, so that both are of one file system.
fn temporary_path(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut random = [0; 8];
    OsRandom.fill(&mut random).map_err(io::Error::other)?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.new", Hex(&random)));
    Ok(path.with_file_name(temporary))
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Renames the temporary file, but never onto another that came in between.
fn place(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Ok(()) => {
            // The file is in place; a second name of it does no harm.
            fs::remove_file(temporary).ok();
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without hard links.
        Err(_) => fs::rename(temporary, path),
    }
}

/// Makes the new name durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    // A bare name has an empty parent.
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}
