//! Compact frames, which leave the heads of their records out, and format frames, which are the
//! heads alone.

use crate::wire::mbus::crc::{Crc, crc};
use crate::wire::mbus::error::{MbusError, MbusErrorKind};

use super::head::{EXTENSIONS_MAX, Head};
use super::record::{DATA_LENS, Direction, Item, LVAR, Records, variable_len};

/// What encryption pads records with.
const FILLER: u8 = 0x2F;
/// The most octets of padding: a block of AES less one.
const PADDING_MAX: usize = 15;

/// A frame whose records come without their heads.
// clause: EN 13757-3, Annex G
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CompactFrame<'a> {
    /// The check of the heads of the full frame, in the order of its records.
    pub signature: u16,
    /// The check of the whole records of the full frame.
    pub full_frame_crc: u16,
    /// The data of the records, one behind the other.
    pub data: &'a [u8],
}

/// A frame that tells the heads of the records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FormatFrame<'a> {
    /// The check of the heads, as the frame says it; [`FormatFrame::read`] has verified it.
    pub signature: u16,
    /// The heads, one behind the other.
    pub heads: &'a [u8],
}

/// Why a compact frame was not expanded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ExpandError {
    /// The heads are not those that the frame names.
    OtherFormat,
    /// The heads are none: one is cut or reserved.
    Heads,
    /// The data ends before the records do, or goes on behind them.
    Data,
    /// The records do not have the check that the frame gives.
    FullFrameCrc,
}

impl ExpandError {
    /// The name, for JSON, logs and metrics.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::OtherFormat => "other_format",
            Self::Heads => "format_heads",
            Self::Data => "compact_data",
            Self::FullFrameCrc => "full_frame_crc",
        }
    }
}

impl core::fmt::Display for ExpandError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::OtherFormat => "the heads are not those of the format that the frame names",
            Self::Heads => "the heads of the format cannot be read",
            Self::Data => "the data does not have the length of the format",
            Self::FullFrameCrc => "the records do not have the check that the frame gives",
        })
    }
}

impl core::error::Error for ExpandError {}

fn pair(octets: &[u8], at: usize, field: &'static str) -> Result<u16, MbusError> {
    let end = at.saturating_add(2);
    let pair = octets.get(at..end).and_then(|pair| pair.try_into().ok());
    pair.map(u16::from_le_bytes)
        .ok_or_else(|| MbusError::new(octets.len(), MbusErrorKind::Truncated, field))
}

impl<'a> CompactFrame<'a> {
    /// Reads what follows the transport header.
    ///
    /// # Errors
    ///
    /// [`MbusErrorKind::Truncated`] without both checks.
    pub fn read(octets: &'a [u8]) -> Result<Self, MbusError> {
        Ok(Self {
            signature: pair(octets, 0, "format signature")?,
            full_frame_crc: pair(octets, 2, "full-frame CRC")?,
            data: octets.get(4..).unwrap_or_default(),
        })
    }

    /// The records of the full frame, made of the heads of its format.
    ///
    /// # Errors
    ///
    /// An [`ExpandError`] unless both checks hold: never records that the meter did not mean.
    pub fn expand(&self, heads: &[u8]) -> Result<Vec<u8>, ExpandError> {
        if crc(heads) != self.signature {
            return Err(ExpandError::OtherFormat);
        }
        let room = heads.len().saturating_add(self.data.len());
        let mut full = Vec::with_capacity(room);
        let (mut heads, mut data) = (heads, self.data);
        let mut padding = 0;
        while let Some(&dif) = heads.first() {
            let (head_len, data_len) = if dif & 0x0F == 0x0F {
                special(dif, heads, data)?
            } else {
                piece(heads, data)?
            };
            let (head, rest) = heads.split_at_checked(head_len).ok_or(ExpandError::Heads)?;
            let (octets, behind) = data.split_at_checked(data_len).ok_or(ExpandError::Data)?;
            full.extend_from_slice(head);
            full.extend_from_slice(octets);
            if matches!(dif, 0x0F | 0x1F) {
                padding = padding_of(octets);
            }
            heads = rest;
            data = behind;
        }
        // What encryption padded is no data.
        if !data.iter().all(|octet| *octet == FILLER) {
            return Err(ExpandError::Data);
        }
        // Only the check tells padding from the end of a manufacturer's part.
        for _ in 0..=padding {
            if crc(&full) == self.full_frame_crc {
                return Ok(full);
            }
            full.pop();
        }
        Err(ExpandError::FullFrameCrc)
    }
}

/// How many octets at the end of a manufacturer's part may be padding of encryption.
fn padding_of(octets: &[u8]) -> usize {
    let fillers = octets.iter().rev().take_while(|octet| **octet == FILLER);
    fillers.take(PADDING_MAX).count()
}

/// Head and data of the manufacturer's part, which is the last one and goes to the end, or of a
/// lone special DIF.
fn special(dif: u8, heads: &[u8], data: &[u8]) -> Result<(usize, usize), ExpandError> {
    match dif {
        0x0F | 0x1F if heads.len() == 1 => Ok((1, data.len())),
        0x2F | 0x7F => Ok((1, 0)),
        _ => Err(ExpandError::Heads),
    }
}

/// The lengths of the next head and of the data that belongs to it.
fn piece(heads: &[u8], data: &[u8]) -> Result<(usize, usize), ExpandError> {
    let head = Head::read(heads).map_err(|_| ExpandError::Heads)?;
    if head.dife_count > EXTENSIONS_MAX || head.vife_count() > EXTENSIONS_MAX {
        return Err(ExpandError::Heads);
    }
    let field = head.dif & 0x0F;
    let data_len = if field == LVAR {
        let first = data.first().ok_or(ExpandError::Data)?;
        variable_len(*first)
            .ok_or(ExpandError::Data)?
            .saturating_add(1)
    } else {
        usize::from(DATA_LENS.get(usize::from(field)).copied().unwrap_or(0))
    };
    Ok((head.len, data_len))
}

impl<'a> FormatFrame<'a> {
    /// Reads what follows the transport header.
    ///
    /// # Errors
    ///
    /// [`MbusErrorKind::Truncated`] or [`MbusErrorKind::Length`] if the length field is wrong,
    /// [`MbusErrorKind::Checksum`] if the heads do not have their signature.
    pub fn read(octets: &'a [u8]) -> Result<Self, MbusError> {
        let missing = MbusError::new(octets.len(), MbusErrorKind::Truncated, "format length");
        let (&len, rest) = octets.split_first().ok_or(missing)?;
        let body = rest.get(..usize::from(len)).ok_or(missing)?;
        let signature = pair(body, 0, "format signature")?;
        let heads = body.get(2..).unwrap_or_default();
        if heads.is_empty() {
            return Err(MbusError::new(0, MbusErrorKind::Length, "format length"));
        }
        if crc(heads) != signature {
            return Err(MbusError::new(
                1,
                MbusErrorKind::Checksum,
                "format signature",
            ));
        }
        Ok(Self { signature, heads })
    }
}

/// Gives the heads of a full frame to `take`, piece by piece. None if a record is wrong, since the
/// meter's idea of the heads is not known then, or if there is no record.
fn each_head(records: Records<'_>, mut take: impl FnMut(&[u8])) -> Option<()> {
    let mut is_empty = true;
    for item in records.restart() {
        is_empty = false;
        match item.ok()? {
            Item::Record(record) => {
                let variable = usize::from(record.lvar.is_some());
                let data_len = record.data.len().saturating_add(variable);
                let head_len = record.octets.len().saturating_sub(data_len);
                take(record.octets.get(..head_len).unwrap_or_default());
            }
            Item::Manufacturer { more_follows, .. } => {
                take(&[if more_follows { 0x1F } else { 0x0F }]);
            }
            Item::GlobalReadout { .. } => take(&[0x7F]),
        }
    }
    (!is_empty).then_some(())
}

/// The heads of a full frame: what its compact frames leave out. None where there are none to
/// learn.
#[must_use]
pub fn heads_of(records: Records<'_>) -> Option<Vec<u8>> {
    let mut heads = Vec::new();
    each_head(records, |head| heads.extend_from_slice(head))?;
    Some(heads)
}

/// The signature of the heads of a full frame.
#[must_use]
pub fn signature_of(records: Records<'_>) -> Option<u16> {
    let mut sum = Crc::default();
    each_head(records, |head| sum = sum.update(head))?;
    Some(sum.finish())
}

/// The check that a compact frame of these records gives.
#[must_use]
pub fn full_frame_crc(records: &[u8]) -> u16 {
    let mut sum = Crc::default();
    for item in Records::new(records, Direction::Uplink).flatten() {
        sum = match item {
            Item::Record(record) => sum.update(record.octets),
            Item::Manufacturer { offset, .. } => {
                sum.update(records.get(offset..).unwrap_or_default())
            }
            Item::GlobalReadout { .. } => sum.update(&[0x7F]),
        };
    }
    sum.finish()
}
