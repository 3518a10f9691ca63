//! The ring of M-Bus meters' keys as entries, and back.

use zeroize::Zeroizing;

use super::super::ids::UtilityId;
use super::super::mbus::MeterKeyRow;
use super::super::mbus::{KeyId, KeyVersion, MeterKeyring, NewMeterKey, Policy, VersionState};
use super::super::random::RandomSource;
use super::{Entry, EntryId, FileKey, OpenFileError, Role, SealFileError, codec};
use crate::crypto::key::Key128;
use crate::wire::mbus::address::Address;

const KIND_METERS: u8 = 5;
/// Octets of a row.
const ROW_OCTETS: usize = 28;
/// Keys in an entry at most: its payload has less than 65,536 octets.
const ROWS_PER_ENTRY: usize = 2_048;

/// Seals a ring of meters' keys.
///
/// # Errors
///
/// [`SealFileError`].
pub fn seal_meters(
    ring: &MeterKeyring,
    master: &FileKey,
    random: &mut dyn RandomSource,
) -> Result<Vec<u8>, SealFileError> {
    let mut entries: Vec<Entry> = Vec::new();
    let most = ROW_OCTETS.saturating_mul(ROWS_PER_ENTRY);
    for row in ring.rows() {
        let utility = row.utility.octets();
        let has_room =
            |entry: &&mut Entry| entry.id.utility == utility && entry.payload.len() < most;
        match entries.last_mut().filter(has_room) {
            Some(entry) => put_row(&mut entry.payload, &row),
            None => {
                // Room for all of it at once: a buffer that grows leaves copies of keys behind.
                let mut payload = Zeroizing::new(Vec::with_capacity(most));
                put_row(&mut payload, &row);
                let id = EntryId {
                    kind: KIND_METERS,
                    utility,
                    ..EntryId::default()
                };
                entries.push(Entry { id, payload });
            }
        }
    }
    codec::seal(Role::Mbus, entries, master, random)
}

fn put_row(payload: &mut Vec<u8>, row: &MeterKeyRow<'_>) {
    payload.extend_from_slice(&row.meter.link_order());
    payload.extend_from_slice(&[
        policy_code(row.policy),
        row.id.0,
        row.version.0,
        row.state.code(),
    ]);
    payload.extend_from_slice(row.key.expose());
}

const fn policy_code(policy: Option<Policy>) -> u8 {
    match policy {
        None => 0,
        Some(Policy::ClearAllowed) => 1,
        Some(Policy::MustBeEncrypted) => 2,
    }
}

/// Opens a sealed ring of meters' keys.
///
/// # Errors
///
/// [`OpenFileError`].
pub fn open_meters(file: &[u8], master: &FileKey) -> Result<MeterKeyring, OpenFileError> {
    let mut ring = MeterKeyring::new();
    let entries = codec::open(Role::Mbus, file, master)?;
    for (index, entry) in (0..).zip(entries) {
        take_entry(&mut ring, &entry).ok_or(OpenFileError::BadEntry { index })?;
    }
    Ok(ring)
}

/// Takes the keys of an entry; none if it holds what it should not.
fn take_entry(ring: &mut MeterKeyring, entry: &Entry) -> Option<()> {
    let id = EntryId {
        kind: KIND_METERS,
        utility: entry.id.utility,
        ..EntryId::default()
    };
    let (rows, rest) = entry.payload.as_chunks::<ROW_OCTETS>();
    let is_one = (1..=ROWS_PER_ENTRY).contains(&rows.len()) && rest.is_empty();
    if entry.id != id || !is_one {
        return None;
    }
    let utility = UtilityId::new(id.utility);
    rows.iter().try_for_each(|row| {
        let (meter, row) = row.split_first_chunk::<8>()?;
        let (&[policy, id, version, state], key) = row.split_first_chunk::<4>()?;
        let mut key = Zeroizing::new(*key.first_chunk::<16>()?);
        let policy = match policy {
            0 => None,
            1 => Some(Policy::ClearAllowed),
            2 => Some(Policy::MustBeEncrypted),
            _ => return None,
        };
        let new = NewMeterKey {
            meter: Address::from_link_order(*meter),
            utility,
            policy,
            id: KeyId(id),
            version: KeyVersion(version),
            state: VersionState::from_code(state)?,
            key: Key128::take(&mut key),
        };
        ring.add(new).ok()
    })
}
