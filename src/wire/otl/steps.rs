//! The coding of steps that series and gauges share.
//!
//! A step of zero is the bit 0. Any other step is the bit 1, then `(step − 1) >> k` ones, a zero
//! and the low k bits of step − 1: a run of ones up to a zero, whose length says whether there is
//! a step and how large its upper part is, and then k bits. k is the same for a whole stream and
//! has to be the smallest that makes the stream shortest.
//!
//! The length as a function of k is convex: raising k by one saves `ceil((v >> k) / 2)` bits of a
//! step with `v = step − 1`, which never grows with k, and costs one bit a step. So k is minimal
//! exactly when k − 1 is longer and k + 1 is not shorter, and the decoder can tell from two sums.

use crate::wire::bits::{BitFault, BitReader, BitWriter};
use crate::wire::error::{EncodeError, ErrorKind};
use crate::wire::span::{Parsed, Span};
use nom::Input as _;

const K_BITS: u32 = 5;
const K_MAX: u32 = 31;

/// Reads a stream of steps.
pub(crate) struct StepReader<'a> {
    input: Span<'a>,
    bits: BitReader<'a>,
    /// The largest step − 1.
    limit: u64,
    k: u32,
    /// The octet in which k begins.
    k_at: usize,
    /// Steps that are not zero.
    changes: u64,
    /// Bits that k − 1 would cost more, were it not for `changes`.
    lower_costs: u64,
    /// Bits that k + 1 would save.
    higher_saves: u64,
}

impl<'a> StepReader<'a> {
    /// A stream that begins with the first bit of `input`, with steps of at most `limit` + 1.
    pub(crate) const fn new(input: Span<'a>, limit: u64) -> Self {
        Self {
            bits: BitReader::new(input.octets()),
            k_at: input.offset(),
            input,
            limit,
            k: 0,
            changes: 0,
            lower_costs: 0,
            higher_saves: 0,
        }
    }

    /// Reads a number of up to 32 bits that stands before k.
    pub(crate) fn number(&mut self, bits: u32) -> Parsed<'a, u64> {
        self.fault(self.input.offset(), |reader| reader.bits.read(bits))
    }

    /// Reads k.
    pub(crate) fn begin(&mut self) -> Parsed<'a, ()> {
        self.k_at = self.at();
        let (input, k) = self.fault(self.k_at, |reader| reader.bits.read(K_BITS))?;
        self.k = u32::try_from(k).unwrap_or(K_MAX);
        Ok((input, ()))
    }

    /// The offset of the octet that holds the next bit.
    pub(crate) fn at(&self) -> usize {
        let octets = usize::try_from(self.bits.taken() >> 3).unwrap_or(usize::MAX);
        self.input.offset().saturating_add(octets)
    }

    /// Reads a step.
    // spec: SER-6
    #[inline]
    pub(crate) fn step(&mut self) -> Result<u64, StepFault> {
        let longest = self.limit.unbounded_shr(self.k).saturating_add(1);
        let Some(high) = self.bits.ones(longest)?.checked_sub(1) else {
            return Ok(0);
        };
        let low = self.bits.read(self.k)?;
        let value = high.unbounded_shl(self.k) | low;
        if value > self.limit {
            return Err(StepFault::TooLarge);
        }
        // The top bit of `low` tells what half of a step of 2^k is left with k − 1.
        let top = low.unbounded_shr(self.k.wrapping_sub(1)) & u64::from(self.k > 0);
        self.changes = self.changes.saturating_add(1);
        self.lower_costs = self.lower_costs.saturating_add(high).saturating_add(top);
        self.higher_saves = self
            .higher_saves
            .saturating_add(high.saturating_add(1) >> 1);
        Ok(value.saturating_add(1))
    }

    /// Checks k and the fill bits, and returns what follows the stream.
    // spec: SER-3, SER-4
    pub(crate) fn finish(mut self) -> Parsed<'a, u32> {
        let lower_is_longer = self.k == 0 || self.lower_costs > self.changes;
        let higher_is_not_shorter = self.k == K_MAX || self.higher_saves <= self.changes;
        if !(lower_is_longer && higher_is_not_shorter) {
            return self.input.refuse_at(self.k_at, ErrorKind::NonCanonical);
        }
        let last = self.at();
        if !self.bits.fill_is_zero() {
            return self.input.refuse_at(last, ErrorKind::NonCanonical);
        }
        let octets = usize::try_from(self.bits.taken() >> 3).unwrap_or(usize::MAX);
        Ok((self.input.take_from(octets), self.k))
    }

    /// A fault of a step that began at `at` as a refusal.
    pub(crate) fn refuse<T>(&self, at: usize, fault: StepFault) -> Parsed<'a, T> {
        match fault {
            StepFault::End => Err(nom::Err::Error(self.input.truncated())),
            StepFault::TooLarge => self.input.refuse_at(at, ErrorKind::BadValue),
        }
    }

    fn fault<T>(
        &mut self,
        at: usize,
        read: impl FnOnce(&mut Self) -> Result<T, BitFault>,
    ) -> Parsed<'a, T> {
        match read(self) {
            Ok(value) => Ok((self.input, value)),
            Err(fault) => self.refuse(at, fault.into()),
        }
    }
}

/// Why a step could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepFault {
    /// The octets end first.
    End,
    /// The step, or the value that it leads to, is above its limit.
    TooLarge,
}

impl From<BitFault> for StepFault {
    fn from(fault: BitFault) -> Self {
        match fault {
            BitFault::End => Self::End,
            BitFault::RunTooLong => Self::TooLarge,
        }
    }
}

/// The smallest k that makes the stream of `steps` shortest.
// spec: SER-3
pub(crate) fn smallest_k(steps: impl Iterator<Item = u64> + Clone) -> u32 {
    let values = steps.filter_map(|step| step.checked_sub(1));
    let changes = values.clone().fold(0_u64, |sum, _| sum.saturating_add(1));
    let saves = |k: u32| {
        values.clone().fold(0_u64, |sum, value| {
            let high = value.unbounded_shr(k);
            sum.saturating_add(high.saturating_add(1) >> 1)
        })
    };
    (0..K_MAX).find(|k| saves(*k) <= changes).unwrap_or(K_MAX)
}

/// Writes k and the steps behind what is in the stream already.
pub(crate) fn write_steps(
    bits: &mut BitWriter<'_, '_>,
    steps: impl Iterator<Item = u64> + Clone,
) -> Result<(), EncodeError> {
    let k = smallest_k(steps.clone());
    bits.write(u64::from(k), K_BITS)?;
    for step in steps {
        match step.checked_sub(1) {
            None => bits.ones(0)?,
            Some(value) => {
                bits.ones(value.unbounded_shr(k).saturating_add(1))?;
                bits.write(value, k)?;
            }
        }
    }
    Ok(())
}
