//! What keys are for, as values and as types.

/// What a key is for. Each purpose has roots of its own, so that whoever holds the link cannot move
/// a valve.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Purpose {
    /// Code 1: traffic between terminal and server, both ways.
    Link,
    /// Code 2: MACs of commands and results.
    Command,
    /// Code 3: wrapping of new keys.
    KeyEncryption,
}

impl Purpose {
    /// The code in contexts of derivations and in key installations.
    // spec: KEY-3, KEY-4
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Link => 1,
            Self::Command => 2,
            Self::KeyEncryption => 3,
        }
    }

    /// The purpose of a code, if it is one of the three.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Link),
            2 => Some(Self::Command),
            3 => Some(Self::KeyEncryption),
            _ => None,
        }
    }

    /// The purpose with a name that [`Self::id`] gives.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        match id {
            "link" => Some(Self::Link),
            "command" => Some(Self::Command),
            "kek" => Some(Self::KeyEncryption),
            _ => None,
        }
    }

    /// Its name in key files, logs and metrics.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Command => "command",
            Self::KeyEncryption => "kek",
        }
    }
}

/// A purpose as a type. Only [`Link`], [`Command`] and [`KeyEncryption`] are purposes.
pub trait KeyPurpose: std::fmt::Debug + Send + Sync + 'static {
    /// The purpose as a value.
    const PURPOSE: Purpose;
}

/// The purpose of traffic keys, as a type.
#[derive(Debug, Eq, PartialEq)]
pub enum Link {}

/// The purpose of command and result MACs, as a type.
#[derive(Debug, Eq, PartialEq)]
pub enum Command {}

/// The purpose of key wrapping, as a type.
#[derive(Debug, Eq, PartialEq)]
pub enum KeyEncryption {}

impl KeyPurpose for Link {
    const PURPOSE: Purpose = Purpose::Link;
}

impl KeyPurpose for Command {
    const PURPOSE: Purpose = Purpose::Command;
}

impl KeyPurpose for KeyEncryption {
    const PURPOSE: Purpose = Purpose::KeyEncryption;
}
