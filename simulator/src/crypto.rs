//! AES and what is built on it.

use aes::{Aes128, Aes256};
use aes_gcm::Aes256Gcm;
use aes_kw::{KwAes128, KwAes256};
use ccm::Ccm;
use ccm::aead::{Aead, KeyInit, Payload};
use ccm::consts::{U8, U12};
use cmac::{Cmac, Mac};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

type Aes128Ccm = Ccm<Aes128, U8, U12>;

/// Why an operation with a key failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// A key is neither 16 nor 32 octets, or not what the mode asks for.
    #[error("the key has a wrong length")]
    KeyLength,
    /// A tag, a MAC or a wrap does not verify.
    #[error("authentication failed")]
    Mismatch,
    /// The cipher refused its input.
    #[error("the cipher refused its input")]
    Input,
}

/// A key of 16 or 32 octets; wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Zeroizing<Vec<u8>>);

impl SecretKey {
    /// Takes a key over.
    ///
    /// # Errors
    /// A length other than 16 or 32.
    pub fn new(octets: &[u8]) -> Result<Self, CryptoError> {
        match octets.len() {
            16 | 32 => Ok(Self(Zeroizing::new(octets.to_vec()))),
            _ => Err(CryptoError::KeyLength),
        }
    }

    /// The octets.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// 16 or 32.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.0.len()
    }
}

impl core::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

fn mac_with<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Result<[u8; 16], CryptoError> {
    let mut mac = <M as KeyInit>::new_from_slice(key).map_err(|_| CryptoError::KeyLength)?;
    for part in parts {
        mac.update(part);
    }
    let tag = mac.finalize().into_bytes();
    tag.as_slice().try_into().map_err(|_| CryptoError::Input)
}

/// AES-CMAC over the parts in order.
///
/// # Errors
/// A key of a wrong length.
pub fn cmac(key: &SecretKey, parts: &[&[u8]]) -> Result<[u8; 16], CryptoError> {
    match key.octets() {
        16 => mac_with::<Cmac<Aes128>>(key.expose(), parts),
        _ => mac_with::<Cmac<Aes256>>(key.expose(), parts),
    }
}

/// Compares in constant time.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    bool::from(a.ct_eq(b))
}

/// Counter mode of SP 800-108 with AES-CMAC; `octets` is 16 or 32.
///
/// # Errors
/// A wanted length other than 16 or 32.
// spec: KEY-1
pub fn derive(
    key: &SecretKey,
    label: &[u8],
    context: &[u8],
    octets: usize,
) -> Result<SecretKey, CryptoError> {
    let bits = match octets {
        16 => 128_u32,
        32 => 256,
        _ => return Err(CryptoError::KeyLength),
    };
    let mut out = Zeroizing::new(Vec::with_capacity(32));
    for block in 1_u32..=2 {
        let parts = [
            &block.to_be_bytes()[..],
            label,
            &[0],
            context,
            &bits.to_be_bytes()[..],
        ];
        let mac = Zeroizing::new(cmac(key, &parts)?);
        out.extend_from_slice(mac.as_slice());
    }
    SecretKey::new(out.get(..octets).ok_or(CryptoError::KeyLength)?)
}

/// Which AEAD a mode uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES-128-CCM, tag of 8 octets.
    Ccm,
    /// AES-256-GCM, tag of 16 octets.
    Gcm,
}

/// Seals; the tag follows the ciphertext.
///
/// # Errors
/// A key that does not fit the cipher.
pub fn seal(
    cipher: Cipher,
    key: &SecretKey,
    nonce: &[u8; 12],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let payload = Payload {
        msg: plaintext,
        aad,
    };
    let sealed = match cipher {
        Cipher::Ccm => Aes128Ccm::new_from_slice(key.expose())
            .map_err(|_| CryptoError::KeyLength)?
            .encrypt(nonce.into(), payload),
        Cipher::Gcm => Aes256Gcm::new_from_slice(key.expose())
            .map_err(|_| CryptoError::KeyLength)?
            .encrypt(nonce.into(), payload),
    };
    sealed.map_err(|_| CryptoError::Input)
}

/// Opens ciphertext followed by its tag.
///
/// # Errors
/// A tag that does not verify; nothing of the plaintext is given out then.
// spec: SEC-5
pub fn open(
    cipher: Cipher,
    key: &SecretKey,
    nonce: &[u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let payload = Payload { msg: sealed, aad };
    let opened = match cipher {
        Cipher::Ccm => Aes128Ccm::new_from_slice(key.expose())
            .map_err(|_| CryptoError::KeyLength)?
            .decrypt(nonce.into(), payload),
        Cipher::Gcm => Aes256Gcm::new_from_slice(key.expose())
            .map_err(|_| CryptoError::KeyLength)?
            .decrypt(nonce.into(), payload),
    };
    opened.map_err(|_| CryptoError::Mismatch)
}

/// RFC 3394 unwrap.
///
/// # Errors
/// A wrap that does not verify, or a key of another length than 16 or 32.
// spec: ROT-1
pub fn unwrap(kek: &SecretKey, wrapped: &[u8]) -> Result<SecretKey, CryptoError> {
    let mut room = Zeroizing::new([0_u8; 32]);
    let opened = match kek.octets() {
        16 => KwAes128::new_from_slice(kek.expose())
            .map_err(|_| CryptoError::KeyLength)?
            .unwrap_key(wrapped, room.as_mut_slice()),
        _ => KwAes256::new_from_slice(kek.expose())
            .map_err(|_| CryptoError::KeyLength)?
            .unwrap_key(wrapped, room.as_mut_slice()),
    };
    SecretKey::new(opened.map_err(|_| CryptoError::Mismatch)?)
}

/// RFC 3394 wrap: the other half, for whoever plays the signer.
///
/// # Errors
/// A key of a wrong length.
pub fn wrap(kek: &SecretKey, key: &SecretKey) -> Result<Vec<u8>, CryptoError> {
    let mut room = [0_u8; 40];
    let wrapped = match kek.octets() {
        16 => KwAes128::new_from_slice(kek.expose())
            .map_err(|_| CryptoError::KeyLength)?
            .wrap_key(key.expose(), &mut room)
            .map(<[u8]>::to_vec),
        _ => KwAes256::new_from_slice(kek.expose())
            .map_err(|_| CryptoError::KeyLength)?
            .wrap_key(key.expose(), &mut room)
            .map(<[u8]>::to_vec),
    };
    wrapped.map_err(|_| CryptoError::Input)
}
