//! Identity, modes and the key tree from the base keys downwards.

use crate::crypto::{Cipher, CryptoError, SecretKey, derive};

/// A terminal's identity: maker u16, serial u48.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub [u8; 8]);

/// The utility, never on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Utility(pub [u8; 8]);

/// A security mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// 0: clear, for laboratories.
    Clear,
    /// 1: AES-128-CCM, static keys.
    CcmStatic,
    /// 2: AES-128-CCM, session keys.
    CcmSession,
    /// 3: AES-256-GCM, session keys.
    GcmSession,
}

impl Mode {
    /// From its number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Clear),
            1 => Some(Self::CcmStatic),
            2 => Some(Self::CcmSession),
            3 => Some(Self::GcmSession),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::CcmStatic => 1,
            Self::CcmSession => 2,
            Self::GcmSession => 3,
        }
    }

    /// Its AEAD, if any.
    #[must_use]
    pub fn cipher(self) -> Option<Cipher> {
        match self {
            Self::Clear => None,
            Self::CcmStatic | Self::CcmSession => Some(Cipher::Ccm),
            Self::GcmSession => Some(Cipher::Gcm),
        }
    }

    /// Octets of its tag.
    #[must_use]
    pub fn tag_octets(self) -> usize {
        match self {
            Self::Clear => 0,
            Self::CcmStatic | Self::CcmSession => 8,
            Self::GcmSession => 16,
        }
    }

    /// Octets of an uplink header.
    #[must_use]
    pub fn uplink_header_octets(self) -> usize {
        match self {
            Self::Clear => 15,
            Self::CcmStatic => 23,
            Self::CcmSession | Self::GcmSession => 31,
        }
    }

    /// Whether Nt and ticket enter the key.
    #[must_use]
    pub fn has_session_key(self) -> bool {
        matches!(self, Self::CcmSession | Self::GcmSession)
    }

    fn traffic_octets(self) -> usize {
        if self == Self::GcmSession { 32 } else { 16 }
    }
}

/// What a base key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Frames.
    Link,
    /// Commands and results.
    Command,
    /// Wrapping of keys.
    KeyEncryption,
}

impl Purpose {
    /// From its code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Link),
            2 => Some(Self::Command),
            3 => Some(Self::KeyEncryption),
            _ => None,
        }
    }

    /// Its code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Link => 1,
            Self::Command => 2,
            Self::KeyEncryption => 3,
        }
    }
}

/// Whom a key belongs to: enters every derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The utility.
    pub utility: Utility,
    /// The terminal.
    pub identity: Identity,
}

/// Which traffic key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// UPLINK.
    Uplink,
    /// ANSWER.
    Answer,
    /// RESYNC.
    Resync,
    /// `RESYNC_ANSWER`.
    ResyncAnswer,
    /// `CALL_NOW`.
    CallNow,
}

impl Direction {
    fn code(self) -> u8 {
        match self {
            Self::Uplink => 1,
            Self::Answer => 2,
            Self::Resync => 3,
            Self::ResyncAnswer => 4,
            Self::CallNow => 5,
        }
    }
}

/// A base key and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseKey {
    /// 1 to 255.
    pub version: u8,
    /// The key.
    pub key: SecretKey,
}

/// A terminal's base key from a master, as a maker or a server derives it.
///
/// # Errors
/// None in practice; a master has a length that the derivation takes.
// spec: KEY-2, KEY-3
pub fn base_key(
    master: &SecretKey,
    owner: &Owner,
    purpose: Purpose,
    version: u8,
) -> Result<BaseKey, CryptoError> {
    let mut context = Vec::with_capacity(18);
    context.extend_from_slice(&owner.utility.0);
    context.extend_from_slice(&owner.identity.0);
    context.extend_from_slice(&[purpose.code(), version]);
    let key = derive(master, b"OTL1 base", &context, master.octets())?;
    Ok(BaseKey { version, key })
}

fn context(owner: &Owner, octets: [u8; 4], nonces: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(20 + nonces.len());
    out.extend_from_slice(&owner.utility.0);
    out.extend_from_slice(&owner.identity.0);
    out.extend_from_slice(&octets);
    out.extend_from_slice(nonces);
    out
}

/// A key for frames. `nonces` is Nt and ticket, or Nr; it is left out where the mode asks for none.
///
/// # Errors
/// Mode 0, or mode 3 with a base key of 16 octets.
// spec: KEY-2, KEY-4, KEY-5, KEY-6
pub fn traffic_key(
    base: &BaseKey,
    owner: &Owner,
    mode: Mode,
    direction: Direction,
    nonces: &[u8],
) -> Result<SecretKey, CryptoError> {
    if mode == Mode::Clear || (mode == Mode::GcmSession && base.key.octets() != 32) {
        return Err(CryptoError::KeyLength);
    }
    let nonces = match direction {
        Direction::Uplink | Direction::Answer if !mode.has_session_key() => &[],
        Direction::CallNow => &[],
        _ => nonces,
    };
    let octets = [
        Purpose::Link.code(),
        mode.code(),
        direction.code(),
        base.version,
    ];
    derive(
        &base.key,
        b"OTL1 traffic",
        &context(owner, octets, nonces),
        mode.traffic_octets(),
    )
}

/// The key of results (direction 1) or commands (direction 2).
///
/// # Errors
/// None in practice.
// spec: KEY-2, KEY-4
pub fn command_key(base: &BaseKey, owner: &Owner, direction: u8) -> Result<SecretKey, CryptoError> {
    let octets = [Purpose::Command.code(), 0, direction, base.version];
    derive(
        &base.key,
        b"OTL1 command",
        &context(owner, octets, &[]),
        base.key.octets(),
    )
}

/// The key that wraps keys.
///
/// # Errors
/// None in practice.
// spec: KEY-2, KEY-4
pub fn wrap_key(base: &BaseKey, owner: &Owner) -> Result<SecretKey, CryptoError> {
    let octets = [Purpose::KeyEncryption.code(), 0, 2, base.version];
    derive(
        &base.key,
        b"OTL1 wrap",
        &context(owner, octets, &[]),
        base.key.octets(),
    )
}

/// Something in force and, between two phases, what is to follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<T> {
    /// In force, proven.
    pub current: T,
    /// Installed, not proven yet.
    pub newer: Option<T>,
}

impl<T> Pair<T> {
    /// Nothing to follow.
    pub fn of(current: T) -> Self {
        Self {
            current,
            newer: None,
        }
    }

    /// The newest.
    pub fn latest(&self) -> &T {
        self.newer.as_ref().unwrap_or(&self.current)
    }

    /// The newer one becomes the only one. Says whether there was one.
    pub fn promote(&mut self) -> bool {
        match self.newer.take() {
            Some(newer) => {
                self.current = newer;
                true
            }
            None => false,
        }
    }
}

impl Pair<BaseKey> {
    /// The key of a version, if held.
    #[must_use]
    pub fn version(&self, version: u8) -> Option<&BaseKey> {
        [Some(&self.current), self.newer.as_ref()]
            .into_iter()
            .flatten()
            .find(|k| k.version == version)
    }
}

/// A terminal's base keys by purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    /// For frames.
    pub link: Pair<BaseKey>,
    /// For commands and results.
    pub command: Pair<BaseKey>,
    /// For wrapped keys.
    pub key_encryption: Pair<BaseKey>,
}

impl KeyRing {
    /// The keys of a purpose.
    #[must_use]
    pub fn of(&self, purpose: Purpose) -> &Pair<BaseKey> {
        match purpose {
            Purpose::Link => &self.link,
            Purpose::Command => &self.command,
            Purpose::KeyEncryption => &self.key_encryption,
        }
    }

    /// The keys of a purpose, to change them.
    pub fn of_mut(&mut self, purpose: Purpose) -> &mut Pair<BaseKey> {
        match purpose {
            Purpose::Link => &mut self.link,
            Purpose::Command => &mut self.command,
            Purpose::KeyEncryption => &mut self.key_encryption,
        }
    }
}
