//! The key schedule: from a master to a terminal's base key, and from there to the keys that
//! ciphers use.

use std::fmt;

use super::super::aead::{CcmKey, GcmKey};
use super::super::cmac::CmacKey;
use super::super::kdf;
use super::super::key::{
    BaseKey, Command, KeyEncryption, KeyLength, KeyPurpose, Link, Master, Purpose,
};
use super::super::keywrap::{KeyWrapKey, WrappedKey};
use super::AeadMode;
use super::call::CallKey;
use super::command::{CommandKey, ResultKey};
use super::frame::{AnswerCipher, ResyncAnswerCipher, ResyncCipher, TrafficKey, UplinkCipher};

// spec: KEY-2
const LABEL_BASE: &[u8] = b"OTL1 base";
const LABEL_TRAFFIC: &[u8] = b"OTL1 traffic";
const LABEL_COMMAND: &[u8] = b"OTL1 command";
const LABEL_WRAP: &[u8] = b"OTL1 wrap";

/// The direction octet of a context.
// spec: KEY-4
#[derive(Clone, Copy)]
enum Direction {
    /// Also: results.
    Uplink,
    /// Also: commands and wraps.
    Answer,
    Resync,
    ResyncAnswer,
    CallNow,
}

impl Direction {
    const fn code(self) -> u8 {
        match self {
            Self::Uplink => 1,
            Self::Answer => 2,
            Self::Resync => 3,
            Self::ResyncAnswer => 4,
            Self::CallNow => 5,
        }
    }
}

/// Whose keys they are. Both numbers enter every derivation; the utility is never on the wire.
// spec: ID-4
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KeyOwner {
    /// The utility, 8 opaque octets.
    pub utility: [u8; 8],
    /// The terminal's identity: maker u16, serial u48.
    pub identity: [u8; 8],
}

/// What makes the keys of one session: both values stand in the uplink's header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SessionNonces {
    /// The terminal's nonce Nt. Not used in mode 1, whose header has none.
    pub terminal_nonce: [u8; 8],
    /// The ticket, zero if the terminal has none. Not used in mode 1.
    pub ticket: [u8; 8],
}

/// Mode 3 asks for a base key of 32 octets, and this one has 16: `key_too_short`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("mode 3 needs a base key of 32 octets")]
pub struct KeyTooShort;

impl<P: KeyPurpose> Master<P> {
    /// The base key of a terminal, as long as the master.
    ///
    /// `key_version` is the version of the master, 1 to 255.
    // spec: KEY-3, ID-4
    #[must_use]
    pub fn derive_base(&self, owner: KeyOwner, key_version: u8) -> BaseKey<P> {
        let [u0, u1, u2, u3, u4, u5, u6, u7] = owner.utility;
        let [i0, i1, i2, i3, i4, i5, i6, i7] = owner.identity;
        let context = [
            u0,
            u1,
            u2,
            u3,
            u4,
            u5,
            u6,
            u7, //
            i0,
            i1,
            i2,
            i3,
            i4,
            i5,
            i6,
            i7, //
            P::PURPOSE.code(),
            key_version,
        ];
        BaseKey::import(kdf::derive(
            &self.cmac,
            LABEL_BASE,
            [&context, &[]],
            self.length(),
        ))
    }
}

/// The context without nonces.
// spec: KEY-4
fn context(
    owner: KeyOwner,
    purpose: Purpose,
    mode: u8,
    direction: Direction,
    version: u8,
) -> [u8; 20] {
    let [u0, u1, u2, u3, u4, u5, u6, u7] = owner.utility;
    let [i0, i1, i2, i3, i4, i5, i6, i7] = owner.identity;
    [
        u0,
        u1,
        u2,
        u3,
        u4,
        u5,
        u6,
        u7, //
        i0,
        i1,
        i2,
        i3,
        i4,
        i5,
        i6,
        i7, //
        purpose.code(),
        mode,
        direction.code(),
        version,
    ]
}

impl BaseKey<Command> {
    /// The key that MACs commands to this terminal. `key_version` is the base key's version.
    // spec: KEY-4, CMD-1
    #[must_use]
    pub fn command_key(&self, owner: KeyOwner, key_version: u8) -> CommandKey {
        CommandKey(self.mac_key(owner, Direction::Answer, key_version))
    }

    /// The key that MACs results and valve states of this terminal.
    // spec: KEY-4, CMD-14
    #[must_use]
    pub fn result_key(&self, owner: KeyOwner, key_version: u8) -> ResultKey {
        ResultKey(self.mac_key(owner, Direction::Uplink, key_version))
    }

    fn mac_key(&self, owner: KeyOwner, direction: Direction, key_version: u8) -> CmacKey {
        let base = CmacKey::new(self.octets());
        let context = context(owner, Purpose::Command, 0, direction, key_version);
        CmacKey::new(&kdf::derive(
            &base,
            LABEL_COMMAND,
            [&context, &[]],
            self.length(),
        ))
    }
}

impl BaseKey<KeyEncryption> {
    /// The key under which new base keys travel to this terminal.
    // spec: KEY-4, ROT-1
    #[must_use]
    pub fn wrap_key(&self, owner: KeyOwner, key_version: u8) -> KeyWrapKey {
        let base = CmacKey::new(self.octets());
        let context = context(
            owner,
            Purpose::KeyEncryption,
            0,
            Direction::Answer,
            key_version,
        );
        KeyWrapKey::new(&kdf::derive(
            &base,
            LABEL_WRAP,
            [&context, &[]],
            self.length(),
        ))
    }
}

/// A terminal's link base key, expanded for one mode: gives the keys of each direction.
///
/// It may be kept as long as the terminal's registration does not change. In mode 1 the ciphers
/// that it gives may be kept too: they do not depend on the session.
pub struct LinkKey {
    base: CmacKey,
    mode: AeadMode,
    owner: KeyOwner,
    key_version: u8,
}

impl LinkKey {
    /// Expands a base key.
    ///
    /// # Errors
    ///
    /// [`KeyTooShort`] in mode 3 with a base key of 16 octets.
    // spec: KEY-5
    pub fn new(
        base: &BaseKey<Link>,
        owner: KeyOwner,
        mode: AeadMode,
        key_version: u8,
    ) -> Result<Self, KeyTooShort> {
        if mode == AeadMode::GcmSession && base.length() == KeyLength::Short {
            return Err(KeyTooShort);
        }
        Ok(Self {
            base: CmacKey::new(base.octets()),
            mode,
            owner,
            key_version,
        })
    }

    /// The mode that it was expanded for.
    #[must_use]
    pub const fn mode(&self) -> AeadMode {
        self.mode
    }

    /// The version of the link key, as in the uplink's header.
    #[must_use]
    pub const fn key_version(&self) -> u8 {
        self.key_version
    }

    /// The cipher of this session's UPLINK frames; in mode 1 of all of them.
    #[must_use]
    pub fn uplink_cipher(&self, nonces: SessionNonces) -> UplinkCipher {
        UplinkCipher::new(self.mode, self.session_key(Direction::Uplink, nonces))
    }

    /// The cipher of the answers to UPLINK frames with these nonces; in mode 1 of all answers.
    #[must_use]
    pub fn answer_cipher(&self, nonces: SessionNonces) -> AnswerCipher {
        AnswerCipher::new(self.mode, self.session_key(Direction::Answer, nonces))
    }

    /// The cipher of the RESYNC with this nonce Nr.
    #[must_use]
    pub fn resync_cipher(&self, resync_nonce: [u8; 16]) -> ResyncCipher {
        ResyncCipher::new(
            self.mode,
            self.traffic_key(Direction::Resync, &resync_nonce),
        )
    }

    /// The cipher of the answer to the RESYNC with this nonce Nr.
    #[must_use]
    pub fn resync_answer_cipher(&self, resync_nonce: [u8; 16]) -> ResyncAnswerCipher {
        let key = self.traffic_key(Direction::ResyncAnswer, &resync_nonce);
        ResyncAnswerCipher::new(self.mode, key)
    }

    /// The key of the terminal's CALL_NOW frames.
    #[must_use]
    pub fn call_key(&self) -> CallKey {
        let context = self.context(Direction::CallNow);
        let length = self.mode.key_length();
        let key = kdf::derive(&self.base, LABEL_TRAFFIC, [&context, &[]], length);
        CallKey::new(self.mode, &key)
    }

    fn context(&self, direction: Direction) -> [u8; 20] {
        let mode = self.mode.code();
        context(self.owner, Purpose::Link, mode, direction, self.key_version)
    }

    /// The key of an uplink or its answer.
    // spec: KEY-4
    fn session_key(&self, direction: Direction, nonces: SessionNonces) -> TrafficKey {
        if self.mode == AeadMode::CcmStatic {
            return self.traffic_key(direction, &[]);
        }
        let [n0, n1, n2, n3, n4, n5, n6, n7] = nonces.terminal_nonce;
        let [t0, t1, t2, t3, t4, t5, t6, t7] = nonces.ticket;
        let both = [
            n0, n1, n2, n3, n4, n5, n6, n7, t0, t1, t2, t3, t4, t5, t6, t7,
        ];
        self.traffic_key(direction, &both)
    }

    fn traffic_key(&self, direction: Direction, nonces: &[u8]) -> TrafficKey {
        let context = self.context(direction);
        let parts: [&[u8]; 2] = [&context, nonces];
        match self.mode {
            AeadMode::CcmStatic | AeadMode::CcmSession => {
                let key = kdf::derive_128(&self.base, LABEL_TRAFFIC, parts);
                TrafficKey::Ccm(CcmKey::new(&key))
            }
            AeadMode::GcmSession => {
                let key = kdf::derive_256(&self.base, LABEL_TRAFFIC, parts);
                TrafficKey::Gcm(GcmKey::new(&key))
            }
        }
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKey")
            .field("mode", &self.mode)
            .field("owner", &self.owner)
            .field("key_version", &self.key_version)
            .field("base", &self.base)
            .finish()
    }
}

impl<P: KeyPurpose> BaseKey<P> {
    /// Wraps this base key for its way to the terminal.
    // spec: ROT-1
    #[must_use]
    pub fn wrap_under(&self, key: &KeyWrapKey) -> WrappedKey {
        key.wrap(self.octets())
    }
}
