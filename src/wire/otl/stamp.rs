//! Stamps: an instant with what the terminal knows about its own clock.

use core::fmt;

use nom::number::complete::{be_u8, be_u16, be_u32};

use crate::wire::error::{EncodeError, ErrorKind, OutOfRange};
use crate::wire::span::{Parsed, Span, field, refine};
use crate::wire::writer::Writer;

const CLOCK_UNSET: u8 = 0x80;

/// How far a clock may be off, as its code of seven bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uncertainty(u8);

impl Uncertainty {
    /// Not known, or more than 2,048 s.
    pub const UNKNOWN: Self = Self(127);

    /// The uncertainty with a code, 0 to 127.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for 128 and above.
    pub const fn from_code(code: u8) -> Result<Self, OutOfRange> {
        if code <= 127 {
            Ok(Self(code))
        } else {
            Err(OutOfRange("uncertainty code, 0 to 127"))
        }
    }

    /// The least uncertainty that covers so many seconds.
    #[must_use]
    pub fn from_seconds(seconds: u32) -> Self {
        let code = if seconds <= 63 {
            seconds
        } else {
            seconds.div_ceil(32).saturating_add(62)
        };
        Self(u8::try_from(code).unwrap_or(127).min(127))
    }

    /// The code, 0 to 127.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// Seconds: 0 to 63, then 64 to 2,048 in steps of 32; none if unknown.
    #[must_use]
    pub fn seconds(self) -> Option<u16> {
        match self.0 {
            code @ 0..=63 => Some(u16::from(code)),
            code @ 64..=126 => Some(u16::from(code).saturating_sub(62).saturating_mul(32)),
            _ => None,
        }
    }
}

/// An instant as a terminal knows it.
// spec: REC-3
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stamp {
    /// The clock is set.
    Set {
        /// How far it may be off.
        uncertainty: Uncertainty,
        /// UTC seconds since 1970.
        utc_s: u32,
    },
    /// The clock is not set: only the time since boot is known.
    Unset {
        /// Seconds since boot.
        uptime_s: u32,
        /// The number of this boot.
        boot: u16,
    },
}

impl Stamp {
    /// Writes 5 octets, or 7 if the clock is unset.
    pub(crate) fn encode(self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Set { uncertainty, utc_s } => {
                out.u8(uncertainty.code())?;
                out.u32(utc_s)
            }
            Self::Unset { uptime_s, boot } => {
                out.u8(CLOCK_UNSET | Uncertainty::UNKNOWN.code())?;
                out.u32(uptime_s)?;
                out.u16(boot)
            }
        }
    }
}

/// The first octet of a stamp.
#[derive(Clone, Copy)]
enum Quality {
    Set(Uncertainty),
    Unset,
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("clock unset"),
            Self::Set(uncertainty) => match uncertainty.seconds() {
                Some(seconds) => write!(f, "±{seconds} s"),
                None => f.write_str("uncertainty unknown"),
            },
        }
    }
}

/// Reads a stamp.
// spec: REC-3
#[inline(always)]
pub(crate) fn stamp(input: Span<'_>) -> Parsed<'_, Stamp> {
    let (rest, quality) = field(
        "stamp quality",
        refine(be_u8, |octet: u8| {
            if octet & CLOCK_UNSET == 0 {
                Ok(Quality::Set(Uncertainty(octet)))
            } else if octet == CLOCK_UNSET | Uncertainty::UNKNOWN.code() {
                Ok(Quality::Unset)
            } else {
                Err(ErrorKind::BadValue)
            }
        }),
    )(input)?;
    match quality {
        Quality::Set(uncertainty) => {
            let (rest, utc_s) = field("stamp UTC seconds", be_u32)(rest)?;
            Ok((rest, Stamp::Set { uncertainty, utc_s }))
        }
        Quality::Unset => {
            let (rest, uptime_s) = field("stamp uptime", be_u32)(rest)?;
            let (rest, boot) = field("stamp boot", be_u16)(rest)?;
            Ok((rest, Stamp::Unset { uptime_s, boot }))
        }
    }
}
