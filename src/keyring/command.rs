//! The ring of command and key-encryption keys: what a signer holds.

use std::collections::HashMap;

use super::error::{AddKeyError, InstallError, KeyError};
use super::ids::{KeyState, UtilityId};
use super::purpose_keys::{PurposeKeys, Versioned};
use crate::crypto::key::{BaseKey, Command, KeyEncryption, Link, Master, Purpose};
use crate::crypto::keywrap::{KeyWrapKey, WRAPPED_LONG_OCTETS, WrappedKey};
use crate::crypto::otl::{CommandKey, KeyOwner, ResultKey};

/// Command and key-encryption masters by utility and version, imported base keys of both purposes,
/// and which utility each terminal belongs to.
///
/// It belongs to a signer, in a process that holds no link masters.
// spec: KEY-10
#[derive(Debug, Default, Eq, PartialEq)]
pub struct CommandKeyring {
    pub(super) utilities: HashMap<UtilityId, String>,
    pub(super) command: PurposeKeys<Command>,
    pub(super) key_encryption: PurposeKeys<KeyEncryption>,
    pub(super) terminals: HashMap<[u8; 8], UtilityId>,
}

/// A key to give to a terminal.
#[derive(Debug)]
pub enum NewKey {
    /// A link base key that the server derived and handed over for wrapping.
    Link {
        /// Its version.
        version: u8,
        /// The key.
        base: BaseKey<Link>,
    },
    /// The command key of this version, which the signer derives itself.
    Command {
        /// Its version.
        version: u8,
    },
    /// The key-encryption key of this version, which the signer derives itself.
    KeyEncryption {
        /// Its version.
        version: u8,
    },
}

/// Octets of the parameters of a key_install with a key of 32 octets; with one of 16 they are 27.
pub const INSTALL_PARAMETERS_LONG_OCTETS: usize = 3 + WRAPPED_LONG_OCTETS;

/// The parameters of a key_install command: purpose, key version, key-encryption key version,
/// wrapped key. 27 or 43 octets, no secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InstallParameters {
    octets: [u8; INSTALL_PARAMETERS_LONG_OCTETS],
    used: usize,
}

impl InstallParameters {
    fn new(purpose: Purpose, version: u8, kek_version: u8, wrapped: &WrappedKey) -> Self {
        let mut octets = [0; INSTALL_PARAMETERS_LONG_OCTETS];
        let head = [purpose.code(), version, kek_version];
        let wrapped = wrapped.as_octets();
        let all = head.iter().chain(wrapped);
        octets
            .iter_mut()
            .zip(all)
            .for_each(|(to, from)| *to = *from);
        Self {
            octets,
            used: wrapped.len().saturating_add(3),
        }
    }

    /// The octets as they stand in the command.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        self.octets.get(..self.used).unwrap_or(&self.octets)
    }
}

impl CommandKeyring {
    /// A ring without keys and terminals.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a utility, or gives it another name.
    pub fn add_utility(&mut self, utility: UtilityId, name: &str) {
        self.utilities.insert(utility, name.to_owned());
    }

    /// Adds a version of a utility's command master, or gives its state anew.
    ///
    /// # Errors
    ///
    /// [`AddKeyError`] for an unknown utility, version 0, or a version that exists with another
    /// key.
    // spec: KEY-7, KEY-8, ROT-6
    pub fn add_command_master(
        &mut self,
        utility: UtilityId,
        version: u8,
        state: KeyState,
        escrowed: bool,
        key: Master<Command>,
    ) -> Result<(), AddKeyError> {
        self.known_utility(utility)?;
        self.command.add_master(
            utility,
            version,
            Versioned {
                state,
                escrowed,
                key,
            },
        )
    }

    /// Adds a version of a utility's key-encryption master, or gives its state anew.
    ///
    /// # Errors
    ///
    /// As [`Self::add_command_master`].
    // spec: KEY-7, KEY-8, ROT-6
    pub fn add_kek_master(
        &mut self,
        utility: UtilityId,
        version: u8,
        state: KeyState,
        escrowed: bool,
        key: Master<KeyEncryption>,
    ) -> Result<(), AddKeyError> {
        self.known_utility(utility)?;
        self.key_encryption.add_master(
            utility,
            version,
            Versioned {
                state,
                escrowed,
                key,
            },
        )
    }

    /// Registers a terminal with its utility. With another utility its imported keys go.
    ///
    /// # Errors
    ///
    /// [`AddKeyError::UnknownUtility`].
    pub fn register(&mut self, identity: [u8; 8], utility: UtilityId) -> Result<(), AddKeyError> {
        self.known_utility(utility)?;
        let previous = self.terminals.insert(identity, utility);
        if previous.is_some_and(|previous| previous != utility) {
            self.command.imported.remove(&identity);
            self.key_encryption.imported.remove(&identity);
        }
        Ok(())
    }

    /// Adds a version of a terminal's imported command base key, or gives its state anew.
    ///
    /// # Errors
    ///
    /// [`AddKeyError`] for an unknown terminal, version 0, or a version that exists with another
    /// key.
    // spec: KEY-6, KEY-7
    pub fn import_command(
        &mut self,
        identity: [u8; 8],
        version: u8,
        state: KeyState,
        escrowed: bool,
        key: BaseKey<Command>,
    ) -> Result<(), AddKeyError> {
        self.known_terminal(&identity)?;
        self.command.import(
            identity,
            version,
            Versioned {
                state,
                escrowed,
                key,
            },
        )
    }

    /// Adds a version of a terminal's imported key-encryption base key, or gives its state anew.
    ///
    /// # Errors
    ///
    /// As [`Self::import_command`].
    // spec: KEY-6, KEY-7
    pub fn import_kek(
        &mut self,
        identity: [u8; 8],
        version: u8,
        state: KeyState,
        escrowed: bool,
        key: BaseKey<KeyEncryption>,
    ) -> Result<(), AddKeyError> {
        self.known_terminal(&identity)?;
        self.key_encryption.import(
            identity,
            version,
            Versioned {
                state,
                escrowed,
                key,
            },
        )
    }

    /// Whether the ring holds neither keys nor utilities.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.utilities.is_empty()
    }

    /// Whether the ring holds no key at all.
    #[must_use]
    pub fn has_no_keys(&self) -> bool {
        self.command.masters.is_empty()
            && self.command.imported.is_empty()
            && self.key_encryption.masters.is_empty()
            && self.key_encryption.imported.is_empty()
    }

    /// The key that MACs commands to a terminal, of any version that is not withdrawn.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for an unknown terminal, and an unknown or withdrawn version.
    // spec: CMD-1, KEY-4
    pub fn command_key(&self, identity: &[u8; 8], version: u8) -> Result<CommandKey, KeyError> {
        let owner = self.owner(identity)?;
        Ok(self
            .command
            .base_key(owner, version)?
            .command_key(owner, version))
    }

    /// The key that MACs results of a terminal: of any version that is not withdrawn, since an old
    /// version goes on until its last record is told safe.
    ///
    /// # Errors
    ///
    /// As [`Self::command_key`].
    // spec: CMD-14, KEY-4, ROT-8
    pub fn result_key(&self, identity: &[u8; 8], version: u8) -> Result<ResultKey, KeyError> {
        let owner = self.owner(identity)?;
        Ok(self
            .command
            .base_key(owner, version)?
            .result_key(owner, version))
    }

    /// The parameters of a key_install that gives a terminal a new key, wrapped under its
    /// key-encryption key of `kek_version`.
    ///
    /// # Errors
    ///
    /// [`InstallError`] if a version is not usable, or the one to install not offered.
    // spec: ROT-1, ROT-6, ROT-8, KEY-8
    pub fn install_parameters(
        &self,
        identity: &[u8; 8],
        kek_version: u8,
        new: &NewKey,
    ) -> Result<InstallParameters, InstallError> {
        let owner = self.owner(identity)?;
        let kek = self.wrap_key(owner, kek_version)?;
        let (purpose, version, wrapped) = match new {
            NewKey::Link { version, base } => (Purpose::Link, *version, base.wrap_under(&kek)),
            NewKey::Command { version } => {
                let base = self.command.installable(owner, *version)?;
                (Purpose::Command, *version, base.wrap_under(&kek))
            }
            NewKey::KeyEncryption { version } => {
                let base = self.key_encryption.installable(owner, *version)?;
                (Purpose::KeyEncryption, *version, base.wrap_under(&kek))
            }
        };
        Ok(InstallParameters::new(
            purpose,
            version,
            kek_version,
            &wrapped,
        ))
    }

    fn wrap_key(&self, owner: KeyOwner, version: u8) -> Result<KeyWrapKey, KeyError> {
        Ok(self
            .key_encryption
            .base_key(owner, version)?
            .wrap_key(owner, version))
    }

    fn owner(&self, identity: &[u8; 8]) -> Result<KeyOwner, KeyError> {
        let utility = self
            .terminals
            .get(identity)
            .ok_or(KeyError::UnknownTerminal)?;
        Ok(KeyOwner {
            utility: utility.octets(),
            identity: *identity,
        })
    }

    fn known_utility(&self, utility: UtilityId) -> Result<(), AddKeyError> {
        if self.utilities.contains_key(&utility) {
            Ok(())
        } else {
            Err(AddKeyError::UnknownUtility)
        }
    }

    fn known_terminal(&self, identity: &[u8; 8]) -> Result<(), AddKeyError> {
        if self.terminals.contains_key(identity) {
            Ok(())
        } else {
            Err(AddKeyError::UnknownTerminal)
        }
    }
}
