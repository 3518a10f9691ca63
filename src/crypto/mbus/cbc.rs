//! AES-128-CBC of security modes 5 and 7, known to be under the right key by two check octets.

use aes::cipher::{Array, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128Dec, Aes128Enc};
use zeroize::Zeroize as _;

use super::blocks::{BLOCK_OCTETS, Block, PARALLEL, xor};
use crate::crypto::key::Key128;
use crate::crypto::verify::verify_equal;

/// What decrypted data begins with: two idle fillers.
// clause: EN 13757-7, encryption verification of modes 5 and 7
pub const CHECK_OCTETS: [u8; 2] = [0x2F, 0x2F];

/// Encrypted data is not one or more blocks of 16 octets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("encrypted data has one or more blocks of 16 octets, not {octets} octets")]
pub struct LengthError {
    /// Octets that were given.
    pub octets: usize,
}

/// Why encrypted data could not be opened. The buffer is then all zeros.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum CbcError {
    /// It is no whole number of blocks.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// It does not begin with 2Fh 2Fh: the key is another one, or the first block was altered.
    #[error("the check octets are wrong")]
    CheckOctets,
}

/// Opens mode 5 in place; the plaintext begins with the check octets.
///
/// The address is that of the long transport header, else that of the link, in link order
/// `M[2] ID[4] V T`; the access number is that of the transport header, whatever the link's is.
///
/// One wrong key in 65536 passes, and whoever alters a block after the first is not found out:
/// success shows the key, not the origin.
///
/// # Errors
///
/// [`CbcError`]; the buffer is then all zeros.
// clause: EN 13757-7 and OMS Volume 2, security mode 5
pub fn open_cbc_mode5(
    key: &Key128,
    address: [u8; 8],
    access_number: u8,
    data: &mut [u8],
) -> Result<(), CbcError> {
    open(key, mode5_vector(address, access_number), data)
}

/// Encrypts for mode 5 in place; see [`open_cbc_mode5`].
///
/// The plaintext begins with [`CHECK_OCTETS`] and is filled up to whole blocks by the caller.
///
/// # Errors
///
/// [`LengthError`]; the buffer is then as it was, and must not be sent.
pub fn seal_cbc_mode5(
    key: &Key128,
    address: [u8; 8],
    access_number: u8,
    data: &mut [u8],
) -> Result<(), LengthError> {
    seal(key, mode5_vector(address, access_number), data)
}

/// Opens mode 7 in place, under the derived key of the message and an initialisation vector of
/// zeros; the plaintext begins with the check octets. The MAC of the AFL must have been verified.
///
/// # Errors
///
/// [`CbcError`]; the buffer is then all zeros.
// clause: EN 13757-7 and OMS Volume 2, security mode 7
pub fn open_cbc_mode7(kenc: &Key128, data: &mut [u8]) -> Result<(), CbcError> {
    open(kenc, [0; BLOCK_OCTETS], data)
}

/// Encrypts for mode 7 in place; see [`open_cbc_mode7`]. A derived key serves one message only.
///
/// # Errors
///
/// [`LengthError`]; the buffer is then as it was, and must not be sent.
pub fn seal_cbc_mode7(kenc: &Key128, data: &mut [u8]) -> Result<(), LengthError> {
    seal(kenc, [0; BLOCK_OCTETS], data)
}

/// `M[2] ID[4] V T ‖ ACC × 8`.
fn mode5_vector(address: [u8; 8], access_number: u8) -> [u8; BLOCK_OCTETS] {
    let [a, b, c, d, e, f, g, h] = address;
    let n = access_number;
    [a, b, c, d, e, f, g, h, n, n, n, n, n, n, n, n]
}

fn open(key: &Key128, vector: [u8; BLOCK_OCTETS], data: &mut [u8]) -> Result<(), CbcError> {
    let opened = decrypt(key, vector, data)
        .map_err(CbcError::from)
        .and_then(|()| {
            let start = data.get(..CHECK_OCTETS.len()).unwrap_or_default();
            verify_equal(&CHECK_OCTETS, start).map_err(|_| CbcError::CheckOctets)
        });
    if opened.is_err() {
        data.zeroize();
    }
    opened
}

fn whole_blocks(data: &mut [u8]) -> Result<&mut [Block], LengthError> {
    let octets = data.len();
    let (blocks, rest) = Array::slice_as_chunks_mut(data);
    if blocks.is_empty() || !rest.is_empty() {
        return Err(LengthError { octets });
    }
    Ok(blocks)
}

fn decrypt(key: &Key128, vector: [u8; BLOCK_OCTETS], data: &mut [u8]) -> Result<(), LengthError> {
    let blocks = whole_blocks(data)?;
    let cipher = Aes128Dec::new(key.expose().into());
    let mut before = Block::from(vector);
    // Block and block, the cipher's backend works on several side by side; what they are combined
    // with afterwards is the ciphertext, which is kept aside meanwhile.
    let mut kept = [Block::default(); PARALLEL];
    for run in blocks.chunks_mut(PARALLEL) {
        let (kept, _) = kept.split_at_mut(run.len().min(PARALLEL));
        kept.copy_from_slice(run);
        cipher.decrypt_blocks(run);
        for (block, ciphertext) in run.iter_mut().zip(kept) {
            xor(block, &before);
            before = *ciphertext;
        }
    }
    Ok(())
}

fn seal(key: &Key128, vector: [u8; BLOCK_OCTETS], data: &mut [u8]) -> Result<(), LengthError> {
    let blocks = whole_blocks(data)?;
    let cipher = Aes128Enc::new(key.expose().into());
    let mut before = Block::from(vector);
    for block in blocks {
        xor(block, &before);
        cipher.encrypt_block(block);
        before = *block;
    }
    Ok(())
}
