//! The tag of CALL_NOW.

use super::super::cmac::CmacKey;
use super::super::key::KeyOctets;
use super::super::verify::MacMismatch;
use super::frame::Tag;
use super::{AeadMode, CALL_HEADER_OCTETS};

/// Authenticates CALL_NOW frames of one terminal.
#[derive(Debug)]
pub struct CallKey {
    mode: AeadMode,
    key: CmacKey,
}

impl CallKey {
    pub(super) fn new(mode: AeadMode, key: &KeyOctets) -> Self {
        Self {
            mode,
            key: CmacKey::new(key),
        }
    }

    /// The tag of a CALL_NOW with this header: 8 octets, in mode 3: 16.
    // spec: SEC-8
    #[must_use]
    pub fn tag(&self, header: &[u8; CALL_HEADER_OCTETS]) -> Tag {
        match self.mode {
            AeadMode::CcmStatic | AeadMode::CcmSession => Tag::Ccm(self.key.mac_left8(&[header])),
            AeadMode::GcmSession => Tag::Gcm(self.key.mac(&[header])),
        }
    }

    /// Verifies the tag of a CALL_NOW in constant time: the terminal's side, and that of tools.
    ///
    /// # Errors
    ///
    /// [`MacMismatch`] if the tag is wrong, or is not as long as the mode has it.
    // spec: SEC-8
    pub fn verify(&self, header: &[u8; CALL_HEADER_OCTETS], tag: &[u8]) -> Result<(), MacMismatch> {
        match self.mode {
            AeadMode::CcmStatic | AeadMode::CcmSession => {
                let tag = tag.try_into().map_err(|_| MacMismatch)?;
                self.key.verify_left8(&[header], tag)
            }
            AeadMode::GcmSession => {
                let tag = tag.try_into().map_err(|_| MacMismatch)?;
                self.key.verify(&[header], tag)
            }
        }
    }
}
