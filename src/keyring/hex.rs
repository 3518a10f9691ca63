//! Hexadecimal text. Reading works on secrets: it leaves no copy behind and names no octet in
//! errors.

use std::fmt;

use zeroize::Zeroizing;

/// The value of one digit, either case.
const fn digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(octet.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(octet.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

/// Reads at most 32 octets; none for an odd length, a longer text or anything but digits.
pub(super) fn read(text: &[u8]) -> Option<(Zeroizing<[u8; 32]>, usize)> {
    let mut octets = Zeroizing::new([0; 32]);
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > octets.len() {
        return None;
    }
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        *octet = digit(*high)? << 4 | digit(*low)?;
    }
    Some((octets, pairs.len()))
}

/// Reads exactly 8 octets.
pub(super) fn read_8(text: &str) -> Option<[u8; 8]> {
    let (octets, used) = read(text.as_bytes())?;
    if used == 8 {
        octets.first_chunk().copied()
    } else {
        None
    }
}

/// Writes octets as lower-case digits.
pub(super) fn write(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_are_read_and_anything_else_is_not() {
        let (octets, used) = read(b"00fFAb").unwrap();
        assert_eq!(octets[..used], [0x00, 0xFF, 0xAB]);
        for wrong in ["0", "0g", "0x", " 00", "é", &"00".repeat(33)] {
            assert!(read(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert_eq!(
            read_8("0011223344556677"),
            Some([0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77])
        );
        assert_eq!(read_8("00112233445566"), None);
    }
}
