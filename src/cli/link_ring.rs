//! The keys of a server, from the files that its configuration names.

use std::path::PathBuf;

use crate::config::Keys;
use crate::keyring::LinkKeyring;
use crate::keyring::mbus::MeterKeyring;

use super::key::files::{ReadKeysError, begins_sealed, read_keys};
use super::key::{LoadKeysError, load_link_keys, meters};

/// Why a server has no keys.
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
    /// The table of meters' keys is a plain one.
    #[error(
        "{} holds keys in clear: seal it with `kenshin key seal --role mbus`, or, in a laboratory, \
         set keys.allow_clear_keys = true",
        .0.display()
    )]
    ClearMeters(PathBuf),
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

/// The keys of M-Bus meters that a configuration names; none if it names none.
///
/// # Errors
///
/// [`LinkRingError`].
pub fn load_meters(keys: &Keys) -> Result<MeterKeyring, LinkRingError> {
    let Some(path) = &keys.mbus_file else {
        return Ok(MeterKeyring::new());
    };
    if !keys.allow_clear_keys && !begins_sealed(path) {
        // A file that cannot be read is said to be that, and not to be in clear.
        meters::read(path)?;
        return Err(LinkRingError::ClearMeters(path.clone()));
    }
    Ok(meters::load(path, keys.master_key_file.as_deref())?)
}
