//! Counters of downlinks, which never come twice under one key, whatever crashes.
//!
//! A counter may be used only from a range that was made durable before: [`CounterLedger::next`]
//! asks for one where it has none left, and gives counters again after [`CounterLedger::grant`].
//! After a start it goes on above all that was ever reserved, so what was left of a range is never
//! used. The ledger is pure: making a [`Reservation`] durable, as an event of the log, is the
//! caller's matter, and the marks of the log are passed in.
// clause: OMS Volume 2, message counter of the communication partner

use std::collections::HashMap;

use super::asked::{KeyId, KeyVersion};
use crate::wire::mbus::address::Address;

/// The farthest that a counter may go on from one message to the next: a meter refuses more.
// clause: OMS Volume 2, message counter
pub const STEP_MAX: u32 = 100;

/// The most counters of a reservation: with one more, the first counter after a crash could be more
/// than [`STEP_MAX`] above the last one that was sent.
pub const RESERVATION_MAX: u32 = STEP_MAX - 1;

/// Counters in a reservation. What a crash leaves unused counts towards [`STEP_MAX`]: three crashes
/// without a message between them are taken.
pub const BLOCK: u32 = 32;

/// The counter from which on people are to be told that a key is nearly used up.
// clause: OMS Volume 2, message counter
pub const NEAR_END: u32 = 0xFFFF_0000;

/// What has a counter of its own: one version of one key of one meter.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CounterKey {
    /// The meter.
    pub meter: Address,
    /// The number of the key.
    pub id: KeyId,
    /// Its version.
    pub version: KeyVersion,
}

/// A message counter that no other telegram under its key has: not `Clone`, and made by a
/// [`CounterLedger`] only.
///
/// A retry sends the same octets again; another attempt takes another counter.
#[derive(Debug, Eq, PartialEq)]
pub struct UniqueCounter(u32);

impl UniqueCounter {
    /// The counter.
    #[must_use]
    pub const fn get(&self) -> u32 {
        self.0
    }

    #[cfg(test)]
    pub(crate) const fn of(counter: u32) -> Self {
        Self(counter)
    }
}

/// Counters to be made durable before one of them is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Reservation {
    /// Whose.
    pub key: CounterKey,
    /// The last of the range, which begins after all that was reserved before.
    pub up_to: u32,
}

/// What became of the wish for a counter.
#[derive(Debug, Eq, PartialEq)]
#[must_use]
pub enum Next {
    /// This one: it is the caller's, and comes to nobody else.
    Counter(UniqueCounter),
    /// First this is to be made durable, granted, and asked again.
    Reserve(Reservation),
    /// All counters of the key were used: it needs another version.
    Exhausted,
    /// More keys have counters than the ledger takes.
    Full,
}

/// Why there is no counter.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoCounter<E> {
    /// A range could not be set aside.
    #[error("no counters could be set aside")]
    NotDurable(#[source] E),
    /// All counters of the key were used.
    #[error("all counters of the key were used: it needs another version")]
    Exhausted,
    /// More keys have counters than the ledger takes.
    #[error(
        "{} keys have counters, and there is no place for another",
        CounterLedger::KEYS_MAX
    )]
    Full,
}

/// The last counter that was used, and the last that may be.
#[derive(Clone, Copy, Debug, Default)]
struct Range {
    used: u32,
    up_to: u32,
}

/// The counters of all keys under which something is sent.
#[derive(Debug)]
pub struct CounterLedger {
    ranges: HashMap<CounterKey, Range>,
    block: u32,
}

impl Default for CounterLedger {
    fn default() -> Self {
        Self::restored([])
    }
}

impl CounterLedger {
    /// Keys that may have a counter at most.
    pub const KEYS_MAX: usize = 2_000_000;

    /// A ledger that goes on above the marks of the log: for each key the highest `up_to`.
    #[must_use]
    pub fn restored(marks: impl IntoIterator<Item = (CounterKey, u32)>) -> Self {
        let range = |up_to| Range { used: up_to, up_to };
        let ranges = marks.into_iter().map(|(key, up_to)| (key, range(up_to)));
        Self {
            ranges: ranges.collect(),
            block: BLOCK,
        }
    }

    /// The same ledger with reservations of another length, 1 to [`RESERVATION_MAX`].
    #[must_use]
    pub fn with_block(mut self, block: u32) -> Self {
        self.block = block.clamp(1, RESERVATION_MAX);
        self
    }

    /// The next counter of a key, above all that it gave before and above `meter_counter`, the
    /// highest counter of an authenticated telegram of the meter, 0 if none is known. The first
    /// is 1.
    // clause: OMS Volume 2, message counter: the partner's rises to the meter's, and then by one
    pub fn next(&mut self, key: CounterKey, meter_counter: u32) -> Next {
        let is_full = self.ranges.len() >= Self::KEYS_MAX;
        let range = self.ranges.get_mut(&key);
        let now = range.as_ref().map_or_else(Range::default, |range| **range);
        let Some(counter) = now.used.max(meter_counter).checked_add(1) else {
            return Next::Exhausted;
        };
        match range {
            Some(range) if counter <= now.up_to => {
                range.used = counter;
                Next::Counter(UniqueCounter(counter))
            }
            None if is_full => Next::Full,
            _ => {
                let up_to = counter.saturating_add(self.block.saturating_sub(1));
                Next::Reserve(Reservation { key, up_to })
            }
        }
    }

    /// The next counter of a key, as [`Self::next`], for those who can wait until a reservation is
    /// durable: `make_durable` returns when it is.
    ///
    /// # Errors
    ///
    /// [`NoCounter`]; a reservation of which it is not known whether it is durable is safe.
    pub fn take<E>(
        &mut self,
        key: CounterKey,
        meter_counter: u32,
        make_durable: impl FnOnce(Reservation) -> Result<(), E>,
    ) -> Result<UniqueCounter, NoCounter<E>> {
        let next = match self.next(key, meter_counter) {
            Next::Reserve(reservation) => {
                make_durable(reservation).map_err(NoCounter::NotDurable)?;
                self.grant(reservation);
                self.next(key, meter_counter)
            }
            next => next,
        };
        match next {
            Next::Counter(counter) => Ok(counter),
            Next::Full => Err(NoCounter::Full),
            Next::Exhausted | Next::Reserve(_) => Err(NoCounter::Exhausted),
        }
    }

    /// Notes that a reservation is durable. One that is older than what is reserved changes
    /// nothing.
    pub fn grant(&mut self, reservation: Reservation) {
        let range = self.ranges.entry(reservation.key).or_default();
        range.up_to = range.up_to.max(reservation.up_to);
    }

    /// Whether people are to be told that a key is nearly used up.
    #[must_use]
    pub const fn is_near_end(counter: u32) -> bool {
        counter >= NEAR_END
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> CounterKey {
        CounterKey {
            meter: Address::from_link_order([0x93, 0x15, number, 0, 0, 0, 0x33, 3]),
            id: KeyId::PERSISTENT,
            version: KeyVersion(number % 2),
        }
    }

    #[test]
    fn no_counter_is_given_before_its_range_is_granted() {
        let mut ledger = CounterLedger::default();
        let Next::Reserve(range) = ledger.next(key(1), 0) else {
            panic!()
        };
        assert_eq!(range.up_to, BLOCK);
        assert!(matches!(ledger.next(key(1), 0), Next::Reserve(_)));
        ledger.grant(range);
        for counter in 1..=BLOCK {
            assert_eq!(
                ledger.next(key(1), 0),
                Next::Counter(UniqueCounter(counter))
            );
        }
        assert!(matches!(ledger.next(key(1), 0), Next::Reserve(_)));
        assert!(matches!(ledger.next(key(2), 0), Next::Reserve(_)));
    }

    #[test]
    fn a_range_that_did_not_become_durable_gives_no_counter() {
        let mut ledger = CounterLedger::default();
        let failed = ledger.take(key(1), 0, |_| Err("the disk is full"));
        assert_eq!(failed, Err(NoCounter::NotDurable("the disk is full")));
        assert_eq!(
            ledger.take(key(1), 0, |_| Ok::<_, ()>(())),
            Ok(UniqueCounter(1))
        );
        assert_eq!(
            ledger.take(key(1), 0, |_| Err(())),
            Ok(UniqueCounter(2)),
            "of the same range"
        );
    }

    #[test]
    fn the_counter_follows_that_of_the_meter_and_never_wraps() {
        let mut ledger = CounterLedger::restored([(key(1), 10)]);
        let Next::Reserve(range) = ledger.next(key(1), 1_000) else {
            panic!()
        };
        assert_eq!(range.up_to, 1_000 + BLOCK);
        ledger.grant(range);
        assert_eq!(
            ledger.next(key(1), 1_000),
            Next::Counter(UniqueCounter(1_001))
        );
        assert_eq!(ledger.next(key(1), 5), Next::Counter(UniqueCounter(1_002)));
        let mut last = CounterLedger::restored([(key(1), u32::MAX - 1)]);
        let Next::Reserve(range) = last.next(key(1), 0) else {
            panic!()
        };
        last.grant(range);
        assert_eq!(last.next(key(1), 0), Next::Counter(UniqueCounter(u32::MAX)));
        assert_eq!(last.next(key(1), 0), Next::Exhausted);
        assert_eq!(last.next(key(2), u32::MAX), Next::Exhausted);
        assert!(CounterLedger::is_near_end(NEAR_END) && !CounterLedger::is_near_end(NEAR_END - 1));
    }

    #[test]
    fn the_first_counter_after_one_lost_reservation_is_at_most_100_above_the_last() {
        let mut durable = 0;
        let mut ledger = CounterLedger::default().with_block(u32::MAX);
        let mut take = |ledger: &mut CounterLedger| {
            let make_durable = |range: Reservation| {
                durable = range.up_to;
                Ok::<_, ()>(())
            };
            ledger.take(key(1), 0, make_durable).unwrap().get()
        };
        let mut last = 0;
        while last != RESERVATION_MAX {
            last = take(&mut ledger);
        }
        // The next reservation is made, and the server stops before anything is sent.
        take(&mut ledger);
        let mut ledger = CounterLedger::restored([(key(1), durable)]);
        let first = ledger.take(key(1), 0, |_| Ok::<_, ()>(())).unwrap().get();
        assert!(first - last <= STEP_MAX);
    }

    proptest! {
        /// A crash may come before or after a range is durable, and before or after it is used.
        #[test]
        fn no_counter_comes_twice_whatever_crashes(
            happenings in prop::collection::vec((0..4_u8, 0..3_u8, 0..200_u32), 0..400),
        ) {
            let mut durable: HashMap<CounterKey, u32> = HashMap::new();
            let mut highest: HashMap<CounterKey, u32> = HashMap::new();
            let mut ledger = CounterLedger::default();
            for (what, whom, meter_counter) in happenings {
                let key = key(whom);
                match (what, ledger.next(key, meter_counter)) {
                    (_, Next::Counter(UniqueCounter(counter))) => {
                        prop_assert!(durable[&key] >= counter);
                        let before = highest.insert(key, counter);
                        prop_assert!(before < Some(counter) && counter > meter_counter);
                    }
                    // It crashes before the range is durable, or after.
                    (0, Next::Reserve(_)) => {
                        ledger = CounterLedger::restored(durable.clone());
                    }
                    (1, Next::Reserve(range)) => {
                        durable.insert(range.key, range.up_to);
                        ledger = CounterLedger::restored(durable.clone());
                    }
                    (_, Next::Reserve(range)) => {
                        prop_assert!(durable.get(&range.key) < Some(&range.up_to));
                        durable.insert(range.key, range.up_to);
                        ledger.grant(range);
                    }
                    (_, Next::Exhausted | Next::Full) => prop_assert!(false),
                }
            }
        }
    }
}
