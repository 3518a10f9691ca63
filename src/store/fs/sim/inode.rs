//! One file of the simulated disk: what can be read, and what would be left.

use std::collections::BTreeSet;

use super::SECTOR;

/// A file's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What can be read.
    pub(super) current: Vec<u8>,
    /// What is on the medium.
    pub(super) durable: Vec<u8>,
    /// Sectors in which the two may differ and which the next sync writes.
    pub(super) dirty: BTreeSet<usize>,
    /// Whether the length is still to be synced.
    pub(super) is_len_dirty: bool,
}

impl Inode {
    pub(super) fn durable(content: Vec<u8>) -> Self {
        Self {
            durable: content.clone(),
            current: content,
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> u64 {
        // cast: a length fits in 64 bits.
        self.current.len() as u64
    }

    /// Writes the first `kept` of `octets`.
    pub(super) fn write(&mut self, offset: usize, octets: &[u8], kept: usize) {
        let octets = octets.get(..kept.min(octets.len())).unwrap_or_default();
        let end = offset.saturating_add(octets.len());
        if end > self.current.len() {
            self.set_len(end);
        }
        if let Some(place) = self.current.get_mut(offset..end) {
            place.copy_from_slice(octets);
        }
        if !octets.is_empty() {
            let last = end.saturating_sub(1) / SECTOR;
            self.dirty.extend(offset / SECTOR..=last);
        }
    }

    pub(super) fn set_len(&mut self, octets: usize) {
        let old = self.current.len();
        self.current.resize(octets, 0);
        self.is_len_dirty = true;
        self.dirty
            .extend(old.min(octets) / SECTOR..octets.div_ceil(SECTOR));
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.current.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.current, &mut self.durable, sector, SECTOR);
        }
        self.is_len_dirty = false;
    }

    /// A failed sync: what was to be written counts as written, but the length is kept.
    pub(super) fn forget(&mut self) {
        self.durable.resize(self.current.len(), 0);
        self.dirty.clear();
        self.is_len_dirty = false;
    }
}

/// Copies the first `octets` of one sector, as far as both have it.
pub(super) fn copy_sector(from: &[u8], to: &mut [u8], sector: usize, octets: usize) {
    let start = sector.saturating_mul(SECTOR);
    let end = start.saturating_add(octets).min(from.len()).min(to.len());
    if let (Some(from), Some(to)) = (from.get(start..end), to.get_mut(start..end)) {
        to.copy_from_slice(from);
    }
}
