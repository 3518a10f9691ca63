//! Gauges: values from 0 to 65,533 at equally spaced marks, which go up and down.

use core::fmt;

use nom::Input as _;
use nom::number::complete::be_u8;

use crate::wire::bits::BitWriter;
use crate::wire::error::{DecodeError, EncodeError, ErrorKind, OutOfRange};
use crate::wire::hex::Hex;
use crate::wire::span::{Parsed, Span, field, ranged};
use crate::wire::writer::Writer;

use super::limits::GAUGE_MAX;
use super::steps::{StepReader, write_steps};

/// Marks in place of a value that was not measured; above [`GAUGE_MAX`].
const NOT_MEASURED: u16 = u16::MAX;

/// The largest coded difference: a rise from 0 to the largest gauge.
const CODE_MAX: u32 = 2 * 65_533;

/// Values at marks 1 to the count; at least one was measured.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Gauges {
    values: Vec<u16>,
}

impl Gauges {
    /// Gauges from one entry a mark, for 1 to 250 marks.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for another number of marks, if nothing was measured, and for a value above
    /// 65,533.
    // spec: SER-7, SER-8
    pub fn new(values: &[Option<u16>]) -> Result<Self, OutOfRange> {
        if !matches!(values.len(), 1..=250) {
            return Err(OutOfRange("count of gauges, 1 to 250"));
        }
        if values.iter().flatten().next().is_none() {
            return Err(OutOfRange("a measured gauge"));
        }
        if values.iter().flatten().any(|value| *value > GAUGE_MAX) {
            return Err(OutOfRange("gauge, at most 65,533"));
        }
        Ok(Self {
            values: values
                .iter()
                .map(|value| value.unwrap_or(NOT_MEASURED))
                .collect(),
        })
    }

    /// The number of marks, measured or not.
    #[must_use]
    pub fn count(&self) -> u8 {
        u8::try_from(self.values.len()).unwrap_or(u8::MAX)
    }

    /// One entry a mark, from mark 1 on; none where nothing was measured.
    pub fn iter(&self) -> impl Iterator<Item = Option<u16>> + Clone {
        self.values
            .iter()
            .map(|value| (*value != NOT_MEASURED).then_some(*value))
    }

    /// The value at a mark, from 1; none if it was not measured.
    #[must_use]
    pub fn at(&self, mark: u8) -> Option<u16> {
        let index = usize::from(mark.checked_sub(1)?);
        self.iter().nth(index).flatten()
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let bitmap_follows = self.values.contains(&NOT_MEASURED);
        out.u8(u8::from(bitmap_follows))?;
        if bitmap_follows {
            let mut bitmap = BitWriter::new(out);
            for value in self.iter() {
                bitmap.write(u64::from(value.is_some()), 1)?;
            }
            bitmap.finish()?;
        }
        let measured = self.iter().flatten();
        let first = measured.clone().next().unwrap_or_default();
        let differences = measured
            .clone()
            .zip(measured.skip(1))
            .map(|(before, after)| code(before, after));
        let mut bits = BitWriter::new(out);
        bits.write(u64::from(first), 16)?;
        if differences.clone().next().is_some() {
            write_steps(&mut bits, differences)?;
        }
        bits.finish()
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A difference as a number without sign: 2d from 0 up, −2d − 1 below.
fn code(before: u16, after: u16) -> u64 {
    match after.checked_sub(before) {
        Some(rise) => u64::from(rise).saturating_mul(2),
        None => u64::from(before.saturating_sub(after))
            .saturating_mul(2)
            .saturating_sub(1),
    }
}

/// The difference of a code, modulo 2^32.
///
/// Rises and falls alternate at random, so this does without a branch.
// spec: SER-8
#[inline]
const fn difference(code: u32) -> u32 {
    let sign = (code & 1).wrapping_neg();
    let size = (code >> 1).wrapping_add(code & 1);
    (size ^ sign).wrapping_sub(sign)
}

/// Reads gauges of `count` marks.
// spec: SER-3, SER-4, SER-7, SER-8
pub(crate) fn gauges<'a>(count: u8) -> impl Fn(Span<'a>) -> Parsed<'a, Gauges> {
    move |input: Span<'a>| {
        let (rest, form) = field(
            "gauge form",
            ranged(be_u8, |form| (form <= 1).then_some(form)),
        )(input)?;
        let (rest, bitmap) = if form == 1 {
            let (after, bitmap) = bitmap(rest, count)?;
            if measured(bitmap) >= u32::from(count) {
                return named(input.refuse(ErrorKind::NonCanonical), "gauge form");
            }
            (after, bitmap)
        } else {
            (rest, [].as_slice())
        };
        values(rest, count, bitmap)
    }
}

fn measured(bitmap: &[u8]) -> u32 {
    bitmap
        .iter()
        .fold(0_u32, |sum, octet| sum.saturating_add(octet.count_ones()))
}

/// Reads the bitmap of marks that were measured.
// spec: SER-4, SER-7
fn bitmap(input: Span<'_>, count: u8) -> Parsed<'_, &[u8]> {
    let len = usize::from(count.div_ceil(8));
    if input.octets().len() < len {
        return named(Err(nom::Err::Error(input.truncated())), "gauge bitmap");
    }
    let (rest, bitmap) = input.take_split(len);
    let octets = bitmap.octets();
    let fill = u32::from(count.wrapping_neg() & 7);
    let last = octets.last().copied().unwrap_or_default();
    if last.trailing_zeros() < fill {
        let at = rest.offset().saturating_sub(1);
        return named(input.refuse_at(at, ErrorKind::NonCanonical), "gauge bitmap");
    }
    if measured(octets) == 0 {
        return named(input.refuse(ErrorKind::BadValue), "gauge bitmap");
    }
    input.note(rest, "gauge bitmap", &Hex(octets));
    Ok((rest, octets))
}

/// Reads the values at the marks of the bitmap, at all marks if it is empty.
fn values<'a>(input: Span<'a>, count: u8, bitmap: &[u8]) -> Parsed<'a, Gauges> {
    let mut reader = StepReader::new(input, CODE_MAX);
    let (_, first) = named(reader.number(16), "first gauge")?;
    let first = u16::try_from(first).unwrap_or(NOT_MEASURED);
    if first > GAUGE_MAX {
        return named(input.refuse(ErrorKind::BadValue), "first gauge");
    }
    let marks = if bitmap.is_empty() {
        u32::from(count)
    } else {
        measured(bitmap)
    };
    if marks > 1 {
        named(reader.begin(), "gauges")?;
    }
    // At most 250 entries of two octets, whatever the octets say.
    let mut values = Vec::with_capacity(usize::from(count));
    values.push(first);
    let mut last = u32::from(first);
    let steps = usize::try_from(marks).unwrap_or(0).saturating_sub(1);
    let read = reader.steps(steps, |codes, read| {
        // A value below zero wraps to one far above the largest.
        let differences = codes.map(difference);
        let run = differences.get(..read).unwrap_or(&[]);
        let mut before = last;
        let mut highest = 0;
        values.extend(run.iter().map(|difference| {
            last = last.wrapping_add(*difference);
            highest = last.max(highest);
            let [low, high, ..] = last.to_le_bytes();
            u16::from_le_bytes([low, high])
        }));
        if highest <= u32::from(GAUGE_MAX) {
            return Ok(());
        }
        let bad = run.iter().position(|difference| {
            before = before.wrapping_add(*difference);
            before > u32::from(GAUGE_MAX)
        });
        Err(bad.unwrap_or(0))
    });
    named(read, "gauges")?;
    let (rest, k) = named(reader.finish(), "gauges")?;
    input.note(rest, "gauges", &format_args!("k = {k}"));
    if !bitmap.is_empty() {
        values = spread(&values, count, bitmap);
    }
    Ok((rest, Gauges { values }))
}

/// Puts measured values at the marks of the bitmap.
fn spread(measured: &[u16], count: u8, bitmap: &[u8]) -> Vec<u16> {
    let mut measured = measured.iter().copied();
    (0..count)
        .map(|index| {
            let octet = bitmap.get(usize::from(index >> 3)).copied().unwrap_or(0);
            if octet.unbounded_shl(u32::from(index & 7)) & 0x80 == 0 {
                NOT_MEASURED
            } else {
                measured.next().unwrap_or(NOT_MEASURED)
            }
        })
        .collect()
}

fn named<'a, T>(parsed: Parsed<'a, T>, name: &'static str) -> Parsed<'a, T> {
    parsed.map_err(|error| error.map(|error: DecodeError| error.in_field(name)))
}
