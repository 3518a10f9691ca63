//! Where master keys come from: a file, or the environment.

use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::files::WriteNewError;
use crate::keyring::sealed::{FileKey, FileKeyError};
use crate::keyring::{RandomFailed, RandomSource};
use crate::wire::hex::Hex;

/// The variable of the environment that holds a master key as 64 hexadecimal digits.
pub const MASTER_KEY_VARIABLE: &str = "KENSHIN_MASTER_KEY";

/// The longest master key file that is read, in octets: 64 digits and some white space.
const MASTER_FILE_MAX: usize = 1_024;

/// Why there is no master key. No text of the file or the variable is repeated.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Nobody gave one.
    #[error(
        "no master key: name its file with --master-key-file, or set {MASTER_KEY_VARIABLE} to its \
         64 hexadecimal digits (kenshin key new-master makes one)"
    )]
    Missing,
    /// The file cannot be read.
    #[error("cannot read the master key file {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// Others than the owner can read or change the file.
    #[error("others can read or change the master key file {}: run chmod 600 on it", .0.display())]
    OpenToOthers(PathBuf),
    /// The file holds no master key.
    #[error("the master key file {} is refused: {cause}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: FileKeyError,
    },
    /// The variable holds no master key.
    #[error("{MASTER_KEY_VARIABLE} is refused: {0}")]
    BadVariable(#[source] FileKeyError),
}

/// Why no master key was made.
#[derive(Debug, thiserror::Error)]
pub enum NewMasterError {
    /// No random octets.
    #[error("cannot make a master key: {0}")]
    Random(#[from] RandomFailed),
    /// The new file cannot be made.
    #[error(transparent)]
    Write(#[from] WriteNewError),
}

/// The master key of a file, if one is named, and else of the environment.
///
/// # Errors
///
/// [`MasterKeyError`].
pub fn find(path: Option<&Path>) -> Result<FileKey, MasterKeyError> {
    if let Some(path) = path {
        return read_file(path);
    }
    let text = std::env::var_os(MASTER_KEY_VARIABLE).ok_or(MasterKeyError::Missing)?;
    // This copy is wiped. The one that the process was started with cannot be: who may look into
    // the environment of this process may look into its memory too.
    let text = Zeroizing::new(text.into_encoded_bytes());
    FileKey::read_digits(&text).map_err(MasterKeyError::BadVariable)
}

fn read_file(path: &Path) -> Result<FileKey, MasterKeyError> {
    let failed = |cause| MasterKeyError::Read {
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(failed)?;
    // Of the opened file, so that nobody can put another in its place in between.
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if is_open_to_others(&metadata) {
        return Err(MasterKeyError::OpenToOthers(path.to_owned()));
    }
    // Twice the room, so that the buffer never grows: that would leave a copy of the key behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(MASTER_FILE_MAX.saturating_mul(2)));
    let most = u64::try_from(MASTER_FILE_MAX).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1))
        .read_to_end(&mut octets)
        .map_err(failed)?;
    let key = if octets.len() > MASTER_FILE_MAX {
        Err(FileKeyError::NotAKey)
    } else {
        FileKey::read(&octets)
    };
    key.map_err(|cause| MasterKeyError::BadFile {
        path: path.to_owned(),
        cause,
    })
}

/// Whether others than its owner can read or change a file.
#[cfg(unix)]
pub(crate) fn is_open_to_others(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.mode() & 0o077 != 0
}

/// Whether others than its owner can read or change a file; not known here.
#[cfg(not(unix))]
pub(crate) const fn is_open_to_others(_: &Metadata) -> bool {
    false
}

/// A new master key: 64 hexadecimal digits and the end of a line.
///
/// # Errors
///
/// [`RandomFailed`].
pub fn new_digits(random: &mut dyn RandomSource) -> Result<Zeroizing<String>, RandomFailed> {
    let mut octets = Zeroizing::new([0; 32]);
    random.fill(octets.as_mut_slice())?;
    // Room for all of it at once, as above. A String takes everything.
    let mut digits = Zeroizing::new(String::with_capacity(128));
    writeln!(digits, "{}", Hex(octets.as_slice())).ok();
    Ok(digits)
}
