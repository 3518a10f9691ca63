//! AES-CMAC: NIST SP 800-38B, and RFC 4493 for AES-128.

use std::fmt;

use ::cmac::{Cmac, Mac as _};
use aes::cipher::KeyInit as _;
use aes::cipher::common::InnerInit as _;
use aes::{Aes128Enc, Aes256Enc};

use super::key::KeyOctets;
use super::verify::{MacMismatch, verify_equal};

/// Octets of a whole AES-CMAC.
pub const CMAC_OCTETS: usize = 16;

/// An expanded AES-CMAC key of 128 or 256 bits, wiped on drop.
pub struct CmacKey(Expanded);

enum Expanded {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

impl CmacKey {
    /// Expands a key; its length chooses AES-128 or AES-256.
    #[must_use]
    pub fn new(key: &KeyOctets) -> Self {
        Self(match key {
            KeyOctets::Short(key) => Expanded::Aes128(Aes128Enc::new(key.expose().into())),
            KeyOctets::Long(key) => Expanded::Aes256(Aes256Enc::new(key.expose().into())),
        })
    }

    /// The MAC over the parts in order, as if they were one string.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; CMAC_OCTETS] {
        match &self.0 {
            Expanded::Aes128(cipher) => {
                let mut mac = Cmac::<&Aes128Enc>::inner_init(cipher);
                parts.iter().for_each(|part| mac.update(part));
                mac.finalize().into_bytes().into()
            }
            Expanded::Aes256(cipher) => {
                let mut mac = Cmac::<&Aes256Enc>::inner_init(cipher);
                parts.iter().for_each(|part| mac.update(part));
                mac.finalize().into_bytes().into()
            }
        }
    }

    /// The MAC over the parts, cut to its leftmost 8 octets.
    #[must_use]
    pub fn mac_left8(&self, parts: &[&[u8]]) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.mac(parts);
        [a, b, c, d, e, f, g, h]
    }

    /// Verifies a whole MAC in constant time.
    ///
    /// # Errors
    ///
    /// [`MacMismatch`] if it is not the MAC of the parts under this key.
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8; CMAC_OCTETS]) -> Result<(), MacMismatch> {
        verify_equal(&self.mac(parts), mac)
    }

    /// Verifies a MAC that was cut to its leftmost 8 octets, in constant time.
    ///
    /// # Errors
    ///
    /// [`MacMismatch`] if it is not the start of the MAC of the parts under this key.
    pub fn verify_left8(&self, parts: &[&[u8]], mac: &[u8; 8]) -> Result<(), MacMismatch> {
        verify_equal(&self.mac_left8(parts), mac)
    }
}

impl fmt::Debug for CmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CmacKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    const MESSAGE: [u8; 64] = hex!(
        "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710"
    );

    /// RFC 4493, section 4.
    #[test]
    fn rfc_4493_vectors_hold() {
        let key = CmacKey::new(&KeyOctets::Short(
            hex!("2b7e151628aed2a6abf7158809cf4f3c").into(),
        ));
        for (octets, mac) in [
            (0, hex!("bb1d6929e95937287fa37d129b756746")),
            (16, hex!("070a16b46b4d4144f79bdd9dd04a287c")),
            (40, hex!("dfa66747de9ae63030ca32611497c827")),
            (64, hex!("51f0bebf7e3b9d92fc49741779363cfe")),
        ] {
            assert_eq!(key.mac(&[&MESSAGE[..octets]]), mac);
            assert_eq!(key.verify(&[&MESSAGE[..octets]], &mac), Ok(()));
        }
    }

    /// NIST SP 800-38B, examples of AES-256.
    #[test]
    fn sp_800_38b_aes_256_vectors_hold() {
        let key = CmacKey::new(&KeyOctets::Long(
            hex!("603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4").into(),
        ));
        for (octets, mac) in [
            (0, hex!("028962f61b7bf89efc6b551f4667d983")),
            (16, hex!("28a7023f452e8f82bd4bf28d8c37c35c")),
            (40, hex!("aaf3d8f1de5640c232f5b169b9c911e6")),
            (64, hex!("e1992190549f6ed5696a2c056c315410")),
        ] {
            assert_eq!(key.mac(&[&MESSAGE[..octets]]), mac);
        }
    }

    #[test]
    fn parts_are_one_string() {
        let key = CmacKey::new(&KeyOctets::Short([3; 16].into()));
        let whole = key.mac(&[&MESSAGE]);
        for cut in 0..=MESSAGE.len() {
            let (left, right) = MESSAGE.split_at(cut);
            assert_eq!(key.mac(&[left, &[], right]), whole);
        }
    }

    #[test]
    fn every_changed_bit_is_refused_in_full_and_cut_form() {
        let key = CmacKey::new(&KeyOctets::Short([3; 16].into()));
        let (mac, left8) = (key.mac(&[&MESSAGE]), key.mac_left8(&[&MESSAGE]));
        assert_eq!(left8, mac[..8]);
        for bit in 0..128 {
            let mut wrong = mac;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.verify(&[&MESSAGE], &wrong), Err(MacMismatch));
        }
        for bit in 0..64 {
            let mut wrong = left8;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.verify_left8(&[&MESSAGE], &wrong), Err(MacMismatch));
        }
        assert_eq!(key.verify_left8(&[&MESSAGE], &left8), Ok(()));
    }

    #[test]
    fn another_key_is_refused() {
        let (one, other) = (
            CmacKey::new(&KeyOctets::Short([3; 16].into())),
            CmacKey::new(&KeyOctets::Short([4; 16].into())),
        );
        assert_eq!(
            other.verify(&[&MESSAGE], &one.mac(&[&MESSAGE])),
            Err(MacMismatch)
        );
        assert_eq!(format!("{one:?}"), "CmacKey([redacted])");
    }
}
