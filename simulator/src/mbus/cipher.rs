//! The ciphers of the security modes, and the keys that modes 7 and 10 derive.

use aes::Aes128;
use aes::cipher::BlockCipherEncrypt as _;
use ccm::Ccm;
use ccm::aead::{Aead as _, KeyInit as _, Payload};
use ccm::consts::{U8, U13};

use super::address::Address;
use crate::crypto::{CryptoError, SecretKey, cmac};

type Aes128Ccm = Ccm<Aes128, U8, U13>;

const BLOCK: usize = 16;

/// What a derived key is for, of those that a meter sends under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Derived {
    Encryption,
    Mac,
}

/// The key for one telegram: AES-CMAC over its use, the counter and the identification as they are
/// sent, and seven times 07.
pub(super) fn derive(
    key: &SecretKey,
    what: Derived,
    counter: u32,
    address: &Address,
) -> Result<SecretKey, CryptoError> {
    let constant = match what {
        Derived::Encryption => 0x00,
        Derived::Mac => 0x01,
    };
    let parts: [&[u8]; 4] = [
        &[constant],
        &counter.to_le_bytes(),
        &address.number(),
        &[0x07; 7],
    ];
    SecretKey::new(&cmac(key, &parts)?)
}

/// AES-128-CBC of whole blocks; what is behind the last whole one is left as it is.
pub(super) fn cbc(
    key: &SecretKey,
    mut vector: [u8; BLOCK],
    plain: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let cipher = Aes128::new_from_slice(key.expose()).map_err(|_| CryptoError::KeyLength)?;
    let mut out = Vec::with_capacity(plain.len());
    let (blocks, rest) = plain.as_chunks::<BLOCK>();
    for block in blocks {
        for (chained, octet) in vector.iter_mut().zip(block) {
            *chained ^= octet;
        }
        let mut sealed = aes::Block::from(vector);
        cipher.encrypt_block(&mut sealed);
        vector = sealed.into();
        out.extend_from_slice(&vector);
    }
    out.extend_from_slice(rest);
    Ok(out)
}

/// AES-128-CCM with a tag of 8 octets behind the cipher text.
pub(super) fn ccm(
    key: &SecretKey,
    nonce: &[u8; 13],
    header: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let cipher = Aes128Ccm::new_from_slice(key.expose()).map_err(|_| CryptoError::KeyLength)?;
    let payload = Payload {
        msg: plain,
        aad: header,
    };
    let sealed = cipher.encrypt(nonce.into(), payload);
    sealed.map_err(|_| CryptoError::Input)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn derived_keys_are_those_that_cen_tr_17167_gives() {
        let key = SecretKey::new(&hex!("000102030405060708090A0B0C0D0E0F")).unwrap();
        let address = Address {
            manufacturer: *b"ELS",
            identification: 12_345_678,
            version: 0x33,
            device_type: 3,
        };
        let derived = |what| derive(&key, what, 0x0AB3, &address).unwrap();
        assert_eq!(
            derived(Derived::Encryption).expose(),
            hex!("ECCF39D475D730B8284FDFDC1995D52F")
        );
        assert_eq!(
            derived(Derived::Mac).expose(),
            hex!("C9CD19FF5A9AAD5A6BBDA13BD2C4C7AD")
        );
    }
}
