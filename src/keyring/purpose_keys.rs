//! The keys of one purpose: masters by utility and version, and imported base keys by terminal and
//! version.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use super::error::{AddKeyError, InstallError, KeyError};
use super::ids::{KeyState, UtilityId};
use crate::crypto::key::{BaseKey, KeyPurpose, Master};
use crate::crypto::otl::KeyOwner;

/// A version of a key with what is known of it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Versioned<K> {
    pub(super) state: KeyState,
    /// Whether the key is also kept durably off the machine.
    // spec: ROT-6
    pub(super) escrowed: bool,
    pub(super) key: K,
}

impl<K> Versioned<K> {
    // spec: KEY-8, ROT-6
    const fn usable(&self) -> Result<&K, KeyError> {
        match (self.escrowed, self.state) {
            (false, _) => Err(KeyError::UnknownKeyVersion),
            (true, KeyState::Withdrawn) => Err(KeyError::KeyWithdrawn),
            (true, KeyState::New | KeyState::Active | KeyState::Expired) => Ok(&self.key),
        }
    }
}

/// The versions of one key.
pub(super) type Versions<K> = BTreeMap<u8, Versioned<K>>;

/// Adds a version, or gives the state of one that is there with the same key.
// spec: KEY-7
fn add<K: Eq>(
    versions: &mut Versions<K>,
    version: u8,
    new: Versioned<K>,
) -> Result<(), AddKeyError> {
    if version == 0 {
        return Err(AddKeyError::VersionZero);
    }
    match versions.get(&version) {
        Some(known) if known.key != new.key => Err(AddKeyError::VersionReused),
        Some(_) | None => {
            versions.insert(version, new);
            Ok(())
        }
    }
}

/// A base key, found or derived.
#[derive(Debug)]
pub(super) enum FoundBase<'a, P: KeyPurpose> {
    Imported(&'a BaseKey<P>),
    Derived(BaseKey<P>),
}

impl<P: KeyPurpose> Deref for FoundBase<'_, P> {
    type Target = BaseKey<P>;

    fn deref(&self) -> &BaseKey<P> {
        match self {
            Self::Imported(key) => key,
            Self::Derived(key) => key,
        }
    }
}

/// All keys of one purpose.
///
/// The map by identity uses the standard hasher: identities are chosen by peers.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct PurposeKeys<P: KeyPurpose> {
    pub(super) masters: BTreeMap<UtilityId, Versions<Master<P>>>,
    pub(super) imported: HashMap<[u8; 8], Versions<BaseKey<P>>>,
}

impl<P: KeyPurpose> Default for PurposeKeys<P> {
    fn default() -> Self {
        Self {
            masters: BTreeMap::new(),
            imported: HashMap::new(),
        }
    }
}

impl<P: KeyPurpose> PurposeKeys<P> {
    pub(super) fn add_master(
        &mut self,
        utility: UtilityId,
        version: u8,
        master: Versioned<Master<P>>,
    ) -> Result<(), AddKeyError> {
        add(self.masters.entry(utility).or_default(), version, master)
    }

    pub(super) fn set_master_state(
        &mut self,
        utility: UtilityId,
        version: u8,
        state: KeyState,
    ) -> bool {
        let versions = self.masters.get_mut(&utility);
        let master = versions.and_then(|versions| versions.get_mut(&version));
        master.is_some_and(|master| {
            master.state = state;
            true
        })
    }

    pub(super) fn import(
        &mut self,
        identity: [u8; 8],
        version: u8,
        key: Versioned<BaseKey<P>>,
    ) -> Result<(), AddKeyError> {
        add(self.imported.entry(identity).or_default(), version, key)
    }

    /// The base key of a terminal, if its version may be used at all.
    ///
    /// An imported key takes precedence over a master of the same version: it was made for this
    /// terminal.
    // spec: KEY-6, KEY-8
    pub(super) fn base_key(
        &self,
        owner: KeyOwner,
        version: u8,
    ) -> Result<FoundBase<'_, P>, KeyError> {
        if let Some(imported) = self.imported_version(owner, version) {
            return imported.usable().map(FoundBase::Imported);
        }
        let master = self.master_version(owner, version);
        let master = master.ok_or(KeyError::UnknownKeyVersion)?.usable()?;
        Ok(FoundBase::Derived(master.derive_base(owner, version)))
    }

    /// The base key of a terminal, if its version may be given out.
    // spec: KEY-8, ROT-6
    pub(super) fn installable(
        &self,
        owner: KeyOwner,
        version: u8,
    ) -> Result<FoundBase<'_, P>, InstallError> {
        let key = self.base_key(owner, version)?;
        let imported = self
            .imported_version(owner, version)
            .map(|found| found.state);
        let state =
            imported.or_else(|| self.master_version(owner, version).map(|found| found.state));
        if state.is_some_and(KeyState::may_be_installed) {
            Ok(key)
        } else {
            Err(InstallError::NotOffered)
        }
    }

    pub(super) fn has_master(&self, utility: UtilityId, version: u8) -> bool {
        self.masters
            .get(&utility)
            .is_some_and(|versions| versions.contains_key(&version))
    }

    pub(super) fn has_imported(&self, identity: &[u8; 8], version: u8) -> bool {
        self.imported
            .get(identity)
            .is_some_and(|versions| versions.contains_key(&version))
    }

    fn imported_version(&self, owner: KeyOwner, version: u8) -> Option<&Versioned<BaseKey<P>>> {
        self.imported.get(&owner.identity)?.get(&version)
    }

    fn master_version(&self, owner: KeyOwner, version: u8) -> Option<&Versioned<Master<P>>> {
        self.masters
            .get(&UtilityId::new(owner.utility))?
            .get(&version)
    }
}
