//! What a power cut leaves.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::inode::{Inode, copy_sector};
use super::{Disk, SECTOR};

/// `SplitMix64`: enough for choices of a test disk, and the same on every machine.
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to `last`, both included.
    fn up_to(&mut self, last: usize) -> usize {
        let range = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        usize::try_from(self.next() % range).unwrap_or(last)
    }
}

/// The disk after the cut.
pub(super) fn survivor(disk: &Disk, seed: u64) -> Disk {
    let mut choices = Choices(seed);
    let mut names = disk.durable_names.clone();
    let dirs: BTreeSet<&PathBuf> = disk.pending_names.iter().map(|(dir, _)| dir).collect();
    for dir in dirs {
        let changes = || disk.pending_names.iter().filter(|(of, _)| of == dir);
        let kept = choices.up_to(changes().count());
        for (_, change) in changes().take(kept) {
            names.apply(change);
        }
    }
    names.prune();
    let inodes = disk.inodes.iter();
    Disk {
        inodes: inodes.map(|inode| rest(inode, &mut choices)).collect(),
        durable_names: names.clone(),
        names,
        has_power: true,
        ..Disk::default()
    }
}

fn rest(inode: &Inode, choices: &mut Choices) -> Inode {
    let mut content = inode.durable.clone();
    if inode.is_len_dirty {
        let (low, high) = {
            let (a, b) = (inode.durable.len(), inode.current.len());
            (a.min(b), a.max(b))
        };
        let len = match choices.up_to(3) {
            0 => inode.durable.len(),
            1 => low.saturating_add(choices.up_to(high.saturating_sub(low))),
            _ => inode.current.len(),
        };
        content.resize(len, 0);
    }
    // All, none, or each by its own throw.
    let mode = choices.up_to(3);
    let torn = choices.up_to(inode.dirty.len());
    for (nth, sector) in inode.dirty.iter().enumerate() {
        let is_kept = match mode {
            0 => false,
            1 => true,
            _ => choices.up_to(1) == 1,
        };
        let octets = match (is_kept, nth == torn) {
            (_, true) => choices.up_to(SECTOR),
            (true, false) => SECTOR,
            (false, false) => 0,
        };
        copy_sector(&inode.current, &mut content, *sector, octets);
    }
    Inode::durable(content)
}
