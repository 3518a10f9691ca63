//! The two AEAD ciphers of OTL, with tag sizes in the type: AES-128-CCM with an 8-octet tag and
//! AES-256-GCM with a 16-octet tag, both with a 12-octet nonce.
//!
//! Both work in place on the caller's buffer. When opening fails the buffer is wiped, so that
//! octets which did not verify cannot be used by mistake.

use std::fmt;

use ::ccm::Ccm;
use aes::cipher::consts::{U8, U12};
use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::AesGcm;
use aes_gcm::aead::{AeadInOut, KeyInit as _, inout::InOutBuf};
use zeroize::Zeroize as _;

use super::key::{Key128, Key256};
use super::verify::{MacMismatch, any_tag_accepted};

/// Octets of a nonce, both ciphers.
pub const NONCE_OCTETS: usize = 12;
/// Octets of a CCM tag.
pub const CCM_TAG_OCTETS: usize = 8;
/// Octets of a GCM tag.
pub const GCM_TAG_OCTETS: usize = 16;

/// The plaintext is longer than the cipher allows: for CCM with a 12-octet nonce 2^24 − 1 octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the message is longer than the cipher allows")]
pub struct MessageTooLong;

/// Opens, and wipes the buffer if the tag is wrong.
#[inline]
fn open_or_wipe<C: AeadInOut>(
    cipher: &C,
    nonce: &aes_gcm::aead::Nonce<C>,
    aad: &[u8],
    buffer: &mut [u8],
    tag: &aes_gcm::aead::Tag<C>,
) -> Result<(), MacMismatch> {
    if any_tag_accepted() {
        // Reached in fuzzing builds only. Both ciphers are counter modes: sealing the ciphertext
        // again gives the plaintext, whatever the tag is.
        return match cipher.encrypt_inout_detached(nonce, aad, InOutBuf::from(buffer)) {
            Ok(_) => Ok(()),
            Err(_) => Err(MacMismatch),
        };
    }
    let opened = cipher.decrypt_inout_detached(nonce, aad, InOutBuf::from(&mut *buffer), tag);
    opened.map_err(|_| {
        buffer.zeroize();
        MacMismatch
    })
}

/// Defines one cipher with its key, tag and documentation.
macro_rules! aead_key {
    ($(#[$doc:meta])* $name:ident, $cipher:ty, $key:ty, $tag_octets:ident) => {
        $(#[$doc])*
        pub struct $name($cipher);

        impl $name {
            /// Expands a key.
            #[must_use]
            pub fn new(key: &$key) -> Self {
                Self(<$cipher>::new(key.expose().into()))
            }

            /// Encrypts the buffer in place and gives the tag.
            ///
            /// A nonce must never serve twice under one key.
            ///
            /// # Errors
            ///
            /// [`MessageTooLong`]; the buffer is then not to be used.
            pub fn seal_in_place(
                &self,
                nonce: &[u8; NONCE_OCTETS],
                aad: &[u8],
                buffer: &mut [u8],
            ) -> Result<[u8; $tag_octets], MessageTooLong> {
                self.0
                    .encrypt_inout_detached(nonce.into(), aad, InOutBuf::from(buffer))
                    .map(Into::into)
                    .map_err(|_| MessageTooLong)
            }

            /// Verifies the tag in constant time and decrypts the buffer in place.
            ///
            /// # Errors
            ///
            /// [`MacMismatch`] if the tag does not fit; the buffer is then all zeros.
            // spec: SEC-5
            #[inline]
            pub fn open_in_place(
                &self,
                nonce: &[u8; NONCE_OCTETS],
                aad: &[u8],
                buffer: &mut [u8],
                tag: &[u8; $tag_octets],
            ) -> Result<(), MacMismatch> {
                open_or_wipe(&self.0, nonce.into(), aad, buffer, tag.into())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

aead_key!(
    /// An expanded AES-128-CCM key (RFC 3610): nonce of 12 octets, so a length field of 3, and a
    /// tag of 8. Wiped on drop.
    CcmKey,
    Ccm<Aes128Enc, U8, U12>,
    Key128,
    CCM_TAG_OCTETS
);
aead_key!(
    /// An expanded AES-256-GCM key (NIST SP 800-38D): nonce of 12 octets, tag of 16. Wiped on drop.
    GcmKey,
    AesGcm<Aes256Enc, U12>,
    Key256,
    GCM_TAG_OCTETS
);

#[cfg(test)]
#[path = "aead_tests.rs"]
mod tests;
