//! Series: registers at equally spaced marks, with a new segment wherever the run breaks.
//!
//! What was not measured is not in a series; zero is a measured value. Within a segment registers
//! never fall, and a step is at most 2^32 − 1: whatever else happened begins a new segment, which
//! says why. A series is kept as it is on the wire: segments over one flat list of registers.

use nom::number::complete::be_u8;

use crate::wire::bits::BitWriter;
use crate::wire::error::{DecodeError, EncodeError, ErrorKind, OutOfRange};
use crate::wire::span::{Parsed, Span, field, ranged};
use crate::wire::writer::Writer;

use super::coded::coded;
use super::limits::{INTERVAL_MARKS_MAX, REGISTER_MAX, STEP_MAX};
use super::meter::{Register, register};
use super::steps::{StepReader, write_steps};

coded! {
    /// Why a segment begins. Codes from 7 on are refused.
    // spec: SER-2
    pub enum SegmentReason {
        /// 0: values before it were not measured, or it is the first and no other reason is known.
        Start = 0 "start",
        /// 1: the register wrapped.
        Wrapped = 1 "wrapped",
        /// 2: the meter was corrected or reset.
        Corrected = 2 "corrected",
        /// 3: reverse flow.
        ReverseFlow = 3 "reverse_flow",
        /// 4: the clock was stepped.
        ClockStepped = 4 "clock_stepped",
        /// 5: a step above 2^32 − 1.
        LargeStep = 5 "large_step",
        /// 6: another cause.
        Other = 6 "other",
    }
}

/// Registers at marks 1 to the count of the series, some of which may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    count: u8,
    /// Empty: one segment over all marks.
    segments: Vec<Range>,
    /// The registers of all segments, in order.
    registers: Vec<Register>,
}

/// The place of a segment: `length` marks from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Range {
    reason: SegmentReason,
    first: u8,
    length: u8,
}

impl Range {
    /// The first mark after the segment.
    fn end(self) -> u16 {
        u16::from(self.first).saturating_add(u16::from(self.length))
    }

    /// Whether a segment may follow marks up to before `from`, in a series of `count` marks.
    // spec: SER-2
    fn check(self, from: u16, count: u8) -> Result<(), BadRange> {
        let first = u16::from(self.first);
        if first < from || self.first > count {
            Err(BadRange::First)
        } else if self.length == 0 || self.end() > u16::from(count).saturating_add(1) {
            Err(BadRange::Length)
        } else if first == from && from > 1 && self.reason == SegmentReason::Start {
            Err(BadRange::Reason)
        } else {
            Ok(())
        }
    }
}

enum BadRange {
    Reason,
    First,
    Length,
}

/// A segment of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Why it begins.
    pub reason: SegmentReason,
    /// Its first mark, from 1.
    pub first_mark: u8,
    /// The registers at its marks, never falling.
    pub registers: &'a [Register],
}

impl Series {
    /// A series of `count` marks (1 to 250) from its segments.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] where the segments are none, empty, out of order or beyond the count; where
    /// registers fall or step by more than 2^32 − 1; where a segment that follows the one before
    /// it without a gap has no reason, or the one that covers all marks has one.
    // spec: SER-1, SER-2, SER-5
    pub fn new(count: u8, segments: &[Segment<'_>]) -> Result<Self, OutOfRange> {
        if let [whole] = segments
            && whole.first_mark == 1
            && whole.registers.len() == usize::from(count)
            && whole.reason != SegmentReason::Start
        {
            return Err(OutOfRange("reason of a segment over all marks"));
        }
        if !matches!(count, 1..=INTERVAL_MARKS_MAX) || segments.is_empty() {
            return Err(OutOfRange("count of marks or of segments"));
        }
        let mut ranges = Vec::with_capacity(segments.len());
        let mut registers = Vec::with_capacity(usize::from(count));
        let mut from = 1;
        for segment in segments {
            let length = u8::try_from(segment.registers.len())
                .map_err(|_| OutOfRange("length of a segment"))?;
            let range = Range {
                reason: segment.reason,
                first: segment.first_mark,
                length,
            };
            if range.check(from, count).is_err() {
                return Err(OutOfRange("place of a segment"));
            }
            if steps(segment.registers)
                .any(|step| step.is_none_or(|step| step > u64::from(STEP_MAX)))
            {
                return Err(OutOfRange("step within a segment"));
            }
            from = range.end();
            ranges.push(range);
            registers.extend_from_slice(segment.registers);
        }
        if registers.len() == usize::from(count) && ranges.len() == 1 {
            ranges = Vec::new();
        }
        Ok(Self {
            count,
            segments: ranges,
            registers,
        })
    }

    /// The number of marks, measured or not.
    #[must_use]
    pub const fn count(&self) -> u8 {
        self.count
    }

    /// The segments, in order; at least one.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> + Clone {
        let whole = self.segments.is_empty().then_some(Range {
            reason: SegmentReason::Start,
            first: 1,
            length: self.count,
        });
        let mut rest = self.registers.as_slice();
        whole
            .into_iter()
            .chain(self.segments.iter().copied())
            .map(move |range| {
                let (registers, after) = rest
                    .split_at_checked(usize::from(range.length))
                    .unwrap_or((rest, &[]));
                rest = after;
                Segment {
                    reason: range.reason,
                    first_mark: range.first,
                    registers,
                }
            })
    }

    /// The register at a mark, from 1; none if it was not measured.
    #[must_use]
    pub fn at(&self, mark: u8) -> Option<Register> {
        self.segments().find_map(|segment| {
            let index = mark.checked_sub(segment.first_mark)?;
            segment.registers.get(usize::from(index)).copied()
        })
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.u8(u8::try_from(self.segments.len()).unwrap_or(u8::MAX))?;
        for (index, segment) in self.segments().enumerate() {
            if let Some(range) = self.segments.get(index) {
                out.octets(&[range.reason.code(), range.first, range.length])?;
            }
            out.varint(segment.registers.first().map_or(0, |start| start.get()))?;
        }
        if self.segments().all(|segment| segment.registers.len() <= 1) {
            return Ok(());
        }
        let mut bits = BitWriter::new(out);
        let all = self
            .segments()
            .flat_map(|segment| steps(segment.registers).map(Option::unwrap_or_default));
        write_steps(&mut bits, all)?;
        bits.finish()
    }
}

/// The steps between registers; none where one falls.
fn steps(registers: &[Register]) -> impl Iterator<Item = Option<u64>> + Clone {
    registers
        .iter()
        .zip(registers.iter().skip(1))
        .map(|(before, after)| after.get().checked_sub(before.get()))
}

/// Reads a series of `count` marks.
// spec: SER-1, SER-2, SER-3, SER-4, SER-5, SER-6
pub(crate) fn series<'a>(count: u8) -> impl Fn(Span<'a>) -> Parsed<'a, Series> {
    move |input: Span<'a>| {
        let (rest, number) = field(
            "segments",
            ranged(be_u8, |number| (number <= count).then_some(number)),
        )(input)?;
        if number == 0 {
            let (rest, start) = register("start")(rest)?;
            return whole(rest, count, start);
        }
        let (rest, (ranges, starts)) = ranges(rest, count, number)?;
        if let [only] = ranges.as_slice()
            && only.length == count
        {
            return input
                .refuse(ErrorKind::NonCanonical)
                .map_err(|error| error.map(|error| error.in_field("segments")));
        }
        let measured = ranges.iter().fold(0_usize, |sum, range| {
            sum.saturating_add(usize::from(range.length))
        });
        let mut registers = Vec::with_capacity(capacity(rest, measured, starts.len()));
        if ranges.iter().all(|range| range.length == 1) {
            registers = starts;
            return Ok((
                rest,
                Series {
                    count,
                    segments: ranges,
                    registers,
                },
            ));
        }
        let mut reader = StepReader::new(rest, STEP_MAX);
        named(reader.begin())?;
        for (range, start) in ranges.iter().zip(starts) {
            run(&mut reader, &mut registers, start, range.length)?;
        }
        let rest = finish(rest, &mut reader)?;
        Ok((
            rest,
            Series {
                count,
                segments: ranges,
                registers,
            },
        ))
    }
}

/// The registers that can be behind the octets left, at most `measured`: each but the first of a
/// segment needs a bit.
// spec: GEN-6
fn capacity(rest: Span<'_>, measured: usize, segments: usize) -> usize {
    let steps = rest.octets().len().saturating_mul(8);
    measured.min(steps.saturating_add(segments))
}

/// Reads the steps of a series without breaks.
#[inline(always)]
fn whole<'a>(input: Span<'a>, count: u8, start: Register) -> Parsed<'a, Series> {
    let mut registers = Vec::with_capacity(capacity(input, usize::from(count), 1));
    let mut rest = input;
    if count > 1 {
        let mut reader = StepReader::new(input, STEP_MAX);
        named(reader.begin())?;
        run(&mut reader, &mut registers, start, count)?;
        rest = finish(input, &mut reader)?;
    } else {
        registers.push(start);
    }
    let series = Series {
        count,
        segments: Vec::new(),
        registers,
    };
    Ok((rest, series))
}

/// Reads the places and first registers of `number` segments.
// spec: SER-2
fn ranges(input: Span<'_>, count: u8, number: u8) -> Parsed<'_, (Vec<Range>, Vec<Register>)> {
    let mut ranges = Vec::new();
    let mut starts = Vec::new();
    let mut from = 1;
    let mut rest = input;
    for _ in 0..number {
        let at = rest;
        let (after, reason) =
            field("segment reason", ranged(be_u8, SegmentReason::from_code))(rest)?;
        let first_at = after;
        let (after, first) = field("segment first mark", be_u8)(after)?;
        let length_at = after;
        let (after, length) = field("segment length", be_u8)(after)?;
        let range = Range {
            reason,
            first,
            length,
        };
        if let Err(bad) = range.check(from, count) {
            let at = match bad {
                BadRange::Reason => at,
                BadRange::First => first_at,
                BadRange::Length => length_at,
            };
            return at
                .refuse(ErrorKind::BadValue)
                .map_err(|error| error.map(|error| error.in_field("segment")));
        }
        let (after, start) = register("segment start")(after)?;
        from = range.end();
        ranges.push(range);
        starts.push(start);
        rest = after;
    }
    Ok((rest, (ranges, starts)))
}

/// Reads the registers of a segment whose first one is known.
// spec: SER-6
#[inline(always)]
fn run<'a>(
    reader: &mut StepReader<'a>,
    registers: &mut Vec<Register>,
    start: Register,
    length: u8,
) -> Result<(), nom::Err<DecodeError>> {
    let mut register = start.get();
    registers.push(start);
    let steps = usize::from(length).saturating_sub(1);
    let read = reader.steps(steps, |chunk, read| {
        let run = chunk.get(..read).unwrap_or(&[]);
        let mut before = register;
        registers.extend(run.iter().map(|step| {
            register = register.wrapping_add(u64::from(*step));
            Register::unchecked(register)
        }));
        // Registers never fall: the last one is the largest.
        if register <= REGISTER_MAX {
            return Ok(());
        }
        let bad = run.iter().position(|step| {
            before = before.wrapping_add(u64::from(*step));
            before > REGISTER_MAX
        });
        Err(bad.unwrap_or(0))
    });
    named(read)
}

/// Ends the stream, and names it in a view.
#[inline(always)]
fn finish<'a>(
    input: Span<'a>,
    reader: &mut StepReader<'a>,
) -> Result<Span<'a>, nom::Err<DecodeError>> {
    let (rest, k) = reader
        .finish()
        .map_err(|error| error.map(|error| error.in_field("steps")))?;
    input.note(rest, "steps", &format_args!("k = {k}"));
    Ok(rest)
}

/// Names the stream in a refusal, and forgets where it would go on.
fn named<T>(parsed: Parsed<'_, T>) -> Result<T, nom::Err<DecodeError>> {
    parsed
        .map(|(_, value)| value)
        .map_err(|error| error.map(|error| error.in_field("steps")))
}
