//! Cutting a frame into header, ciphertext and tag by the mode that is pinned.

use crate::wire::error::{DecodeError, ErrorKind};

use super::header::{FrameKind, Header, Mode};

/// A frame in its three parts. In mode 0 the ciphertext is the plaintext and the tag is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the header says; not to be believed before the tag has verified.
    pub header: Header,
    /// The octets of the header.
    pub header_octets: &'a [u8],
    /// What lies between header and tag; empty in CALL_NOW and CLOSE.
    pub ciphertext: &'a [u8],
    /// The tag: 0, 8 or 16 octets by the pinned mode.
    pub tag: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Cuts `frame`, whose header was read by [`Header::parse`], by the mode that is pinned for
    /// the terminal. The mode of the header is only compared, never used.
    ///
    /// # Errors
    ///
    /// `mode_mismatch` if the header names another mode; `truncated` if `frame` is not the one
    /// that the header was read from and too short.
    // spec: SEC-1, SEC-2, FRM-7
    pub fn split(header: Header, frame: &'a [u8], pinned: Mode) -> Result<Self, DecodeError> {
        if header.mode().is_some_and(|mode| mode != pinned) {
            return Err(DecodeError::new(1, ErrorKind::ModeMismatch, "flags"));
        }
        let kind = header.kind();
        let truncated = DecodeError::new(frame.len(), ErrorKind::Truncated, "frame");
        let (header_octets, rest) = frame
            .split_at_checked(kind.header_len(pinned))
            .ok_or(truncated)?;
        let tag_at = rest
            .len()
            .checked_sub(kind.tag_len(pinned))
            .ok_or(truncated)?;
        let (ciphertext, tag) = rest.split_at_checked(tag_at).ok_or(truncated)?;
        Ok(Self {
            header,
            header_octets,
            ciphertext,
            tag,
        })
    }

    /// Where the ciphertext begins in the frame, which is what the decoders of plaintexts need
    /// to name offsets.
    #[must_use]
    pub const fn ciphertext_offset(&self) -> usize {
        self.header_octets.len()
    }

    /// The kind of the frame.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        self.header.kind()
    }
}
