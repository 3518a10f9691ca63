//! What a ring of meters' keys holds, without its keys.

use std::collections::BTreeMap;

use super::asked::Policy;
use super::ring::{MeterKeyring, VersionState};
use crate::keyring::UtilityId;
use crate::wire::mbus::address::Address;

/// The contents of a ring for people. No secret, and nothing that is made of one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MeterSummary {
    /// The utilities, in the order of their ids.
    pub utilities: Vec<UtilityMeters>,
}

/// The meters of a utility.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UtilityMeters {
    /// The utility.
    pub id: UtilityId,
    /// How many meters have a key.
    pub meters: u64,
    /// Those of them whose telegrams may come in clear.
    pub clear_allowed: u64,
    /// Versions that are current.
    pub current: u64,
    /// Versions that come next.
    pub next: u64,
    /// Versions that were current before.
    pub previous: u64,
}

impl UtilityMeters {
    const fn new(id: UtilityId) -> Self {
        Self {
            id,
            meters: 0,
            clear_allowed: 0,
            current: 0,
            next: 0,
            previous: 0,
        }
    }

    /// Versions of keys.
    #[must_use]
    pub const fn keys(&self) -> u64 {
        self.current
            .saturating_add(self.next)
            .saturating_add(self.previous)
    }
}

impl MeterSummary {
    /// What a ring holds.
    #[must_use]
    pub fn of(ring: &MeterKeyring) -> Self {
        let mut utilities = BTreeMap::new();
        let mut last: Option<Address> = None;
        for row in ring.rows() {
            let new = || UtilityMeters::new(row.utility);
            let of: &mut UtilityMeters = utilities.entry(row.utility).or_insert_with(new);
            if last.replace(row.meter) != Some(row.meter) {
                let is_clear = u64::from(row.policy == Some(Policy::ClearAllowed));
                of.meters = of.meters.saturating_add(1);
                of.clear_allowed = of.clear_allowed.saturating_add(is_clear);
            }
            let count = match row.state {
                VersionState::Current => &mut of.current,
                VersionState::Next => &mut of.next,
                VersionState::Previous => &mut of.previous,
            };
            *count = count.saturating_add(1);
        }
        Self {
            utilities: utilities.into_values().collect(),
        }
    }

    /// Meters of all utilities.
    #[must_use]
    pub fn meters(&self) -> u64 {
        self.utilities.iter().map(|of| of.meters).sum()
    }

    /// Versions of keys of all utilities.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.utilities.iter().map(UtilityMeters::keys).sum()
    }
}
