//! Which telegrams of a meter came lately, where no message counter tells: modes 0 and 5, and a
//! link that is encrypted alone.
//!
//! The access number has eight bits and comes round within hours, so that a telegram is known again
//! by a digest, within a span of time. What is older is forgotten: that somebody plays an old
//! telegram of these modes once more cannot be found out here.

use crate::model::flat::put;

/// How many telegrams are remembered.
pub const RECENT_LEN: usize = 8;

/// A telegram that came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Heard {
    digest: u64,
    received_s: u32,
}

/// The newest telegrams of one meter: digest and second of reception.
///
/// Flat and without a pointer, so that a table of a million meters stays flat.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Recent {
    /// How many entries are in use.
    len: u8,
    /// The last noted first; zeros behind those in use.
    heard: [Heard; RECENT_LEN],
}

impl Recent {
    /// Octets of the list where it is kept flat.
    pub const OCTETS: usize = 1 + 12 * RECENT_LEN;

    /// Whether a telegram with this digest came within the span, in seconds, before or after
    /// `now_s`: gateways deliver late and in any order.
    ///
    /// Times are seconds of reception since 1970, UTC.
    #[must_use]
    pub fn is_copy(&self, now_s: u32, digest: u64, span_s: u32) -> bool {
        let in_use = self.heard.iter().take(usize::from(self.len));
        in_use
            .filter(|heard| heard.digest == digest)
            .any(|heard| heard.received_s.abs_diff(now_s) <= span_s)
    }

    /// Notes a telegram; the one noted longest ago makes room.
    pub fn note(&mut self, now_s: u32, digest: u64) {
        self.heard.rotate_right(1);
        if let Some(first) = self.heard.first_mut() {
            *first = Heard {
                digest,
                received_s: now_s,
            };
        }
        let len = usize::from(self.len).saturating_add(1).min(RECENT_LEN);
        self.len = u8::try_from(len).unwrap_or(self.len);
    }

    /// The list as octets.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        let mut rest = put(&mut octets, [self.len]);
        for heard in self.heard {
            rest = put(rest, heard.digest.to_le_bytes());
            rest = put(rest, heard.received_s.to_le_bytes());
        }
        octets
    }

    /// The list of octets that [`Self::encode`] made; none for octets that are no list.
    #[must_use]
    pub fn decode(octets: &[u8; Self::OCTETS]) -> Option<Self> {
        let (len, entries) = octets.split_first()?;
        let mut recent = Self {
            len: *len,
            ..Self::default()
        };
        let (entries, _) = entries.as_chunks::<12>();
        for (heard, entry) in recent.heard.iter_mut().zip(entries) {
            let (digest, rest) = entry.split_first_chunk()?;
            let (received_s, _) = rest.split_first_chunk()?;
            heard.digest = u64::from_le_bytes(*digest);
            heard.received_s = u32::from_le_bytes(*received_s);
        }
        let unused = recent.heard.get(usize::from(*len)..)?;
        let is_clean = unused.iter().all(|heard| *heard == Heard::default());
        is_clean.then_some(recent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_list_knows_what_the_last_eight_of_a_long_list_know(
            steps in proptest::collection::vec((0_u32..100, 0_u64..4, 0_u32..50), 1..60),
        ) {
            let (mut recent, mut model) = (Recent::default(), Vec::new());
            for (now_s, digest, span_s) in steps {
                let in_model = model.iter().rev().take(8).any(|(second, other): &(u32, u64)| {
                    *other == digest && second.abs_diff(now_s) <= span_s
                });
                prop_assert_eq!(recent.is_copy(now_s, digest, span_s), in_model);
                recent.note(now_s, digest);
                model.push((now_s, digest));
                prop_assert_eq!(Recent::decode(&recent.encode()), Some(recent));
            }
        }
    }

    #[test]
    fn an_empty_list_knows_no_telegram_even_of_digest_0() {
        assert!(!Recent::default().is_copy(0, 0, u32::MAX));
    }

    #[test]
    fn a_telegram_is_forgotten_after_the_span_and_the_ninth_makes_the_first_forgotten() {
        let mut recent = Recent::default();
        recent.note(1_000, 1);
        assert!(recent.is_copy(1_300, 1, 300) && recent.is_copy(900, 1, 300));
        assert!(!recent.is_copy(1_301, 1, 300) && !recent.is_copy(1_000, 2, 300));
        (2..=8).for_each(|digest| recent.note(1_000, digest));
        assert!(recent.is_copy(1_000, 1, 0));
        recent.note(1_000, 9);
        assert!(!recent.is_copy(1_000, 1, 0) && recent.is_copy(1_000, 2, 0));
    }

    #[test]
    fn damaged_octets_are_no_list() {
        let mut octets = Recent::default().encode();
        for len in 9..=u8::MAX {
            octets[0] = len;
            assert_eq!(Recent::decode(&octets), None);
        }
        octets[0] = 0;
        octets[1] = 1;
        assert_eq!(Recent::decode(&octets), None);
    }
}
