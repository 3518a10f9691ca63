//! What operators may know of the link masters of a ring: versions and states, never a key.

use super::ids::{KeyState, UtilityId};
use super::link::LinkKeyring;
use super::purpose_keys::Versioned;
use crate::crypto::key::KeyLength;

/// A version of a utility's link master. No secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MasterVersion {
    /// The version, 1 to 255.
    pub version: u8,
    /// Its state.
    pub state: KeyState,
    /// Whether it is also kept durably off the machine; if not, it is not used.
    // spec: ROT-6
    pub escrowed: bool,
    /// Its length, and so that of the base keys that come from it.
    pub length: KeyLength,
}

impl LinkKeyring {
    /// The versions of a utility's link master in ascending order.
    pub fn masters(&self, utility: UtilityId) -> impl Iterator<Item = MasterVersion> + '_ {
        let versions = self.keys.masters.get(&utility).into_iter().flatten();
        versions.map(|(version, master)| MasterVersion {
            version: *version,
            state: master.state,
            escrowed: master.escrowed,
            length: master.key.length(),
        })
    }

    /// Whether a key of the ring lets a terminal be in mode 3, or the ring knows no usable key of
    /// it at all and so cannot tell.
    // spec: KEY-5, ROT-12
    #[must_use]
    pub fn may_be_in_mode3(&self, utility: UtilityId, identity: &[u8; 8]) -> bool {
        fn length<K>(key: &Versioned<K>, length: impl Fn(&K) -> KeyLength) -> Option<KeyLength> {
            let is_usable = key.escrowed && key.state != KeyState::Withdrawn;
            is_usable.then(|| length(&key.key))
        }
        let masters = self.keys.masters.get(&utility).into_iter().flatten();
        let masters = masters.filter_map(|(_, key)| length(key, |key| key.length()));
        let imported = self.keys.imported.get(identity).into_iter().flatten();
        let imported = imported.filter_map(|(_, key)| length(key, |key| key.length()));
        let mut lengths = masters.chain(imported).peekable();
        lengths.peek().is_none() || lengths.any(|length| length == KeyLength::Long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::key::{KeyOctets, Master};

    const UTILITY: UtilityId = UtilityId::new(*b"gasworks");
    const IDENTITY: [u8; 8] = [0, 7, 0, 0, 0, 0, 0, 1];

    fn add(ring: &mut LinkKeyring, version: u8, state: KeyState, octets: usize) {
        let key = KeyOctets::from_slice(&vec![version; octets]).unwrap();
        let added = ring.add_master(UTILITY, version, state, true, Master::new(key));
        added.unwrap();
    }

    #[test]
    fn mode_3_needs_a_usable_key_of_32_octets_where_the_ring_has_any() {
        let mut ring = LinkKeyring::new();
        ring.add_utility(UTILITY, "gas");
        assert!(ring.may_be_in_mode3(UTILITY, &IDENTITY), "nothing is known");
        add(&mut ring, 1, KeyState::Active, 16);
        assert!(!ring.may_be_in_mode3(UTILITY, &IDENTITY));
        add(&mut ring, 2, KeyState::Withdrawn, 32);
        assert!(!ring.may_be_in_mode3(UTILITY, &IDENTITY));
        add(&mut ring, 3, KeyState::New, 32);
        assert!(ring.may_be_in_mode3(UTILITY, &IDENTITY));
        let versions: Vec<_> = ring.masters(UTILITY).map(|one| one.version).collect();
        assert_eq!(versions, [1, 2, 3]);
    }
}
