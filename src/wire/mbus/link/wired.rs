//! Frames of the wired link, EN 13757-2 (FT 1.2 of IEC 60870-5-1).

use super::{Format, Link};
use crate::wire::mbus::error::{MbusError, MbusErrorKind};

const ACK: u8 = 0xE5;
const SHORT_START: u8 = 0x10;
const LONG_START: u8 = 0x68;
const STOP: u8 = 0x16;
/// Octets of a long frame besides those that its length counts.
const LONG_EXTRA: usize = 6;
/// Octets before the C field of a long frame.
const LONG_HEAD: usize = 4;
/// C and A.
const C_AND_A: usize = 2;

/// Whether the octets are framed as a wired frame is.
pub(super) fn looks_wired(octets: &[u8]) -> bool {
    matches!(octets, [ACK] | [SHORT_START, _, _, _, STOP]) || looks_long(octets)
}

/// Whether the octets are framed as a long frame is, of whose marks one may be damaged: read in
/// another way it would give a meter that there is not.
fn looks_long(octets: &[u8]) -> bool {
    let [start, first, second, again, .., last] = octets else {
        return false;
    };
    let is_whole = |length: &u8| octets.len() == usize::from(*length).saturating_add(LONG_EXTRA);
    let marks = [
        *start == LONG_START,
        *again == LONG_START,
        first == second,
        *last == STOP && (is_whole(first) || is_whole(second)),
    ];
    marks.iter().filter(|holds| !**holds).count() <= 1
}

// clause: EN 13757-2, 5.3
pub(super) fn read(octets: &[u8]) -> Result<Link<'_>, MbusError> {
    match octets {
        [LONG_START, ..] => long(octets),
        _ if looks_long(octets) => Err(MbusError::new(0, MbusErrorKind::Start, "start")),
        [ACK, rest @ ..] => Ok(Link {
            format: Format::WiredAck,
            c_field: None,
            sender: None,
            primary_address: None,
            trailing_octets: rest.len(),
            body: &[],
            body_offset: 1,
        }),
        [SHORT_START, ..] => short(octets),
        _ => Err(MbusError::new(0, MbusErrorKind::Start, "start")),
    }
}

fn short(octets: &[u8]) -> Result<Link<'_>, MbusError> {
    let [_, c, a, checksum, stop, rest @ ..] = octets else {
        return Err(truncated(octets, "short frame"));
    };
    if c.wrapping_add(*a) != *checksum {
        return Err(MbusError::new(3, MbusErrorKind::Checksum, "checksum"));
    }
    if *stop != STOP {
        return Err(MbusError::new(4, MbusErrorKind::Stop, "stop"));
    }
    Ok(Link {
        format: Format::WiredShort,
        c_field: Some(*c),
        sender: None,
        primary_address: Some(*a),
        trailing_octets: rest.len(),
        body: &[],
        body_offset: 3,
    })
}

fn long(octets: &[u8]) -> Result<Link<'_>, MbusError> {
    let [_, length, again, start, rest @ ..] = octets else {
        return Err(truncated(octets, "long frame"));
    };
    if length != again {
        return Err(MbusError::new(2, MbusErrorKind::Length, "second length"));
    }
    if *start != LONG_START {
        return Err(MbusError::new(3, MbusErrorKind::Start, "second start"));
    }
    let len = usize::from(*length);
    if len <= C_AND_A {
        return Err(MbusError::new(1, MbusErrorKind::Length, "length"));
    }
    let Some((counted, [checksum, stop, after @ ..])) = rest.split_at_checked(len) else {
        return Err(truncated(octets, "long frame"));
    };
    let end = LONG_HEAD.saturating_add(len);
    let sum = counted
        .iter()
        .fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
    if *stop != STOP {
        return Err(MbusError::new(
            end.saturating_add(1),
            MbusErrorKind::Stop,
            "stop",
        ));
    }
    if sum != *checksum {
        return Err(MbusError::new(end, MbusErrorKind::Checksum, "checksum"));
    }
    let (c_and_a, body) = counted.split_at_checked(C_AND_A).unwrap_or((counted, &[]));
    let (c, a) = (c_and_a.first().copied(), c_and_a.last().copied());
    debug_assert!(
        octets.len() >= len.saturating_add(LONG_EXTRA),
        "all of it is there"
    );
    Ok(Link {
        format: Format::WiredLong,
        c_field: c,
        sender: None,
        primary_address: a,
        trailing_octets: after.len(),
        body,
        body_offset: LONG_HEAD.saturating_add(C_AND_A),
    })
}

const fn truncated(octets: &[u8], field: &'static str) -> MbusError {
    MbusError::new(octets.len(), MbusErrorKind::Truncated, field)
}
