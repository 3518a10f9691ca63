//! Bit streams, most significant bit first.
//!
//! nom's bit parsers work a bit at a time; these keep a window of up to 64 bits, because a day of
//! hourly values is some 50 codes and the decoder is on the path of every uplink.

use super::error::EncodeError;
use super::writer::Writer;

/// Reads bits from octets.
///
/// `available` never exceeds 63, so that shifts by it, and by one more than a run of ones that
/// ended, stay below 64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BitReader<'a> {
    rest: &'a [u8],
    /// The next bits, inverted, from bit 63 down: a run of ones is then counted without a detour.
    /// Bits beyond `available` are a preview of `rest` or zero.
    window: u64,
    available: u32,
}

/// Why bits could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitFault {
    /// The octets end first.
    End,
    /// A run of ones is longer than the caller permits.
    RunTooLong,
}

/// A code that is held whole by a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortCode {
    /// All ones if the code begins with a one, else 0.
    pub(crate) some: u64,
    /// The ones before the first zero.
    pub(crate) ones: u64,
    /// The bits after the zero; 0 without ones.
    pub(crate) bits: u64,
    /// The bits of the whole code, at most 63.
    used: u32,
}

/// Bits that hold most codes whole.
const COMMON: u32 = 40;

impl<'a> BitReader<'a> {
    /// Reads from the first bit of `octets` on.
    pub(crate) const fn new(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            window: 0,
            available: 0,
        }
    }

    /// How many bits are left.
    pub(crate) fn left(&self) -> usize {
        // The window holds at most 63 bits.
        let held = usize::try_from(self.available).unwrap_or(0);
        self.rest.len().saturating_mul(8).saturating_add(held)
    }

    /// Reads `count` bits, at most 32, as a number.
    pub(crate) fn read(&mut self, count: u32) -> Result<u64, BitFault> {
        if self.available < count {
            self.refill();
            if self.available < count {
                return Err(BitFault::End);
            }
        }
        let value = self.peek(count);
        self.consume(count);
        Ok(value)
    }

    /// Reads ones up to a zero, at most `longest`, and after at least one of them `count` bits, at
    /// most 31. Returns how many ones there were, and the bits.
    pub(crate) fn ones_and_bits(
        &mut self,
        longest: u64,
        count: u32,
    ) -> Result<(u64, u64), BitFault> {
        let mut ones = 0_u64;
        loop {
            let run = self.window.leading_zeros().min(self.available);
            ones = ones.saturating_add(u64::from(run));
            if ones > longest {
                return Err(BitFault::RunTooLong);
            }
            if run < self.available {
                self.consume(run.wrapping_add(1));
                break;
            }
            self.consume(run);
            self.refill();
            if self.available == 0 {
                return Err(BitFault::End);
            }
        }
        let bits = if ones == 0 { 0 } else { self.read(count)? };
        Ok((ones, bits))
    }

    /// As [`Self::ones_and_bits`], for a code that the window holds whole; otherwise none. The code
    /// is not taken yet.
    ///
    /// `mask` is 2^`count` − 1. There is no branch on whether there are ones: in real data nobody
    /// can foretell it.
    #[inline]
    pub(crate) fn short_code(&mut self, count: u32, mask: u64) -> Option<ShortCode> {
        if self.available < COMMON {
            self.refill();
        }
        let window = self.window;
        if window == 0 {
            return None;
        }
        // All ones if the code begins with a one.
        let some = (window >> 63).wrapping_sub(1);
        // The place of the first zero, from 63 down. The next code can begin only when this is
        // known, so nothing else stands on the way to it.
        let zero_at = 63_u32.wrapping_sub(window.leading_zeros());
        let after = if some == 0 { 0 } else { count };
        let used = after.wrapping_add(64).wrapping_sub(zero_at);
        if used > self.available {
            return None;
        }
        Some(ShortCode {
            some,
            ones: u64::from(63_u32.wrapping_sub(zero_at)),
            bits: (!window).wrapping_shr(zero_at.wrapping_sub(count)) & mask & some,
            used,
        })
    }

    /// Takes a code.
    #[inline]
    pub(crate) fn take(&mut self, code: &ShortCode) {
        self.consume(code.used);
    }

    /// Takes the bits up to the end of the octet; false if one of them is set.
    pub(crate) fn fill_is_zero(&mut self) -> bool {
        self.read(self.available & 7) == Ok(0)
    }

    /// The next `count` bits, at most 63, as a number.
    #[inline]
    const fn peek(&self, count: u32) -> u64 {
        (!self.window >> 1).wrapping_shr(63_u32.wrapping_sub(count))
    }

    /// Takes bits that are available.
    #[inline]
    fn consume(&mut self, count: u32) {
        self.window = self.window.wrapping_shl(count);
        self.available = self.available.wrapping_sub(count);
    }

    /// Brings at least 56 bits into the window, or all that are left.
    #[inline]
    fn refill(&mut self) {
        let word = match self.rest.first_chunk::<8>() {
            Some(chunk) => u64::from_be_bytes(*chunk),
            None => tail(self.rest),
        };
        self.window |= (!word).wrapping_shr(self.available);
        // Whole octets only count; the part of the last one is read again, to the same bits.
        let room = usize::try_from(63_u32.wrapping_sub(self.available) >> 3).unwrap_or(0);
        let octets = self.rest.len().min(room);
        self.rest = self.rest.get(octets..).unwrap_or(&[]);
        let bits = u32::try_from(octets << 3).unwrap_or(0);
        self.available = self.available.wrapping_add(bits);
    }
}

/// Fewer than eight octets, followed by zeros.
#[inline]
fn tail(octets: &[u8]) -> u64 {
    let mut place = 64_u32;
    octets.iter().fold(0, |word, octet| {
        place = place.wrapping_sub(8);
        word | u64::from(*octet).wrapping_shl(place)
    })
}

/// Writes bits, and zeros to the end of the last octet.
#[derive(Debug)]
pub(crate) struct BitWriter<'a, 'b> {
    out: &'a mut Writer<'b>,
    /// Bits that are not yet written, from bit 63 down; fewer than 32 between calls.
    window: u64,
    held: u32,
}

impl<'a, 'b> BitWriter<'a, 'b> {
    /// Writes from a full octet on.
    pub(crate) const fn new(out: &'a mut Writer<'b>) -> Self {
        Self {
            out,
            window: 0,
            held: 0,
        }
    }

    /// Writes the low `count` bits of `value`, at most 32.
    pub(crate) fn write(&mut self, value: u64, count: u32) -> Result<(), EncodeError> {
        let bits = value & 1_u64.unbounded_shl(count).wrapping_sub(1);
        self.held = self.held.saturating_add(count);
        self.window |= bits.unbounded_shl(64_u32.saturating_sub(self.held));
        if self.held >= 32 {
            let [o0, o1, o2, o3, ..] = self.window.to_be_bytes();
            self.out.octets(&[o0, o1, o2, o3])?;
            self.window = self.window.unbounded_shl(32);
            self.held = self.held.saturating_sub(32);
        }
        Ok(())
    }

    /// Writes `count` ones and a zero.
    pub(crate) fn ones(&mut self, count: u64) -> Result<(), EncodeError> {
        let mut left = count;
        while left >= 32 {
            self.write(u64::MAX, 32)?;
            left = left.saturating_sub(32);
        }
        self.write(u64::MAX, u32::try_from(left).unwrap_or(0))?;
        self.write(0, 1)
    }

    /// Fills the last octet with zeros.
    // spec: SER-4
    pub(crate) fn finish(self) -> Result<(), EncodeError> {
        let octets = usize::try_from(self.held.div_ceil(8)).unwrap_or(0);
        let window = self.window.to_be_bytes();
        self.out.octets(window.get(..octets).unwrap_or(&[]))
    }
}
