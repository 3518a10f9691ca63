//! Where keys lie: in blocks that never move.

use super::asked::{KeyId, KeyVersion, Policy};
use super::ring::VersionState;
use crate::crypto::key::Key128;

/// Keys that are allocated together: 144 KiB.
const BLOCK: usize = 4_096;

/// The end of a chain of keys.
pub(super) const NONE: u32 = u32::MAX;

/// A key with what is told of it and of its meter, 36 octets: with many meters each look-up is a
/// walk through cold memory, so that all that a telegram needs lies in one place.
#[derive(Debug)]
pub(super) struct Slot {
    /// Of the meter, in the order of the link layer.
    pub(super) address: [u8; 8],
    pub(super) key: Key128,
    /// Place among the utilities.
    pub(super) utility: u16,
    /// Of the meter; that of the first key of a chain counts.
    pub(super) policy: Option<Policy>,
    /// The meter's next key, or [`NONE`].
    pub(super) next: u32,
    pub(super) id: KeyId,
    pub(super) version: KeyVersion,
    pub(super) state: VersionState,
}

impl Slot {
    /// What the chain of a meter is sorted by: of one key, the version most likely in use first.
    pub(super) const fn rank(&self) -> (KeyId, VersionState) {
        (self.id, self.state)
    }
}

/// All keys. It grows by whole blocks: one row that grows would leave a copy of every key behind
/// each time.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Vec<Slot>>);

impl Slots {
    pub(super) fn len(&self) -> usize {
        let before = self.0.len().saturating_sub(1).saturating_mul(BLOCK);
        before.saturating_add(self.0.last().map_or(0, Vec::len))
    }

    /// Adds a key and tells its place; none if there is no place left.
    pub(super) fn push(&mut self, slot: Slot) -> Option<u32> {
        let place = u32::try_from(self.len()).ok().filter(|it| *it != NONE)?;
        match self.0.last_mut().filter(|block| block.len() < BLOCK) {
            Some(block) => block.push(slot),
            None => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(slot);
                self.0.push(block);
            }
        }
        Some(place)
    }

    pub(super) fn get(&self, place: u32) -> Option<&Slot> {
        let place = usize::try_from(place).ok()?;
        self.0.get(place / BLOCK)?.get(place % BLOCK)
    }

    /// Whether a place has a key of the meter with this address.
    pub(super) fn is_of(&self, place: u32, address: [u8; 8]) -> bool {
        self.get(place).is_some_and(|slot| slot.address == address)
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Slot> {
        let place = usize::try_from(place).ok()?;
        self.0.get_mut(place / BLOCK)?.get_mut(place % BLOCK)
    }

    /// The keys of a chain, in its order, with their places.
    pub(super) fn chain(&self, first: u32) -> impl Iterator<Item = (u32, &Slot)> {
        let mut place = first;
        std::iter::from_fn(move || {
            let slot = self.get(place)?;
            let at = std::mem::replace(&mut place, slot.next);
            Some((at, slot))
        })
    }
}
