//! Key rings as entries, and back.

use zeroize::Zeroizing;

use super::super::command::CommandKeyring;
use super::super::error::AddKeyError;
use super::super::ids::{KeyState, UtilityId};
use super::super::link::LinkKeyring;
use super::super::purpose_keys::{PurposeKeys, Versioned};
use super::super::random::RandomSource;
use super::super::registration::{Registration, VersionSet};
use super::{Entry, EntryId, FileKey, OpenFileError, Role, SealFileError, codec};
use crate::crypto::key::{BaseKey, KeyLengthError, KeyOctets, KeyPurpose, Master, Purpose};
use crate::wire::otl::ident::Mode;

const KIND_UTILITY: u8 = 1;
const KIND_TERMINAL: u8 = 2;
const KIND_MASTER: u8 = 3;
const KIND_IMPORTED: u8 = 4;
const FLAG_ESCROWED: u8 = 1;
const FLAG_ALLOW_MODE0: u8 = 1;
const FLAG_BY_HAND: u8 = 2;
const NO_MODE: u8 = 0xFF;

/// Seals a link ring.
///
/// # Errors
///
/// [`SealFileError`].
pub fn seal_link(
    ring: &LinkKeyring,
    master: &FileKey,
    random: &mut dyn RandomSource,
) -> Result<Vec<u8>, SealFileError> {
    let mut entries = Vec::new();
    for (utility, name) in &ring.utilities {
        entries.push(utility_entry(*utility, name));
    }
    for (identity, registration) in &ring.terminals {
        let payload = registration_octets(registration);
        entries.push(terminal_entry(*identity, registration.utility, payload));
    }
    push_keys(&ring.keys, &mut entries);
    codec::seal(Role::Link, entries, master, random)
}

/// Seals a command ring.
///
/// # Errors
///
/// [`SealFileError`].
pub fn seal_command(
    ring: &CommandKeyring,
    master: &FileKey,
    random: &mut dyn RandomSource,
) -> Result<Vec<u8>, SealFileError> {
    let mut entries = Vec::new();
    for (utility, name) in &ring.utilities {
        entries.push(utility_entry(*utility, name));
    }
    for (identity, utility) in &ring.terminals {
        entries.push(terminal_entry(*identity, *utility, Vec::new()));
    }
    push_keys(&ring.command, &mut entries);
    push_keys(&ring.key_encryption, &mut entries);
    codec::seal(Role::Command, entries, master, random)
}

/// Opens a sealed link ring.
///
/// # Errors
///
/// [`OpenFileError`].
pub fn open_link(file: &[u8], master: &FileKey) -> Result<LinkKeyring, OpenFileError> {
    let mut ring = LinkKeyring::new();
    each_entry(codec::open(Role::Link, file, master)?, |id, payload| {
        let utility = UtilityId::new(id.utility);
        match (id.kind, Purpose::from_code(id.purpose)) {
            (KIND_UTILITY, None) => ring.add_utility(utility, utility_name(payload)?),
            (KIND_TERMINAL, None) => {
                ring.register(id.identity, registration(utility, payload).ok_or(Bad)?)?;
            }
            (KIND_MASTER, Some(Purpose::Link)) => {
                let (state, escrowed, key) = key_fields(id, payload)?;
                ring.add_master(utility, id.version, state, escrowed, Master::new(key))?;
            }
            (KIND_IMPORTED, Some(Purpose::Link)) => {
                let (state, escrowed, key) = key_fields(id, payload)?;
                ring.import(
                    id.identity,
                    id.version,
                    state,
                    escrowed,
                    BaseKey::import(key),
                )?;
            }
            _ => return Err(Bad),
        }
        Ok(())
    })?;
    Ok(ring)
}

/// Opens a sealed command ring.
///
/// # Errors
///
/// [`OpenFileError`].
pub fn open_command(file: &[u8], master: &FileKey) -> Result<CommandKeyring, OpenFileError> {
    let mut ring = CommandKeyring::new();
    each_entry(codec::open(Role::Command, file, master)?, |id, payload| {
        let utility = UtilityId::new(id.utility);
        match (id.kind, Purpose::from_code(id.purpose)) {
            (KIND_UTILITY, None) => ring.add_utility(utility, utility_name(payload)?),
            (KIND_TERMINAL, None) if payload.is_empty() => ring.register(id.identity, utility)?,
            (KIND_MASTER, Some(Purpose::Command)) => {
                let (state, escrowed, key) = key_fields(id, payload)?;
                ring.add_command_master(utility, id.version, state, escrowed, Master::new(key))?;
            }
            (KIND_MASTER, Some(Purpose::KeyEncryption)) => {
                let (state, escrowed, key) = key_fields(id, payload)?;
                ring.add_kek_master(utility, id.version, state, escrowed, Master::new(key))?;
            }
            (KIND_IMPORTED, Some(Purpose::Command)) => {
                let (state, escrowed, key) = key_fields(id, payload)?;
                ring.import_command(
                    id.identity,
                    id.version,
                    state,
                    escrowed,
                    BaseKey::import(key),
                )?;
            }
            (KIND_IMPORTED, Some(Purpose::KeyEncryption)) => {
                let (state, escrowed, key) = key_fields(id, payload)?;
                ring.import_kek(
                    id.identity,
                    id.version,
                    state,
                    escrowed,
                    BaseKey::import(key),
                )?;
            }
            _ => return Err(Bad),
        }
        Ok(())
    })?;
    Ok(ring)
}

/// An entry that is genuine and not acceptable.
struct Bad;

impl From<AddKeyError> for Bad {
    fn from(_: AddKeyError) -> Self {
        Self
    }
}

impl From<KeyLengthError> for Bad {
    fn from(_: KeyLengthError) -> Self {
        Self
    }
}

fn each_entry(
    entries: Vec<Entry>,
    mut place: impl FnMut(&EntryId, &[u8]) -> Result<(), Bad>,
) -> Result<(), OpenFileError> {
    for (index, entry) in (0_u32..).zip(entries) {
        place(&entry.id, &entry.payload).map_err(|Bad| OpenFileError::BadEntry { index })?;
    }
    Ok(())
}

fn utility_entry(utility: UtilityId, name: &str) -> Entry {
    Entry {
        id: EntryId {
            kind: KIND_UTILITY,
            utility: utility.octets(),
            ..EntryId::default()
        },
        payload: Zeroizing::new(name.as_bytes().to_vec()),
    }
}

fn terminal_entry(identity: [u8; 8], utility: UtilityId, payload: Vec<u8>) -> Entry {
    Entry {
        id: EntryId {
            kind: KIND_TERMINAL,
            utility: utility.octets(),
            identity,
            ..EntryId::default()
        },
        payload: Zeroizing::new(payload),
    }
}

fn push_keys<P: KeyPurpose>(keys: &PurposeKeys<P>, entries: &mut Vec<Entry>) {
    for (utility, versions) in &keys.masters {
        for (version, found) in versions {
            let id = EntryId {
                kind: KIND_MASTER,
                utility: utility.octets(),
                ..EntryId::default()
            };
            entries.push(key_entry::<P, _>(id, *version, found, found.key.octets()));
        }
    }
    for (identity, versions) in &keys.imported {
        for (version, found) in versions {
            let id = EntryId {
                kind: KIND_IMPORTED,
                identity: *identity,
                ..EntryId::default()
            };
            entries.push(key_entry::<P, _>(id, *version, found, found.key.octets()));
        }
    }
}

fn key_entry<P: KeyPurpose, K>(
    id: EntryId,
    version: u8,
    found: &Versioned<K>,
    key: &KeyOctets,
) -> Entry {
    Entry {
        id: EntryId {
            purpose: P::PURPOSE.code(),
            version,
            state: found.state.code(),
            flags: if found.escrowed { FLAG_ESCROWED } else { 0 },
            ..id
        },
        payload: Zeroizing::new(key.expose().to_vec()),
    }
}

fn key_fields(id: &EntryId, payload: &[u8]) -> Result<(KeyState, bool, KeyOctets), Bad> {
    let state = KeyState::from_code(id.state).ok_or(Bad)?;
    Ok((
        state,
        id.flags & FLAG_ESCROWED != 0,
        KeyOctets::from_slice(payload)?,
    ))
}

fn utility_name(payload: &[u8]) -> Result<&str, Bad> {
    str::from_utf8(payload).map_err(|_| Bad)
}

fn registration_octets(registration: &Registration) -> Vec<u8> {
    let allow = if registration.allow_mode0 {
        FLAG_ALLOW_MODE0
    } else {
        0
    };
    let by_hand = if registration.by_hand {
        FLAG_BY_HAND
    } else {
        0
    };
    let mut octets = vec![
        registration.mode.number(),
        registration.pending_mode.map_or(NO_MODE, Mode::number),
        allow | by_hand,
        registration.promoted_link_version.unwrap_or(0),
    ];
    octets.extend(registration.readmitted.iter());
    octets
}

fn registration(utility: UtilityId, payload: &[u8]) -> Option<Registration> {
    let [mode, pending, flags, promoted, versions @ ..] = payload else {
        return None;
    };
    let mut readmitted = VersionSet::EMPTY;
    if !versions.iter().all(|version| readmitted.insert(*version)) {
        return None;
    }
    Some(Registration {
        utility,
        mode: Mode::from_number(*mode)?,
        // spec: ROT-12
        pending_mode: match Mode::from_number(*pending) {
            None if *pending == NO_MODE => None,
            None | Some(Mode::Clear) => return None,
            mode => mode,
        },
        allow_mode0: flags & FLAG_ALLOW_MODE0 != 0,
        by_hand: flags & FLAG_BY_HAND != 0,
        promoted_link_version: Some(*promoted).filter(|version| *version != 0),
        readmitted,
    })
}
