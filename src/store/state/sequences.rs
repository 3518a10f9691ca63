//! Which records of a terminal may be durable, in 37 octets.
//!
//! What is asked of the log costs reading, so the answer "none" must be a proof and "perhaps" must
//! be rare. Of the present epoch two rows of 64 sequences are known one by one: those up to the
//! highest, where alarms and new records are, and those up to the *floor*, where a backlog is
//! working its way up. Between the rows nothing is durable. Of the epoch that was left, the highest
//! sequence is known; of those before it, only a filter that tells most other epochs apart from
//! them.

use core::num::NonZeroU32;

use crate::model::flat::put;

/// How many sequences of a row are known one by one.
pub const ROW: u32 = 64;

/// Which records of a terminal may be durable, as far as that is known without the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SequenceTrack {
    /// The store epoch that records were last kept in, 0 before the first.
    pub epoch: u32,
    /// The highest durable sequence of that epoch.
    pub highest: u32,
    /// Bit i: the sequence `highest - i` may be durable.
    pub recent: u64,
    /// The highest durable sequence at or below `highest - 64`; the largest number if nothing is
    /// known of the epoch, and any sequence may be durable.
    pub floor: u32,
    /// Bit i: the sequence `floor - i` may be durable.
    pub low: u64,
    /// The epoch that was left for the present one, 0 if none was.
    pub left: u32,
    /// The highest durable sequence of the epoch that was left.
    pub left_highest: u32,
    /// A filter of the epochs before that one, and of late records' epochs.
    pub older: u8,
}

/// The bit of an epoch in the filter. Epochs are drawn at random.
fn filter_bit(epoch: u32) -> u8 {
    let mixed = epoch.wrapping_mul(0x9E37_79B1) >> 29;
    1u8.checked_shl(mixed).unwrap_or(0)
}

const fn bit(age: u32) -> u64 {
    match 1u64.checked_shl(age) {
        Some(bit) => bit,
        None => 0,
    }
}

impl SequenceTrack {
    /// Octets of a track where it is kept flat.
    pub const OCTETS: usize = 37;

    /// Notes a durable record of an epoch.
    pub fn note(&mut self, epoch: NonZeroU32, sequence: u32) {
        let epoch = epoch.get();
        if epoch != self.epoch {
            if epoch == self.left {
                self.left_highest = self.left_highest.max(sequence);
            } else {
                self.older |= filter_bit(epoch);
            }
            return;
        }
        let Some(age) = self.highest.checked_sub(sequence) else {
            return self.raise(sequence);
        };
        if age < ROW {
            self.recent |= bit(age);
        } else {
            self.note_low(sequence);
        }
    }

    /// Moves the upper row up to a sequence that lies above it.
    fn raise(&mut self, sequence: u32) {
        let by = sequence.saturating_sub(self.highest);
        // The oldest first, so that the lower row ends at the youngest.
        for age in (0..ROW).rev() {
            let leaves = age.saturating_add(by) >= ROW;
            if leaves && self.recent & bit(age) != 0 {
                self.note_low(self.highest.saturating_sub(age));
            }
        }
        self.recent = self.recent.checked_shl(by).unwrap_or(0) | 1;
        self.highest = sequence;
    }

    fn note_low(&mut self, sequence: u32) {
        if let Some(age) = self.floor.checked_sub(sequence) {
            self.low |= bit(age);
        } else {
            let by = sequence.saturating_sub(self.floor);
            self.low = self.low.checked_shl(by).unwrap_or(0) | 1;
            self.floor = sequence;
        }
    }

    /// Whether it is certain that nothing is durable in an epoch.
    #[must_use]
    pub fn has_nothing_of(&self, epoch: NonZeroU32) -> bool {
        let epoch = epoch.get();
        let is_near = epoch == self.epoch || epoch == self.left;
        !is_near && self.older & filter_bit(epoch) == 0
    }

    /// Goes on in another epoch. `is_new` says that it is certain that nothing is durable in it.
    pub fn begin(&mut self, epoch: NonZeroU32, is_new: bool) {
        let epoch = epoch.get();
        if epoch == self.epoch {
            return;
        }
        let mut next = Self {
            epoch,
            left: self.epoch,
            left_highest: self.end(),
            older: self.older,
            ..Self::default()
        };
        if epoch == self.left {
            // Of what was kept in it before, only the end is remembered.
            next.highest = self.left_highest;
            next.recent = u64::MAX;
            next.floor = self.left_highest.saturating_sub(ROW);
            next.low = u64::MAX;
        } else {
            if self.older & filter_bit(epoch) != 0 && !is_new {
                next.floor = u32::MAX;
                next.low = u64::MAX;
            }
            if self.left != 0 {
                next.older |= filter_bit(self.left);
            }
        }
        *self = next;
    }

    /// The highest sequence that may be durable.
    fn end(&self) -> u32 {
        self.highest.max(self.floor)
    }

    /// Whether a record may be durable: false is a proof that none is, and else the log knows.
    #[must_use]
    pub fn may_be_durable(&self, epoch: NonZeroU32, sequence: u32) -> bool {
        let epoch = epoch.get();
        if epoch == self.epoch {
            self.may_hold(sequence)
        } else if epoch == self.left {
            sequence <= self.left_highest
        } else {
            self.older & filter_bit(epoch) != 0
        }
    }

    fn may_hold(&self, sequence: u32) -> bool {
        if let Some(age) = self.floor.checked_sub(sequence) {
            return age >= ROW || self.low & bit(age) != 0;
        }
        let age = self.highest.checked_sub(sequence);
        age.is_some_and(|age| self.recent & bit(age) != 0)
    }

    /// The epochs that the terminal moved on to from `epoch`, as far as they are remembered.
    // spec: REC-8
    #[must_use]
    pub fn later_epochs(&self, epoch: NonZeroU32) -> Vec<NonZeroU32> {
        let epoch = epoch.get();
        let later = if epoch == self.epoch {
            [0, 0]
        } else if epoch == self.left {
            [self.epoch, 0]
        } else if self.older & filter_bit(epoch) != 0 {
            [self.epoch, self.left]
        } else {
            [0, 0]
        };
        later.into_iter().filter_map(NonZeroU32::new).collect()
    }

    /// The track as [`Self::from_octets`] reads it, little-endian, in the order of the fields.
    #[must_use]
    pub fn octets(&self) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        let rest = put(&mut octets, self.epoch.to_le_bytes());
        let rest = put(rest, self.highest.to_le_bytes());
        let rest = put(rest, self.recent.to_le_bytes());
        let rest = put(rest, self.floor.to_le_bytes());
        let rest = put(rest, self.low.to_le_bytes());
        let rest = put(rest, self.left.to_le_bytes());
        let rest = put(rest, self.left_highest.to_le_bytes());
        let _none = put(rest, [self.older]);
        octets
    }

    /// The track of the octets that [`Self::octets`] gave.
    #[must_use]
    pub fn from_octets(octets: &[u8; Self::OCTETS]) -> Self {
        let [
            e0,
            e1,
            e2,
            e3,
            h0,
            h1,
            h2,
            h3,
            r0,
            r1,
            r2,
            r3,
            r4,
            r5,
            r6,
            r7,
            f0,
            f1,
            f2,
            f3,
            w0,
            w1,
            w2,
            w3,
            w4,
            w5,
            w6,
            w7,
            l0,
            l1,
            l2,
            l3,
            t0,
            t1,
            t2,
            t3,
            older,
        ] = *octets;
        Self {
            epoch: u32::from_le_bytes([e0, e1, e2, e3]),
            highest: u32::from_le_bytes([h0, h1, h2, h3]),
            recent: u64::from_le_bytes([r0, r1, r2, r3, r4, r5, r6, r7]),
            floor: u32::from_le_bytes([f0, f1, f2, f3]),
            low: u64::from_le_bytes([w0, w1, w2, w3, w4, w5, w6, w7]),
            left: u32::from_le_bytes([l0, l1, l2, l3]),
            left_highest: u32::from_le_bytes([t0, t1, t2, t3]),
            older,
        }
    }

    /// The track of a snapshot of version 1, which knew one row of one epoch.
    #[must_use]
    pub const fn of_version_1(epoch: u32, highest: u32, recent: u64) -> Self {
        Self {
            epoch,
            highest,
            recent,
            floor: highest.saturating_sub(ROW),
            low: u64::MAX,
            left: 0,
            left_highest: 0,
            older: if epoch == 0 { 0 } else { u8::MAX },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const A: NonZeroU32 = NonZeroU32::new(7).unwrap();
    const B: NonZeroU32 = NonZeroU32::new(8).unwrap();
    const C: NonZeroU32 = NonZeroU32::new(0x8F3A_21BC).unwrap();

    fn of(epoch: NonZeroU32, sequences: impl IntoIterator<Item = u32>) -> SequenceTrack {
        let mut track = SequenceTrack::default();
        track.begin(epoch, false);
        for sequence in sequences {
            track.note(epoch, sequence);
        }
        track
    }

    fn asks(track: &SequenceTrack, epoch: NonZeroU32, sequence: u32) -> bool {
        track.may_be_durable(epoch, sequence)
    }

    #[test]
    fn sequences_that_were_never_durable_are_known_without_the_log() {
        assert!(!asks(&SequenceTrack::default(), A, 1));
        let track = of(A, [1, 2, 5]);
        let asked: Vec<u32> = (1..200).filter(|one| asks(&track, A, *one)).collect();
        assert_eq!(asked, [1, 2, 5]);
    }

    #[test]
    fn a_backlog_after_an_outage_needs_no_log_however_far_below_the_alarm_it_is() {
        // REC-30: the newest alarm first, then the oldest records.
        let mut track = of(A, 1..=500);
        track.note(A, 2_000);
        for sequence in 501..2_000 {
            assert!(!asks(&track, A, sequence), "{sequence}");
            track.note(A, sequence);
            assert!(asks(&track, A, sequence), "{sequence}");
        }
    }

    #[test]
    fn frames_of_a_batch_that_overtook_each_other_need_no_log_either() {
        let mut track = of(A, 1..=500);
        track.note(A, 2_000);
        let order = (511..=540).chain(501..=510);
        for sequence in order {
            assert!(!asks(&track, A, sequence), "{sequence}");
            track.note(A, sequence);
        }
    }

    #[test]
    fn an_epoch_that_was_never_seen_needs_no_log() {
        let mut track = of(A, 1..=500);
        assert!(!asks(&track, B, 1) && !asks(&track, B, 500));
        track.begin(B, false);
        track.note(B, 61);
        assert!(!asks(&track, B, 60) && asks(&track, B, 61));
    }

    #[test]
    fn an_epoch_that_comes_back_is_never_taken_for_empty() {
        let mut track = of(A, 1..=100);
        track.begin(B, false);
        track.note(B, 1);
        track.begin(A, false);
        assert!((1..=100).all(|one| asks(&track, A, one)));
        assert!(!asks(&track, A, 101));
        assert!(asks(&track, B, 1) && !asks(&track, B, 2));
        for epoch in [C, B] {
            track.begin(epoch, false);
            track.note(epoch, 1);
        }
        track.begin(A, false);
        assert!((1..=1_000).all(|one| asks(&track, A, one)));
    }

    #[test]
    fn an_epoch_that_looks_like_an_older_one_is_new_when_the_log_says_so() {
        let mut track = of(A, [1]);
        track.begin(B, false);
        track.begin(C, false);
        track.older = u8::MAX;
        let next = NonZeroU32::new(99).unwrap();
        track.begin(next, true);
        track.note(next, 1);
        assert!(asks(&track, next, 1) && !asks(&track, next, 2));
    }

    // spec: REC-8
    #[test]
    fn the_epochs_after_one_that_was_left_are_remembered() {
        let mut track = of(A, [1]);
        assert_eq!(track.later_epochs(A), []);
        track.begin(B, false);
        assert_eq!(track.later_epochs(A), [B]);
        track.begin(C, false);
        assert_eq!(track.later_epochs(B), [C]);
        assert_eq!(track.later_epochs(A), [C, B]);
        assert_eq!(track.later_epochs(C), []);
    }

    #[test]
    fn a_track_of_an_earlier_snapshot_denies_nothing_that_it_does_not_know() {
        let track = SequenceTrack::of_version_1(A.get(), 500, 0b101);
        assert!(asks(&track, A, 500) && !asks(&track, A, 499) && asks(&track, A, 498));
        assert!((1..=436).all(|one| asks(&track, A, one)));
        assert!(asks(&track, B, 1) && !asks(&track, A, 501));
    }

    proptest! {
        #[test]
        fn what_is_durable_is_never_denied(
            steps in proptest::collection::vec((0usize..4, 1u32..400, any::<bool>()), 1..200),
        ) {
            let epochs = [A, B, C, NonZeroU32::new(0x1234_5678).unwrap()];
            let mut track = SequenceTrack::default();
            let mut durable = BTreeSet::new();
            for (epoch, sequence, is_late) in steps {
                let epoch = epochs[epoch];
                if !is_late || track.epoch == 0 {
                    track.begin(epoch, false);
                }
                track.note(epoch, sequence);
                durable.insert((epoch, sequence));
                for (epoch, sequence) in &durable {
                    prop_assert!(asks(&track, *epoch, *sequence));
                }
            }
            prop_assert_eq!(SequenceTrack::from_octets(&track.octets()), track);
        }
    }
}
