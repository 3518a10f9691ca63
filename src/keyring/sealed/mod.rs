//! Keys at rest: a key ring sealed under a master key of 32 octets.
//!
//! The master key comes from a file or the environment; the caller reads it, see [`FileKey`]. Link
//! and command rings are different files, told apart by a role octet under the seal.
//!
//! # Format
//!
//! ```text
//!  off  len
//!    0    8   "KENSHINK"
//!    8    1   format version, 1
//!    9    1   role: 1 link ring, 2 command ring, 3 ring of M-Bus meters
//!   10    2   zero
//!   12    4   number of entries
//!   16   12   nonce of the check
//!   28   16   check: AES-256-GCM tag of no octets, with octets 0 to 15 as additional data
//!   44        entries
//!
//! entry
//!    0    1   kind: 1 utility, 2 terminal, 3 master, 4 imported base key, 5 keys of meters
//!    1    1   purpose (kinds 3, 4), else 0
//!    2    1   key version (kinds 3, 4), else 0
//!    3    1   state (kinds 3, 4): 1 NEW, 2 ACTIVE, 3 EXPIRED, 4 WITHDRAWN; else 0
//!    4    1   bit 0: escrowed (kinds 3, 4), else 0
//!    5    8   utility; zero in kind 4
//!   13    8   identity; zero in kinds 1, 3 and 5
//!   21    2   octets of the payload, n
//!   23   12   nonce
//!   35    n   payload, encrypted with AES-256-GCM
//! 35+n   16   tag
//! ```
//!
//! Integers are big-endian. The additional data of an entry is octets 0 to 27 of the file, the
//! entry's index as u32 from 0, and octets 0 to 22 of the entry: an entry can be neither changed
//! nor moved, left out, or taken from another file. Payloads are the UTF-8 name of a utility, the
//! key of a master or imported base key, nothing for a terminal of a command ring, and for a
//! terminal of a link ring
//!
//! ```text
//!    0    1   pinned mode
//!    1    1   mode of a pending change, 1 to 3; 0xFF: none
//!    2    1   bit 0: mode 0 allowed, bit 1: entered by hand
//!    3    1   promoted link key version, 0: none
//!    4        link key versions that were admitted again, one octet each, ascending
//! ```
//!
//! A ring of M-Bus meters has entries of kind 5 only, each with 1 to 2,048 keys of meters of one
//! utility, so that a million of them are 500 entries. Its payload is a row a key,
//!
//! ```text
//!    0    8   the meter: its address in the order of the link
//!    8    1   what the meter's entries say of its policy: 0 nothing, 1 clear allowed,
//!             2 must be encrypted
//!    9    1   number of the key
//!   10    1   version of the key
//!   11    1   state: 1 current, 2 next, 3 previous
//!   12   16   the key
//! ```
//!
//! Nonces are random; under one master key at most 2^32 entries may ever be sealed.

mod codec;
mod meters;
mod rings;
mod summary;
#[cfg(test)]
mod tests;

pub use codec::{claimed_role, is_sealed};
pub use meters::{open_meters, seal_meters};
pub use rings::{open_command, open_link, seal_command, seal_link};
pub use summary::{KeySummary, Origin, Summary, UtilitySummary};
use zeroize::Zeroizing;

use super::hex;
use super::random::RandomFailed;
use crate::crypto::aead::MessageTooLong;
use crate::crypto::key::Key256;

/// Which ring a sealed file holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Link masters and registrations: the server's.
    Link,
    /// Command and key-encryption masters: the signer's.
    Command,
    /// Keys of M-Bus meters: the server's.
    Mbus,
}

impl Role {
    const fn code(self) -> u8 {
        match self {
            Self::Link => 1,
            Self::Command => 2,
            Self::Mbus => 3,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Link),
            2 => Some(Self::Command),
            3 => Some(Self::Mbus),
            _ => None,
        }
    }

    /// Its name on the command line and in messages.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Command => "command",
            Self::Mbus => "mbus",
        }
    }
}

/// The master key of sealed files.
#[derive(Debug, Eq, PartialEq)]
pub struct FileKey(Key256);

/// Why octets are no master key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FileKeyError {
    /// Digits of a key of 16 octets. As 32 octets they would be a key, but a far weaker one.
    #[error("32 hexadecimal digits are a key of 16 octets; a master key has 64 digits")]
    TooShort,
    /// Neither 64 hexadecimal digits nor 32 raw octets.
    #[error("a master key is 64 hexadecimal digits, or in a file 32 raw octets")]
    NotAKey,
}

impl FileKey {
    /// Reads a master key: 64 hexadecimal digits with white space around them, or 32 octets as they
    /// are. Octets that are nothing but digits and white space around them are never taken raw.
    ///
    /// # Errors
    ///
    /// [`FileKeyError`].
    pub fn read(octets: &[u8]) -> Result<Self, FileKeyError> {
        let is_text = octets.trim_ascii().iter().all(u8::is_ascii_hexdigit);
        match <&[u8; 32]>::try_from(octets) {
            Ok(raw) if !is_text => Ok(Self(Key256::take(&mut Zeroizing::new(*raw)))),
            Ok(_) | Err(_) => Self::read_digits(octets),
        }
    }

    /// Reads a master key as 64 hexadecimal digits with white space around them.
    ///
    /// # Errors
    ///
    /// [`FileKeyError`].
    pub fn read_digits(text: &[u8]) -> Result<Self, FileKeyError> {
        match hex::read(text.trim_ascii()) {
            Some((mut key, 32)) => Ok(Self(Key256::take(&mut key))),
            Some((_, 16)) => Err(FileKeyError::TooShort),
            Some(_) | None => Err(FileKeyError::NotAKey),
        }
    }
}

/// Why a ring was not sealed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealFileError {
    /// No random octets for nonces.
    #[error(transparent)]
    Random(#[from] RandomFailed),
    /// More than 2^32 − 1 entries, or a name of more than 65,535 octets.
    #[error("the ring is too large for the file format")]
    TooLarge,
}

impl From<MessageTooLong> for SealFileError {
    fn from(_: MessageTooLong) -> Self {
        Self::TooLarge
    }
}

/// Why a sealed file was not opened. Entries are named by their index, from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenFileError {
    /// It is no sealed key ring.
    #[error("this is not a sealed key ring")]
    NotAKeyring,
    /// A format version that this program does not know.
    #[error("format version {found} is not known")]
    UnsupportedVersion {
        /// The version in the file.
        found: u8,
    },
    /// Another ring. A link ring and a command ring never meet in one process.
    // spec: KEY-10
    #[error("it holds the {} ring, and the {} ring is wanted", role_name(*found), wanted.id())]
    WrongRole {
        /// The role octet in the file.
        found: u8,
        /// The role that was asked for.
        wanted: Role,
    },
    /// Another master key, or a damaged file header.
    #[error("the master key does not fit, or the file header is damaged")]
    WrongMasterKey,
    /// The file ends within an entry.
    #[error("the file ends within entry {index}")]
    Truncated {
        /// The entry.
        index: u32,
    },
    /// An entry was changed.
    #[error("entry {index} is damaged")]
    DamagedEntry {
        /// The entry.
        index: u32,
    },
    /// An entry is genuine but says something that this program does not accept.
    #[error("entry {index} holds what it should not")]
    BadEntry {
        /// The entry.
        index: u32,
    },
    /// Octets follow after the last entry.
    #[error("octets follow after the last entry")]
    TrailingBytes,
}

fn role_name(code: u8) -> &'static str {
    Role::from_code(code).map_or("unknown", Role::id)
}

/// An entry in clear.
struct Entry {
    id: EntryId,
    payload: Zeroizing<Vec<u8>>,
}

/// What stands in clear of an entry.
#[derive(Clone, Copy, Default, Eq, Ord, PartialEq, PartialOrd)]
struct EntryId {
    kind: u8,
    utility: [u8; 8],
    identity: [u8; 8],
    purpose: u8,
    version: u8,
    state: u8,
    flags: u8,
}
