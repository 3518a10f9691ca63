//! AES-CMAC: NIST SP 800-38B, and RFC 4493 for AES-128.

//!
//! Own code on the block cipher of RustCrypto: the whole chain runs inside one call into the
//! cipher's backend, which makes a key derivation three times as fast as block-wise calls do. Tests
//! hold it to the published vectors and to the `cmac` crate.

use std::fmt;

use aes::cipher::consts::U16;
use aes::cipher::{
    Array, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt as _, BlockSizeUser,
    KeyInit as _,
};
use aes::{Aes128Enc, Aes256Enc};
use zeroize::Zeroize as _;

use super::key::{Key128, KeyOctets};
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

    /// Expands a key of 128 bits.
    #[must_use]
    pub fn new_128(key: &Key128) -> Self {
        Self(Expanded::Aes128(Aes128Enc::new(key.expose().into())))
    }

    /// The MAC over the parts in order, as if they were one string.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; CMAC_OCTETS] {
        let mut out = [0; CMAC_OCTETS];
        let out_ref = &mut out;
        match &self.0 {
            Expanded::Aes128(cipher) => cipher.encrypt_with_backend(Chain {
                parts,
                out: out_ref,
            }),
            Expanded::Aes256(cipher) => cipher.encrypt_with_backend(Chain {
                parts,
                out: out_ref,
            }),
        }
        out
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

/// One computation of a MAC.
struct Chain<'a> {
    parts: &'a [&'a [u8]],
    out: &'a mut [u8; CMAC_OCTETS],
}

impl BlockSizeUser for Chain<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Chain<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        // NIST SP 800-38B, 6.1: the subkeys come from the encryption of a block of zeros.
        let mut subkey = double(encrypt(backend, 0));

        // 6.2: chain all blocks but the last, which is kept back because it is treated otherwise.
        let mut state = 0_u128;
        let mut last = [0_u8; CMAC_OCTETS];
        let mut filled = 0_usize;
        for part in self.parts {
            let mut rest = *part;
            if filled > 0 {
                let (_, room) = last.split_at_mut(filled);
                let taken = room.len().min(rest.len());
                let (room, _) = room.split_at_mut(taken);
                let (head, tail) = rest.split_at(taken);
                room.copy_from_slice(head);
                filled = filled.saturating_add(taken);
                rest = tail;
                if rest.is_empty() {
                    continue;
                }
                state = encrypt(backend, state ^ u128::from_be_bytes(last));
            }
            while let Some((block, tail)) = rest.split_first_chunk::<CMAC_OCTETS>()
                && !tail.is_empty()
            {
                state = encrypt(backend, state ^ u128::from_be_bytes(*block));
                rest = tail;
            }
            last = [0; CMAC_OCTETS];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            filled = rest.len();
        }
        if let Some(pad) = last.get_mut(filled) {
            *pad = 0x80;
            subkey = double(subkey);
        }
        *self.out = encrypt(backend, state ^ u128::from_be_bytes(last) ^ subkey).to_be_bytes();

        // What an observer of the stack could forge MACs with.
        subkey.zeroize();
        state.zeroize();
    }
}

#[inline(always)]
fn encrypt<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, block: u128) -> u128 {
    let mut block = Array::from(block.to_be_bytes());
    backend.encrypt_block((&mut block).into());
    u128::from_be_bytes(block.into())
}

/// Doubling in GF(2^128), without a branch on the secret.
#[inline(always)]
fn double(value: u128) -> u128 {
    let carry = (value >> 127).wrapping_mul(0x87);
    (value << 1) ^ carry
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

    proptest::proptest! {
        #[test]
        fn it_agrees_with_the_cmac_crate(key: [u8; 32], message: Vec<u8>) {
            use ::cmac::{Cmac, Mac as _};
            let mut mac = Cmac::<aes::Aes256>::new(&key.into());
            mac.update(&message);
            let expected: [u8; 16] = mac.finalize().into_bytes().into();
            let key = CmacKey::new(&KeyOctets::Long(key.into()));
            proptest::prop_assert_eq!(key.mac(&[&message]), expected);
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
