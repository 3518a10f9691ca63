//! The link keys of a server, from the file that its configuration names.

use std::path::PathBuf;

use crate::config::Keys;
use crate::keyring::LinkKeyring;

use super::key::files::{ReadKeysError, begins_sealed, read_keys};
use super::key::{LoadKeysError, load_link_keys};

/// Why a server has no link keys.
#[derive(Debug, thiserror::Error)]
pub enum LinkRingError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadKeysError),
    /// The file is a plain one.
    #[error(
        "{} holds keys in clear: seal it with `kenshin key seal --role link`, or, in a laboratory, \
         set keys.allow_clear_keys = true",
        .0.display()
    )]
    Clear(PathBuf),
    /// The keys cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadKeysError),
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
    if !keys.allow_clear_keys && !begins_sealed(path) {
        // A file that cannot be read is said to be that, and not to be in clear.
        read_keys(path)?;
        return Err(LinkRingError::Clear(path.clone()));
    }
    Ok(load_link_keys(path, keys.master_key_file.as_deref())?)
}
