//! The records of a terminal, those of orders under way counted as durable.
//!
//! An order names the version that it builds on. If one fails, so does every later one, and with it
//! whatever was judged by its records.

use core::num::NonZeroU32;

use super::super::records::{Known, RecordIndex, RecordKey};
use super::order::Work;

/// What is durable, and what is under way.
pub(super) struct InFlight<'a, P> {
    works: &'a [Work<P>],
    /// The counter of the frame that is judged.
    counter: u32,
    /// Whether its terminal may have moved on to another epoch after it made the frame.
    is_late: bool,
    durable: &'a dyn RecordIndex,
}

impl<'a, P> InFlight<'a, P> {
    pub(super) const fn new(
        works: &'a [Work<P>],
        counter: u32,
        is_late: bool,
        durable: &'a dyn RecordIndex,
    ) -> Self {
        Self {
            works,
            counter,
            is_late,
            durable,
        }
    }

    fn compare_under_way(&self, key: RecordKey, content: &[u8]) -> Option<Known> {
        let mut known = self
            .works
            .iter()
            .filter_map(|work| work.compare(key, content));
        known.next()
    }
}

impl<P> RecordIndex for InFlight<'_, P> {
    // spec: REC-8, REC-9
    fn compare(&self, key: RecordKey, content: &[u8]) -> Known {
        match self.compare_under_way(key, content) {
            Some(known) => known,
            None => self.durable.compare(key, content),
        }
    }

    fn may_be_durable(&self, key: RecordKey) -> bool {
        self.durable.may_be_durable(key)
    }

    fn may_be_known(&self, key: RecordKey) -> bool {
        !self.works.is_empty() || self.durable.may_be_known(key)
    }

    // spec: REC-8
    fn later_epochs(&self, epoch: NonZeroU32) -> Vec<NonZeroU32> {
        // Older epochs are known by a filter, which a new one may resemble: nothing came later than
        // the frame with the highest counter.
        if !self.is_late {
            return Vec::new();
        }
        let mut later = self.durable.later_epochs(epoch);
        let steps = self.works.iter().filter_map(Work::counter_and_epoch);
        for (counter, other) in steps {
            if counter > self.counter && other != epoch && !later.contains(&other) {
                later.push(other);
            }
        }
        later
    }

    fn proves_new(&self, epoch: NonZeroU32) -> bool {
        let mut steps = self.works.iter().filter_map(Work::counter_and_epoch);
        self.durable.proves_new(epoch) && !steps.any(|(_, other)| other == epoch)
    }
}
