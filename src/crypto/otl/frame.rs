//! Ciphers of whole frames: which octets are the nonce, which are additional data.
//!
//! ```text
//! frame          nonce               in the header     additional data
//! UPLINK         identity ‖ counter  [3..15]           header
//! RESYNC         identity ‖ 0 u32    [3..11] ‖ 0       header
//! ANSWER         Ns ‖ counter        [6..14] ‖ [2..6]  header ‖ UPLINK header ‖ its tag
//! RESYNC_ANSWER  Ns ‖ 0 u32          [2..10] ‖ 0       header ‖ RESYNC header ‖ its tag
//! ```

use std::fmt;

use super::super::aead::{CcmKey, GcmKey, MessageTooLong, NONCE_OCTETS};
use super::super::verify::MacMismatch;
use super::{ANSWER_HEADER_OCTETS, AeadMode, RESYNC_ANSWER_HEADER_OCTETS, RESYNC_HEADER_OCTETS};

/// An authentication tag of a frame: 8 octets, in mode 3: 16. No secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tag {
    /// Of AES-128-CCM, modes 1 and 2.
    Ccm([u8; 8]),
    /// Of AES-256-GCM, mode 3.
    Gcm([u8; 16]),
}

impl Tag {
    /// The octets as they travel.
    #[must_use]
    pub const fn as_octets(&self) -> &[u8] {
        match self {
            Self::Ccm(octets) => octets,
            Self::Gcm(octets) => octets,
        }
    }
}

/// Why a frame was not opened. The buffer holds zeros or the untouched ciphertext, never plaintext.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// The tag does not verify: `tag_mismatch`. The buffer was wiped.
    #[error("the tag does not verify")]
    TagMismatch,
    /// A header or tag is not as long as the pinned mode has it: the caller cut the frame for
    /// another mode or type. The buffer was not touched.
    #[error("a header or tag has a length that the mode does not have")]
    Shape,
}

impl From<MacMismatch> for OpenError {
    fn from(_: MacMismatch) -> Self {
        Self::TagMismatch
    }
}

/// Why a frame was not sealed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    /// A header or tag is not as long as the pinned mode has it.
    #[error("a header or tag has a length that the mode does not have")]
    Shape,
    /// The plaintext is longer than the cipher allows; no frame of OTL is.
    #[error(transparent)]
    TooLong(#[from] MessageTooLong),
}

/// The frame that an answer answers: it is bound into the answer's tag.
#[derive(Clone, Copy, Debug)]
pub struct AnsweredFrame<'a> {
    /// Its whole header: 23 or 31 octets of an UPLINK, 27 of a RESYNC.
    pub header: &'a [u8],
    /// Its tag.
    pub tag: &'a [u8],
}

/// A key of one of the two ciphers.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack: nothing is allocated before a tag has verified"
)]
#[derive(Debug)]
pub(super) enum TrafficKey {
    Ccm(CcmKey),
    Gcm(GcmKey),
}

impl TrafficKey {
    fn seal(
        &self,
        nonce: &[u8; NONCE_OCTETS],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<Tag, SealError> {
        Ok(match self {
            Self::Ccm(key) => Tag::Ccm(key.seal_in_place(nonce, aad, buffer)?),
            Self::Gcm(key) => Tag::Gcm(key.seal_in_place(nonce, aad, buffer)?),
        })
    }

    #[inline]
    fn open(
        &self,
        nonce: &[u8; NONCE_OCTETS],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8],
    ) -> Result<(), OpenError> {
        match self {
            Self::Ccm(key) => {
                let tag = tag.try_into().map_err(|_| OpenError::Shape)?;
                Ok(key.open_in_place(nonce, aad, buffer, tag)?)
            }
            Self::Gcm(key) => {
                let tag = tag.try_into().map_err(|_| OpenError::Shape)?;
                Ok(key.open_in_place(nonce, aad, buffer, tag)?)
            }
        }
    }
}

/// The longest additional data: an answer's header, a mode 3 uplink's header and its tag.
const AAD_MAX_OCTETS: usize = 14 + 31 + 16;

/// Additional data of an answer, put together in place.
struct AnswerAad {
    octets: [u8; AAD_MAX_OCTETS],
    used: usize,
}

impl AnswerAad {
    /// The parts one after the other, or nothing if they do not fit.
    // spec: SEC-7
    fn compose(parts: [&[u8]; 3]) -> Option<Self> {
        let mut octets = [0; AAD_MAX_OCTETS];
        let mut used = 0_usize;
        for part in parts {
            let end = used.checked_add(part.len())?;
            octets.get_mut(used..end)?.copy_from_slice(part);
            used = end;
        }
        Some(Self { octets, used })
    }

    fn as_octets(&self) -> &[u8] {
        self.octets.get(..self.used).unwrap_or(&self.octets)
    }
}

/// `first[8] ‖ last[4]`, read at two places of a header.
// spec: NON-1
fn nonce_at(header: &[u8], first: usize, last: Option<usize>) -> Option<[u8; NONCE_OCTETS]> {
    let mut nonce = [0; NONCE_OCTETS];
    let (head, tail) = nonce.split_at_mut(8);
    head.copy_from_slice(header.get(first..)?.get(..8)?);
    if let Some(last) = last {
        tail.copy_from_slice(header.get(last..)?.get(..4)?);
    }
    Some(nonce)
}

/// A `Debug` that shows the mode and nothing of the key.
macro_rules! redacted_cipher {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("mode", &self.mode)
                    .field("key", &self.key)
                    .finish()
            }
        }
    };
}

/// Defines the cipher of a frame from a terminal: nonce and additional data come from its header.
macro_rules! terminal_frame_cipher {
    ($(#[$doc:meta])* $name:ident, $header_octets:expr, $counter_at:expr) => {
        $(#[$doc])*
        pub struct $name {
            mode: AeadMode,
            key: TrafficKey,
        }

        impl $name {
            pub(super) const fn new(mode: AeadMode, key: TrafficKey) -> Self {
                Self { mode, key }
            }

            /// Verifies the tag, then decrypts the buffer in place. The header is the whole header
            /// of the frame.
            ///
            /// # Errors
            ///
            /// [`OpenError`]; the buffer then holds no plaintext.
            // spec: SEC-5, SEC-6, NON-1
            #[inline]
            pub fn open(
                &self,
                header: &[u8],
                buffer: &mut [u8],
                tag: &[u8],
            ) -> Result<(), OpenError> {
                let nonce = self.nonce(header).ok_or(OpenError::Shape)?;
                self.key.open(&nonce, header, buffer, tag)
            }

            /// Encrypts the buffer in place and gives the tag: the terminal's side.
            ///
            /// # Errors
            ///
            /// [`SealError`] if the header is not as long as the mode has it.
            // spec: SEC-6, NON-1
            pub fn seal(&self, header: &[u8], buffer: &mut [u8]) -> Result<Tag, SealError> {
                let nonce = self.nonce(header).ok_or(SealError::Shape)?;
                self.key.seal(&nonce, header, buffer)
            }

            fn nonce(&self, header: &[u8]) -> Option<[u8; NONCE_OCTETS]> {
                let header_octets: fn(AeadMode) -> usize = $header_octets;
                if header.len() == header_octets(self.mode) {
                    nonce_at(header, 3, $counter_at)
                } else {
                    None
                }
            }
        }

        redacted_cipher!($name);
    };
}

/// Defines the cipher of a frame from the server, which is bound to the frame that it answers.
macro_rules! answer_frame_cipher {
    (
        $(#[$doc:meta])* $name:ident,
        $header_octets:expr, $answered_octets:expr, $nonce_at:expr, $counter_at:expr
    ) => {
        $(#[$doc])*
        pub struct $name {
            mode: AeadMode,
            key: TrafficKey,
        }

        impl $name {
            pub(super) const fn new(mode: AeadMode, key: TrafficKey) -> Self {
                Self { mode, key }
            }

            /// Encrypts the buffer in place and gives the tag. The header is the whole header of
            /// the answer, with a server nonce Ns that was never used before.
            ///
            /// # Errors
            ///
            /// [`SealError`] if a header or the answered tag is not as long as the mode has it.
            // spec: SEC-7, NON-1
            pub fn seal(
                &self,
                header: &[u8],
                answered: AnsweredFrame<'_>,
                buffer: &mut [u8],
            ) -> Result<Tag, SealError> {
                let (nonce, aad) = self.inputs(header, answered).ok_or(SealError::Shape)?;
                self.key.seal(&nonce, aad.as_octets(), buffer)
            }

            /// Verifies the tag, then decrypts the buffer in place: the terminal's side, and that
            /// of tools which show recorded frames.
            ///
            /// # Errors
            ///
            /// [`OpenError`]; the buffer then holds no plaintext.
            // spec: SEC-5, SEC-7, NON-1
            pub fn open(
                &self,
                header: &[u8],
                answered: AnsweredFrame<'_>,
                buffer: &mut [u8],
                tag: &[u8],
            ) -> Result<(), OpenError> {
                let (nonce, aad) = self.inputs(header, answered).ok_or(OpenError::Shape)?;
                self.key.open(&nonce, aad.as_octets(), buffer, tag)
            }

            fn inputs(
                &self,
                header: &[u8],
                answered: AnsweredFrame<'_>,
            ) -> Option<([u8; NONCE_OCTETS], AnswerAad)> {
                let answered_octets: fn(AeadMode) -> usize = $answered_octets;
                let fits = header.len() == $header_octets
                    && answered.header.len() == answered_octets(self.mode)
                    && answered.tag.len() == self.mode.tag_octets();
                if !fits {
                    return None;
                }
                let nonce = nonce_at(header, $nonce_at, $counter_at)?;
                Some((nonce, AnswerAad::compose([header, answered.header, answered.tag])?))
            }
        }

        redacted_cipher!($name);
    };
}

terminal_frame_cipher!(
    /// Opens (and, for the terminal's side, seals) UPLINK frames.
    UplinkCipher,
    AeadMode::uplink_header_octets,
    Some(11)
);
terminal_frame_cipher!(
    /// Opens (and, for the terminal's side, seals) RESYNC frames of one nonce Nr.
    ResyncCipher,
    |_| RESYNC_HEADER_OCTETS,
    None
);
answer_frame_cipher!(
    /// Seals (and, for the terminal's side, opens) ANSWER frames.
    AnswerCipher,
    ANSWER_HEADER_OCTETS,
    AeadMode::uplink_header_octets,
    6,
    Some(2)
);
answer_frame_cipher!(
    /// Seals (and, for the terminal's side, opens) RESYNC_ANSWER frames of one nonce Nr.
    ResyncAnswerCipher,
    RESYNC_ANSWER_HEADER_OCTETS,
    |_| RESYNC_HEADER_OCTETS,
    2,
    None
);
