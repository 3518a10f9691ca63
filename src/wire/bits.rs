//! Bit streams, most significant bit first.
//!
//! nom's bit parsers work a bit at a time; these keep a window of up to 64 bits, because a day of
//! hourly values is some 50 codes and the decoder is on the path of every uplink.

use super::error::EncodeError;
use super::writer::Writer;

/// Reads bits from octets.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    rest: &'a [u8],
    /// The next bits, from bit 63 down. Bits beyond `available` are a preview of `rest` or zero.
    window: u64,
    available: u32,
    taken: u32,
}

/// Why bits could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitFault {
    /// The octets end first.
    End,
    /// A run of ones is longer than the caller permits.
    RunTooLong,
}

impl<'a> BitReader<'a> {
    /// Reads from the first bit of `octets` on.
    pub(crate) const fn new(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            window: 0,
            available: 0,
            taken: 0,
        }
    }

    /// How many bits were taken.
    pub(crate) const fn taken(&self) -> u32 {
        self.taken
    }

    /// Reads `count` bits, at most 32, as a number.
    #[inline]
    pub(crate) fn read(&mut self, count: u32) -> Result<u64, BitFault> {
        if self.available < count {
            self.refill();
            if self.available < count {
                return Err(BitFault::End);
            }
        }
        let value = self.window.unbounded_shr(64_u32.saturating_sub(count));
        self.consume(count);
        Ok(value)
    }

    /// Reads ones up to a zero, and returns how many there were, at most `longest`.
    #[inline]
    pub(crate) fn ones(&mut self, longest: u64) -> Result<u64, BitFault> {
        let mut ones = 0_u64;
        loop {
            let run = self.window.leading_ones().min(self.available);
            ones = ones.saturating_add(u64::from(run));
            if ones > longest {
                return Err(BitFault::RunTooLong);
            }
            if run < self.available {
                self.consume(run.saturating_add(1));
                return Ok(ones);
            }
            self.consume(run);
            self.refill();
            if self.available == 0 {
                return Err(BitFault::End);
            }
        }
    }

    /// Takes the bits up to the end of the octet; false if one of them is set.
    pub(crate) fn fill_is_zero(&mut self) -> bool {
        let fill = self.taken.wrapping_neg() & 7;
        self.read(fill) == Ok(0)
    }

    #[inline]
    fn consume(&mut self, count: u32) {
        self.window = self.window.unbounded_shl(count);
        self.available = self.available.saturating_sub(count);
        self.taken = self.taken.saturating_add(count);
    }

    /// Brings at least 32 bits into the window if there are as many.
    #[inline]
    fn refill(&mut self) {
        if let Some((chunk, _)) = self.rest.split_first_chunk::<8>() {
            self.window |= u64::from_be_bytes(*chunk).unbounded_shr(self.available);
            // Whole octets only count; the part of the last one is read again, to the same bits.
            let octets = 63_u32.saturating_sub(self.available) >> 3;
            self.available = self.available.saturating_add(octets << 3);
            let octets = usize::try_from(octets).unwrap_or(0);
            self.rest = self.rest.get(octets..).unwrap_or(&[]);
            return;
        }
        while self.available <= 56 {
            let Some((octet, rest)) = self.rest.split_first() else {
                return;
            };
            let place = 56_u32.saturating_sub(self.available);
            self.window |= u64::from(*octet).unbounded_shl(place);
            self.available = self.available.saturating_add(8);
            self.rest = rest;
        }
    }
}

/// Writes bits, and zeros to the end of the last octet.
#[derive(Debug)]
pub(crate) struct BitWriter<'a, 'b> {
    out: &'a mut Writer<'b>,
    octet: u8,
    free: u32,
}

impl<'a, 'b> BitWriter<'a, 'b> {
    /// Writes from a full octet on.
    pub(crate) const fn new(out: &'a mut Writer<'b>) -> Self {
        Self {
            out,
            octet: 0,
            free: 8,
        }
    }

    /// Writes the low `count` bits of `value`.
    pub(crate) fn write(&mut self, value: u64, count: u32) -> Result<(), EncodeError> {
        for place in (0..count).rev() {
            self.bit(value.unbounded_shr(place) & 1 == 1)?;
        }
        Ok(())
    }

    /// Writes `count` ones and a zero.
    pub(crate) fn ones(&mut self, count: u64) -> Result<(), EncodeError> {
        for _ in 0..count {
            self.bit(true)?;
        }
        self.bit(false)
    }

    /// Fills the last octet with zeros.
    // spec: SER-4
    pub(crate) fn finish(self) -> Result<(), EncodeError> {
        if self.free < 8 {
            self.out.u8(self.octet)?;
        }
        Ok(())
    }

    fn bit(&mut self, bit: bool) -> Result<(), EncodeError> {
        self.free = self.free.saturating_sub(1);
        self.octet |= u8::from(bit).unbounded_shl(self.free);
        if self.free == 0 {
            self.out.u8(self.octet)?;
            self.octet = 0;
            self.free = 8;
        }
        Ok(())
    }
}
