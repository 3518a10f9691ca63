//! Octets of sealed files.

use zeroize::Zeroizing;

use super::super::random::RandomSource;
use super::{Entry, EntryId, FileKey, OpenFileError, Role, SealFileError};
use crate::crypto::aead::{GCM_TAG_OCTETS, GcmKey, NONCE_OCTETS};

const MAGIC: &[u8; 8] = b"KENSHINK";
const FORMAT_VERSION: u8 = 1;
const ENTRY_HEAD_OCTETS: usize = 23;

/// Reads fields off the front of the file.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    fn take_slice(&mut self, octets: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(octets)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Whether a file begins as a sealed key ring does.
#[must_use]
pub fn is_sealed(file: &[u8]) -> bool {
    file.starts_with(MAGIC)
}

/// The role that a file claims, before anything of it is verified; none if it is no known one.
#[must_use]
pub fn claimed_role(file: &[u8]) -> Option<Role> {
    let [_version, role, ..] = file.strip_prefix(MAGIC)? else {
        return None;
    };
    Role::from_code(*role)
}

fn file_head(role: Role, entries: u32) -> [u8; 16] {
    let [m0, m1, m2, m3, m4, m5, m6, m7] = *MAGIC;
    let [n0, n1, n2, n3] = entries.to_be_bytes();
    [
        m0,
        m1,
        m2,
        m3,
        m4,
        m5,
        m6,
        m7,
        FORMAT_VERSION,
        role.code(),
        0,
        0,
        n0,
        n1,
        n2,
        n3,
    ]
}

fn entry_head(id: &EntryId, payload_octets: u16) -> [u8; ENTRY_HEAD_OCTETS] {
    let mut head = [0; ENTRY_HEAD_OCTETS];
    let fields = [id.kind, id.purpose, id.version, id.state, id.flags];
    let length = payload_octets.to_be_bytes();
    let all = fields
        .iter()
        .chain(&id.utility)
        .chain(&id.identity)
        .chain(&length);
    head.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
    head
}

/// Additional data of an entry.
fn entry_aad(
    file_head: &[u8; 16],
    check_nonce: &[u8; NONCE_OCTETS],
    index: u32,
    head: &[u8; ENTRY_HEAD_OCTETS],
) -> Vec<u8> {
    let index = index.to_be_bytes();
    [&file_head[..], check_nonce, &index, head].concat()
}

pub(super) fn seal(
    role: Role,
    mut entries: Vec<Entry>,
    master: &FileKey,
    random: &mut dyn RandomSource,
) -> Result<Vec<u8>, SealFileError> {
    entries.sort_by_key(|entry| entry.id);
    let count = u32::try_from(entries.len()).map_err(|_| SealFileError::TooLarge)?;
    let cipher = GcmKey::new(&master.0);
    let head = file_head(role, count);
    let mut check_nonce = [0; NONCE_OCTETS];
    random.fill(&mut check_nonce)?;
    let mut file = head.to_vec();
    file.extend_from_slice(&check_nonce);
    file.extend_from_slice(&cipher.seal_in_place(&check_nonce, &head, &mut [])?);
    for (index, mut entry) in (0..count).zip(entries) {
        let octets = u16::try_from(entry.payload.len()).map_err(|_| SealFileError::TooLarge)?;
        let entry_head = entry_head(&entry.id, octets);
        let aad = entry_aad(&head, &check_nonce, index, &entry_head);
        let mut nonce = [0; NONCE_OCTETS];
        random.fill(&mut nonce)?;
        let tag = cipher.seal_in_place(&nonce, &aad, &mut entry.payload)?;
        file.extend_from_slice(&entry_head);
        file.extend_from_slice(&nonce);
        file.extend_from_slice(&entry.payload);
        file.extend_from_slice(&tag);
    }
    Ok(file)
}

pub(super) fn open(role: Role, file: &[u8], master: &FileKey) -> Result<Vec<Entry>, OpenFileError> {
    let mut reader = Reader(file);
    let head: &[u8; 16] = reader.take().ok_or(OpenFileError::NotAKeyring)?;
    let [magic @ .., version, found, zero_0, zero_1, n0, n1, n2, n3] = head;
    if magic != MAGIC {
        return Err(OpenFileError::NotAKeyring);
    }
    if *version != FORMAT_VERSION {
        return Err(OpenFileError::UnsupportedVersion { found: *version });
    }
    if *found != role.code() {
        return Err(OpenFileError::WrongRole {
            found: *found,
            wanted: role,
        });
    }
    let count = u32::from_be_bytes([*n0, *n1, *n2, *n3]);
    let cipher = GcmKey::new(&master.0);
    let check_nonce = reader.take().ok_or(OpenFileError::NotAKeyring)?;
    let check = reader.take().ok_or(OpenFileError::NotAKeyring)?;
    let checked = cipher.open_in_place(check_nonce, head, &mut [], check);
    if checked.is_err() || [*zero_0, *zero_1] != [0, 0] {
        return Err(OpenFileError::WrongMasterKey);
    }
    let mut entries = Vec::new();
    for index in 0..count {
        let (head_octets, nonce, sealed, tag) =
            cut_entry(&mut reader).ok_or(OpenFileError::Truncated { index })?;
        let aad = entry_aad(head, check_nonce, index, head_octets);
        let mut payload = Zeroizing::new(sealed.to_vec());
        let opened = cipher.open_in_place(nonce, &aad, &mut payload, tag);
        opened.map_err(|_| OpenFileError::DamagedEntry { index })?;
        entries.push(Entry {
            id: entry_id(head_octets),
            payload,
        });
    }
    if reader.0.is_empty() {
        Ok(entries)
    } else {
        Err(OpenFileError::TrailingBytes)
    }
}

type CutEntry<'a> = (
    &'a [u8; ENTRY_HEAD_OCTETS],
    &'a [u8; NONCE_OCTETS],
    &'a [u8],
    &'a [u8; GCM_TAG_OCTETS],
);

fn cut_entry<'a>(reader: &mut Reader<'a>) -> Option<CutEntry<'a>> {
    let head: &[u8; ENTRY_HEAD_OCTETS] = reader.take()?;
    let nonce = reader.take()?;
    let [.., l0, l1] = head;
    let sealed = reader.take_slice(usize::from(u16::from_be_bytes([*l0, *l1])))?;
    Some((head, nonce, sealed, reader.take()?))
}

fn entry_id(head: &[u8; ENTRY_HEAD_OCTETS]) -> EntryId {
    let [kind, purpose, version, state, flags, rest @ ..] = head;
    let [
        u0,
        u1,
        u2,
        u3,
        u4,
        u5,
        u6,
        u7,
        i0,
        i1,
        i2,
        i3,
        i4,
        i5,
        i6,
        i7,
        _,
        _,
    ] = *rest;
    EntryId {
        kind: *kind,
        utility: [u0, u1, u2, u3, u4, u5, u6, u7],
        identity: [i0, i1, i2, i3, i4, i5, i6, i7],
        purpose: *purpose,
        version: *version,
        state: *state,
        flags: *flags,
    }
}
