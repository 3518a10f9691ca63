//! AES key wrap, RFC 3394: how a new key travels.

use std::fmt;

use aes::cipher::KeyInit as _;
use aes::cipher::consts::{U16, U32};
use aes_kw::{KwAes128, KwAes256};
use zeroize::Zeroize as _;

use super::key::KeyOctets;

/// Octets of a wrapped key of 16 octets.
pub const WRAPPED_SHORT_OCTETS: usize = 24;
/// Octets of a wrapped key of 32 octets.
pub const WRAPPED_LONG_OCTETS: usize = 40;

/// A wrapped key: 24 or 40 octets, no secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WrappedKey {
    /// A key of 16 octets, wrapped.
    Short([u8; WRAPPED_SHORT_OCTETS]),
    /// A key of 32 octets, wrapped.
    Long([u8; WRAPPED_LONG_OCTETS]),
}

impl WrappedKey {
    /// The octets as they travel.
    #[must_use]
    pub const fn as_octets(&self) -> &[u8] {
        match self {
            Self::Short(octets) => octets,
            Self::Long(octets) => octets,
        }
    }
}

/// Why a wrapped key did not unwrap.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnwrapError {
    /// A wrapped key has 24 or 40 octets.
    #[error("a wrapped key has 24 or 40 octets, not {octets}")]
    Length {
        /// Octets that were given.
        octets: usize,
    },
    /// The integrity check failed: another key-encryption key, or changed octets.
    #[error("the wrapped key fails its integrity check")]
    Integrity,
}

/// A key-encryption key of 16 or 32 octets in expanded form, wiped on drop.
pub struct KeyWrapKey(Expanded);

enum Expanded {
    Aes128(KwAes128),
    Aes256(KwAes256),
}

impl KeyWrapKey {
    /// Expands a key-encryption key; its length chooses AES-128 or AES-256.
    #[must_use]
    pub fn new(key: &KeyOctets) -> Self {
        Self(match key {
            KeyOctets::Short(key) => Expanded::Aes128(KwAes128::new(key.expose().into())),
            KeyOctets::Long(key) => Expanded::Aes256(KwAes256::new(key.expose().into())),
        })
    }

    /// Wraps a key.
    #[must_use]
    pub fn wrap(&self, key: &KeyOctets) -> WrappedKey {
        match key {
            KeyOctets::Short(key) => {
                let key = key.expose().into();
                WrappedKey::Short(match &self.0 {
                    Expanded::Aes128(kek) => kek.wrap_fixed_key::<U16>(key).into(),
                    Expanded::Aes256(kek) => kek.wrap_fixed_key::<U16>(key).into(),
                })
            }
            KeyOctets::Long(key) => {
                let key = key.expose().into();
                WrappedKey::Long(match &self.0 {
                    Expanded::Aes128(kek) => kek.wrap_fixed_key::<U32>(key).into(),
                    Expanded::Aes256(kek) => kek.wrap_fixed_key::<U32>(key).into(),
                })
            }
        }
    }

    /// Unwraps a key of 16 or 32 octets.
    ///
    /// # Errors
    ///
    /// [`UnwrapError`] if the length is neither 24 nor 40, or the integrity check fails.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<KeyOctets, UnwrapError> {
        let octets = wrapped.len();
        let mut buffer = [0; 32];
        let result = match octets {
            WRAPPED_SHORT_OCTETS | WRAPPED_LONG_OCTETS => match &self.0 {
                Expanded::Aes128(kek) => kek.unwrap_key(wrapped, &mut buffer),
                Expanded::Aes256(kek) => kek.unwrap_key(wrapped, &mut buffer),
            },
            _ => return Err(UnwrapError::Length { octets }),
        };
        let key = match result {
            Ok(key) => KeyOctets::from_slice(key).map_err(|_| UnwrapError::Length { octets }),
            Err(_) => Err(UnwrapError::Integrity),
        };
        buffer.zeroize();
        key
    }
}

impl fmt::Debug for KeyWrapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyWrapKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    const KEK: [u8; 32] = hex!("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F");
    const DATA_128: [u8; 16] = hex!("00112233445566778899AABBCCDDEEFF");
    const DATA_256: [u8; 32] =
        hex!("00112233445566778899AABBCCDDEEFF 000102030405060708090A0B0C0D0E0F");

    fn secret(octets: &[u8]) -> KeyOctets {
        KeyOctets::from_slice(octets).unwrap()
    }

    /// RFC 3394, sections 4.1, 4.3 and 4.6.
    #[test]
    fn rfc_3394_vectors_hold() {
        for (kek, data, wrapped) in [
            (
                &KEK[..16],
                &DATA_128[..],
                &hex!("1FA68B0A8112B447 AEF34BD8FB5A7B82 9D3E862371D2CFE5")[..],
            ),
            (
                &KEK[..],
                &DATA_128[..],
                &hex!("64E8C3F9CE0F5BA2 63E9777905818A2A 93C8191E7D6E8AE7")[..],
            ),
            (
                &KEK[..],
                &DATA_256[..],
                &hex!(
                    "28C9F404C4B810F4 CBCCB35CFB87F826 3F5786E2D80ED326"
                    "CBC7F0E71A99F43B FB988B9B7A02DD21"
                )[..],
            ),
        ] {
            let kek = KeyWrapKey::new(&secret(kek));
            assert_eq!(kek.wrap(&secret(data)).as_octets(), wrapped);
            assert_eq!(kek.unwrap(wrapped), Ok(secret(data)));
        }
    }

    #[test]
    fn a_long_key_travels_under_a_short_kek_too() {
        let kek = KeyWrapKey::new(&secret(&KEK[..16]));
        let wrapped = kek.wrap(&secret(&DATA_256));
        assert_eq!(wrapped.as_octets().len(), WRAPPED_LONG_OCTETS);
        assert_eq!(kek.unwrap(wrapped.as_octets()), Ok(secret(&DATA_256)));
    }

    #[test]
    fn every_changed_bit_and_another_kek_are_refused() {
        let kek = KeyWrapKey::new(&secret(&KEK));
        let wrapped = kek.wrap(&secret(&DATA_256));
        for bit in 0..wrapped.as_octets().len() * 8 {
            let mut wrong = wrapped.as_octets().to_vec();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(kek.unwrap(&wrong), Err(UnwrapError::Integrity));
        }
        let other = KeyWrapKey::new(&secret(&KEK[..16]));
        assert_eq!(
            other.unwrap(wrapped.as_octets()),
            Err(UnwrapError::Integrity)
        );
    }

    #[test]
    fn every_other_length_is_refused() {
        let kek = KeyWrapKey::new(&secret(&KEK));
        let wrapped = [0_u8; 64];
        for octets in (0..64).filter(|n| ![24, 40].contains(n)) {
            assert_eq!(
                kek.unwrap(&wrapped[..octets]),
                Err(UnwrapError::Length { octets })
            );
        }
    }
}
