//! The machines of the terminals that are being served: those with a commit under way, some
//! milliseconds of the fleet, and those that hold a connection.
//!
//! A machine that rests is dropped at once. What the next one must know is kept in little room: for
//! some seconds which uplinks were answered, for some minutes where the terminal listens.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::hash_map::{Entry, OccupiedEntry};
use parking_lot::Mutex;

use crate::keyring::UtilityId;
use crate::model::TerminalId;
use crate::net::contract::PathId;
use crate::session::otl::machine::{LateAnswers, Listener, Machine, PathKey, Rest};
use crate::store::state::Slot;
use crate::store::state::table::SHARDS;

impl PathKey for PathId {
    fn is_connection(&self) -> bool {
        matches!(self, Self::Tcp { .. })
    }
}

/// A terminal as it was found when its frame came.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Its place in the hot table.
    pub slot: Slot,
    /// Its identity.
    pub terminal: TerminalId,
    /// Its utility.
    pub utility: UtilityId,
    /// Whether the guarded commands of the utility are stopped.
    // spec: ROL-1
    pub commands_stopped: bool,
}

/// A terminal that is being served.
#[derive(Debug)]
pub struct Live {
    /// Its machine.
    pub machine: Machine<PathId>,
    /// Whose it is, by the last frame.
    pub found: Found,
}

/// Where terminals listen that are not: the last generation, and the one before it.
#[derive(Debug, Default)]
struct Memory {
    young: BySlot<Listener<PathId>>,
    old: BySlot<Listener<PathId>>,
    began_ms: u64,
}

/// Terminals of one shard that a generation of memory holds at most; in all shards some 3 MiB.
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
    /// Only for what cannot wait: everybody else is told to come back.
    Crowded,
}

/// By slot. Slots are numbers of this process, which nobody outside chooses.
type BySlot<T> = hashbrown::HashMap<u32, T>;

#[derive(Debug, Default)]
struct Shard {
    machines: BySlot<Box<Live>>,
    left: Left,
}

/// What is left of machines that are gone.
#[derive(Debug, Default)]
struct Left {
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
    /// No machines, and room for this many at a time. An eighth more is for those that are told to
    /// come back, and another eighth for what cannot wait.
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
    /// room: the last of it is only for what `is_urgent`.
    pub fn with_or_make<R>(
        &self,
        slot: Slot,
        is_urgent: bool,
        make: impl FnOnce(Rest<PathId>) -> Option<Live>,
        work: impl FnOnce(&mut Live, Room) -> R,
    ) -> Option<R> {
        let mut shard = self.shards.get(slot.shard())?.lock();
        let Shard { machines, left } = &mut *shard;
        let (mut entry, room) = match machines.entry(slot.get()) {
            Entry::Occupied(entry) => (entry, Room::Free),
            Entry::Vacant(entry) => {
                let room = self.room(is_urgent)?;
                let made = Box::new(make(left.of(slot))?);
                self.count.fetch_add(1, Ordering::Relaxed);
                (entry.insert_entry(made), room)
            }
        };
        let done = work(entry.get_mut(), room);
        self.settle(entry, left);
        Some(done)
    }

    /// Works on the machine of a slot, if there is one, as [`Self::with_or_make`] does.
    pub fn with(&self, slot: Slot, work: impl FnOnce(&mut Live)) {
        let Some(shard) = self.shards.get(slot.shard()) else {
            return;
        };
        let mut shard = shard.lock();
        let Shard { machines, left } = &mut *shard;
        if let Entry::Occupied(mut entry) = machines.entry(slot.get()) {
            work(entry.get_mut());
            self.settle(entry, left);
        }
    }

    /// Drops a machine that rests.
    fn settle(&self, entry: OccupiedEntry<'_, u32, Box<Live>>, left: &mut Left) {
        if left.settle(Slot::new(*entry.key()), &entry.get().machine) {
            entry.remove();
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    // spec: OVL-4
    fn room(&self, is_urgent: bool) -> Option<Room> {
        let count = self.count.load(Ordering::Relaxed);
        let part = if is_urgent { 4 } else { 8 };
        let beyond = self.live_max.checked_div(part).unwrap_or(0);
        if count < self.live_max {
            Some(Room::Free)
        } else if count < self.live_max.saturating_add(beyond) {
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
        let Shard { machines, left } = &mut *shard;
        left.memory.age(now_ms);
        let is_over = |answers: &LateAnswers| answers.are_over(now_ms, now_utc_s);
        left.answered.retain(|_, answers| !is_over(answers));
        // Machines that found no room for their answers.
        machines.retain(|slot, live| {
            let drops = left.settle(Slot::new(*slot), &live.machine);
            self.count.fetch_sub(usize::from(drops), Ordering::Relaxed);
            !drops
        });
        let answered = &mut left.answered;
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

impl Left {
    /// What is left of a terminal's last machine.
    fn of(&self, slot: Slot) -> Rest<PathId> {
        Rest {
            listener: self.memory.look_up(slot),
            answers: self.answered.get(&slot.get()).copied(),
            ..Rest::default()
        }
    }

    /// Takes what is left of a machine, which is to be dropped then. False if it must live on:
    /// something is under way, or there is no room for its answers.
    fn settle(&mut self, slot: Slot, machine: &Machine<PathId>) -> bool {
        let Some(rest) = machine.rest() else {
            return false;
        };
        if let Some(answers) = rest.answers {
            let is_full = self.answered.len() >= ANSWERED_MAX;
            if is_full && !self.answered.contains_key(&slot.get()) {
                return false;
            }
            self.answered.insert(slot.get(), answers);
        }
        self.memory.remember(slot, rest.listener);
        true
    }
}

impl Memory {
    fn look_up(&self, slot: Slot) -> Option<Listener<PathId>> {
        let young = self.young.get(&slot.get());
        let known = young.or_else(|| self.old.get(&slot.get()));
        known.copied()
    }

    fn remember(&mut self, slot: Slot, listener: Option<Listener<PathId>>) {
        let slot = slot.get();
        let fits = self.young.len() < REMEMBERED_MAX || self.young.contains_key(&slot);
        match listener.filter(|_| fits) {
            Some(listener) => {
                self.young.insert(slot, listener);
            }
            None => {
                // What is no longer true must not come back.
                self.young.remove(&slot);
                self.old.remove(&slot);
            }
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

    // spec: OVL-4
    #[test]
    fn the_last_places_are_for_what_cannot_wait() {
        let live = LiveTable::new(16);
        let room = |count, is_urgent| {
            live.count.store(count, Ordering::Relaxed);
            live.room(is_urgent)
        };
        assert_eq!(room(15, false), Some(Room::Free));
        assert_eq!(room(17, false), Some(Room::Crowded));
        assert_eq!(
            (room(18, false), room(18, true)),
            (None, Some(Room::Crowded))
        );
        assert_eq!(
            (room(19, true), room(20, true)),
            (Some(Room::Crowded), None)
        );
    }

    // spec: SES-12
    #[test]
    fn where_a_terminal_listens_is_brought_up_to_date_also_where_there_is_no_room_for_another() {
        let mut memory = Memory::default();
        let at = |counter| {
            let peer = ([127, 0, 0, 1], 10_000).into();
            let path = PathId::Udp { worker: 0, peer };
            Some(Listener { path, counter })
        };
        let many = u32::try_from(REMEMBERED_MAX).unwrap();
        for slot in 0..=many {
            memory.remember(Slot::new(slot), at(1));
        }
        assert_eq!(memory.look_up(Slot::new(many)), None);
        memory.remember(Slot::new(7), at(2));
        assert_eq!(memory.look_up(Slot::new(7)), at(2));
    }

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
