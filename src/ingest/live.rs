//! The machines of the terminals that are being served: a few seconds of the fleet, and the
//! connections that are held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::net::contract::PathId;
use crate::session::otl::machine::{Carried, Machine, PathKey, Token};
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
    young: HashMap<u32, Carried<PathId>>,
    old: HashMap<u32, Carried<PathId>>,
    began_ms: u64,
}

/// Terminals that one generation of memory holds at most; with their addresses some 3 MiB.
const REMEMBERED_MAX: usize = 32_768;
/// How long a generation lasts, in milliseconds: network address translators forget as fast.
const GENERATION_MS: u64 = 150_000;

/// All live machines, in as many shards as the hot table has.
#[derive(Debug)]
pub struct LiveTable {
    shards: Vec<Mutex<HashMap<u32, Box<Live>>>>,
    memory: Mutex<Memory>,
    connections: Mutex<HashMap<u64, Slot>>,
    count: AtomicUsize,
    live_max: usize,
}

impl LiveTable {
    /// No machines, and at most this many at a time; further terminals are not served until some
    /// are idle.
    #[must_use]
    pub fn new(live_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            memory: Mutex::default(),
            connections: Mutex::default(),
            count: AtomicUsize::new(0),
            live_max,
        }
    }

    /// Works on the machine of a slot under the lock of its shard; `make` makes it, if it can.
    pub fn with_or_make<R>(
        &self,
        slot: Slot,
        make: impl FnOnce(Carried<PathId>) -> Option<Live>,
        work: impl FnOnce(&mut Live) -> R,
    ) -> Option<R> {
        let mut shard = self.shards.get(slot.shard())?.lock();
        let live = match shard.entry(slot.get()) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                if self.count.load(Ordering::Relaxed) >= self.live_max {
                    return None;
                }
                let carried = self.memory.lock().recall(slot);
                let made = Box::new(make(carried)?);
                self.count.fetch_add(1, Ordering::Relaxed);
                entry.insert(made)
            }
        };
        Some(work(live))
    }

    /// Works on the machine of a slot, if it has one.
    pub fn with<R>(&self, slot: Slot, work: impl FnOnce(&mut Live) -> R) -> Option<R> {
        let mut shard = self.shards.get(slot.shard())?.lock();
        shard.get_mut(&slot.get()).map(|live| work(live))
    }

    /// Drops the machines of one shard that are idle.
    pub fn sweep(&self, shard: usize, now_ms: u64, now_utc_s: u32) {
        let Some(shard) = self.shards.get(shard) else {
            return;
        };
        let mut shard = shard.lock();
        let mut memory = self.memory.lock();
        memory.age(now_ms);
        let before = shard.len();
        shard.retain(|slot, live| {
            let drops = live.machine.is_idle(now_ms, now_utc_s);
            if drops {
                memory.remember(*slot, live.machine.carried());
            }
            !drops
        });
        let dropped = before.saturating_sub(shard.len());
        self.count.fetch_sub(dropped, Ordering::Relaxed);
        if shard.capacity() > shard.len().saturating_mul(4).max(64) {
            shard.shrink_to_fit();
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
                    .keys()
                    .copied()
                    .map(Slot::new)
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Notes which terminal speaks on a path, to be found again when it ends.
    pub fn note_path(&self, path: PathId, slot: Slot) {
        if let PathId::Tcp { connection } = path {
            self.connections.lock().insert(connection, slot);
        }
    }

    /// Forgets a path. Gives the terminal that spoke on it.
    pub fn forget_path(&self, path: PathId) -> Option<Slot> {
        match path {
            PathId::Tcp { connection } => self.connections.lock().remove(&connection),
            PathId::Udp { .. } => None,
        }
    }
}

impl Memory {
    fn recall(&mut self, slot: Slot) -> Carried<PathId> {
        let young = self.young.remove(&slot.get());
        let old = self.old.remove(&slot.get());
        young.or(old).unwrap_or_default()
    }

    fn remember(&mut self, slot: u32, carried: Carried<PathId>) {
        let is_worth_it = carried != Carried::default();
        if is_worth_it && self.young.len() < REMEMBERED_MAX {
            self.young.insert(slot, carried);
        }
    }

    fn age(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.began_ms) >= GENERATION_MS {
            self.old = std::mem::take(&mut self.young);
            self.began_ms = now_ms;
        }
    }
}
