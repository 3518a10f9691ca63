//! Key derivation: the counter mode of NIST SP 800-108 with AES-CMAC and a 32-bit counter before
//! the fixed input.
//!
//! ```text
//! block i (from 1) = CMAC(K, i u32 ‖ label ‖ 0x00 ‖ context ‖ L u32)     L in bits
//! ```

use zeroize::Zeroize as _;

use super::cmac::CmacKey;
use super::key::{Key128, Key256, KeyLength, KeyOctets};

/// Derives a key of the given length: the leftmost octets of the blocks in order.
///
/// The parts of the context count as one string.
// spec: KEY-1
#[must_use]
#[inline]
pub fn derive(key: &CmacKey, label: &[u8], context: [&[u8]; 2], length: KeyLength) -> KeyOctets {
    match length {
        KeyLength::Short => KeyOctets::Short(derive_128(key, label, context)),
        KeyLength::Long => KeyOctets::Long(derive_256(key, label, context)),
    }
}

/// Derives 16 octets, one block.
#[must_use]
#[inline]
pub fn derive_128(key: &CmacKey, label: &[u8], context: [&[u8]; 2]) -> Key128 {
    Key128::take(&mut block(key, 1, label, context, KeyLength::Short.bits()))
}

/// Derives 32 octets, two blocks.
#[must_use]
pub fn derive_256(key: &CmacKey, label: &[u8], context: [&[u8]; 2]) -> Key256 {
    let bits = KeyLength::Long.bits();
    let mut octets = [0; 32];
    let (left, right) = octets.split_at_mut(16);
    for (counter, half) in [(1, left), (2, right)] {
        let mut whole = block(key, counter, label, context, bits);
        half.copy_from_slice(&whole);
        whole.zeroize();
    }
    Key256::take(&mut octets)
}

#[inline(always)]
fn block(key: &CmacKey, counter: u32, label: &[u8], context: [&[u8]; 2], bits: u32) -> [u8; 16] {
    let [first, second] = context;
    let (counter, bits) = (counter.to_be_bytes(), bits.to_be_bytes());
    let parts: [&[u8]; 6] = [&counter, label, &[0], first, second, &bits];
    // One string is chained faster than its parts; every derivation of OTL is short enough.
    let mut message = [0; MESSAGE_MAX_OCTETS];
    match concatenate(&mut message, parts) {
        Some(message) => key.mac(&[message]),
        None => key.mac(&parts),
    }
}

/// The longest input of a derivation in OTL has 57 octets.
const MESSAGE_MAX_OCTETS: usize = 64;

#[inline(always)]
fn concatenate<'m>(
    message: &'m mut [u8; MESSAGE_MAX_OCTETS],
    parts: [&[u8]; 6],
) -> Option<&'m [u8]> {
    let mut used = 0_usize;
    for part in parts {
        let end = used.checked_add(part.len())?;
        message.get_mut(used..end)?.copy_from_slice(part);
        used = end;
    }
    message.get(..used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> CmacKey {
        CmacKey::new(&KeyOctets::Short([0x2B; 16].into()))
    }

    /// KEY-1, against the formula written out octet by octet.
    // spec: KEY-1
    #[test]
    fn blocks_are_the_mac_of_counter_label_zero_context_and_length() {
        let expected = key().mac(&[b"\0\0\0\x01label\0context\0\0\0\x80"]);
        assert_eq!(
            derive_128(&key(), b"label", [b"con", b"text"]).expose(),
            &expected
        );

        let first = key().mac(&[b"\0\0\0\x01label\0context\0\0\x01\0"]);
        let second = key().mac(&[b"\0\0\0\x02label\0context\0\0\x01\0"]);
        let long = derive_256(&key(), b"label", [b"context", b""]);
        assert_eq!(
            (&long.expose()[..16], &long.expose()[16..]),
            (&first[..], &second[..])
        );
    }

    #[test]
    fn an_input_of_any_length_gives_the_same_as_its_string() {
        let context = [7; 100];
        for octets in 0..=100 {
            let message = [b"\0\0\0\x01label\0", &context[..octets], b"\0\0\0\x80"].concat();
            let derived = derive_128(&key(), b"label", [&context[..octets], &[]]);
            assert_eq!(derived.expose(), &key().mac(&[&message]));
        }
    }

    #[test]
    fn the_wanted_length_enters_the_derivation() {
        let short = derive(&key(), b"label", [b"c", b""], KeyLength::Short);
        let long = derive(&key(), b"label", [b"c", b""], KeyLength::Long);
        assert_ne!(short.expose(), &long.expose()[..16]);
        assert_eq!(
            (short.length(), long.length()),
            (KeyLength::Short, KeyLength::Long)
        );
    }
}
