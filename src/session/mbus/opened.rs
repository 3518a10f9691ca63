//! What a telegram is once everything that can be checked about it holds.

use crate::wire::mbus::address::Address;
use crate::wire::mbus::error::MbusError;
use crate::wire::mbus::link::Format;

use super::keys::{KeyId, KeyVersion};

/// How far the origin of the plaintext is proven.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Verified {
    /// Not at all: it came in clear.
    None,
    /// It decrypted to the known check octets (2Fh 2Fh, or the CRC of an extended link layer),
    /// which shows the right key, and not that nobody altered the rest.
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
    /// Octets at the end of the payload that came in clear behind encrypted ones. A MAC covers them
    /// too; in mode 5 nothing does.
    pub clear_tail_octets: usize,
    /// Octets of a clear tail that the payload has not: no MAC covers them, and the meter's policy
    /// wants them encrypted.
    pub withheld_octets: usize,
    /// Octets that are missing in the payload: the telegram ends within an encrypted block. More
    /// than none: it was cut on its way, and nobody should acknowledge it.
    pub cut_octets: usize,
}

/// A telegram that may be read.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// The meter: of a long transport header its address, else that of the link. None for a wired
    /// frame without a long header.
    pub meter: Option<Address>,
    /// Who sent it over the air, if that is told: the meter or its radio adapter.
    pub sender: Option<Address>,
    /// What it was carried in.
    pub format: Format,
    /// The C field; none without a link layer.
    pub c_field: Option<u8>,
    /// Whether it was sent to the meter: a command or a request, and no reading.
    pub is_downlink: bool,
    /// Octets behind its end, which were left out.
    pub trailing_octets: usize,
    /// What is proven about it.
    pub security: Security,
    /// What speaks against it without disproving it. It may be shown with that, and nobody should
    /// acknowledge it.
    pub doubt: Option<MbusError>,
    /// The access number of the transport header.
    pub access_number: Option<u8>,
    /// The status octet of the transport header.
    pub status: Option<u8>,
    /// The CI field that `payload` belongs to.
    pub ci: u8,
    /// Whether the link was a wired one, where some CI fields mean something else.
    pub is_wired: bool,
    /// All clear octets before the payload, from the C field on and without CRCs: what is kept
    /// beside the plaintext.
    pub head: &'a [u8],
    /// The application layer after the transport header, in clear, without check octets: what
    /// `wire::mbus::app` reads.
    pub payload: &'a [u8],
    /// Where the payload begins in the telegram, CRCs left out; of a message in fragments, counted
    /// from the telegram's body.
    pub payload_offset: usize,
}
