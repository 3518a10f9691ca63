//! Telegrams of the wireless link, EN 13757-4: formats A and B, and what gateways make of them.

use super::{DamagedFormatA, Format, Link, Unchecked, c_field_name};
use crate::wire::mbus::address::Address;
use crate::wire::mbus::crc::crc;
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
    if length < LENGTH_MIN || octets.len() < whole {
        return match begins_with_c_field(octets) {
            true => without_length(octets),
            false if length < LENGTH_MIN => {
                Err(MbusError::new(0, MbusErrorKind::Length, "L field"))
            }
            false => Err(truncated(octets)),
        };
    }
    let telegram = octets.get(..whole).ok_or_else(|| truncated(octets))?;
    let trailing = octets.len().saturating_sub(whole);
    // To read it as something else would make data of checks.
    match with_crcs_of_a(octets, whole, scratch) {
        Checks::Hold(trailing) => return plain(scratch, Format::WirelessA, trailing),
        Checks::Broken(error) => return Err(error),
        Checks::None => {}
    }
    match format_b(telegram, scratch) {
        Checks::Hold(_) => return plain(scratch, Format::WirelessB, trailing),
        Checks::Broken(error) => return Err(error),
        Checks::None => {}
    }
    if trailing == 0 && is_cut_format_a(octets) {
        return Err(truncated(octets));
    }
    if begins_with_c_field(octets) {
        return without_length(octets);
    }
    match unchecked(telegram, trailing) {
        Err(_) if octets.len() == format_a_len(whole) => Err(block_crc(0, 0)),
        read => read,
    }
}

pub(super) fn unchecked_reading(octets: &[u8]) -> Option<Unchecked<'_>> {
    let whole = usize::from(*octets.first()?).saturating_add(1);
    let telegram = octets.get(..whole).filter(|_| whole > LENGTH_MIN)?;
    let trailing = octets.len().saturating_sub(whole);
    let mut scratch = Vec::new();
    let needs_proof = match with_crcs_of_a(octets, whole, &mut scratch) {
        Checks::Hold(_) => return None,
        Checks::Broken(_) => true,
        Checks::None => match format_b(telegram, &mut scratch) {
            // One CRC holds by chance; two do not.
            Checks::Hold(_) => telegram.len() > FORMAT_B_BLOCK + CRC,
            Checks::Broken(_) => true,
            Checks::None if trailing == 0 && !begins_as_format_a(octets) => false,
            Checks::None => return None,
        },
    };
    let link = unchecked(telegram, trailing).ok()?;
    Some(Unchecked { link, needs_proof })
}

pub(super) fn damaged_format_a<'a>(
    octets: &[u8],
    scratch: &'a mut Vec<u8>,
) -> Option<DamagedFormatA<'a>> {
    let whole = usize::from(*octets.first()?).saturating_add(1);
    if whole <= LENGTH_MIN || octets.len() <= whole {
        return None;
    }
    // Whatever they say.
    let _checks = format_a(octets, whole, scratch);
    Some(DamagedFormatA {
        link: plain(scratch, Format::WirelessA, 0).ok()?,
        missing_octets: format_a_len(whole).saturating_sub(octets.len()),
    })
}

/// What the CRCs of format A say, where octets are behind the end of a telegram without them.
fn with_crcs_of_a(octets: &[u8], whole: usize, scratch: &mut Vec<u8>) -> Checks {
    match octets.len() > whole {
        true => format_a(octets, whole, scratch),
        false => Checks::None,
    }
}

/// A telegram without CRCs. Where no check vouches for it, its C field has to be one: octets of
/// another carriage would give a meter that there is not.
fn unchecked(octets: &[u8], trailing: usize) -> Result<Link<'_>, MbusError> {
    let link = plain(octets, Format::WirelessPlain, trailing)?;
    match link.c_field.and_then(c_field_name) {
        Some(_) => Ok(link),
        None => Err(MbusError::new(1, MbusErrorKind::Reserved, "C field")),
    }
}

/// What the CRCs say, where a format has them.
enum Checks {
    /// All hold; the scratch has the telegram without them. Octets behind its end.
    Hold(usize),
    /// Some hold, so that it is this format, and damaged: the first that does not.
    Broken(MbusError),
    /// None holds: it is another format.
    None,
}

impl Checks {
    /// Of blocks that may hold.
    fn of(some_hold: bool, refused: Option<MbusError>, trailing: usize) -> Self {
        match refused {
            _ if !some_hold => Self::None,
            None => Self::Hold(trailing),
            Some(error) => Self::Broken(error),
        }
    }
}

const fn block_crc(block: u8, offset: usize) -> MbusError {
    MbusError::new(offset, MbusErrorKind::BlockCrc(block), "block CRC")
}

const fn truncated(octets: &[u8]) -> MbusError {
    MbusError::new(octets.len(), MbusErrorKind::Truncated, "telegram")
}

/// Whether the first octet can only be a C field. If the second one is too, the first is a length.
fn begins_with_c_field(octets: &[u8]) -> bool {
    let is_c_field = |at: usize| octets.get(at).is_some_and(|c| c_field_name(*c).is_some());
    octets.len() > HEAD && octets.first().is_some_and(carries_data) && !is_c_field(1)
}

/// Whether data follows a C field: requests and acknowledgements have none.
const fn carries_data(c_field: &u8) -> bool {
    matches!(
        c_field,
        0x08 | 0x18 | 0x28 | 0x38 | 0x43 | 0x44 | 0x46 | 0x47 | 0x48 | 0x53 | 0x73
    )
}

fn holds(data: &[u8], check: [u8; CRC]) -> bool {
    crc(data) == u16::from_be_bytes(check)
}

/// Whether a check says nothing: that of zeros is FFFFh however many they are, which data is too
/// where a value or a date is not set.
fn is_weak(data: &[u8]) -> bool {
    data.iter().all(|octet| *octet == 0)
}

/// The data and the check of the block of format A with so many octets, and what follows.
fn block_a(octets: &[u8], len: usize) -> Option<(&[u8], [u8; CRC], &[u8])> {
    let (data, after) = octets.split_at_checked(len)?;
    let (check, after) = after.split_first_chunk::<CRC>()?;
    Some((data, *check, after))
}

/// Whether the first two blocks have the CRCs of format A.
fn begins_as_format_a(octets: &[u8]) -> bool {
    block_a(octets, FORMAT_A_FIRST).is_some_and(|(data, check, after)| {
        holds(data, check)
            && block_a(after, FORMAT_BLOCK).is_some_and(|(data, check, _)| holds(data, check))
    })
}

/// Whether octets are the begin of a telegram of format A: by two blocks, or by the first one if
/// there is no second.
fn is_cut_format_a(octets: &[u8]) -> bool {
    let two = FORMAT_A_FIRST + FORMAT_BLOCK + 2 * CRC;
    let first =
        || block_a(octets, FORMAT_A_FIRST).is_some_and(|(data, check, _)| holds(data, check));
    begins_as_format_a(octets) || octets.len() < two && first()
}

/// Octets of a telegram in format A that has so many without its CRCs.
fn format_a_len(whole: usize) -> usize {
    let further = whole.saturating_sub(FORMAT_A_FIRST).div_ceil(FORMAT_BLOCK);
    let checks = further.saturating_add(1).saturating_mul(CRC);
    whole.saturating_add(checks)
}

/// Takes the CRCs of format A out.
// clause: EN 13757-4, 12.6.2
fn format_a(octets: &[u8], whole: usize, scratch: &mut Vec<u8>) -> Checks {
    scratch.clear();
    let (mut rest, mut left, mut block) = (octets, whole, 0_u8);
    let (mut some_hold, mut refused) = (false, None);
    while left > 0 {
        let most = match block {
            0 => FORMAT_A_FIRST,
            _ => FORMAT_BLOCK,
        };
        let len = left.min(most);
        let Some((data, check, after)) = block_a(rest, len) else {
            refused = refused.or_else(|| Some(truncated(octets)));
            break;
        };
        if holds(data, check) {
            some_hold |= !is_weak(data);
        } else {
            let offset = octets.len().saturating_sub(rest.len());
            refused = refused.or_else(|| Some(block_crc(block, offset)));
        }
        scratch.extend_from_slice(data);
        rest = after;
        left = left.saturating_sub(len);
        block = block.saturating_add(1);
    }
    Checks::of(some_hold, refused, rest.len())
}

/// Takes the CRCs of format B out of a telegram whose length is told.
// clause: EN 13757-4, 12.6.3
fn format_b(telegram: &[u8], scratch: &mut Vec<u8>) -> Checks {
    const BLOCK: usize = FORMAT_B_BLOCK + CRC;
    // A last block without data is none.
    let is_framed = telegram.len() >= FORMAT_A_FIRST.saturating_add(CRC)
        && !(1..=CRC).contains(&(telegram.len() % BLOCK));
    if !is_framed {
        return Checks::None;
    }
    scratch.clear();
    let (mut some_hold, mut refused) = (false, None);
    let mut offset = 0_usize;
    for (block, part) in (0_u8..).zip(telegram.chunks(BLOCK)) {
        match part.split_last_chunk::<CRC>() {
            Some((data, check)) if holds(data, *check) => {
                some_hold |= !is_weak(data);
                scratch.extend_from_slice(data);
            }
            _ => refused = refused.or_else(|| Some(block_crc(block, offset))),
        }
        offset = offset.saturating_add(part.len());
    }
    Checks::of(some_hold, refused, 0)
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
