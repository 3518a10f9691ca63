//! Octets as blocks of the cipher.

use aes::cipher::Array;
use aes::cipher::consts::U16;

/// A block of AES.
pub(super) type Block = Array<u8, U16>;

/// Octets of a block.
pub(super) const BLOCK_OCTETS: usize = 16;

/// How many blocks go through the cipher at once: as many as its backends work on side by side.
pub(super) const PARALLEL: usize = 8;

/// Exclusive or of two strings, as far as the shorter one reaches.
#[inline(always)]
pub(super) fn xor(into: &mut [u8], with: &[u8]) {
    into.iter_mut()
        .zip(with)
        .for_each(|(to, from)| *to ^= *from);
}
