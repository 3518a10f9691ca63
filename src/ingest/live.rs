//! The machines of the terminals that are being served: those with a commit under way, some
//! milliseconds of the fleet, and those that hold a connection.
//!
//! A machine that rests is dropped at once. What the next one must know is kept in little room: for
//! some seconds which uplinks were answered, for some minutes what is worth carrying.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::hash_map::Entry;
use parking_lot::Mutex;

use crate::net::contract::PathId;
use crate::session::otl::machine::{Carried, LateAnswers, Machine, PathKey, Rest, Token};
use crate::store::state::Slot;
use crate::store::state::table::SHARDS;

impl PathKey for PathId {
    fn is_connection(&self) -> bool {
        matches!(self, Self::Tcp { .. })
    }
}

/// A terminal that is being served.
#[derive(Debug)]
pub struct Live {
    /// Its machine.
    pub machine: Machine<PathId>,
    /// Orders in the log, and when their frames were received, in microseconds of the clock that
    /// never goes back.
    pub ordered: Vec<(Token, Option<u64>)>,
}

/// What is remembered of terminals that are not: the last generation, and the one before it.
#[derive(Debug, Default)]
struct Memory {
    young: BySlot<Carried<PathId>>,
    old: BySlot<Carried<PathId>>,
    began_ms: u64,
}

/// Terminals of one shard that a generation of memory holds at most; in all shards with their
/// addresses some 3 MiB.
const REMEMBERED_MAX: usize = 512;
/// How long a generation lasts, in milliseconds: network address translators forget as fast.
const GENERATION_MS: u64 = 150_000;

/// Terminals of one shard whose latest answers are known at most: with all shards half a million,
/// five times what two cores answer in the seconds for which it is known. Beyond it machines live
/// on, as far as there is room.
const ANSWERED_MAX: usize = 8_192;

/// Whether there is room for another machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Room {
    /// There is, or the terminal has one already.
    Free,
    /// Only for what cannot wait: everybody else is to be told to come back.
    Crowded,
}

/// By slot. Slots are numbers of this process, which nobody outside chooses.
type BySlot<T> = hashbrown::HashMap<u32, T>;

#[derive(Debug, Default)]
struct Shard {
    machines: BySlot<Box<Live>>,
    answered: BySlot<LateAnswers>,
    memory: Memory,
}

/// Terminals that are told when a connection ends. A terminal has a connection of its own; some
/// more are room for a gateway that carries a few.
pub const SPEAKERS_MAX: usize = 8;

/// All live machines, in as many shards as the hot table has.
#[derive(Debug)]
pub struct LiveTable {
    shards: Vec<Mutex<Shard>>,
    /// Who spoke on a connection, the latest last; at most [`SPEAKERS_MAX`].
    connections: Mutex<HashMap<u64, Vec<Slot>>>,
    count: AtomicUsize,
    live_max: usize,
}

impl LiveTable {
    /// No machines, and room for this many at a time. A quarter more is kept for what cannot wait.
    #[must_use]
    pub fn new(live_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            connections: Mutex::default(),
            count: AtomicUsize::new(0),
            live_max,
        }
    }

    /// Works on the machine of a slot under the lock of its shard; `make` makes it, if there is
    /// none. A machine that rests afterwards is dropped. None without a machine, or if there is no
    /// room at all.
    pub fn with_or_make<R>(
        &self,
        slot: Slot,
        make: impl FnOnce(Rest<PathId>) -> Option<Live>,
        work: impl FnOnce(&mut Live, Room) -> R,
    ) -> Option<R> {
        let mut shard = self.shards.get(slot.shard())?.lock();
        let Shard {
            machines,
            answered,
            memory,
        } = &mut *shard;
        let (mut entry, room) = match machines.entry(slot.get()) {
            Entry::Occupied(entry) => (entry, Room::Free),
            Entry::Vacant(entry) => {
                let room = self.room()?;
                let rest = Rest {
                    carried: memory.look_up(slot),
                    answers: answered.get(&slot.get()).copied(),
                };
                let made = Box::new(make(rest)?);
                self.count.fetch_add(1, Ordering::Relaxed);
                (entry.insert_entry(made), room)
            }
        };
        let done = work(entry.get_mut(), room);
        if let Some(rest) = entry.get().machine.rest()
            && put(answered, slot, rest.answers)
        {
            entry.remove();
            self.count.fetch_sub(1, Ordering::Relaxed);
            memory.remember(slot.get(), rest.carried);
        }
        Some(done)
    }

    fn room(&self) -> Option<Room> {
        let count = self.count.load(Ordering::Relaxed);
        if count < self.live_max {
            Some(Room::Free)
        } else if count < self.live_max.saturating_add(self.live_max / 4) {
            Some(Room::Crowded)
        } else {
            None
        }
    }

    /// Forgets what need not be known any more in one shard.
    pub fn sweep(&self, shard: usize, now_ms: u64, now_utc_s: u32) {
        let Some(shard) = self.shards.get(shard) else {
            return;
        };
        let mut shard = shard.lock();
        let Shard {
            machines,
            answered,
            memory,
        } = &mut *shard;
        memory.age(now_ms);
        answered.retain(|_, answers| !answers.are_over(now_ms, now_utc_s));
        // Machines that found no room for their answers.
        machines.retain(|slot, live| {
            let rest = live.machine.rest();
            let drops = rest.is_some_and(|rest| put(answered, Slot::new(*slot), rest.answers));
            self.count.fetch_sub(usize::from(drops), Ordering::Relaxed);
            !drops
        });
        if answered.capacity() > answered.len().saturating_mul(4).max(64) {
            answered.shrink_to_fit();
        }
        if machines.capacity() > machines.len().saturating_mul(4).max(64) {
            machines.shrink_to_fit();
        }
    }

    /// How many machines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slots that have a machine.
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        let shards = self.shards.iter();
        shards
            .flat_map(|shard| {
                shard
                    .lock()
                    .machines
                    .keys()
                    .copied()
                    .map(Slot::new)
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Notes which terminal speaks on a path, to be found again when it ends. Gives the one that
    /// is forgotten for it, to be told that the path is no longer its own.
    #[must_use]
    pub fn note_path(&self, path: PathId, slot: Slot) -> Option<Slot> {
        let PathId::Tcp { connection } = path else {
            return None;
        };
        let mut connections = self.connections.lock();
        let speakers = connections.entry(connection).or_default();
        if speakers.last() == Some(&slot) {
            return None;
        }
        let known = speakers.iter().position(|speaker| *speaker == slot);
        let leaving = known.or_else(|| (speakers.len() >= SPEAKERS_MAX).then_some(0));
        let left = leaving.map(|index| speakers.remove(index));
        speakers.push(slot);
        left.filter(|_| known.is_none())
    }

    /// Forgets a path. Gives the terminals that spoke on it.
    pub fn forget_path(&self, path: PathId) -> Vec<Slot> {
        match path {
            PathId::Tcp { connection } => self
                .connections
                .lock()
                .remove(&connection)
                .unwrap_or_default(),
            PathId::Udp { .. } => Vec::new(),
        }
    }
}

/// Keeps the answers of a machine that is about to be dropped. False if there is no room for them.
fn put(known: &mut BySlot<LateAnswers>, slot: Slot, answers: Option<LateAnswers>) -> bool {
    let Some(answers) = answers else { return true };
    let fits = known.len() < ANSWERED_MAX || known.contains_key(&slot.get());
    if fits {
        known.insert(slot.get(), answers);
    }
    fits
}

impl Memory {
    fn look_up(&self, slot: Slot) -> Carried<PathId> {
        let young = self.young.get(&slot.get());
        let known = young.or_else(|| self.old.get(&slot.get()));
        known.copied().unwrap_or_default()
    }

    fn remember(&mut self, slot: u32, carried: Carried<PathId>) {
        let is_worth_it = carried != Carried::default();
        if is_worth_it && self.young.len() < REMEMBERED_MAX {
            self.young.insert(slot, carried);
        } else {
            // What is no longer true must not come back.
            self.young.remove(&slot);
            self.old.remove(&slot);
        }
    }

    fn age(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.began_ms) >= GENERATION_MS {
            self.old = std::mem::take(&mut self.young);
            self.began_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_terminal_that_spoke_on_a_connection_is_found_when_it_ends() {
        let live = LiveTable::new(1);
        let path = PathId::Tcp { connection: 7 };
        for slot in [1, 2, 1, 3, 3, 1] {
            assert_eq!(live.note_path(path, Slot::new(slot)), None);
        }
        assert_eq!(live.forget_path(path), [2, 3, 1].map(Slot::new));
        assert_eq!(live.forget_path(path), []);
    }

    #[test]
    fn of_too_many_on_one_connection_the_one_that_was_silent_longest_is_given_up() {
        let live = LiveTable::new(1);
        let path = PathId::Tcp { connection: 7 };
        let many = u32::try_from(SPEAKERS_MAX).unwrap();
        for slot in 0..many {
            assert_eq!(live.note_path(path, Slot::new(slot)), None);
        }
        assert_eq!(live.note_path(path, Slot::new(0)), None);
        assert_eq!(live.note_path(path, Slot::new(many)), Some(Slot::new(1)));
        assert_eq!(live.forget_path(path).len(), SPEAKERS_MAX);
    }
}
