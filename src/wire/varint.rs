//! Variable-length integers: unsigned LEB128 in its shortest form.
//!
//! Seven bits an octet, least significant group first, bit 7 set on all octets but the last.

use super::error::{EncodeError, ErrorKind};
use super::span::{Parsed, Span};
use super::writer::Writer;
use nom::Input as _;

/// The octets that the shortest form of `value` needs, 1 to 10.
pub(crate) const fn len(value: u64) -> usize {
    let mut octets = 1;
    let mut rest = value >> 7;
    while rest > 0 {
        rest >>= 7;
        octets = usize::saturating_add(octets, 1);
    }
    octets
}

/// Reads a varint of at most `max`. No more octets are looked at than `max` needs.
///
/// Errors stand at the first octet of the varint: `bad_value` above `max`, `non_canonical` for
/// a longer form; and at its end where an octet is missing.
// spec: GEN-2, GEN-6
#[inline]
pub(crate) fn varint<'a>(max: u64) -> impl Fn(Span<'a>) -> Parsed<'a, u64> {
    let longest = len(max);
    move |input: Span<'a>| {
        let mut value = 0_u64;
        for (index, octet) in input.octets().iter().take(longest).enumerate() {
            let group = u64::from(octet & 0x7F);
            let shift = u32::try_from(index).unwrap_or(u32::MAX).saturating_mul(7);
            let shifted = group.unbounded_shl(shift);
            if shifted.unbounded_shr(shift) != group {
                return input.refuse(ErrorKind::BadValue);
            }
            value |= shifted;
            if octet & 0x80 == 0 {
                return if *octet == 0 && index > 0 {
                    input.refuse(ErrorKind::NonCanonical)
                } else if value > max {
                    input.refuse(ErrorKind::BadValue)
                } else {
                    Ok((input.take_from(index.saturating_add(1)), value))
                };
            }
        }
        if input.octets().len() < longest {
            Err(nom::Err::Error(input.truncated()))
        } else {
            input.refuse(ErrorKind::BadValue)
        }
    }
}

/// Writes the shortest form.
///
/// # Errors
///
/// [`EncodeError::NoRoom`].
// spec: GEN-2
pub(crate) fn put(out: &mut Writer<'_>, value: u64) -> Result<(), EncodeError> {
    let mut rest = value;
    loop {
        let [group, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.u8(group & 0x7F);
        }
        out.u8(group | 0x80)?;
    }
}
