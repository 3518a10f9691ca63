//! The ring of link keys: what the server holds.

use std::collections::HashMap;

use super::error::{AddKeyError, InstallError, KeyError};
use super::ids::{KeyState, UtilityId};
use super::purpose_keys::{PurposeKeys, Versioned};
use super::registration::Registration;
use crate::crypto::key::{BaseKey, Link, Master};
use crate::crypto::otl::{AeadMode, KeyOwner, LinkKey};
use crate::wire::otl::ident::Mode;

/// Link masters by utility and version, imported link base keys, and the registered terminals.
///
/// It holds no command or key-encryption key, and no method of it can give one.
// spec: KEY-10
#[derive(Debug, Default, Eq, PartialEq)]
pub struct LinkKeyring {
    pub(super) utilities: HashMap<UtilityId, String>,
    pub(super) keys: PurposeKeys<Link>,
    pub(super) terminals: HashMap<[u8; 8], Registration>,
}

/// How to open a frame of a terminal.
#[derive(Debug)]
pub struct OpeningKey {
    /// The pinned mode that the frame is in.
    pub mode: Mode,
    /// Whether that mode is the one of a pending change: once the frame verified, it is to be
    /// promoted.
    // spec: ROT-11
    pub promotes_mode: bool,
    /// Whether the key version is above the promoted one: once the frame verified, it is to be
    /// promoted.
    // spec: ROT-5
    pub promotes_version: bool,
    /// The key; none in mode 0.
    pub key: Option<LinkKey>,
}

const fn aead_mode(mode: Mode) -> Option<AeadMode> {
    match mode {
        Mode::Clear => None,
        Mode::CcmStatic => Some(AeadMode::CcmStatic),
        Mode::CcmSession => Some(AeadMode::CcmSession),
        Mode::GcmSession => Some(AeadMode::GcmSession),
    }
}

impl LinkKeyring {
    /// A ring without keys and terminals.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a utility, or gives it another name.
    pub fn add_utility(&mut self, utility: UtilityId, name: &str) {
        self.utilities.insert(utility, name.to_owned());
    }

    /// The name of a utility.
    #[must_use]
    pub fn utility_name(&self, utility: UtilityId) -> Option<&str> {
        self.utilities.get(&utility).map(String::as_str)
    }

    /// Adds a version of a utility's link master, or gives its state anew.
    ///
    /// `escrowed` says that the master is also kept durably off this machine; only then is it used.
    ///
    /// # Errors
    ///
    /// [`AddKeyError`] for an unknown utility, version 0, or a version that exists with another
    /// key.
    // spec: KEY-7, KEY-8, ROT-6
    pub fn add_master(
        &mut self,
        utility: UtilityId,
        version: u8,
        state: KeyState,
        escrowed: bool,
        key: Master<Link>,
    ) -> Result<(), AddKeyError> {
        if !self.utilities.contains_key(&utility) {
            return Err(AddKeyError::UnknownUtility);
        }
        self.keys.add_master(
            utility,
            version,
            Versioned {
                state,
                escrowed,
                key,
            },
        )
    }

    /// Gives a version of a utility's link master another state; says whether there is one.
    // spec: KEY-8
    pub fn set_master_state(&mut self, utility: UtilityId, version: u8, state: KeyState) -> bool {
        self.keys.set_master_state(utility, version, state)
    }

    /// Registers a terminal, or replaces its registration.
    ///
    /// With another utility its imported keys go, since they were made for the old one.
    ///
    /// # Errors
    ///
    /// [`AddKeyError::UnknownUtility`].
    pub fn register(
        &mut self,
        identity: [u8; 8],
        registration: Registration,
    ) -> Result<(), AddKeyError> {
        if !self.utilities.contains_key(&registration.utility) {
            return Err(AddKeyError::UnknownUtility);
        }
        let utility = registration.utility;
        let previous = self.terminals.insert(identity, registration);
        if previous.is_some_and(|previous| previous.utility != utility) {
            self.keys.imported.remove(&identity);
        }
        Ok(())
    }

    /// Adds a version of a terminal's imported link base key, or gives its state anew.
    ///
    /// # Errors
    ///
    /// [`AddKeyError`] for an unknown terminal, version 0, or a version that exists with another
    /// key.
    // spec: KEY-6, KEY-7, ROT-6
    pub fn import(
        &mut self,
        identity: [u8; 8],
        version: u8,
        state: KeyState,
        escrowed: bool,
        key: BaseKey<Link>,
    ) -> Result<(), AddKeyError> {
        if !self.terminals.contains_key(&identity) {
            return Err(AddKeyError::UnknownTerminal);
        }
        self.keys.import(
            identity,
            version,
            Versioned {
                state,
                escrowed,
                key,
            },
        )
    }

    /// How many terminals are registered.
    #[must_use]
    pub fn terminal_count(&self) -> usize {
        self.terminals.len()
    }

    /// What is registered of a terminal, its pinned mode above all.
    ///
    /// # Errors
    ///
    /// [`KeyError::UnknownTerminal`].
    // spec: ID-3
    pub fn registration(&self, identity: &[u8; 8]) -> Result<&Registration, KeyError> {
        let found = self.terminals.get(identity);
        found
            .filter(|found| found.is_known_as(identity))
            .ok_or(KeyError::UnknownTerminal)
    }

    /// How to open a frame with this mode and link key version in its header.
    ///
    /// The mode of a frame only says which of the pinned modes is meant while a change is pending,
    /// and is refused otherwise. The cost does not depend on the number of terminals.
    ///
    /// # Errors
    ///
    /// [`KeyError`], the first that holds in the order of [`KeyError::ALL`].
    // spec: SEC-1, SEC-2, SEC-3, KEY-8, ROT-7, ROT-11, ERR-2
    pub fn opening_key(
        &self,
        identity: &[u8; 8],
        header_mode: Mode,
        key_version: u8,
    ) -> Result<OpeningKey, KeyError> {
        let registration = self.registration(identity)?;
        self.opening_key_for(registration, identity, header_mode, key_version)
    }

    /// As [`Self::opening_key`], for a registration that is kept elsewhere: a server of millions
    /// of terminals has them in its own table, and only the keys in here.
    ///
    /// # Errors
    ///
    /// As [`Self::opening_key`].
    // spec: SEC-1, SEC-2, SEC-3, ID-3, KEY-8, ROT-7, ROT-11, ERR-2
    pub fn opening_key_for(
        &self,
        registration: &Registration,
        identity: &[u8; 8],
        header_mode: Mode,
        key_version: u8,
    ) -> Result<OpeningKey, KeyError> {
        if !registration.is_known_as(identity) {
            return Err(KeyError::UnknownTerminal);
        }
        if !registration.accepts_mode(header_mode) {
            return Err(KeyError::ModeMismatch);
        }
        let promotes_mode = registration.mode != header_mode;
        let Some(mode) = aead_mode(header_mode) else {
            return if registration.allow_mode0 {
                Ok(OpeningKey {
                    mode: header_mode,
                    promotes_mode,
                    promotes_version: false,
                    key: None,
                })
            } else {
                Err(KeyError::Mode0Forbidden)
            };
        };
        let owner = Self::owner(registration, identity);
        let base = self.keys.base_key(owner, key_version)?;
        if registration.has_retired(key_version) {
            return Err(KeyError::KeyRetired);
        }
        Ok(OpeningKey {
            mode: header_mode,
            promotes_mode,
            promotes_version: registration.promoted_link_version < Some(key_version),
            key: Some(LinkKey::new(&base, owner, mode, key_version)?),
        })
    }

    /// A new link base key for a terminal, to be handed to the signer, which wraps it: the only
    /// link key that a signer ever sees.
    ///
    /// # Errors
    ///
    /// [`InstallError`] if the version is not usable, not offered, or not above the promoted one.
    // spec: ROT-1, ROT-6, ROT-9, KEY-8
    pub fn base_key_for_install(
        &self,
        identity: &[u8; 8],
        version: u8,
    ) -> Result<BaseKey<Link>, InstallError> {
        let registration = self.registration(identity)?;
        if registration.promoted_link_version >= Some(version) {
            return Err(InstallError::NotNewer);
        }
        let owner = Self::owner(registration, identity);
        Ok(self.keys.installable(owner, version)?.duplicate())
    }

    pub(super) const fn owner(registration: &Registration, identity: &[u8; 8]) -> KeyOwner {
        KeyOwner {
            utility: registration.utility.octets(),
            identity: *identity,
        }
    }
}
