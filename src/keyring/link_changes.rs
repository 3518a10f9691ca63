//! How the registration of a terminal changes in the course of rotation and mode change.

use super::error::{KeyError, ModeChangeError};
use super::link::LinkKeyring;
use super::registration::{Registration, VersionSet};
use crate::crypto::key::KeyLength;
use crate::wire::otl::ident::Mode;

impl LinkKeyring {
    /// Notes that a frame verified under this link key version; says whether that is news, which is
    /// to be made durable before the frame is answered.
    ///
    /// A promotion ends the readmission of older versions.
    ///
    /// # Errors
    ///
    /// [`KeyError::UnknownTerminal`].
    // spec: ROT-5, ROT-7
    pub fn promote(&mut self, identity: &[u8; 8], key_version: u8) -> Result<bool, KeyError> {
        let registration = self
            .terminals
            .get_mut(identity)
            .ok_or(KeyError::UnknownTerminal)?;
        if registration.promoted_link_version >= Some(key_version) {
            return Ok(false);
        }
        registration.promoted_link_version = Some(key_version);
        registration.readmitted = VersionSet::EMPTY;
        Ok(true)
    }

    /// Admits a lower link key version again, by order of an operator, until the next promotion.
    ///
    /// # Errors
    ///
    /// [`KeyError::UnknownTerminal`].
    // spec: ROT-7
    pub fn readmit(&mut self, identity: &[u8; 8], key_version: u8) -> Result<bool, KeyError> {
        let registration = self
            .terminals
            .get_mut(identity)
            .ok_or(KeyError::UnknownTerminal)?;
        Ok(registration.readmitted.insert(key_version))
    }

    /// Notes that a mode change was handed over: from now on the old and the new mode are accepted.
    ///
    /// # Errors
    ///
    /// [`ModeChangeError`].
    // spec: ROT-11, ROT-12
    pub fn offer_mode(&mut self, identity: &[u8; 8], mode: Mode) -> Result<(), ModeChangeError> {
        let found = self.terminals.get(identity);
        let registration = found.ok_or(ModeChangeError::UnknownTerminal)?;
        if mode == Mode::Clear || registration.mode == Mode::Clear {
            return Err(ModeChangeError::Clear);
        }
        if registration.mode == mode {
            return Err(ModeChangeError::Same);
        }
        if registration
            .pending_mode
            .is_some_and(|pending| pending != mode)
        {
            return Err(ModeChangeError::Pending);
        }
        if mode == Mode::GcmSession
            && self.promoted_length(registration, identity) == Some(KeyLength::Short)
        {
            return Err(ModeChangeError::KeyTooShort);
        }
        if let Some(registration) = self.terminals.get_mut(identity) {
            registration.pending_mode = Some(mode);
        }
        Ok(())
    }

    /// Notes that a frame verified in this mode; says whether that ended a pending change, which is
    /// to be made durable before the frame is answered.
    ///
    /// # Errors
    ///
    /// [`KeyError::UnknownTerminal`].
    // spec: ROT-11
    pub fn promote_mode(&mut self, identity: &[u8; 8], mode: Mode) -> Result<bool, KeyError> {
        let registration = self
            .terminals
            .get_mut(identity)
            .ok_or(KeyError::UnknownTerminal)?;
        if registration.pending_mode != Some(mode) {
            return Ok(false);
        }
        registration.mode = mode;
        registration.pending_mode = None;
        Ok(true)
    }

    /// Ends a pending mode change that the terminal refused; says whether there was one.
    ///
    /// # Errors
    ///
    /// [`KeyError::UnknownTerminal`].
    pub fn withdraw_mode_offer(&mut self, identity: &[u8; 8]) -> Result<bool, KeyError> {
        let registration = self
            .terminals
            .get_mut(identity)
            .ok_or(KeyError::UnknownTerminal)?;
        Ok(registration.pending_mode.take().is_some())
    }

    fn promoted_length(
        &self,
        registration: &Registration,
        identity: &[u8; 8],
    ) -> Option<KeyLength> {
        let owner = Self::owner(registration, identity);
        let key = self
            .keys
            .base_key(owner, registration.promoted_link_version?);
        key.ok().map(|base| base.length())
    }
}
