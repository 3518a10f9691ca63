//! Telegrams of the wireless link, EN 13757-4: formats A and B, and what gateways make of them.

use super::{Format, Link, c_field_name};
use crate::wire::mbus::address::Address;
use crate::wire::mbus::crc::{Crc, crc};
use crate::wire::mbus::error::{MbusError, MbusErrorKind};

/// Octets of the first block: L, C, M and A.
pub const FORMAT_A_FIRST: usize = 10;
/// Octets of each further block of format A, the last one less.
pub const FORMAT_BLOCK: usize = 16;
/// Octets that one CRC of format B covers, its own apart.
const FORMAT_B_BLOCK: usize = 126;
const CRC: usize = 2;
/// C, M and A.
const HEAD: usize = 9;
/// The least that the length counts: C, M, A and a CI field. Without a CI field a telegram is a
/// bare link frame, which has a length of 9.
const LENGTH_MIN: usize = HEAD;

pub(super) fn read<'a>(octets: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Link<'a>, MbusError> {
    let length = usize::from(octets.first().copied().unwrap_or_default());
    let whole = length.saturating_add(1);
    if length >= LENGTH_MIN && octets.len() == whole {
        // A telegram of format B has this length too; its CRCs would be data otherwise. So has one
        // of format A that was cut just there: two checks that hold are no chance.
        if format_b(octets, whole, scratch).is_some() {
            return plain(scratch, Format::WirelessB, 0);
        }
        return match format_a(octets, whole, scratch) {
            Err(cut) if is_cut_format_a(cut, scratch.len()) => Err(cut),
            _ => plain(octets, Format::WirelessPlain, 0),
        };
    }
    let refused = match format_a(octets, whole, scratch) {
        Ok(trailing) => return plain(scratch, Format::WirelessA, trailing),
        // The first check holds or the length is that of format A: to read it as something else
        // would make data of checks.
        Err(error)
            if is_format_a(error, octets.len(), whole) || is_cut_format_a(error, scratch.len()) =>
        {
            return Err(error);
        }
        Err(error) => error,
    };
    if length >= LENGTH_MIN && octets.len() > whole {
        let trailing = octets.len().saturating_sub(whole);
        if format_b(octets, whole, scratch).is_some() {
            return plain(scratch, Format::WirelessB, trailing);
        }
        let Some(telegram) = octets.get(..whole) else {
            return Err(refused);
        };
        return plain(telegram, Format::WirelessPlain, trailing);
    }
    if begins_with_c_field(octets) {
        return without_length(octets);
    }
    if length < LENGTH_MIN {
        return Err(MbusError::new(0, MbusErrorKind::Length, "L field"));
    }
    Err(refused)
}

/// Whether the first octet can only be a C field. If the second one is too, the first is a length,
/// and the telegram ends too early.
fn begins_with_c_field(octets: &[u8]) -> bool {
    let is_c_field = |at: usize| octets.get(at).is_some_and(|c| c_field_name(*c).is_some());
    octets.len() > HEAD && is_c_field(0) && !is_c_field(1)
}

/// Whether a telegram ended while its blocks were read, at least two of which are whole.
fn is_cut_format_a(refused: MbusError, read: usize) -> bool {
    let two_blocks = FORMAT_A_FIRST.saturating_add(FORMAT_BLOCK);
    refused.kind == MbusErrorKind::Truncated && read >= two_blocks
}

/// Whether a telegram that format A refuses is one of format A all the same.
fn is_format_a(refused: MbusError, len: usize, whole: usize) -> bool {
    let further = whole.saturating_sub(FORMAT_A_FIRST).div_ceil(FORMAT_BLOCK);
    let checks = further.saturating_add(1).saturating_mul(CRC);
    match refused.kind {
        MbusErrorKind::BlockCrc(block) => block > 0 || len == whole.saturating_add(checks),
        _ => false,
    }
}

/// Takes the CRCs of format A out. Gives the octets behind the end.
// clause: EN 13757-4, 12.6.2
fn format_a(octets: &[u8], whole: usize, scratch: &mut Vec<u8>) -> Result<usize, MbusError> {
    scratch.clear();
    let truncated = MbusError::new(octets.len(), MbusErrorKind::Truncated, "telegram");
    let (mut rest, mut left, mut block) = (octets, whole, 0_u8);
    while left > 0 {
        let most = if block == 0 {
            FORMAT_A_FIRST
        } else {
            FORMAT_BLOCK
        };
        let len = left.min(most);
        let (data, after) = rest.split_at_checked(len).ok_or(truncated)?;
        let (check, after) = after.split_first_chunk::<CRC>().ok_or(truncated)?;
        if crc(data) != u16::from_be_bytes(*check) {
            let offset = octets.len().saturating_sub(rest.len());
            return Err(MbusError::new(
                offset,
                MbusErrorKind::BlockCrc(block),
                "block CRC",
            ));
        }
        scratch.extend_from_slice(data);
        rest = after;
        left = left.saturating_sub(len);
        block = block.saturating_add(1);
    }
    Ok(rest.len())
}

/// Takes the CRCs of format B out, if all of them hold.
// clause: EN 13757-4, 12.6.3
fn format_b(octets: &[u8], whole: usize, scratch: &mut Vec<u8>) -> Option<()> {
    let counted = octets.get(..whole)?;
    if counted.len() < FORMAT_A_FIRST.saturating_add(CRC) {
        return None;
    }
    scratch.clear();
    for part in counted.chunks(FORMAT_B_BLOCK.saturating_add(CRC)) {
        let (data, check) = part.split_last_chunk::<CRC>()?;
        if Crc::default().update(data).finish() != u16::from_be_bytes(*check) {
            return None;
        }
        scratch.extend_from_slice(data);
    }
    Some(())
}

fn plain(octets: &[u8], format: Format, trailing: usize) -> Result<Link<'_>, MbusError> {
    let (_, after_length) =
        octets
            .split_first()
            .ok_or(MbusError::new(0, MbusErrorKind::Truncated, "L field"))?;
    link(after_length, format, trailing, 1)
}

fn without_length(octets: &[u8]) -> Result<Link<'_>, MbusError> {
    link(octets, Format::WirelessNoLength, 0, 0)
}

/// C, M and A, and what follows. `before` octets stand before them.
fn link(
    octets: &[u8],
    format: Format,
    trailing: usize,
    before: usize,
) -> Result<Link<'_>, MbusError> {
    let truncated = MbusError::new(
        before.saturating_add(octets.len()),
        MbusErrorKind::Truncated,
        "address",
    );
    let (head, body) = octets.split_first_chunk::<HEAD>().ok_or(truncated)?;
    let [c, address @ ..] = *head;
    Ok(Link {
        format,
        c_field: Some(c),
        sender: Some(Address::from_link_order(address)),
        primary_address: None,
        trailing_octets: trailing,
        body,
        body_offset: before.saturating_add(HEAD),
    })
}
