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
    costs: Costs,
}

/// By how many bits the stream would be longer with another k.
#[derive(Clone, Copy, Default)]
struct Costs {
    /// With k − 1; has to be above 0.
    lower: i64,
    /// With k + 1; has to be at least 0.
    higher: i64,
}

impl<'a> StepReader<'a> {
    /// A stream that begins with the first bit of `input`, with steps of at most `limit` + 1.
    pub(crate) fn new(input: Span<'a>, limit: u64) -> Self {
        Self {
            bits: BitReader::new(input.octets()),
            k_at: input.offset(),
            input,
            limit,
            k: 0,
            costs: Costs::default(),
        }
    }

    /// Reads a number of up to 32 bits that stands before k.
    pub(crate) fn number(&mut self, bits: u32) -> Parsed<'a, u64> {
        match self.bits.read(bits) {
            Ok(value) => Ok((self.input, value)),
            Err(_) => Err(nom::Err::Error(self.input.truncated())),
        }
    }

    /// Reads k.
    pub(crate) fn begin(&mut self) -> Parsed<'a, ()> {
        self.k_at = self.at(self.bits);
        let (input, k) = self.number(K_BITS)?;
        self.k = u32::try_from(k).unwrap_or(K_MAX);
        Ok((input, ()))
    }

    /// The offset of the octet that holds the next bit of `bits`.
    fn at(&self, bits: BitReader<'_>) -> usize {
        let whole = bits.left().div_ceil(8);
        self.input.end().saturating_sub(whole)
    }

    /// Reads `count` steps and gives each to `take`, which may refuse one as too large.
    ///
    /// The state is held in local copies: the loop is on the path of every uplink.
    // spec: SER-6, SER-8
    #[inline]
    pub(crate) fn steps(
        &mut self,
        count: usize,
        mut take: impl FnMut(u64) -> Result<(), StepFault>,
    ) -> Parsed<'a, ()> {
        let (mut bits, mut costs) = (self.bits, self.costs);
        let (k, limit) = (self.k, self.limit);
        for index in 0..count {
            if let Err(fault) = step(&mut bits, &mut costs, k, limit).and_then(&mut take) {
                return self.refuse_step(index, fault);
            }
        }
        (self.bits, self.costs) = (bits, costs);
        Ok((self.input, ()))
    }

    /// Refuses a step of a run that [`Self::steps`] began. Its place is found by reading again.
    #[cold]
    fn refuse_step(&mut self, index: usize, fault: StepFault) -> Parsed<'a, ()> {
        if fault == StepFault::End {
            return Err(nom::Err::Error(self.input.truncated()));
        }
        for _ in 0..index {
            if step(&mut self.bits, &mut self.costs, self.k, self.limit).is_err() {
                break;
            }
        }
        self.input
            .refuse_at(self.at(self.bits), ErrorKind::BadValue)
    }

    /// Checks k and the fill bits, and returns what follows the stream.
    // spec: SER-3, SER-4
    pub(crate) fn finish(mut self) -> Parsed<'a, u32> {
        let lower_is_longer = self.k == 0 || self.costs.lower > 0;
        let higher_is_not_shorter = self.k == K_MAX || self.costs.higher >= 0;
        if !(lower_is_longer && higher_is_not_shorter) {
            return self.input.refuse_at(self.k_at, ErrorKind::NonCanonical);
        }
        let last = self.at(self.bits);
        if !self.bits.fill_is_zero() {
            return self.input.refuse_at(last, ErrorKind::NonCanonical);
        }
        let left = self.bits.left() >> 3;
        let taken = self.input.octets().len().saturating_sub(left);
        Ok((self.input.take_from(taken), self.k))
    }
}

/// Reads a step and counts what it would cost with another k.
#[inline]
fn step(bits: &mut BitReader<'_>, costs: &mut Costs, k: u32, limit: u64) -> Result<u64, StepFault> {
    let longest = (limit >> (k & K_MAX)).saturating_add(1);
    let (ones, low) = bits.ones_and_bits(longest, k)?;
    // The rest does without a branch on whether the step is zero, for which `low` is zero too.
    let some = u64::from(ones != 0);
    let high = ones.wrapping_sub(some);
    let step = (high.wrapping_shl(k) | low).wrapping_add(some);
    if step > limit.wrapping_add(1) {
        return Err(StepFault::TooLarge);
    }
    // With k − 1 the upper part is 2 × high and the top bit of `low`, and one bit less follows;
    // with k + 1 it is half of `high`, rounded down, and one bit more follows.
    let top = (low << 1).wrapping_shr(k);
    let lower = high.wrapping_add(top).wrapping_sub(some);
    let higher = (high.wrapping_add(1) >> 1).wrapping_sub(some);
    costs.lower = costs.lower.wrapping_add(lower.cast_signed());
    costs.higher = costs.higher.wrapping_sub(higher.cast_signed());
    Ok(step)
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
