//! What OTL v1 makes of the ciphers: key schedule, nonces, additional data, call tags, and the MACs
//! of commands and results.
//!
//! Inputs are plain octets, cut out of frames by the wire layer. Every nonce is read out of the
//! header that the tag covers, so the two cannot disagree.

mod call;
mod command;
mod frame;
mod schedule;
#[cfg(test)]
mod tests;

pub use call::CallKey;
pub use command::{
    AnsweredUplink, COMMAND_HEAD_OCTETS, CommandHead, CommandInput, CommandKey, CommandMac,
    ParametersTooLong, ResultInput, ResultKey,
};
pub use frame::{
    AnswerCipher, AnsweredFrame, OpenError, ResyncAnswerCipher, ResyncCipher, SealError, Tag,
    UplinkCipher,
};
pub use schedule::{KeyOwner, KeyTooShort, LinkKey, SessionNonces};

use super::key::KeyLength;

/// A security mode that encrypts: 1, 2 or 3. Mode 0 has no key and never reaches this module.
///
/// It is the mode that is pinned for a terminal; a caller must not take it from a frame.
// spec: SEC-2
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AeadMode {
    /// Mode 1: AES-128-CCM under the terminal's static key of each direction.
    CcmStatic,
    /// Mode 2: AES-128-CCM under session keys.
    CcmSession,
    /// Mode 3: AES-256-GCM under session keys.
    GcmSession,
}

impl AeadMode {
    /// The modes in order of their codes.
    pub const ALL: [Self; 3] = [Self::CcmStatic, Self::CcmSession, Self::GcmSession];

    /// The code in headers and derivations: 1 to 3.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::CcmStatic => 1,
            Self::CcmSession => 2,
            Self::GcmSession => 3,
        }
    }

    /// The mode of a code from 1 to 3.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::CcmStatic),
            2 => Some(Self::CcmSession),
            3 => Some(Self::GcmSession),
            _ => None,
        }
    }

    /// Octets of an authentication tag: 8, in mode 3: 16.
    #[must_use]
    pub const fn tag_octets(self) -> usize {
        match self {
            Self::CcmStatic | Self::CcmSession => 8,
            Self::GcmSession => 16,
        }
    }

    /// Octets of the header of an UPLINK: 23, in modes 2 and 3: 31.
    #[must_use]
    pub const fn uplink_header_octets(self) -> usize {
        match self {
            Self::CcmStatic => 23,
            Self::CcmSession | Self::GcmSession => 31,
        }
    }

    /// Length of a traffic key.
    #[must_use]
    pub const fn key_length(self) -> KeyLength {
        match self {
            Self::CcmStatic | Self::CcmSession => KeyLength::Short,
            Self::GcmSession => KeyLength::Long,
        }
    }
}

/// Octets of the header of a RESYNC.
pub const RESYNC_HEADER_OCTETS: usize = 27;
/// Octets of the header of an ANSWER in modes 1 to 3.
pub const ANSWER_HEADER_OCTETS: usize = 14;
/// Octets of the header of a RESYNC_ANSWER.
pub const RESYNC_ANSWER_HEADER_OCTETS: usize = 10;
/// Octets of the header of a CALL_NOW.
pub const CALL_HEADER_OCTETS: usize = 15;
