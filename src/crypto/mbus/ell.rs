//! AES-128-CTR of the extended link layer, known to be under the right key by a CRC.

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use zeroize::Zeroize as _;

use super::blocks::{BLOCK_OCTETS, Block, PARALLEL, xor};
use crate::crypto::key::Key128;
use crate::wire::mbus::crc::crc;

/// The bits of the communication control field that a repeater may change, H and R, are taken as 0.
const CC_KEPT: u8 = 0xED;

/// Encrypts or decrypts in place what follows the session number: the payload CRC and all behind
/// it.
///
/// The address is that of the link, as on air, also behind an ELL III or IV, which has another.
/// The session number is as on air too. The frame number is 0: every telegram that is taken here is
/// the first of its session.
///
/// Success cannot be told here; see [`ell_check`].
// clause: EN 13757-4, extended link layer, AES-128 counter mode
pub fn ell_ctr(key: &Key128, address: [u8; 8], cc: u8, session: [u8; 4], data: &mut [u8]) {
    let cipher = Aes128Enc::new(key.expose().into());
    let [a, b, c, d, e, f, g, h] = address;
    let [s0, s1, s2, s3] = session;
    let first = [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        cc & CC_KEPT,
        s0,
        s1,
        s2,
        s3,
        0,
        0,
        0,
    ];
    let mut counter = u128::from_be_bytes(first);
    let mut stream = [Block::default(); PARALLEL];
    for run in data.chunks_mut(BLOCK_OCTETS * PARALLEL) {
        let (stream, _) = stream.split_at_mut(run.len().div_ceil(BLOCK_OCTETS).min(PARALLEL));
        for block in &mut *stream {
            *block = counter.to_be_bytes().into();
            counter = counter.wrapping_add(1);
        }
        cipher.encrypt_blocks(stream);
        for (octets, block) in run.chunks_mut(BLOCK_OCTETS).zip(&*stream) {
            xor(octets, block);
        }
    }
    for block in &mut stream {
        block.zeroize();
    }
}

/// Whether the payload CRC at the start of the octets, low octet first, is that of the octets
/// behind it. False for less than two octets.
///
/// One wrong key in 65536 passes, and whoever knows the plaintext can alter it: it shows the key,
/// not the origin.
// clause: EN 13757-4, extended link layer, PayloadCRC
#[must_use]
pub fn ell_check(data: &[u8]) -> bool {
    data.split_first_chunk()
        .is_some_and(|(check, payload)| u16::from_le_bytes(*check) == crc(payload))
}
