//! The link layer: what a telegram was carried in, and what follows it.
//!
//! Gateways hand telegrams on in more ways than the standard has. [`read`] takes, in this order and
//! without a search for CRCs in places that no format has:
//!
//! 1. wired frames (EN 13757-2): the single character E5h, short frames, long frames;
//! 2. wireless telegrams (EN 13757-4) of format A, every CRC of which holds, and octets behind its
//!    end;
//! 3. format B, every CRC of which holds, and octets behind its end;
//! 4. a telegram without its length octet, as some recorders keep it: the first octet is a C field,
//!    and the second, which would be one otherwise, is none;
//! 5. a telegram without CRCs and with octets behind its end (noise, signal strength, a time).
//!
//! Octets behind the end are left out and counted. Where some CRCs of a format hold and others do
//! not, the telegram is damaged and refused: read in another way, its CRCs would become data.
//!
//! Octets alone do not always tell. A CRC of 16 bits holds by chance in one place of 65536: so one
//! telegram without CRCs in as many passes for format B and loses its end, and of those that have
//! several blocks, or octets behind their end, more look damaged. [`unchecked`] reads such a
//! telegram as what it may be, for whoever can tell by its content; a check over zeros alone counts
//! for nothing. On the other hand a telegram without CRCs that has as many octets behind its end as
//! format A has CRCs, or more, may be one of format A that is damaged in every block:
//! [`damaged_format_a`] is that reading. One of format B with a single block that is damaged passes
//! for one without CRCs.

mod wired;
mod wireless;

use super::address::Address;
use super::error::{MbusError, MbusErrorKind};

pub use wireless::{FORMAT_A_FIRST, FORMAT_BLOCK};

/// How a telegram is carried.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Carriage {
    /// It says so itself: a wired frame if it is E5h alone, `10 … 16` of five octets, or begins
    /// with `68 L L 68`; else a wireless telegram.
    #[default]
    Auto,
    /// A wired frame.
    Wired,
    /// A wireless telegram.
    Wireless,
    /// It begins with its CI field: whoever carried it has taken the link layer off.
    TransportFirst,
}

/// What a telegram was found to be.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Format {
    /// The single character E5h.
    WiredAck,
    /// A short frame, without data.
    WiredShort,
    /// A long or control frame.
    WiredLong,
    /// Wireless, with the CRCs of format A.
    WirelessA,
    /// Wireless, with the CRCs of format B.
    WirelessB,
    /// Wireless, without CRCs.
    WirelessPlain,
    /// Wireless, without CRCs and without its length octet.
    WirelessNoLength,
    /// Without a link layer.
    TransportFirst,
}

impl Format {
    /// The word of the outward forms.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::WiredAck => "wired_ack",
            Self::WiredShort => "wired_short",
            Self::WiredLong => "wired_long",
            Self::WirelessA => "wireless_a",
            Self::WirelessB => "wireless_b",
            Self::WirelessPlain => "wireless",
            Self::WirelessNoLength => "wireless_without_length",
            Self::TransportFirst => "transport_first",
        }
    }

    /// Whether it is a wired frame, where some CI fields mean something else.
    #[must_use]
    pub const fn is_wired(self) -> bool {
        matches!(self, Self::WiredAck | Self::WiredShort | Self::WiredLong)
    }
}

/// A telegram without its link layer.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// What it was carried in.
    pub format: Format,
    /// The C field; none where there is no link layer, and of E5h.
    pub c_field: Option<u8>,
    /// Who sent it, of a wireless telegram.
    pub sender: Option<Address>,
    /// The primary address of a wired frame.
    pub primary_address: Option<u8>,
    /// Octets behind the end of the telegram, which are not part of it.
    pub trailing_octets: usize,
    /// What follows, from the CI field on; empty if the telegram carries nothing.
    pub body: &'a [u8],
    /// Where the body begins, in octets of the telegram without CRCs.
    pub body_offset: usize,
}

impl Link<'_> {
    /// Whether it was sent to a meter, by its C field.
    // clause: EN 13757-4, 12.3; EN 13757-2, 5.4
    #[must_use]
    pub const fn is_downlink(&self) -> bool {
        matches!(
            self.c_field,
            Some(0x06 | 0x40 | 0x43 | 0x53 | 0x5A | 0x5B | 0x73 | 0x7A | 0x7B)
        )
    }
}

/// The name of a C field, wired or wireless; none for one that neither table has.
// clause: EN 13757-4, 12.3
#[must_use]
pub const fn c_field_name(c_field: u8) -> Option<&'static str> {
    Some(match c_field {
        0x40 => "SND-NKE",
        0x43 => "SND-UD2",
        0x53 | 0x73 => "SND-UD",
        0x5A | 0x7A => "REQ-UD1",
        0x5B | 0x7B => "REQ-UD2",
        0x06 => "CNF-IR",
        0x44 => "SND-NR",
        0x46 => "SND-IR",
        0x47 => "ACC-NR",
        0x48 => "ACC-DMD",
        0x00 | 0x10 | 0x20 | 0x30 => "ACK",
        0x01 | 0x11 | 0x21 | 0x31 => "NACK",
        0x08 | 0x18 | 0x28 | 0x38 => "RSP-UD",
        _ => return None,
    })
}

/// Takes the link layer off. CRCs inside the telegram are left out by copying the rest to
/// `scratch`; without them nothing is copied.
///
/// # Errors
///
/// [`MbusError`]: what is wrong with the carriage that the telegram comes nearest to.
pub fn read<'a>(
    telegram: &'a [u8],
    carriage: Carriage,
    scratch: &'a mut Vec<u8>,
) -> Result<Link<'a>, MbusError> {
    let is_wired = match carriage {
        Carriage::Auto => wired::looks_wired(telegram),
        Carriage::Wired => true,
        Carriage::Wireless | Carriage::TransportFirst => false,
    };
    if telegram.is_empty() {
        return Err(MbusError::new(0, MbusErrorKind::Truncated, "telegram"));
    }
    if carriage == Carriage::TransportFirst {
        return Ok(Link {
            format: Format::TransportFirst,
            c_field: None,
            sender: None,
            primary_address: None,
            trailing_octets: 0,
            body: telegram,
            body_offset: 0,
        });
    }
    if is_wired {
        wired::read(telegram)
    } else {
        wireless::read(telegram, scratch)
    }
}

/// The other reading of a telegram that CRCs speak for or against: as one without any.
#[derive(Clone, Copy, Debug)]
pub struct Unchecked<'a> {
    /// That reading.
    pub link: Link<'a>,
    /// Whether a content that makes sense is not enough to believe it: CRCs hold that would not by
    /// chance, or some, so that it looks damaged, and this reading makes data of CRCs.
    pub needs_proof: bool,
}

/// The reading of a telegram as one of format A, whatever its CRCs say.
#[derive(Clone, Copy, Debug)]
pub struct DamagedFormatA<'a> {
    /// That reading.
    pub link: Link<'a>,
    /// How many octets it has more than there are.
    pub missing_octets: usize,
}

/// Reads a telegram of [`Carriage::Auto`] as one without CRCs, where [`read`] refuses it for CRCs
/// or finds format B. None if it can be nothing but what [`read`] says.
#[must_use]
pub fn unchecked(telegram: &[u8]) -> Option<Unchecked<'_>> {
    match wired::looks_wired(telegram) {
        true => None,
        false => wireless::unchecked_reading(telegram),
    }
}

/// Reads a telegram of [`Carriage::Auto`] as one of format A, whatever its CRCs say; none if it has
/// no octets behind what its length octet counts. For whoever doubts that it is none.
#[must_use]
pub fn damaged_format_a<'a>(
    telegram: &[u8],
    scratch: &'a mut Vec<u8>,
) -> Option<DamagedFormatA<'a>> {
    match wired::looks_wired(telegram) {
        true => None,
        false => wireless::damaged_format_a(telegram, scratch),
    }
}

#[cfg(test)]
pub(crate) mod framed;
#[cfg(test)]
mod tests;
