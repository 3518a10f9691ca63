//! KDF-A: the keys of one message out of the key of a meter and a message counter.

use crate::crypto::cmac::CmacKey;
use crate::crypto::key::Key128;

/// Which of the four keys of a message is derived.
// clause: EN 13757-7, KDF-A, derivation constant
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Derivation {
    /// 00h: encryption, from the meter.
    Kenc,
    /// 01h: MAC, from the meter.
    Kmac,
    /// 10h: encryption, to the meter.
    Lenc,
    /// 11h: MAC, to the meter.
    Lmac,
}

impl Derivation {
    /// The derivation constant.
    #[must_use]
    pub const fn constant(self) -> u8 {
        match self {
            Self::Kenc => 0x00,
            Self::Kmac => 0x01,
            Self::Lenc => 0x10,
            Self::Lmac => 0x11,
        }
    }
}

/// A key of a meter, expanded once for all keys of a message. Wiped on drop.
#[derive(Debug)]
pub struct KdfKey(CmacKey);

impl KdfKey {
    /// Expands a key.
    #[must_use]
    pub fn new(key: &Key128) -> Self {
        Self(CmacKey::new_128(key))
    }

    /// Derives one key: `CMAC(key, DC ‖ C[4] ‖ ID[4] ‖ 07h × 7)`.
    ///
    /// Counter and identification are in the order of the air, lowest octet first. In both
    /// directions the identification is the meter's.
    // clause: EN 13757-7 and OMS Volume 2, KDF-A
    #[must_use]
    pub fn derive(&self, derivation: Derivation, counter: [u8; 4], id: [u8; 4]) -> Key128 {
        let mut input = [7_u8; 16];
        let fields = [derivation.constant()].into_iter().chain(counter).chain(id);
        input.iter_mut().zip(fields).for_each(|(to, of)| *to = of);
        Key128::take(&mut self.0.mac(&[&input]))
    }
}

/// Derives one key of a message; see [`KdfKey::derive`], which is faster where two are due.
#[must_use]
pub fn kdf_a(key: &Key128, derivation: Derivation, counter: [u8; 4], id: [u8; 4]) -> Key128 {
    KdfKey::new(key).derive(derivation, counter, id)
}
