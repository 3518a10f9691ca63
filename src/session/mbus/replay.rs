//! Which message counters were seen under one key of a meter: modes 7 and 10.
//!
//! A head-end hears a meter through several gateways, so that telegrams come twice and out of
//! order; a window of the newest counters tells a copy from a replay. A counter is judged only
//! after its MAC or tag has verified, and the window is made durable together with the records of
//! the telegram that moved it. One window belongs to one key: meter, key number and key version.

use crate::model::flat::put;

/// How many counters up to the highest are judged one by one.
pub const WINDOW_LEN: u32 = 128;

/// For how many counters up to the highest a digest is kept.
pub const DIGESTS_LEN: u32 = 16;

// cast: a constant of 16.
const DIGESTS: usize = DIGESTS_LEN as usize;

/// What a verified counter means. Only [`Verdict::Fresh`] may create records.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// Not seen before.
    Fresh,
    /// Seen, in the same telegram as far as is known: another gateway heard it too. Counted, and no
    /// alarm.
    ///
    /// Below the newest 16 counters no digest is left, and every seen counter is called a copy: to
    /// make another telegram under it takes the key, and neither verdict creates a record.
    Copy,
    /// Seen in another telegram: two senders hold the key, or the meter's counter was set back.
    Replay,
    /// Below the window; nobody can tell any more whether it was seen.
    TooOld,
}

/// The highest verified counter under one key, and which of the 127 below it were seen.
///
/// Flat and without a pointer, so that a table of a million meters stays flat.
// clause: OMS Volume 2, message counter C''_M (verified)
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReplayWindow {
    /// The highest counter that was accepted. Means nothing while `seen` is 0.
    highest: u32,
    /// Bit i: `highest - i` was accepted. Bit 0 is set from the first acceptance on.
    seen: u128,
    /// Digest of a counter among the newest 16 at its remainder by 16.
    digests: [u32; DIGESTS],
}

impl ReplayWindow {
    /// Octets of a window where it is kept flat.
    pub const OCTETS: usize = 4 + 16 + 4 * DIGESTS;

    /// The highest counter that was accepted; none before the first.
    #[must_use]
    pub fn highest(&self) -> Option<u32> {
        (self.seen != 0).then_some(self.highest)
    }

    /// Judges the counter of a telegram that has verified. Changes nothing.
    ///
    /// The digest stands for the whole telegram from its transport header on, without what gateways
    /// and repeaters change: four octets of a MAC or tag will do.
    #[must_use]
    pub fn check(&self, counter: u32, digest: u32) -> Verdict {
        let Some(age) = self.age(counter) else {
            return Verdict::Fresh;
        };
        if age >= WINDOW_LEN {
            return Verdict::TooOld;
        }
        if self.seen & bit(age) == 0 {
            return Verdict::Fresh;
        }
        if age < DIGESTS_LEN && self.digests.get(slot(counter)) != Some(&digest) {
            return Verdict::Replay;
        }
        Verdict::Copy
    }

    /// Judges the counter, and notes it if it is fresh; otherwise nothing changes.
    pub fn accept(&mut self, counter: u32, digest: u32) -> Verdict {
        let verdict = self.check(counter, digest);
        if verdict != Verdict::Fresh {
            return verdict;
        }
        let age = match self.age(counter) {
            Some(age) => age,
            None => {
                let steps = counter.saturating_sub(self.highest);
                self.seen = self.seen.checked_shl(steps).unwrap_or(0);
                self.highest = counter;
                0
            }
        };
        self.seen |= bit(age);
        if age < DIGESTS_LEN
            && let Some(place) = self.digests.get_mut(slot(counter))
        {
            *place = digest;
        }
        verdict
    }

    /// The window as octets.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        let rest = put(&mut octets, self.highest.to_le_bytes());
        let mut rest = put(rest, self.seen.to_le_bytes());
        for digest in self.digests {
            rest = put(rest, digest.to_le_bytes());
        }
        octets
    }

    /// The window of octets that [`Self::encode`] made; none for octets that are no window, which
    /// is damage and must not be taken for an empty one.
    #[must_use]
    pub fn decode(octets: &[u8; Self::OCTETS]) -> Option<Self> {
        let (highest, rest) = octets.split_first_chunk()?;
        let (seen, rest) = rest.split_first_chunk()?;
        let (digests, _) = rest.as_chunks();
        let mut window = Self {
            highest: u32::from_le_bytes(*highest),
            seen: u128::from_le_bytes(*seen),
            ..Self::default()
        };
        for (to, from) in window.digests.iter_mut().zip(digests) {
            *to = u32::from_le_bytes(*from);
        }
        window.is_whole().then_some(window)
    }

    /// Whether the highest counter was seen, if any was, and none below 0.
    fn is_whole(&self) -> bool {
        let counters = self.highest.saturating_add(1);
        let below_zero = u128::MAX.checked_shl(counters).unwrap_or(0);
        match self.seen {
            0 => *self == Self::default(),
            seen => seen & 1 == 1 && seen & below_zero == 0,
        }
    }

    /// How far a counter is below the highest; none above it, or before the first.
    fn age(&self, counter: u32) -> Option<u32> {
        self.highest()?.checked_sub(counter)
    }
}

/// The bit of an age; none set outside of the window.
fn bit(age: u32) -> u128 {
    1_u128.checked_shl(age).unwrap_or(0)
}

/// Where the digest of a counter is kept.
fn slot(counter: u32) -> usize {
    // cast: less than 16.
    (counter % DIGESTS_LEN) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Every counter ever accepted, with its digest.
    #[derive(Default)]
    struct Model(BTreeMap<u32, u32>);

    impl Model {
        fn accept(&mut self, counter: u32, digest: u32) -> Verdict {
            let highest = self.0.last_key_value().map(|(counter, _)| *counter);
            let verdict = match (highest, self.0.get(&counter)) {
                (Some(highest), _) if u64::from(counter) + 128 <= u64::from(highest) => {
                    Verdict::TooOld
                }
                (_, None) => Verdict::Fresh,
                (Some(highest), Some(kept)) if highest - counter < 16 && *kept != digest => {
                    Verdict::Replay
                }
                _ => Verdict::Copy,
            };
            if verdict == Verdict::Fresh {
                self.0.insert(counter, digest);
            }
            verdict
        }
    }

    fn counters() -> impl Strategy<Value = u32> {
        prop_oneof![
            8 => 0_u32..300,
            1 => u32::MAX - 300..=u32::MAX,
            1 => any::<u32>(),
        ]
    }

    proptest! {
        #[test]
        fn the_window_judges_as_a_list_of_all_counters_does(
            steps in proptest::collection::vec((counters(), 0_u32..3), 1..400),
        ) {
            let (mut window, mut model) = (ReplayWindow::default(), Model::default());
            for (counter, digest) in steps {
                let before = window;
                let judged = window.check(counter, digest);
                prop_assert_eq!(judged, window.accept(counter, digest));
                prop_assert_eq!(judged, model.accept(counter, digest));
                prop_assert!(judged == Verdict::Fresh || window == before);
                prop_assert_eq!(ReplayWindow::decode(&window.encode()), Some(window));
                prop_assert_eq!(window.highest(), model.0.last_key_value().map(|(c, _)| *c));
            }
        }

        #[test]
        fn no_octets_make_it_panic(
            octets in proptest::collection::vec(any::<u8>(), ReplayWindow::OCTETS),
            counter: u32,
        ) {
            let octets: [u8; ReplayWindow::OCTETS] = octets.try_into().unwrap();
            if let Some(mut window) = ReplayWindow::decode(&octets) {
                window.accept(counter, 0);
                prop_assert_eq!(ReplayWindow::decode(&window.encode()), Some(window));
            }
        }
    }

    #[test]
    fn the_first_counter_may_be_0_and_the_last_ends_the_line() {
        let mut window = ReplayWindow::default();
        assert_eq!(window.highest(), None);
        assert_eq!(window.accept(0, 1), Verdict::Fresh);
        assert_eq!(window.accept(0, 1), Verdict::Copy);
        assert_eq!(window.accept(0, 2), Verdict::Replay);
        assert_eq!(window.accept(u32::MAX, 1), Verdict::Fresh);
        assert_eq!(window.accept(0, 1), Verdict::TooOld);
        assert_eq!(window.accept(u32::MAX - 127, 1), Verdict::Fresh);
        assert_eq!(window.accept(u32::MAX - 128, 1), Verdict::TooOld);
        assert_eq!(window.accept(u32::MAX - 127, 2), Verdict::Copy);
    }

    #[test]
    fn damaged_octets_are_no_window() {
        let mut window = ReplayWindow::default();
        window.accept(5, 9);
        let octets = window.encode();
        // The bit of the highest counter, a counter below 0, and a counter without any seen.
        for (at, octet) in [(4, 0x02), (4, 0x41), (4, 0x00)] {
            let mut damaged = octets;
            damaged[at] = octet;
            assert_eq!(ReplayWindow::decode(&damaged), None);
        }
    }
}
