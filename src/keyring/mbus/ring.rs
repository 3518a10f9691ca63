//! The ring of meters' keys.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::asked::{KeyId, KeyVersion, MeterKeys, Policy};
use super::slots::{NONE, Slot, Slots};
use crate::crypto::key::Key128;
use crate::keyring::UtilityId;
use crate::wire::mbus::address::Address;

/// Which of a key's versions it is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum VersionState {
    /// What the meter uses, as far as is known.
    #[default]
    Current,
    /// What it is to use next; it may do so already.
    Next,
    /// What it used before; it may do so still.
    Previous,
}

impl VersionState {
    const ALL: [Self; 3] = [Self::Current, Self::Next, Self::Previous];

    /// Its name in key files.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }

    /// The state of a name that [`Self::id`] gives.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.id() == id)
    }

    /// Its code in sealed files: 1 to 3.
    pub(in crate::keyring) const fn code(self) -> u8 {
        match self {
            Self::Current => 1,
            Self::Next => 2,
            Self::Previous => 3,
        }
    }

    pub(in crate::keyring) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// A key as it is added to a ring.
#[derive(Debug)]
pub struct NewMeterKey {
    /// Whose.
    pub meter: Address,
    /// The meter's utility.
    pub utility: UtilityId,
    /// The meter's policy; none if nothing is said of it with this key.
    pub policy: Option<Policy>,
    /// The number of the key.
    pub id: KeyId,
    /// Its version.
    pub version: KeyVersion,
    /// Which of the versions it is.
    pub state: VersionState,
    /// The key.
    pub key: Key128,
}

/// Why a key was not added. Nothing of it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum AddMeterKeyError {
    /// The meter is another utility's.
    #[error("the meter is another utility's, by a line before: a meter belongs to one utility")]
    OtherUtility,
    /// The meter has another policy.
    #[error("the meter has another policy, by a line before")]
    OtherPolicy,
    /// No telegram can name the key.
    #[error("a key that telegrams use has a number from 00 to 0F")]
    NotAKeyId,
    /// The version is there already.
    #[error("the meter has this version of this key already")]
    VersionTaken,
    /// Another version is in this state.
    #[error("another version of this key is in this state: one is current, one next, one previous")]
    StateTaken,
    /// No place for another key or utility.
    #[error("a ring has at most 65,536 utilities and 4,294,967,294 keys")]
    Full,
}

/// A key of a ring, to be sealed.
pub(in crate::keyring) struct MeterKeyRow<'a> {
    pub(in crate::keyring) meter: Address,
    pub(in crate::keyring) utility: UtilityId,
    pub(in crate::keyring) policy: Option<Policy>,
    pub(in crate::keyring) id: KeyId,
    pub(in crate::keyring) version: KeyVersion,
    pub(in crate::keyring) state: VersionState,
    pub(in crate::keyring) key: &'a Key128,
}

/// The keys of meters, found by address: about 16 octets and an index entry a meter, and 24 a key.
/// An answer costs one look-up and a walk along the keys of one meter, of which there are a few.
///
/// Keys are wiped when it is dropped, and it shows none. It has no way to be changed in a server
/// that runs: reloading is not offered, as for link keys.
#[derive(Default)]
pub struct MeterKeyring {
    /// Of each meter the place of its first key.
    index: HashTable<u32>,
    slots: Slots,
    utilities: Vec<UtilityId>,
    utility_places: HashMap<UtilityId, u16>,
    hasher: DefaultHashBuilder,
}

impl fmt::Debug for MeterKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterKeyring")
            .field("utilities", &self.utilities.len())
            .field("meters", &self.index.len())
            .field("keys", &self.slots.len())
            .finish()
    }
}

impl MeterKeyring {
    /// A ring without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many meters have a key.
    #[must_use]
    pub fn meter_count(&self) -> usize {
        self.index.len()
    }

    /// How many keys there are, each version counted.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.slots.len()
    }

    /// How many meters of each utility have a key.
    pub fn meters_by_utility(&self) -> impl Iterator<Item = (UtilityId, u64)> {
        let mut counts = vec![0_u64; self.utilities.len()];
        for slot in self.index.iter().filter_map(|first| self.slots.get(*first)) {
            if let Some(count) = counts.get_mut(usize::from(slot.utility)) {
                *count = count.saturating_add(1);
            }
        }
        self.utilities.iter().copied().zip(counts)
    }

    /// The utility of a meter; none if it has no key here.
    #[must_use]
    pub fn utility(&self, meter: Address) -> Option<UtilityId> {
        let found = self.find(meter.link_order())?;
        self.utilities.get(usize::from(found.utility)).copied()
    }

    /// The keys of one utility's meters: what a gateway of that utility may have opened.
    #[must_use]
    pub const fn of_utility(&self, utility: UtilityId) -> MetersOfUtility<'_> {
        MetersOfUtility {
            ring: self,
            utility,
        }
    }

    /// The first key of a meter.
    fn find(&self, address: [u8; 8]) -> Option<&Slot> {
        self.slots.get(self.place(address)?)
    }

    fn place(&self, address: [u8; 8]) -> Option<u32> {
        let hash = self.hasher.hash_one(address);
        let is_it = |place: &u32| self.slots.is_of(*place, address);
        self.index.find(hash, is_it).copied()
    }

    /// Adds a key, and its meter if that is new.
    ///
    /// # Errors
    ///
    /// [`AddMeterKeyError`].
    pub fn add(&mut self, new: NewMeterKey) -> Result<(), AddMeterKeyError> {
        if new.id > KeyId::MAX {
            return Err(AddMeterKeyError::NotAKeyId);
        }
        let utility = self.utility_place(new.utility)?;
        let address = new.meter.link_order();
        let first = self.place(address);
        if let Some(first) = first {
            self.check(first, utility, &new)?;
        }
        let slot = Slot {
            address,
            key: new.key,
            utility,
            policy: new.policy,
            next: NONE,
            id: new.id,
            version: new.version,
            state: new.state,
        };
        let slot = self.slots.push(slot).ok_or(AddMeterKeyError::Full)?;
        match first {
            Some(first) => self.link(first, slot, address),
            None => self.add_meter(slot, address),
        }
        Ok(())
    }

    fn utility_place(&mut self, utility: UtilityId) -> Result<u16, AddMeterKeyError> {
        if let Some(place) = self.utility_places.get(&utility) {
            return Ok(*place);
        }
        let place = u16::try_from(self.utilities.len()).map_err(|_| AddMeterKeyError::Full)?;
        self.utilities.push(utility);
        self.utility_places.insert(utility, place);
        Ok(place)
    }

    fn check(&self, first: u32, utility: u16, new: &NewMeterKey) -> Result<(), AddMeterKeyError> {
        for (place, slot) in self.slots.chain(first) {
            if slot.utility != utility {
                return Err(AddMeterKeyError::OtherUtility);
            }
            let policies = (slot.policy, new.policy);
            if place == first && matches!(policies, (Some(old), Some(new)) if old != new) {
                return Err(AddMeterKeyError::OtherPolicy);
            }
            if slot.id == new.id && slot.version == new.version {
                return Err(AddMeterKeyError::VersionTaken);
            }
            if slot.id == new.id && slot.state == new.state {
                return Err(AddMeterKeyError::StateTaken);
            }
        }
        Ok(())
    }

    fn add_meter(&mut self, first: u32, address: [u8; 8]) {
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_at = |place: &u32| {
            let address = slots.get(*place).map_or([0; 8], |slot| slot.address);
            hasher.hash_one(address)
        };
        let hash = hasher.hash_one(address);
        self.index.insert_unique(hash, first, hash_at);
    }

    /// Puts a key where it belongs in the chain of its meter.
    fn link(&mut self, first: u32, new: u32, address: [u8; 8]) {
        let (Some(old), Some(added)) = (self.slots.get(first), self.slots.get(new)) else {
            return;
        };
        let (policy, rank) = (old.policy.or(added.policy), added.rank());
        let chain = self.slots.chain(first);
        let before = chain.take_while(|(_, slot)| slot.rank() < rank).last();
        let (before, after) = match before {
            Some((at, slot)) => (Some(at), slot.next),
            None => (None, first),
        };
        if let Some(slot) = self.slots.get_mut(new) {
            slot.next = after;
        }
        match before.and_then(|at| self.slots.get_mut(at)) {
            Some(slot) => slot.next = new,
            None => self.begin_chain(address, first, new),
        }
        let first = if before.is_some() { first } else { new };
        if let Some(slot) = self.slots.get_mut(first) {
            slot.policy = policy;
        }
    }

    /// Another key is the first of its meter.
    fn begin_chain(&mut self, address: [u8; 8], old: u32, new: u32) {
        let hash = self.hasher.hash_one(address);
        if let Some(place) = self.index.find_mut(hash, |place| *place == old) {
            *place = new;
        }
    }

    /// All keys, by utility, meter, number and state.
    pub(in crate::keyring) fn rows(&self) -> impl Iterator<Item = MeterKeyRow<'_>> {
        let firsts = self.index.iter();
        let mut order: Vec<(UtilityId, &Slot, u32)> = firsts
            .filter_map(|first| {
                let slot = self.slots.get(*first)?;
                let utility = self.utilities.get(usize::from(slot.utility))?;
                Some((*utility, slot, *first))
            })
            .collect();
        order.sort_unstable_by_key(|(utility, slot, _)| (*utility, slot.address));
        order.into_iter().flat_map(move |(utility, meter, first)| {
            let chain = self.slots.chain(first);
            chain.map(move |(_, slot)| MeterKeyRow {
                meter: Address::from_link_order(meter.address),
                utility,
                policy: meter.policy,
                id: slot.id,
                version: slot.version,
                state: slot.state,
                key: &slot.key,
            })
        })
    }
}

impl MeterKeys for MeterKeyring {
    fn visit(&self, meter: Address, id: KeyId, visit: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {
        let Some(first) = self.place(meter.link_order()) else {
            return;
        };
        for (_, slot) in self.slots.chain(first) {
            if slot.id == id && !visit(slot.version, &slot.key) {
                return;
            }
        }
    }

    /// What a meter that has a key sends in clear is refused unless its entry allows it; of a meter
    /// without one, nothing is demanded.
    fn policy(&self, meter: Address) -> Policy {
        let found = self.find(meter.link_order());
        found.map_or(Policy::ClearAllowed, |meter| {
            meter.policy.unwrap_or(Policy::MustBeEncrypted)
        })
    }
}

/// A ring that knows the keys of one utility's meters only. What a meter's telegrams must be is
/// the same, whoever asks.
#[derive(Clone, Copy, Debug)]
pub struct MetersOfUtility<'a> {
    ring: &'a MeterKeyring,
    utility: UtilityId,
}

impl MeterKeys for MetersOfUtility<'_> {
    fn visit(&self, meter: Address, id: KeyId, visit: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {
        if self.ring.utility(meter) == Some(self.utility) {
            self.ring.visit(meter, id, visit);
        }
    }

    fn policy(&self, meter: Address) -> Policy {
        self.ring.policy(meter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_its_meter_and_index_takes_at_most_64_octets() {
        // An index entry is a place and an octet of its hash, in a table at least 7/16 full.
        let index = (size_of::<u32>() + 1) * 16 / 7 + 1;
        assert!(size_of::<Slot>() + index <= 64);
    }
}
