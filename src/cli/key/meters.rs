//! The ring of M-Bus meters' keys: its table, its sealed file, and what it holds.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::files::{ReadKeysError, begins_sealed, read_keys_up_to};
use super::{LoadKeysError, SealKeysError, master};
use crate::keyring::OsRandom;
use crate::keyring::mbus::csv::{self, Mistakes, TABLE_MAX_OCTETS};
use crate::keyring::mbus::{MeterKeyring, MeterSummary};
use crate::keyring::sealed::{self, FileKey, OpenFileError, Role};

/// Reads a table or a sealed file of meters' keys as it is.
///
/// # Errors
///
/// [`ReadKeysError`].
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ReadKeysError> {
    read_keys_up_to(path, u64::try_from(TABLE_MAX_OCTETS).unwrap_or(u64::MAX))
}

/// Seals a table of meters' keys.
///
/// # Errors
///
/// [`SealKeysError`].
pub(super) fn seal(path: &Path, master: &FileKey) -> Result<Vec<u8>, SealKeysError> {
    let octets = read(path)?;
    if sealed::is_sealed(&octets) {
        return Err(SealKeysError::Sealed(path.to_owned()));
    }
    let ring = csv::parse(&octets).map_err(|mistakes| invalid(path, mistakes))?;
    if ring.key_count() == 0 {
        return Err(SealKeysError::NoMeterKeys(path.to_owned()));
    }
    let file = sealed::seal_meters(&ring, master, &mut OsRandom);
    file.map_err(|cause| SealKeysError::Seal {
        role: Role::Mbus,
        cause,
    })
}

fn invalid(path: &Path, mistakes: Mistakes) -> SealKeysError {
    SealKeysError::InvalidTable {
        path: path.to_owned(),
        mistakes,
    }
}

/// Reads the keys of meters, out of a table or a sealed ring. A sealed one needs a master key, of
/// the file `master` or else of the environment.
///
/// # Errors
///
/// [`LoadKeysError`]; a sealed ring of another role is refused.
pub fn load(path: &Path, master: Option<&Path>) -> Result<MeterKeyring, LoadKeysError> {
    let is_sealed = begins_sealed(path);
    let file = read(path)?;
    if !is_sealed {
        return csv::parse(&file).map_err(|mistakes| LoadKeysError::Table {
            path: path.to_owned(),
            mistakes,
        });
    }
    let master = master::find(master)?;
    sealed::open_meters(&file, &master).map_err(|cause| LoadKeysError::Sealed {
        path: path.to_owned(),
        cause,
    })
}

/// What a sealed ring of meters' keys holds.
///
/// # Errors
///
/// [`OpenFileError`].
pub(super) fn summary(file: &[u8], master: &FileKey) -> Result<MeterSummary, OpenFileError> {
    let ring = sealed::open_meters(file, master)?;
    Ok(MeterSummary::of(&ring))
}

/// Lines for people.
#[must_use]
pub(super) fn text(summary: &MeterSummary) -> String {
    let (utilities, meters) = (summary.utilities.len(), summary.meters());
    let keys = summary.keys();
    let mut out = format!("mbus ring, utilities: {utilities}, meters: {meters}, keys: {keys}\n");
    for of in &summary.utilities {
        let (id, meters, clear) = (of.id, of.meters, of.clear_allowed);
        let (current, next, previous) = (of.current, of.next, of.previous);
        // A String takes everything.
        writeln!(
            out,
            "utility {id}, meters: {meters} ({clear} may send in clear), keys: {current} current, \
             {next} next, {previous} previous"
        )
        .ok();
    }
    out
}

/// One JSON object.
#[must_use]
pub(super) fn json(summary: &MeterSummary) -> Value {
    let utilities = summary.utilities.iter().map(|of| {
        json!({
            "id": of.id.to_string(),
            "meters": of.meters,
            "clear_allowed": of.clear_allowed,
            "keys": { "current": of.current, "next": of.next, "previous": of.previous },
        })
    });
    json!({
        "role": Role::Mbus.id(),
        "meters": summary.meters(),
        "keys": summary.keys(),
        "utilities": utilities.collect::<Vec<_>>(),
    })
}
