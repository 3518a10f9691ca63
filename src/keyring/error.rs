//! What can be wrong with a key, a terminal or a mode.

use crate::crypto::otl::KeyTooShort;

/// Why no key is at hand for a frame or command. Each is a refusal of part 10 with its own metric
/// label.
// spec: ERR-1
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// No terminal of this identity is registered; or its maker is 0 and it was not registered by
    /// hand.
    // spec: ID-3
    #[error("no terminal of this identity is registered")]
    UnknownTerminal,
    /// The frame's mode is not the pinned one.
    // spec: SEC-1
    #[error("the frame's mode is not the pinned one")]
    ModeMismatch,
    /// Mode 0 is pinned but not allowed for this terminal.
    // spec: SEC-3
    #[error("the utility does not allow mode 0 for this terminal")]
    Mode0Forbidden,
    /// No key of this version can be derived, or it is not escrowed.
    // spec: ROT-6
    #[error("no key of this version can be derived")]
    UnknownKeyVersion,
    /// The key version was withdrawn.
    // spec: KEY-8
    #[error("the key version was withdrawn")]
    KeyWithdrawn,
    /// The terminal has been promoted to a newer version.
    // spec: ROT-7
    #[error("the terminal has been promoted to a newer key version")]
    KeyRetired,
    /// Mode 3 needs a base key of 32 octets.
    // spec: KEY-5
    #[error("mode 3 needs a base key of 32 octets")]
    KeyTooShort,
}

impl KeyError {
    /// All errors, in the order of their checks.
    pub const ALL: [Self; 7] = [
        Self::UnknownTerminal,
        Self::ModeMismatch,
        Self::Mode0Forbidden,
        Self::UnknownKeyVersion,
        Self::KeyWithdrawn,
        Self::KeyRetired,
        Self::KeyTooShort,
    ];

    /// The metric label, the id in `registries/close-codes.toml`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::UnknownTerminal => "unknown_terminal",
            Self::ModeMismatch => "mode_mismatch",
            Self::Mode0Forbidden => "mode0_forbidden",
            Self::UnknownKeyVersion => "unknown_key_version",
            Self::KeyWithdrawn => "key_withdrawn",
            Self::KeyRetired => "key_retired",
            Self::KeyTooShort => "key_too_short",
        }
    }
}

impl From<KeyTooShort> for KeyError {
    fn from(_: KeyTooShort) -> Self {
        Self::KeyTooShort
    }
}

/// Why a key or terminal was not added to a ring.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum AddKeyError {
    /// Versions count from 1.
    // spec: KEY-7
    #[error("key versions count from 1")]
    VersionZero,
    /// The version exists with another key.
    // spec: KEY-7
    #[error("the key version exists with another key")]
    VersionReused,
    /// The utility is not in this ring.
    #[error("the utility is not known")]
    UnknownUtility,
    /// The terminal is not registered in this ring.
    #[error("the terminal is not registered")]
    UnknownTerminal,
}

/// Why a mode change was not taken on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum ModeChangeError {
    /// The terminal is not registered.
    #[error("the terminal is not registered")]
    UnknownTerminal,
    /// No terminal may be changed to mode 0, and none from it.
    // spec: ROT-12
    #[error("mode 0 can neither be left nor entered by a mode change")]
    Clear,
    /// It is pinned already.
    #[error("the mode is pinned already")]
    Same,
    /// Another change is handed over and not ended.
    // spec: ROT-11
    #[error("another mode change is pending")]
    Pending,
    /// Mode 3 needs a base key of 32 octets, and the terminal's promoted one has 16.
    // spec: ROT-12
    #[error("mode 3 needs a base key of 32 octets")]
    KeyTooShort,
}

/// Why no key installation was made up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum InstallError {
    /// The terminal, or the version of the key to install or of the key-encryption key, is not
    /// usable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Only NEW and ACTIVE versions are given out.
    // spec: KEY-8
    #[error("only NEW and ACTIVE key versions are given out")]
    NotOffered,
    /// The version is not above the one that the terminal was promoted to.
    // spec: ROT-9
    #[error("the version is not above the present one")]
    NotNewer,
}
