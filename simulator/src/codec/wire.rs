//! Integers, varints and slices.

use super::{EncodeError, Refusal};

/// Grows a frame octet by octet.
// spec: GEN-1
#[derive(Debug, Default, Clone)]
pub struct Writer {
    buf: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One octet.
    pub fn u8(&mut self, value: u8) {
        self.buf.push(value);
    }

    /// Two octets, big-endian.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Four octets, big-endian.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Octets as they are.
    pub fn bytes(&mut self, value: &[u8]) {
        self.buf.extend_from_slice(value);
    }

    /// A shortest unsigned LEB128 number.
    // spec: GEN-2, GEN-3
    pub fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.u8(low & 0x7F);
                return;
            }
            self.u8(low | 0x80);
        }
    }

    /// An item: type octet, length, body.
    ///
    /// # Errors
    /// A body longer than any number names.
    pub fn item(&mut self, type_octet: u8, body: &[u8]) -> Result<(), EncodeError> {
        let length = u64::try_from(body.len()).map_err(|_| EncodeError::TooLong)?;
        self.u8(type_octet);
        self.varint(length);
        self.bytes(body);
        Ok(())
    }

    /// Octets so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// The octets.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.buf
    }
}

/// Octets that a varint takes.
#[must_use]
pub fn varint_len(value: u64) -> usize {
    let mut w = Writer::new();
    w.varint(value);
    w.len()
}

/// Walks over received octets; every length is checked against what is left.
// spec: GEN-6
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over these octets.
    #[must_use]
    pub fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` octets.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Refusal> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Refusal::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` octets as an array.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(Refusal::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// One octet.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u8(&mut self) -> Result<u8, Refusal> {
        let [value] = self.array()?;
        Ok(value)
    }

    /// Two octets.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u16(&mut self) -> Result<u16, Refusal> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Three octets.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u24(&mut self) -> Result<u32, Refusal> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Four octets.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u32(&mut self) -> Result<u32, Refusal> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A shortest varint of at most `limit`.
    ///
    /// # Errors
    /// Another form, a larger value, or too few octets.
    // spec: GEN-2, GEN-3
    pub fn varint(&mut self, limit: u64) -> Result<u64, Refusal> {
        let mut value: u128 = 0;
        for index in 0..varint_len(limit) {
            let octet = self.u8()?;
            value |= u128::from(octet & 0x7F) << (7 * index);
            if octet & 0x80 == 0 {
                if octet == 0 && index > 0 {
                    return Err(Refusal::NonCanonical);
                }
                let value = u64::try_from(value).map_err(|_| Refusal::BadValue)?;
                return if value > limit {
                    Err(Refusal::BadValue)
                } else {
                    Ok(value)
                };
            }
        }
        Err(Refusal::BadValue)
    }

    /// Ends the walk.
    ///
    /// # Errors
    /// Octets are left.
    pub fn finish(self) -> Result<(), Refusal> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Refusal::TrailingBytes)
        }
    }
}
