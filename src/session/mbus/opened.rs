//! What a telegram is once everything that can be checked about it holds.

use crate::wire::mbus::address::Address;

use super::keys::{KeyId, KeyVersion};

/// How far the origin of the plaintext is proven.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Verified {
    /// Not at all: it came in clear.
    None,
    /// It decrypted to the known check octets (2Fh 2Fh, or the CRC of an extended link layer), which
    /// shows the right key, and not that nobody altered the rest.
    CheckBytes,
    /// A MAC or a tag holds.
    Mac,
}

impl Verified {
    /// The word of the outward forms.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::CheckBytes => "check_bytes",
            Self::Mac => "mac",
        }
    }
}

/// Which key verified.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KeyName {
    /// Its number.
    pub id: KeyId,
    /// Its version.
    pub version: KeyVersion,
}

/// The security of a telegram.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Security {
    /// The security mode of the transport header, 0 where there is none.
    pub mode: u8,
    /// Whether the extended link layer was encrypted (AES-CTR).
    pub link_encrypted: bool,
    /// What is proven.
    pub verified: Verified,
    /// The key; none for what came in clear.
    pub key: Option<KeyName>,
    /// The message counter (modes 7 and 10), which never comes twice under one key.
    pub counter: Option<u32>,
}

/// A telegram that may be read.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// The meter: of a long transport header its address, else that of the link. None for a wired
    /// frame without a long header.
    pub meter: Option<Address>,
    /// Who sent it over the air, if that is told: the meter or its radio adapter.
    pub sender: Option<Address>,
    /// What is proven about it.
    pub security: Security,
    /// The access number of the transport header.
    pub access_number: Option<u8>,
    /// The status octet of the transport header.
    pub status: Option<u8>,
    /// The CI field that `payload` belongs to.
    pub ci: u8,
    /// Whether the link was a wired one, where some CI fields mean something else.
    pub is_wired: bool,
    /// The application layer after the transport header, in clear, without check octets: what
    /// `wire::mbus::app` reads.
    pub payload: &'a [u8],
}
