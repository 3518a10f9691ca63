//! The MAC of the authentication and fragmentation layer: AES-CMAC, whole or cut.

use crate::crypto::cmac::{CMAC_OCTETS, CmacKey};
use crate::crypto::key::Key128;
use crate::crypto::verify::{MacMismatch, verify_equal};

/// Why a MAC is refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum AflMacError {
    /// No authentication type has a CMAC of this length: they have 2, 4, 8, 12 or 16 octets.
    #[error("a CMAC of the AFL has 2, 4, 8, 12 or 16 octets, not {0}")]
    Length(usize),
    /// It is not the MAC of the message under this key.
    #[error(transparent)]
    Mismatch(#[from] MacMismatch),
}

/// The expanded key of a MAC, Kmac or Lmac. Wiped on drop.
#[derive(Debug)]
pub struct AflKey(CmacKey);

impl AflKey {
    /// Expands a key.
    #[must_use]
    pub fn new(kmac: &Key128) -> Self {
        Self(CmacKey::new_128(kmac))
    }

    /// The whole MAC over the parts in order: `MCL ‖ KI ‖ MCR ‖ ML ‖ message from its CI field`,
    /// each only where the AFL has it, and all as on air. What is sent is its start.
    // clause: EN 13757-7 and OMS Volume 2, AFL.MAC
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; CMAC_OCTETS] {
        self.0.mac(parts)
    }

    /// Verifies a MAC of 2, 4, 8, 12 or 16 octets in constant time.
    ///
    /// Which lengths are long enough is the caller's matter.
    ///
    /// # Errors
    ///
    /// [`AflMacError`] for any other length, and for a MAC that does not hold.
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8]) -> Result<(), AflMacError> {
        let length = AflMacError::Length(mac.len());
        if !matches!(mac.len(), 2 | 4 | 8 | 12 | 16) {
            return Err(length);
        }
        let whole = self.mac(parts);
        let start = whole.get(..mac.len()).ok_or(length)?;
        Ok(verify_equal(start, mac)?)
    }
}

/// The whole MAC of a message; see [`AflKey::mac`].
#[must_use]
pub fn afl_mac(kmac: &Key128, parts: &[&[u8]]) -> [u8; CMAC_OCTETS] {
    AflKey::new(kmac).mac(parts)
}

/// Verifies the MAC of a message; see [`AflKey::verify`].
///
/// # Errors
///
/// [`AflMacError`] for a length that no authentication type has, and for a MAC that does not hold.
pub fn verify_afl_mac(kmac: &Key128, parts: &[&[u8]], mac: &[u8]) -> Result<(), AflMacError> {
    AflKey::new(kmac).verify(parts, mac)
}
