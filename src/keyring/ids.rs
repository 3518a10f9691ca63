//! Names of utilities, and the states of key versions.

use std::fmt;

use super::hex;

/// A utility: 8 opaque octets that stand in key derivations and never on the wire.
// spec: ID-4
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UtilityId([u8; 8]);

impl UtilityId {
    /// A utility by its octets.
    #[must_use]
    pub const fn new(octets: [u8; 8]) -> Self {
        Self(octets)
    }

    /// Its octets.
    #[must_use]
    pub const fn octets(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for UtilityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

/// The state of a version of a key.
// spec: KEY-8
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyState {
    /// Known, and may be given to terminals; none may have it yet.
    New,
    /// The present version.
    Active,
    /// Replaced, but terminals may still use it.
    Expired,
    /// Must not be used any more.
    Withdrawn,
}

impl KeyState {
    /// Its name in key files.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }

    /// The state of a name that [`Self::id`] gives.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        [Self::New, Self::Active, Self::Expired, Self::Withdrawn]
            .into_iter()
            .find(|state| state.id() == id)
    }

    /// Its code in sealed files: 1 to 4.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::New => 1,
            Self::Active => 2,
            Self::Expired => 3,
            Self::Withdrawn => 4,
        }
    }

    /// The state of a code that [`Self::code`] gives.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::New),
            2 => Some(Self::Active),
            3 => Some(Self::Expired),
            4 => Some(Self::Withdrawn),
            _ => None,
        }
    }

    /// Whether a version in this state may be given to a terminal.
    // spec: KEY-8
    #[must_use]
    pub const fn may_be_installed(self) -> bool {
        matches!(self, Self::New | Self::Active)
    }
}
