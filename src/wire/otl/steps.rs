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
use crate::wire::error::{DecodeError, EncodeError, ErrorKind};
use crate::wire::span::{Parsed, Span};
use nom::Input as _;

const K_BITS: u32 = 5;
const K_MAX: u32 = 31;

/// Reads a stream of steps.
pub(crate) struct StepReader<'a> {
    input: Span<'a>,
    bits: BitReader<'a>,
    /// The largest step.
    max: u32,
    k: u32,
    /// The octet in which k begins.
    k_at: usize,
    costs: Costs,
}

/// Steps that are read before they are looked at, which is faster than one by one.
pub(crate) const CHUNK: usize = 32;

impl<'a> StepReader<'a> {
    /// A stream that begins with the first bit of `input`, with steps of at most `max`.
    pub(crate) fn new(input: Span<'a>, max: u32) -> Self {
        Self {
            bits: BitReader::new(input.octets()),
            k_at: input.offset(),
            input,
            max,
            k: 0,
            costs: Costs::default(),
        }
    }

    /// Reads a number of up to 32 bits that stands before k.
    #[inline(always)]
    pub(crate) fn number(&mut self, bits: u32) -> Parsed<'a, u64> {
        match self.bits.read(bits) {
            Ok(value) => Ok((self.input, value)),
            Err(_) => Err(nom::Err::Error(self.input.truncated())),
        }
    }

    /// Reads k.
    #[inline(always)]
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

    /// Reads `count` steps and gives them to `take` in runs: a chunk that is filled with zeros, and
    /// how many steps it holds. `take` says which step leads to a value out of range, if one does.
    // spec: SER-6, SER-8
    pub(crate) fn steps(
        &mut self,
        count: usize,
        mut take: impl FnMut(&[u32; CHUNK], usize) -> Result<(), usize>,
    ) -> Parsed<'a, ()> {
        let mut left = count;
        while left > 0 {
            let mut chunk = [0; CHUNK];
            let before = self.bits;
            let wanted = chunk.get_mut(..left.min(CHUNK)).unwrap_or(&mut []);
            let mut read = self.short_steps(wanted);
            if read == 0 {
                if let Some(first) = wanted.first_mut() {
                    *first = self.any_step()?;
                }
                read = 1;
            }
            if let Err(index) = take(&chunk, read) {
                return self.refuse_step(before, index);
            }
            // Steps of zero cost the same with any k, so those that fill the chunk do no harm.
            self.costs.add(&chunk, self.k);
            left = left.saturating_sub(read);
        }
        Ok((self.input, ()))
    }

    /// Reads steps up to one that is unusual: long, or out of range, or not there.
    #[inline]
    fn short_steps(&mut self, steps: &mut [u32]) -> usize {
        let (mut bits, k, max) = (self.bits, self.k & K_MAX, u64::from(self.max));
        let mask = 1_u64.wrapping_shl(k).wrapping_sub(1);
        let mut read = 0_usize;
        for place in steps {
            let Some(code) = bits.short_code(k, mask) else {
                break;
            };
            // One less than the ones, if there are any; without ones the step is zero.
            let high = code.ones.wrapping_add(code.some);
            let step = (high.wrapping_shl(k) | code.bits).wrapping_sub(code.some);
            match u32::try_from(step) {
                Ok(step) if u64::from(step) <= max => *place = step,
                _ => break,
            }
            bits.take(&code);
            read = read.wrapping_add(1);
        }
        self.bits = bits;
        read
    }

    /// Reads one step with all checks.
    #[cold]
    fn any_step(&mut self) -> Result<u32, nom::Err<DecodeError>> {
        let at = self.at(self.bits);
        match self.checked_step() {
            Ok(step) => Ok(step),
            Err(BitFault::End) => Err(nom::Err::Error(self.input.truncated())),
            Err(BitFault::RunTooLong) => {
                let error = DecodeError::new(at, ErrorKind::BadValue, "");
                Err(nom::Err::Error(error))
            }
        }
    }

    fn checked_step(&mut self) -> Result<u32, BitFault> {
        let limit = u64::from(self.max).saturating_sub(1);
        let longest = limit.unbounded_shr(self.k).saturating_add(1);
        let (ones, low) = self.bits.ones_and_bits(longest, self.k)?;
        let Some(high) = ones.checked_sub(1) else {
            return Ok(0);
        };
        let value = high.unbounded_shl(self.k) | low;
        u32::try_from(value.saturating_add(1))
            .ok()
            .filter(|step| *step <= self.max)
            .ok_or(BitFault::RunTooLong)
    }

    /// Refuses a step of a run that began at `before`. Its place is found by reading again.
    #[cold]
    fn refuse_step<T>(&mut self, before: BitReader<'a>, index: usize) -> Parsed<'a, T> {
        self.bits = before;
        for _ in 0..index {
            if self.checked_step().is_err() {
                break;
            }
        }
        self.input
            .refuse_at(self.at(self.bits), ErrorKind::BadValue)
    }

    /// Checks k and the fill bits, and returns what follows the stream.
    // spec: SER-3, SER-4
    #[inline(always)]
    pub(crate) fn finish(&mut self) -> Parsed<'a, u32> {
        if !self.costs.k_is_best(self.k) {
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

/// What the stream would cost with another k. No sum exceeds twice the bits of a frame.
#[derive(Clone, Copy, Default)]
struct Costs {
    /// Steps that are not zero: what k − 1 saves and k + 1 costs.
    changes: u32,
    /// Bits that k − 1 costs.
    lower_costs: u32,
    /// Bits that k + 1 saves.
    higher_saves: u32,
}

impl Costs {
    #[inline]
    fn add(&mut self, steps: &[u32; CHUNK], k: u32) {
        let below = k.saturating_sub(1);
        for step in steps {
            let some = u32::from(*step != 0);
            let value = step.wrapping_sub(some);
            self.changes = self.changes.wrapping_add(some);
            let upper = value.wrapping_shr(below);
            self.lower_costs = self.lower_costs.wrapping_add(half(upper));
            let upper = value.wrapping_shr(k);
            self.higher_saves = self.higher_saves.wrapping_add(half(upper));
        }
    }

    /// Whether k − 1 is longer and k + 1 is not shorter.
    const fn k_is_best(self, k: u32) -> bool {
        let lower_is_longer = k == 0 || self.lower_costs > self.changes;
        let higher_is_not_shorter = k == K_MAX || self.higher_saves <= self.changes;
        lower_is_longer && higher_is_not_shorter
    }
}

/// Half of a number, rounded up.
#[inline]
const fn half(number: u32) -> u32 {
    (number >> 1).wrapping_add(number & 1)
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
