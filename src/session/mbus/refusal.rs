//! Every refusal of a telegram, once: metric label, whose fault it is, text for operators.

use core::fmt;

use crate::wire::mbus::error::MbusError;
use crate::wire::mbus::tpl::mode_name;

use super::keys::{KeyId, KeyVersion};

/// Why a telegram gives no record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Its octets are wrong.
    Octets(MbusError),
    /// A security mode that is known by name and not taken.
    UnsupportedMode(u8),
    /// A field of the security header has a value that no rule covers (a tag length, a derivation).
    UnsupportedSecurity(&'static str),
    /// No key of this number (and version, if the telegram names one) is known for the meter.
    NoKey {
        /// Which.
        id: KeyId,
        /// Which version, if the telegram names one.
        version: Option<KeyVersion>,
    },
    /// The MAC of the AFL does not hold under any key of the meter.
    WrongMac,
    /// The tag of mode 10 does not hold under any key of the meter.
    WrongTag,
    /// The check octets are wrong under every key of the meter: a wrong key, as a rule.
    WrongKey,
    /// It came in clear, and the meter's policy wants it encrypted.
    ClearNotAllowed,
    /// It came without a MAC: its mode demands one, or the meter's telegrams of this mode have one.
    MacMissing,
    /// The counter was used already, in another telegram.
    Replay,
    /// The counter is older than the window reaches back.
    TooOld,
}

impl Refusal {
    /// The names of all of them, each once.
    pub const IDS: [&'static str; 20] = [
        "truncated",
        "length",
        "start",
        "stop",
        "checksum",
        "block_crc",
        "unsupported_ci",
        "reserved",
        "fragment",
        "limit",
        "unsupported_mode",
        "unsupported_security",
        "no_key",
        "wrong_mac",
        "wrong_tag",
        "wrong_key",
        "clear_not_allowed",
        "mac_missing",
        "replay",
        "too_old",
    ];

    /// Whether it says that a meter and its entry in the key file do not agree: the meter is
    /// registered, and an operator has to look.
    #[must_use]
    pub const fn contradicts_key_file(self) -> bool {
        matches!(
            self,
            Self::WrongMac
                | Self::WrongTag
                | Self::WrongKey
                | Self::ClearNotAllowed
                | Self::MacMissing
        )
    }

    /// The name, for JSON, logs and metrics.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Octets(error) => error.kind.id(),
            Self::UnsupportedMode(_) => "unsupported_mode",
            Self::UnsupportedSecurity(_) => "unsupported_security",
            Self::NoKey { .. } => "no_key",
            Self::WrongMac => "wrong_mac",
            Self::WrongTag => "wrong_tag",
            Self::WrongKey => "wrong_key",
            Self::ClearNotAllowed => "clear_not_allowed",
            Self::MacMissing => "mac_missing",
            Self::Replay => "replay",
            Self::TooOld => "too_old",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octets(error) => error.fmt(f),
            Self::UnsupportedMode(mode) => {
                write!(
                    f,
                    "security mode {mode} ({}) is not taken",
                    mode_name(*mode)
                )
            }
            Self::UnsupportedSecurity(what) => write!(f, "{what} is not taken"),
            Self::NoKey {
                id,
                version: Some(KeyVersion(version)),
            } => {
                write!(
                    f,
                    "version {version} of key {id} of this meter is not known"
                )
            }
            Self::NoKey { id, version: None } => write!(f, "key {id} of this meter is not known"),
            Self::WrongMac => f.write_str("the MAC does not hold under the meter's key"),
            Self::WrongTag => f.write_str("the tag does not hold under the meter's key"),
            Self::WrongKey => {
                f.write_str("the check octets are wrong: the meter's key is another one")
            }
            Self::ClearNotAllowed => {
                f.write_str("it came in clear, and the meter's telegrams must be encrypted")
            }
            Self::MacMissing => f.write_str("its mode or its meter demands a MAC, and none came"),
            Self::Replay => f.write_str("its counter was used by another telegram"),
            Self::TooOld => f.write_str("its counter is older than the window"),
        }
    }
}

impl core::error::Error for Refusal {}
