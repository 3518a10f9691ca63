//! Stamps and the report that every uplink begins with.

use super::EncodeError;
use super::wire::Writer;

/// The uncertainty code for "unknown or more".
pub const UNCERTAINTY_UNKNOWN: u8 = 127;

/// An instant as the terminal knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// The clock is set.
    Set {
        /// UTC seconds since 1970.
        utc_s: u32,
        /// Uncertainty code, 0 to 127.
        uncertainty: u8,
    },
    /// The clock is unset.
    Unset {
        /// Seconds since boot.
        uptime_s: u32,
        /// Number of this boot.
        boot: u16,
    },
}

impl Stamp {
    /// Appends it.
    ///
    /// # Errors
    /// An uncertainty code above 127.
    // spec: REC-3
    pub fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match *self {
            Self::Set { utc_s, uncertainty } => {
                if uncertainty > UNCERTAINTY_UNKNOWN {
                    return Err(EncodeError::BadValue("uncertainty"));
                }
                w.u8(uncertainty);
                w.u32(utc_s);
            }
            Self::Unset { uptime_s, boot } => {
                w.u8(0x80 | UNCERTAINTY_UNKNOWN);
                w.u32(uptime_s);
                w.u16(boot);
            }
        }
        Ok(())
    }
}

/// The smallest code that names at least these seconds.
#[must_use]
pub fn uncertainty_code(seconds: u64) -> u8 {
    if seconds <= 63 {
        return u8::try_from(seconds).unwrap_or(UNCERTAINTY_UNKNOWN);
    }
    let code = seconds.div_ceil(32).saturating_add(62);
    u8::try_from(code)
        .unwrap_or(UNCERTAINTY_UNKNOWN)
        .min(UNCERTAINTY_UNKNOWN)
}

/// The seconds that a code names; `None` is unknown.
#[must_use]
pub fn uncertainty_seconds(code: u8) -> Option<u32> {
    match code {
        0..=63 => Some(u32::from(code)),
        64..=126 => Some((u32::from(code) - 62) * 32),
        _ => None,
    }
}

/// What the terminal says of itself at the head of every uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The terminal's now.
    pub stamp: Stamp,
    /// The store epoch.
    pub epoch: u32,
    /// Wake slot version in force, 0 to 15.
    pub slot_version: u8,
    /// Frames still to follow, 15 = 15 or more.
    pub following: u8,
    /// The last command sequence and its outcome.
    pub command: Option<(u32, u8)>,
}

impl Report {
    /// Appends it.
    ///
    /// # Errors
    /// A field outside of its range.
    pub fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        if self.slot_version > 15 || self.following > 15 {
            return Err(EncodeError::BadValue("slots"));
        }
        self.stamp.encode(w)?;
        w.u32(self.epoch);
        w.u8((self.slot_version << 4) | self.following);
        match self.command {
            Some((sequence, outcome)) if sequence != 0 => {
                w.varint(u64::from(sequence));
                w.u8(outcome);
            }
            _ => w.varint(0),
        }
        Ok(())
    }
}
