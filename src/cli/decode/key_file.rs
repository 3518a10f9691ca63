//! Reading the key file of `--keys`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::keyring::LinkKeyring;
use crate::keyring::keys_toml::{self, KeysTomlErrors};

/// The longest key file that is read, in octets.
pub const KEY_FILE_MAX: u64 = 64 * 1024 * 1024;

/// Why a key file cannot be used. No text of the file is repeated, since it may be a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the key file {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// It is longer than [`KEY_FILE_MAX`].
    #[error("the key file {} is longer than 64 MiB", .0.display())]
    TooLong(PathBuf),
    /// It holds octets that are no UTF-8.
    #[error("the key file {} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// Its fields are wrong; all errors, a line each.
    #[error("the key file {} has errors:\n{errors}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        errors: KeysTomlErrors,
    },
}

/// Reads the keys that open frames. Command and key-encryption keys of the file are dropped.
///
/// # Errors
///
/// [`KeyFileError`].
pub fn load(path: &Path) -> Result<LinkKeyring, KeyFileError> {
    let failed = |cause| KeyFileError::Read {
        path: path.to_owned(),
        cause,
    };
    let mut octets = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| {
            file.take(KEY_FILE_MAX.saturating_add(1))
                .read_to_end(&mut octets)
        })
        .map_err(failed)?;
    if u64::try_from(octets.len()).is_ok_and(|len| len > KEY_FILE_MAX) {
        return Err(KeyFileError::TooLong(path.to_owned()));
    }
    let text = str::from_utf8(&octets).map_err(|_| KeyFileError::NotText(path.to_owned()))?;
    match keys_toml::parse(text) {
        Ok(keys) => Ok(keys.link),
        Err(errors) => Err(KeyFileError::Invalid {
            path: path.to_owned(),
            errors,
        }),
    }
}
