//! AES-128-CCM of security mode 10: a nonce of 13 octets, so a length field of 2, and a tag of 8.

use aes::Aes128Enc;
use aes::cipher::consts::{U8, U13};
use aes_gcm::aead::{AeadInOut as _, KeyInit as _, inout::InOutBuf};
use zeroize::Zeroize as _;

use crate::crypto::aead::MessageTooLong;
use crate::crypto::key::Key128;
use crate::crypto::verify::{MacMismatch, any_tag_accepted};

type Cipher = ::ccm::Ccm<Aes128Enc, U8, U13>;

/// Octets of a tag.
pub const TAG_OCTETS: usize = 8;

/// A tag as on air.
pub type CcmTag = [u8; TAG_OCTETS];

/// Verifies the tag in constant time and decrypts in place.
///
/// The address is that of the long transport header, else that of the link, in link order; the
/// counter is the message counter as a number. The additional data are the octets of the transport
/// header from its CI field to the end of its configuration field extension.
///
/// # Errors
///
/// [`MacMismatch`] if the tag does not fit; the buffer is then all zeros.
// clause: EN 13757-7 and OMS Volume 2, security mode 10
pub fn open_ccm(
    kenc: &Key128,
    address: [u8; 8],
    counter: u32,
    aad: &[u8],
    data: &mut [u8],
    tag: &CcmTag,
) -> Result<(), MacMismatch> {
    let cipher = Cipher::new(kenc.expose().into());
    let nonce = nonce(address, counter);
    if any_tag_accepted() {
        // Reached in fuzzing builds only: sealing the ciphertext again gives the plaintext.
        let sealed =
            cipher.encrypt_inout_detached((&nonce).into(), aad, InOutBuf::from(&mut *data));
        return sealed.map(|_| ()).map_err(|_| MacMismatch);
    }
    let buffer = InOutBuf::from(&mut *data);
    let opened = cipher.decrypt_inout_detached((&nonce).into(), aad, buffer, tag.into());
    opened.map_err(|_| {
        data.zeroize();
        MacMismatch
    })
}

/// Encrypts in place and gives the tag; see [`open_ccm`].
///
/// A counter must never serve twice for one key and direction.
///
/// # Errors
///
/// [`MessageTooLong`] over 65535 octets; the buffer is then not to be used.
pub fn seal_ccm(
    kenc: &Key128,
    address: [u8; 8],
    counter: u32,
    aad: &[u8],
    data: &mut [u8],
) -> Result<CcmTag, MessageTooLong> {
    let nonce = nonce(address, counter);
    Cipher::new(kenc.expose().into())
        .encrypt_inout_detached((&nonce).into(), aad, InOutBuf::from(data))
        .map(Into::into)
        .map_err(|_| MessageTooLong)
}

/// `M[2] ID[4] V T ‖ 00 ‖ MC[4]`, the counter with its most significant octet first.
fn nonce(address: [u8; 8], counter: u32) -> [u8; 13] {
    let [a, b, c, d, e, f, g, h] = address;
    let [m0, m1, m2, m3] = counter.to_be_bytes();
    [a, b, c, d, e, f, g, h, 0, m0, m1, m2, m3]
}
