//! Series of registers.

use super::EncodeError;
use super::bits::{BitWriter, best_k};
use super::wire::Writer;

/// The largest register on the link.
pub const MAX_REGISTER: u64 = (1 << 48) - 1;
/// The largest step inside a segment.
pub const MAX_STEP: u64 = 0xFFFF_FFFF;

/// Why a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Values before it were not measured, or it is the first.
    Gap,
    /// The register wrapped.
    Wrap,
    /// The meter was corrected or reset.
    Correction,
    /// Reverse flow.
    Reverse,
    /// The clock was stepped.
    Clock,
    /// A step above the largest.
    BigStep,
    /// Another cause.
    Other,
}

impl Reason {
    /// Its number on the link.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Gap => 0,
            Self::Wrap => 1,
            Self::Correction => 2,
            Self::Reverse => 3,
            Self::Clock => 4,
            Self::BigStep => 5,
            Self::Other => 6,
        }
    }
}

/// Registers at consecutive marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Why it begins.
    pub reason: Reason,
    /// The mark of its first register, from 1.
    pub first: u8,
    /// One register a mark.
    pub registers: Vec<u64>,
}

impl Segment {
    fn len(&self) -> Result<u8, EncodeError> {
        u8::try_from(self.registers.len()).map_err(|_| EncodeError::BadValue("segment length"))
    }

    fn steps(&self) -> impl Iterator<Item = Option<u64>> + '_ {
        let later = self.registers.iter().skip(1);
        self.registers
            .iter()
            .zip(later)
            .map(|(a, b)| b.checked_sub(*a))
    }
}

/// What happened right before a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// The mark after it.
    pub mark: u8,
    /// What it was.
    pub reason: Reason,
}

/// Registers at the marks 1 to `count`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    count: u8,
    segments: Vec<Segment>,
}

impl Series {
    /// Cuts marks into segments where the rules ask for it; `None` is a mark that was not measured.
    ///
    /// Returns `None` when nothing was measured: then there is no series.
    // spec: SER-1, REC-19, ANS-17
    #[must_use]
    pub fn from_marks(marks: &[Option<u64>], breaks: &[Break]) -> Option<Self> {
        let count = u8::try_from(marks.len()).ok()?;
        let mut segments: Vec<Segment> = Vec::new();
        let mut before: Option<u64> = None;
        for (mark, value) in (1..=count).zip(marks) {
            let Some(value) = *value else {
                before = None;
                continue;
            };
            let told = breaks.iter().find(|b| b.mark == mark).map(|b| b.reason);
            let reason = match before {
                None if segments.is_empty() => Some(told.unwrap_or(Reason::Gap)),
                None if told == Some(Reason::Clock) => told,
                None => Some(Reason::Gap),
                Some(_) if matches!(told, Some(Reason::Clock | Reason::Correction)) => told,
                Some(old) => match value.checked_sub(old) {
                    Some(step) if step > MAX_STEP => Some(Reason::BigStep),
                    Some(_) => None,
                    None => Some(told.filter(|r| *r != Reason::Gap).unwrap_or(Reason::Other)),
                },
            };
            match (reason, segments.last_mut()) {
                (None, Some(open)) => open.registers.push(value),
                (reason, _) => segments.push(Segment {
                    reason: reason.unwrap_or(Reason::Gap),
                    first: mark,
                    registers: vec![value],
                }),
            }
            before = Some(value);
        }
        if let [only] = segments.as_mut_slice()
            && only.registers.len() == marks.len()
        {
            only.reason = Reason::Gap;
        }
        if segments.is_empty() {
            None
        } else {
            Some(Self { count, segments })
        }
    }

    /// From segments that are cut already.
    ///
    /// # Errors
    /// Segments out of order or range, one that is empty, or a follower without a reason.
    // spec: SER-2
    pub fn from_segments(count: u8, segments: Vec<Segment>) -> Result<Self, EncodeError> {
        let mut next = 1_usize;
        for segment in &segments {
            let first = usize::from(segment.first);
            let follows = first == next && next > 1;
            if first < next || segment.registers.is_empty() {
                return Err(EncodeError::BadValue("segment"));
            }
            if follows && segment.reason == Reason::Gap {
                return Err(EncodeError::BadValue("reason"));
            }
            next = first + segment.registers.len();
        }
        if segments.is_empty() || next > usize::from(count) + 1 {
            return Err(EncodeError::BadValue("segments"));
        }
        Ok(Self { count, segments })
    }

    /// Marks it spans.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.count
    }

    /// Its segments.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The register at a mark.
    #[must_use]
    pub fn at(&self, mark: u8) -> Option<u64> {
        self.segments.iter().find_map(|s| {
            let index = mark.checked_sub(s.first)?;
            s.registers.get(usize::from(index)).copied()
        })
    }

    /// Appends its one encoding.
    ///
    /// # Errors
    /// A register above the largest one.
    // spec: SER-2, SER-3, SER-4, SER-5, SER-6, REC-16
    pub fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let covers_all = match self.segments.as_slice() {
            [only] => only.first == 1 && only.len()? == self.count,
            _ => false,
        };
        let number = if covers_all { 0 } else { self.segments.len() };
        w.u8(u8::try_from(number).map_err(|_| EncodeError::BadValue("segments"))?);
        let mut steps = Vec::new();
        for segment in &self.segments {
            if !covers_all {
                w.u8(segment.reason.code());
                w.u8(segment.first);
                w.u8(segment.len()?);
            }
            if segment.registers.iter().any(|r| *r > MAX_REGISTER) {
                return Err(EncodeError::BadValue("register"));
            }
            let start = segment
                .registers
                .first()
                .ok_or(EncodeError::BadValue("segment"))?;
            w.varint(*start);
            for step in segment.steps() {
                let step = step.filter(|s| *s <= MAX_STEP);
                steps.push(step.ok_or(EncodeError::BadValue("step"))?);
            }
        }
        if !steps.is_empty() {
            let k = best_k(&steps);
            let mut bits = BitWriter::new();
            bits.bits(u64::from(k), 5);
            for step in steps {
                bits.step(step, k);
            }
            w.bytes(&bits.finish());
        }
        Ok(())
    }
}
