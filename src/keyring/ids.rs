//! Names of utilities, and the states of key versions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

/// A text that is no utility.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a utility is 16 hexadecimal digits, as in a1b2c3d4e5f60718")]
pub struct NoUtilityId;

impl FromStr for UtilityId {
    type Err = NoUtilityId;

    fn from_str(text: &str) -> Result<Self, NoUtilityId> {
        hex::read_8(text).map(Self).ok_or(NoUtilityId)
    }
}

impl Serialize for UtilityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtilityId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The state of a version of a key.
// spec: KEY-8
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
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

    /// Whether a version in this state may come into another one: forward, and back only from
    /// EXPIRED to ACTIVE, for a rotation that is called off. A withdrawn key may be in foreign
    /// hands, and nobody can take that back.
    // spec: KEY-8
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Withdrawn, _) | (_, Self::New) => false,
            (Self::Expired, Self::Active) => true,
            _ => self.code() < next.code(),
        }
    }

    /// Whether a version in this state may be given to a terminal.
    // spec: KEY-8
    #[must_use]
    pub const fn may_be_installed(self) -> bool {
        matches!(self, Self::New | Self::Active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawn_version_stays_withdrawn_and_none_becomes_new_again() {
        use KeyState::{Active, Expired, New, Withdrawn};
        let all = [New, Active, Expired, Withdrawn];
        let allowed: Vec<_> = all
            .iter()
            .flat_map(|from| all.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        let expected = [
            (New, Active),
            (New, Expired),
            (New, Withdrawn),
            (Active, Expired),
            (Active, Withdrawn),
            (Expired, Active),
            (Expired, Withdrawn),
        ];
        assert_eq!(allowed, expected);
    }
}
