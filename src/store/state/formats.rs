//! The formats of compact frames, of each utility apart.
//!
//! What one utility's meters teach is nothing to another's: whoever holds the key of a meter can
//! neither take up another utility's places nor tell how its frames are read.

use std::collections::BTreeMap;

use crate::keyring::UtilityId;
use crate::wire::mbus::app::{Body, CompactFrame, DeviceKind, Expanded, FormatCatalog};
use crate::wire::mbus::error::MbusError;

/// A catalog of formats for each utility. Only telegrams that a key vouches for teach, so that
/// there are no more catalogs than utilities with keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UtilityFormats {
    catalogs: BTreeMap<UtilityId, FormatCatalog>,
}

impl UtilityFormats {
    /// Those of catalogs in octets: [`FormatCatalog::from_octets`].
    ///
    /// # Errors
    ///
    /// As that has.
    pub fn from_octets(octets: &BTreeMap<UtilityId, Vec<u8>>) -> Result<Self, MbusError> {
        let read = |(utility, octets): (&UtilityId, &Vec<u8>)| {
            FormatCatalog::from_octets(octets).map(|catalog| (*utility, catalog))
        };
        let catalogs = octets.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { catalogs })
    }

    /// Each utility's catalog.
    pub fn catalogs(&self) -> impl Iterator<Item = (UtilityId, &FormatCatalog)> {
        self.catalogs.iter().map(|(utility, all)| (*utility, all))
    }

    /// Whether [`Self::learn_from`] would change anything.
    #[must_use]
    pub fn would_learn_from(&self, utility: UtilityId, kind: DeviceKind, body: &Body<'_>) -> bool {
        match self.catalogs.get(&utility) {
            Some(catalog) => catalog.would_learn_from(kind, body),
            None => FormatCatalog::default().would_learn_from(kind, body),
        }
    }

    /// Learns the format that a verified telegram of a utility's meter teaches.
    pub fn learn_from(&mut self, utility: UtilityId, kind: DeviceKind, body: &Body<'_>) {
        let catalog = self.catalogs.entry(utility).or_default();
        catalog.learn_from(kind, body);
    }

    /// Expands a compact frame of a utility's meter.
    #[must_use]
    pub fn expand(
        &self,
        utility: UtilityId,
        kind: DeviceKind,
        compact: &CompactFrame<'_>,
    ) -> Expanded {
        match self.catalogs.get(&utility) {
            Some(catalog) => catalog.expand(kind, compact),
            None => FormatCatalog::default().expand(kind, compact),
        }
    }
}

#[cfg(test)]
#[path = "formats_tests.rs"]
pub(super) mod tests;
