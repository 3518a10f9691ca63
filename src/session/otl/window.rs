//! Which frame counters of a terminal were seen: the replay window of part 4.
//!
//! The window is part of what a session step makes durable, together with the records of the frame
//! that moved it; a window that is lost would accept a replay after a restart. It keeps a digest of
//! each tag, because the same counter under another tag is no repeat but a second terminal.

use crate::model::flat::put;
use crate::wire::otl::ident::FrameCounter;

/// How many counters up to the highest are judged one by one; those below are stale.
pub const WINDOW_LEN: usize = 16;

/// How many counters up to the highest the window knows to be safe: the window and, below its
/// lowest counter, the sixteen that an answer's map names, so that the answer to any repeat says
/// all that its first answer said.
pub const SAFE_LEN: usize = 2 * WINDOW_LEN;

/// Four octets that stand for an authentication tag.
///
/// A repeat has the same tag; two different frames under one counter share these octets by chance
/// once in 2^32, and are then taken for a repeat, which acknowledges nothing new.
pub type TagDigest = [u8; 4];

/// What became of the records of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// Every record is durable.
    Safe,
    /// One contradicts what is kept; the terminal is to draw a new store epoch.
    // spec: REC-9
    Conflict,
    /// The frame was seen, and may not be called safe: its content cannot be read, or its counter
    /// was seen with another tag too, so that nobody can know which of the two frames the reader of
    /// an answer sent.
    // spec: REP-3, REC-12
    Seen,
}

/// What a verified frame counter means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CounterVerdict {
    /// Not seen before, and above the window or inside of it.
    New,
    /// Seen with the same tag: the terminal did not hear the answer.
    Duplicate,
    /// Seen with another tag: two terminals share one identity, or a memory was set back.
    Clone,
    /// Below the window; the terminal is to continue with [`ReplayWindow::floor`].
    Stale,
}

/// 2020-01-01T00:00:00Z, where the counter line begins.
const LINE_START_UTC_S: u32 = 1_577_836_800;
/// Seconds of one step of the counter line: 337 steps a day, more than a terminal may use.
const LINE_STEP_S: u32 = 256;
/// How far the line runs ahead of the clock.
const LINE_LEAD: u32 = 1_024;

/// The highest verified frame counter of one terminal, and the fifteen below it.
///
/// 80 octets without a pointer, so that a table of a million terminals stays flat.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReplayWindow {
    /// The highest counter that verified; 0 before the first.
    highest: u32,
    /// Bit i: the counter `highest - i` was seen.
    seen: u16,
    /// Bit i: every record of the frame `highest - i` is durable.
    safe: u32,
    /// Bit i: the frame `highest - i` held a record that contradicts one that is kept.
    conflicts: u16,
    /// Digest of the tag of `highest - i` at index i, where the bit is set.
    digests: [TagDigest; WINDOW_LEN],
}

impl ReplayWindow {
    /// Octets of a window where it is kept flat.
    pub const OCTETS: usize = 12 + 4 * WINDOW_LEN;

    /// The highest counter that verified, 0 before the first.
    #[must_use]
    pub const fn highest(&self) -> u32 {
        self.highest
    }

    /// The counter that a terminal which is behind, or lost its own, continues with.
    ///
    /// It never depends on stored state alone: a server restored from an old copy has an old
    /// highest counter, and a terminal told to go on from there would repeat nonces.
    // spec: REP-6, RSY-2
    #[must_use]
    pub fn floor(&self, now_utc_s: u32) -> u32 {
        let steps = now_utc_s
            .saturating_sub(LINE_START_UTC_S)
            .checked_div(LINE_STEP_S);
        let line = steps.unwrap_or(0).saturating_add(LINE_LEAD);
        self.highest
            .saturating_add(1)
            .max(line)
            .min(FrameCounter::LAST.get())
    }

    /// Judges the counter of a frame whose tag has verified. Changes nothing.
    // spec: REP-1, REP-2, REP-3, REP-4, REP-5
    #[must_use]
    pub fn judge(&self, counter: u32, digest: TagDigest) -> CounterVerdict {
        if counter > self.highest {
            return CounterVerdict::New;
        }
        let Some(age) = self.age(counter, WINDOW_LEN) else {
            return CounterVerdict::Stale;
        };
        if self.seen & bit(age) == 0 {
            return CounterVerdict::New;
        }
        if self.digests.get(age) == Some(&digest) {
            CounterVerdict::Duplicate
        } else {
            CounterVerdict::Clone
        }
    }

    /// Notes a frame that was judged [`CounterVerdict::New`], and what became of its records. A
    /// counter below the window changes nothing.
    // spec: REP-1, REP-3, REC-9
    pub fn note(&mut self, counter: u32, digest: TagDigest, kept: Kept) {
        if counter > self.highest {
            self.advance(counter);
        }
        let Some(age) = self.age(counter, WINDOW_LEN) else {
            return;
        };
        self.seen |= bit(age);
        match kept {
            Kept::Safe => self.safe |= bit32(age),
            Kept::Conflict => self.conflicts |= bit(age),
            Kept::Seen => {}
        }
        if let Some(slot) = self.digests.get_mut(age) {
            *slot = digest;
        }
    }

    /// Whether every record of the frame under `counter` is known to be durable.
    #[must_use]
    pub fn is_safe(&self, counter: u32) -> bool {
        self.age(counter, SAFE_LEN)
            .is_some_and(|age| self.safe & bit32(age) != 0)
    }

    /// Whether the frame under `counter` held a contradiction, so that its terminal is to draw a
    /// new store epoch.
    // spec: REC-9
    #[must_use]
    pub fn is_conflict(&self, counter: u32) -> bool {
        self.age(counter, WINDOW_LEN)
            .is_some_and(|age| self.conflicts & bit(age) != 0)
    }

    /// The map of safe frames below `counter`, as an answer carries it: bit i is `counter - 1 - i`.
    // spec: ANS-1, ANS-6
    #[must_use]
    pub fn map_below(&self, counter: u32) -> u16 {
        let mut map = 0u16;
        for i in 0..16u32 {
            let below = counter.checked_sub(1).and_then(|c| c.checked_sub(i));
            if below.is_some_and(|below| self.is_safe(below)) {
                map |= 1u16.checked_shl(i).unwrap_or(0);
            }
        }
        map
    }

    /// Notes that a counter was seen with two tags: no answer may call its frame safe again, since
    /// nobody can know which of the two frames the reader of the map sent.
    // spec: REP-3
    pub fn note_clone(&mut self, counter: u32) {
        if let Some(age) = self.age(counter, SAFE_LEN) {
            self.safe &= !bit32(age);
        }
    }

    /// Moves the window up to `counter`, which lies above it.
    fn advance(&mut self, counter: u32) {
        let by = counter.saturating_sub(self.highest);
        self.seen = self.seen.checked_shl(by).unwrap_or(0);
        self.safe = self.safe.checked_shl(by).unwrap_or(0);
        self.conflicts = self.conflicts.checked_shl(by).unwrap_or(0);
        match usize::try_from(by) {
            Ok(by) if by < WINDOW_LEN => self.digests.rotate_right(by),
            _ => self.digests = [[0; 4]; WINDOW_LEN],
        }
        self.highest = counter;
    }

    /// The window as [`Self::from_octets`] reads it.
    #[must_use]
    pub fn octets(&self) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        let rest = put(&mut octets, self.highest.to_be_bytes());
        let rest = put(rest, self.seen.to_be_bytes());
        let rest = put(rest, self.safe.to_be_bytes());
        let digests = put(rest, self.conflicts.to_be_bytes());
        for (to, digest) in digests.as_chunks_mut::<4>().0.iter_mut().zip(self.digests) {
            *to = digest;
        }
        octets
    }

    /// The window of the octets that [`Self::octets`] gave.
    #[must_use]
    pub fn from_octets(octets: &[u8; Self::OCTETS]) -> Self {
        let [h0, h1, h2, h3, s0, s1, a, b, c, d, c0, c1, digests @ ..] = *octets;
        let (found, _) = digests.as_chunks::<4>();
        let mut window = Self {
            highest: u32::from_be_bytes([h0, h1, h2, h3]),
            seen: u16::from_be_bytes([s0, s1]),
            safe: u32::from_be_bytes([a, b, c, d]),
            conflicts: u16::from_be_bytes([c0, c1]),
            digests: [[0; 4]; WINDOW_LEN],
        };
        for (to, from) in window.digests.iter_mut().zip(found) {
            *to = *from;
        }
        window
    }

    /// How far `counter` lies below the highest, if that is less than `limit`.
    fn age(&self, counter: u32, limit: usize) -> Option<usize> {
        let age = usize::try_from(self.highest.checked_sub(counter)?).ok()?;
        (age < limit && counter > 0).then_some(age)
    }
}

/// The bit of age `i`, for i below [`WINDOW_LEN`].
fn bit(i: usize) -> u16 {
    u32::try_from(i).map_or(0, |i| 1u16.checked_shl(i).unwrap_or(0))
}

/// The bit of age `i`, for i below [`SAFE_LEN`].
fn bit32(i: usize) -> u32 {
    u32::try_from(i).map_or(0, |i| 1u32.checked_shl(i).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TagDigest = [1, 2, 3, 4];
    const B: TagDigest = [5, 6, 7, 8];

    // spec: REP-2, REP-3
    #[test]
    fn a_seen_counter_is_a_duplicate_with_its_tag_and_a_clone_with_another() {
        let mut window = ReplayWindow::default();
        assert_eq!(window.judge(7, A), CounterVerdict::New);
        window.note(7, A, Kept::Safe);
        assert_eq!(window.judge(7, A), CounterVerdict::Duplicate);
        assert_eq!(window.judge(7, B), CounterVerdict::Clone);
    }

    // spec: REP-1, REP-4
    #[test]
    fn a_gap_inside_the_window_is_still_new_after_later_frames() {
        let mut window = ReplayWindow::default();
        window.note(10, A, Kept::Safe);
        window.note(12, B, Kept::Safe);
        assert_eq!(window.judge(11, A), CounterVerdict::New);
        window.note(11, B, Kept::Safe);
        assert_eq!(window.judge(11, B), CounterVerdict::Duplicate);
        assert_eq!(window.judge(10, A), CounterVerdict::Duplicate);
        assert_eq!(window.judge(12, B), CounterVerdict::Duplicate);
    }

    // spec: REP-5, REP-6
    #[test]
    fn a_counter_below_the_window_is_stale() {
        let mut window = ReplayWindow::default();
        window.note(100, A, Kept::Safe);
        assert_eq!(window.judge(85, A), CounterVerdict::New);
        assert_eq!(window.judge(84, A), CounterVerdict::Stale);
    }

    // spec: REP-6
    #[test]
    fn a_floor_is_above_the_highest_counter_and_above_the_line_of_the_day() {
        let mut window = ReplayWindow::default();
        let now_utc_s = 1_793_404_800;
        assert_eq!(
            window.floor(now_utc_s),
            (1_793_404_800 - 1_577_836_800) / 256 + 1_024
        );
        window.note(2_000_000, A, Kept::Safe);
        assert_eq!(window.floor(now_utc_s), 2_000_001);
        assert_eq!(window.floor(0), 2_000_001);
    }

    // spec: ANS-1
    #[test]
    fn the_map_names_exactly_the_noted_frames_before_a_counter() {
        let mut window = ReplayWindow::default();
        for counter in [3, 4, 6] {
            window.note(counter, A, Kept::Safe);
        }
        assert_eq!(window.map_below(7), 0b1101);
        assert_eq!(window.map_below(1), 0);
        assert_eq!(window.map_below(4), 0b1);
    }

    // spec: ANS-6
    #[test]
    fn the_answer_to_the_oldest_repeat_still_names_all_frames_of_its_batch() {
        let mut window = ReplayWindow::default();
        for counter in 1..=8 {
            window.note(counter, A, Kept::Safe);
        }
        let first = window.map_below(8);
        for counter in 9..=23 {
            window.note(counter, A, Kept::Safe);
            assert_eq!(window.judge(8, A), CounterVerdict::Duplicate);
            assert_eq!(window.map_below(8), first);
        }
    }

    // spec: REP-3
    #[test]
    fn a_counter_seen_with_two_tags_is_never_named_safe_again() {
        let mut window = ReplayWindow::default();
        window.note(5, A, Kept::Safe);
        window.note(6, A, Kept::Safe);
        assert_eq!(window.judge(5, B), CounterVerdict::Clone);
        window.note_clone(5);
        assert_eq!(window.map_below(7), 0b01);
        assert_eq!(window.judge(5, A), CounterVerdict::Duplicate);
    }

    // spec: ANS-1
    #[test]
    fn a_frame_that_was_seen_but_not_kept_is_never_named_safe() {
        let mut window = ReplayWindow::default();
        window.note(5, A, Kept::Conflict);
        assert!(!window.is_safe(5));
        assert_eq!(window.map_below(6), 0);
        assert_eq!(window.judge(5, A), CounterVerdict::Duplicate);
    }

    // spec: REP-1
    #[test]
    fn a_window_that_was_kept_flat_is_the_same_window() {
        let mut window = ReplayWindow::default();
        for (counter, kept) in [(7, Kept::Safe), (9, Kept::Conflict), (12, Kept::Seen)] {
            window.note(counter, [7, 1, 2, 3], kept);
        }
        assert_eq!(ReplayWindow::from_octets(&window.octets()), window);
    }

    // spec: REP-1
    #[test]
    fn a_window_agrees_with_a_plain_set_for_random_orders() {
        use proptest::prelude::*;
        proptest!(|(counters in proptest::collection::vec(1u32..60, 1..80))| {
            let mut window = ReplayWindow::default();
            let mut seen = std::collections::BTreeSet::new();
            let mut highest = 0;
            for counter in counters {
                let expected = if counter > highest {
                    CounterVerdict::New
                } else if highest - counter >= 16 {
                    CounterVerdict::Stale
                } else if seen.contains(&counter) {
                    CounterVerdict::Duplicate
                } else {
                    CounterVerdict::New
                };
                prop_assert_eq!(window.judge(counter, A), expected);
                if expected == CounterVerdict::New {
                    window.note(counter, A, Kept::Safe);
                    seen.insert(counter);
                    highest = highest.max(counter);
                }
            }
        });
    }
}
