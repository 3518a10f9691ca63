//! Short printable texts, held in place.

use core::fmt;

use crate::wire::error::OutOfRange;

use super::limits::{PANEL_MAX, SERIAL_MAX};

/// Up to `N` octets from 0x20 to 0x7E.
// spec: REC-21
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<const N: usize> {
    octets: [u8; N],
    len: u8,
}

/// What the display of a meter shows: 0 to 8 characters.
pub type Panel = Text<PANEL_MAX>;

/// The serial of a meter: up to 16 characters; a [`Serial`] is checked to have at least one.
pub type SerialText = Text<SERIAL_MAX>;

impl<const N: usize> Text<N> {
    /// A text from its octets.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for more than `N` octets, and for one that is not printable ASCII.
    pub fn new(text: &[u8]) -> Result<Self, OutOfRange> {
        let mut octets = [0; N];
        let len = u8::try_from(text.len()).map_err(|_| OutOfRange("length of a text"))?;
        let target = octets
            .get_mut(..text.len())
            .ok_or(OutOfRange("length of a text"))?;
        if !text.iter().all(|octet| is_printable(*octet)) {
            return Err(OutOfRange("printable ASCII"));
        }
        target.copy_from_slice(text);
        Ok(Self { octets, len })
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// The number of characters.
    #[must_use]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// Whether there are no characters.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether an octet is printable ASCII, the blank included.
// spec: REC-21
#[must_use]
pub const fn is_printable(octet: u8) -> bool {
    matches!(octet, 0x20..=0x7E)
}

/// The serial of a meter: 1 to 16 printable characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Serial(SerialText);

impl Serial {
    /// A serial from its octets.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for no or more than 16 octets, and for one that is not printable ASCII.
    pub fn new(text: &[u8]) -> Result<Self, OutOfRange> {
        if text.is_empty() {
            return Err(OutOfRange("length of a serial, 1 to 16"));
        }
        Text::new(text).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
