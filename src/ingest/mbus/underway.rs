//! Telegrams that are looked for in the log or on their way into it, with all who wait for them.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

use super::core::Asker;
use crate::model::TerminalId;
use crate::store::state::meters::Mark;

const SHARDS: usize = 64;
/// Who may wait for one telegram: more gateways than hear one meter.
const ASKERS_MAX: usize = 256;

/// One telegram.
#[derive(Debug)]
struct Entry {
    mark: Mark,
    /// The first brought it, the others copies of it.
    askers: Vec<Asker>,
}

/// Whether the counter of a telegram is free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// It is, as far as is known here.
    Free,
    /// Another telegram that is under way has it.
    Taken,
    /// A copy is under way, and too many wait for it already.
    Crowded,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Underway {
    shards: [Mutex<HashMap<TerminalId, Vec<Entry>>>; SHARDS],
}

impl Default for Underway {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

/// Those of some meters, locked.
pub(super) struct Shard<'a>(MutexGuard<'a, HashMap<TerminalId, Vec<Entry>>>);

impl Underway {
    /// Locks those of a meter and of some others.
    pub(super) fn shard(&self, meter: TerminalId) -> Shard<'_> {
        let [first, others @ ..] = &self.shards;
        let hash = usize::try_from(crc32c::crc32c(&meter.octets())).unwrap_or_default();
        let other = (hash % SHARDS).checked_sub(1);
        let other = other.and_then(|place| others.get(place));
        Shard(other.unwrap_or(first).lock())
    }
}

impl Shard<'_> {
    /// Waits with the others if a copy is under way; gives the asker back if none is.
    pub(super) fn join(
        &mut self,
        meter: TerminalId,
        mark: &Mark,
        asker: Asker,
    ) -> Result<(), (Place, Asker)> {
        let Some(entries) = self.0.get_mut(&meter) else {
            return Err((Place::Free, asker));
        };
        if let Some(entry) = entries
            .iter_mut()
            .find(|entry| mark.is_copy_of(&entry.mark))
        {
            if entry.askers.len() >= ASKERS_MAX {
                return Err((Place::Crowded, asker));
            }
            entry.askers.push(asker);
            return Ok(());
        }
        let has_counter =
            |entry: &Entry| mark.counter.is_some() && entry.mark.counter == mark.counter;
        let is_taken = entries.iter().any(has_counter);
        let place = if is_taken { Place::Taken } else { Place::Free };
        Err((place, asker))
    }

    /// Notes a telegram that is looked for, or whose frame was given to the log.
    pub(super) fn begin(&mut self, meter: TerminalId, mark: Mark, asker: Asker) {
        let askers = vec![asker];
        self.0
            .entry(meter)
            .or_default()
            .push(Entry { mark, askers });
    }

    /// Forgets a telegram of which it is known what became of it. Gives all who wait for it.
    pub(super) fn end(&mut self, meter: TerminalId, mark: &Mark) -> Vec<Asker> {
        let Some(entries) = self.0.get_mut(&meter) else {
            return Vec::new();
        };
        let place = entries.iter().position(|entry| entry.mark == *mark);
        let entry = place.map(|place| entries.swap_remove(place));
        if entries.is_empty() {
            self.0.remove(&meter);
        }
        entry.map(|entry| entry.askers).unwrap_or_default()
    }
}
