//! What a ring holds, without its keys.

use std::collections::{BTreeMap, HashMap};

use super::super::command::CommandKeyring;
use super::super::ids::{KeyState, UtilityId};
use super::super::link::LinkKeyring;
use super::super::purpose_keys::PurposeKeys;
use super::Role;
use crate::crypto::key::{KeyPurpose, Purpose};

/// The contents of a ring for people. No secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Summary {
    /// Which ring it is.
    pub role: Role,
    /// The utilities, in the order of their ids.
    pub utilities: Vec<UtilitySummary>,
}

/// A utility of a [`Summary`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UtilitySummary {
    /// The utility.
    pub id: UtilityId,
    /// Its name, as it stands in the key file.
    pub name: String,
    /// How many terminals are registered.
    pub terminals: usize,
    /// Versions of keys: masters first, then imported ones, by purpose and version.
    pub keys: Vec<KeySummary>,
}

/// A version of a key of a [`Summary`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeySummary {
    /// What the key is for.
    pub purpose: Purpose,
    /// Its version, 1 to 255.
    pub version: u8,
    /// Its state.
    pub state: KeyState,
    /// Whether it is also kept durably off the machine; if not, it is not used.
    // spec: ROT-6
    pub escrowed: bool,
    /// Master or imported.
    pub origin: Origin,
}

/// Where a version of a key comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A master, from which the keys of terminals are derived.
    Master,
    /// Imported base keys of single terminals.
    Imported {
        /// How many terminals have one of this version in this state.
        terminals: usize,
    },
}

impl Summary {
    /// Terminals of all utilities.
    #[must_use]
    pub fn terminals(&self) -> usize {
        self.utilities.iter().map(|found| found.terminals).sum()
    }

    /// What a link ring holds.
    #[must_use]
    pub fn of_link(ring: &LinkKeyring) -> Self {
        let terminals = ring.terminals.iter();
        let owners = terminals.map(|(identity, found)| (*identity, found.utility));
        let mut builder = Builder::new(&ring.utilities, owners.collect());
        builder.masters(&ring.keys);
        builder.imported(&ring.keys);
        builder.finish(Role::Link)
    }

    /// What a command ring holds.
    #[must_use]
    pub fn of_command(ring: &CommandKeyring) -> Self {
        let mut builder = Builder::new(&ring.utilities, ring.terminals.clone());
        builder.masters(&ring.command);
        builder.masters(&ring.key_encryption);
        builder.imported(&ring.command);
        builder.imported(&ring.key_encryption);
        builder.finish(Role::Command)
    }
}

struct Builder {
    utilities: BTreeMap<UtilityId, UtilitySummary>,
    owners: HashMap<[u8; 8], UtilityId>,
}

impl Builder {
    fn new(names: &HashMap<UtilityId, String>, owners: HashMap<[u8; 8], UtilityId>) -> Self {
        let mut utilities = BTreeMap::new();
        for (id, name) in names {
            let found = UtilitySummary {
                id: *id,
                name: name.clone(),
                terminals: 0,
                keys: Vec::new(),
            };
            utilities.insert(*id, found);
        }
        for owner in owners.values() {
            if let Some(found) = utilities.get_mut(owner) {
                found.terminals = found.terminals.saturating_add(1);
            }
        }
        Self { utilities, owners }
    }

    fn masters<P: KeyPurpose>(&mut self, keys: &PurposeKeys<P>) {
        for (utility, versions) in &keys.masters {
            let summaries = versions.iter().map(|(version, found)| KeySummary {
                purpose: P::PURPOSE,
                version: *version,
                state: found.state,
                escrowed: found.escrowed,
                origin: Origin::Master,
            });
            if let Some(utility) = self.utilities.get_mut(utility) {
                utility.keys.extend(summaries);
            }
        }
    }

    fn imported<P: KeyPurpose>(&mut self, keys: &PurposeKeys<P>) {
        let mut counts: BTreeMap<_, usize> = BTreeMap::new();
        for (identity, versions) in &keys.imported {
            let Some(utility) = self.owners.get(identity) else {
                continue;
            };
            for (version, found) in versions {
                let like = (*utility, *version, found.state.code(), found.escrowed);
                let count = counts.entry(like).or_default();
                *count = count.saturating_add(1);
            }
        }
        for ((utility, version, state, escrowed), terminals) in counts {
            let utility = self.utilities.get_mut(&utility);
            if let (Some(utility), Some(state)) = (utility, KeyState::from_code(state)) {
                utility.keys.push(KeySummary {
                    purpose: P::PURPOSE,
                    version,
                    state,
                    escrowed,
                    origin: Origin::Imported { terminals },
                });
            }
        }
    }

    fn finish(self, role: Role) -> Summary {
        let utilities = self.utilities.into_values().collect();
        Summary { role, utilities }
    }
}
