//! Writing into a caller's buffer, never beyond a limit.

use super::error::EncodeError;
use super::varint;

/// Appends to a buffer, at most as many octets as the limit says.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl<'a> Writer<'a> {
    /// Appends to `out` at most `limit` octets.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>, limit: usize) -> Self {
        let end = out.len().saturating_add(limit);
        Self { out, end }
    }

    /// Appends octets as they are.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`]; nothing is written then.
    pub fn octets(&mut self, octets: &[u8]) -> Result<(), EncodeError> {
        if octets.len() > self.room() {
            return Err(EncodeError::NoRoom);
        }
        self.out.extend_from_slice(octets);
        Ok(())
    }

    /// Appends one octet.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`].
    pub fn u8(&mut self, value: u8) -> Result<(), EncodeError> {
        self.octets(&[value])
    }

    /// Appends an integer of two octets, most significant first.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`].
    // spec: GEN-1
    pub fn u16(&mut self, value: u16) -> Result<(), EncodeError> {
        self.octets(&value.to_be_bytes())
    }

    /// Appends an integer of four octets, most significant first.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`].
    // spec: GEN-1
    pub fn u32(&mut self, value: u32) -> Result<(), EncodeError> {
        self.octets(&value.to_be_bytes())
    }

    /// Appends a varint.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`].
    pub fn varint(&mut self, value: u64) -> Result<(), EncodeError> {
        varint::put(self, value)
    }

    /// Appends zeros.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`]; nothing is written then.
    pub fn zeros(&mut self, count: usize) -> Result<(), EncodeError> {
        if count > self.room() {
            return Err(EncodeError::NoRoom);
        }
        let len = self.out.len().saturating_add(count);
        self.out.resize(len, 0);
        Ok(())
    }

    /// Appends what `body` writes, with its length as a varint before it.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`], and what `body` returns.
    pub fn with_length(
        &mut self,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let start = self.out.len();
        // Most bodies are shorter than 128 octets: one octet is kept for the length, and a longer
        // body moves once.
        self.u8(0)?;
        body(self)?;
        let len = self.out.len().saturating_sub(start).saturating_sub(1);
        let value = u64::try_from(len).map_err(|_| EncodeError::NoRoom)?;
        let mut prefix = Vec::with_capacity(varint::len(value));
        Writer::new(&mut prefix, 10).varint(value)?;
        if prefix.len().saturating_sub(1) > self.room() {
            return Err(EncodeError::NoRoom);
        }
        self.out.splice(start..start.saturating_add(1), prefix);
        Ok(())
    }

    /// How many octets can still be written.
    #[must_use]
    pub fn room(&self) -> usize {
        self.end.saturating_sub(self.out.len())
    }
}
