//! Failed openings, counted per terminal and key version: enough to notice an attack on tags of
//! eight octets, never a reason to lock a terminal out.
//!
//! The table is bounded, because whoever sends wrong tags chooses the identities. When it is full,
//! the entry with the fewest failures makes room, so that a flood over many registered identities
//! cannot hide a steady attack on one.

use std::collections::HashMap;

/// Failures of one key after which an alarm is raised, and again at each multiple.
// spec: SES-11
pub const FAILED_OPENS_ALARM: u32 = 1_024;

/// Entries of the table: 16 octets each and the map's overhead, about 256 KiB in all.
pub const ENTRIES_MAX: usize = 8_192;

/// The counts of failed openings.
#[derive(Debug, Default)]
pub struct FailedOpens {
    counts: HashMap<([u8; 8], u8), u32>,
}

impl FailedOpens {
    /// Counts one failure. Returns true when an alarm is due for this key.
    // spec: SES-11
    pub fn count(&mut self, identity: [u8; 8], key_version: u8) -> bool {
        let key = (identity, key_version);
        if !self.counts.contains_key(&key) && self.counts.len() >= ENTRIES_MAX {
            self.make_room();
        }
        let count = self.counts.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        count.is_multiple_of(FAILED_OPENS_ALARM)
    }

    /// How many failures are on record for this key.
    #[must_use]
    pub fn of(&self, identity: [u8; 8], key_version: u8) -> u32 {
        self.counts
            .get(&(identity, key_version))
            .copied()
            .unwrap_or(0)
    }

    /// Drops the quarter of the entries with the fewest failures: a full table is swept rarely.
    fn make_room(&mut self) {
        let mut counts: Vec<u32> = self.counts.values().copied().collect();
        let quarter = ENTRIES_MAX / 4;
        let (_, limit, _) = counts.select_nth_unstable(quarter);
        let limit = *limit;
        let mut to_drop = quarter;
        self.counts.retain(|_, count| {
            let drop = *count <= limit && to_drop > 0;
            if drop {
                to_drop = to_drop.saturating_sub(1);
            }
            !drop
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: SES-11
    #[test]
    fn the_alarm_comes_at_1024_failures_of_one_key_and_not_before() {
        let mut failures = FailedOpens::default();
        let alarms: Vec<u32> = (1..=2_048).filter(|_| failures.count([1; 8], 1)).collect();
        assert_eq!(alarms, [1_024, 2_048]);
        assert_eq!(failures.of([1; 8], 2), 0);
    }

    // spec: SES-11
    #[test]
    fn a_flood_over_many_identities_neither_grows_the_table_nor_hides_a_steady_attack() {
        let mut failures = FailedOpens::default();
        for _ in 0..1_000 {
            failures.count([0xAA; 8], 1);
        }
        for i in 0..50_000u64 {
            failures.count(i.to_be_bytes(), 1);
        }
        assert!(failures.counts.len() <= ENTRIES_MAX);
        assert_eq!(failures.of([0xAA; 8], 1), 1_000);
    }
}
