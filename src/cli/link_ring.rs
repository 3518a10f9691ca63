//! The link keys of a server, from the file that its configuration names.

use std::path::PathBuf;

use crate::config::Keys;
use crate::keyring::LinkKeyring;
use crate::keyring::sealed::{self, OpenFileError};

use super::decode::key_file::{self, KeyFileError};
use super::key::files::{ReadKeysError, begins_sealed, read_keys};
use super::key::master::{self, MasterKeyError};

/// Why a server has no link keys.
#[derive(Debug, thiserror::Error)]
pub enum LinkRingError {
    /// No master key to open the ring with.
    #[error(transparent)]
    Master(#[from] MasterKeyError),
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadKeysError),
    /// The sealed ring does not open.
    #[error("the link ring {} cannot be opened: {cause}", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: OpenFileError,
    },
    /// The file is a plain one.
    #[error(
        "{} holds keys in clear: seal it with `kenshin key seal --role link`, or, in a laboratory, \
         set keys.allow_clear_keys = true",
        .0.display()
    )]
    Clear(PathBuf),
    /// The plain file is wrong.
    #[error(transparent)]
    Plain(#[from] KeyFileError),
}

/// The link ring that a configuration names; an empty one if it names none.
///
/// # Errors
///
/// [`LinkRingError`].
pub fn load(keys: &Keys) -> Result<LinkKeyring, LinkRingError> {
    let Some(path) = &keys.link_file else {
        return Ok(LinkKeyring::new());
    };
    if begins_sealed(path) {
        let master = master::find(keys.master_key_file.as_deref())?;
        let octets = read_keys(path)?;
        return sealed::open_link(&octets, &master).map_err(|cause| LinkRingError::Sealed {
            path: path.clone(),
            cause,
        });
    }
    if !keys.allow_clear_keys {
        // A file that cannot be read is said to be that, and not to be in clear.
        read_keys(path)?;
        return Err(LinkRingError::Clear(path.clone()));
    }
    Ok(key_file::load(path)?)
}
