//! Octets as lower-case hexadecimal text.

use core::fmt;

/// Shows octets as lower-case hexadecimal digits without separators.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0 {
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

/// Shows an octet of flags as eight bits, bit 7 first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits(pub(crate) u8);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0b{:08b}", self.0)
    }
}
