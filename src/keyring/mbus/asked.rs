//! How keys are asked for.

use core::fmt;

use crate::crypto::key::Key128;
use crate::wire::mbus::address::Address;

/// The number of a key in a meter: 00h the persistent one (master or default communication key),
/// 08h the harmonised communication key, up to 0Fh those that transport and AFL can name.
// clause: OMS Volume 2, 9.2, KeyID
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(pub u8);

impl KeyId {
    /// The persistent key: what mode 5 and an extended link layer use.
    pub const PERSISTENT: Self = Self(0);

    /// The highest number that transport and AFL can name.
    pub const MAX: Self = Self(0x0F);
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}h", self.0)
    }
}

/// The version of a key; a key that is replaced keeps its [`KeyId`] and gets another version.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyVersion(pub u8);

/// What a meter's telegrams must be.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Policy {
    /// Clear telegrams are taken as unauthenticated.
    #[default]
    ClearAllowed,
    /// A telegram whose application data is not encrypted, or not under a key of the meter, is
    /// refused.
    MustBeEncrypted,
}

impl Policy {
    /// Its name in key files.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::ClearAllowed => "clear_allowed",
            Self::MustBeEncrypted => "must_be_encrypted",
        }
    }

    /// The policy of a name that [`Self::id`] gives.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        [Self::ClearAllowed, Self::MustBeEncrypted]
            .into_iter()
            .find(|policy| policy.id() == id)
    }
}

/// Whoever knows the keys of meters.
///
/// The cost of an answer does not depend on how many meters there are.
pub trait MeterKeys {
    /// Gives the versions of a key of a meter to `visit`, the one most likely in use first, until
    /// that returns false. At most three: the current one, the next and the one before.
    fn visit(&self, meter: Address, id: KeyId, visit: &mut dyn FnMut(KeyVersion, &Key128) -> bool);

    /// What the meter's telegrams must be.
    fn policy(&self, meter: Address) -> Policy;

    /// Whether what says that it is encrypted and begins like plaintext is taken for what a
    /// recorder has decrypted, where no key is known. One in 65536 ciphertexts begins so: a tool
    /// for people may take it, a server must not.
    fn takes_decrypted(&self) -> bool {
        false
    }
}

/// No keys at all, and no policy: only what is clear can be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeys;

impl MeterKeys for NoKeys {
    fn visit(&self, _: Address, _: KeyId, _: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {}

    fn policy(&self, _: Address) -> Policy {
        Policy::ClearAllowed
    }
}
