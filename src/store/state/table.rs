//! The hot table: every registered terminal in memory, found by its identity.
//!
//! It is cut into shards, each under its own lock, which is held for well under a microsecond. The
//! index holds four octets a terminal and the entries lie in chunks, so that growing never copies
//! the whole table.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::hash::RandomState;

use hashbrown::HashTable;
use parking_lot::Mutex;

use crate::model::TerminalId;

use super::hot::{HotEntry, MeterTrack};

/// Shards, a power of two.
pub const SHARDS: usize = 64;
const SHARD_BITS: u32 = 6;
/// Entries that are allocated together: as many as 128 KiB hold, a size that the allocator gives
/// without rounding it up.
const CHUNK: usize = (128 << 10) / size_of::<HotEntry>();
/// Entries that are copied out under one hold of a lock, which takes some microseconds.
const SHOWN: usize = 64;
/// Where in a hash the shard stands.
const SHARD_SHIFT: u32 = 48;
const SHARD_MASK: u64 = (1 << SHARD_BITS) - 1;
/// The number that every slot is below: as many guards a log needs.
pub const SLOTS: u32 = 1 << 28;
/// Entries of a shard at most.
const PLACES: u32 = SLOTS >> SHARD_BITS;
/// Terminals that may be registered. Shards are filled by a hash that is another in each process,
/// never evenly, and none of them may be too small for its share after a restart.
pub const TERMINALS_MAX: usize = 200_000_000;

/// A terminal's place in the table: the same for as long as the process lives.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Slot(u32);

impl Slot {
    /// The slot of a number that [`Self::get`] gave.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number: dense, from 0.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The shard, 0 to 63.
    #[must_use]
    pub fn shard(self) -> usize {
        usize::try_from(self.0).map_or(0, |number| number % SHARDS)
    }

    const fn place(self) -> u32 {
        self.0 >> SHARD_BITS
    }
}

/// An entry with what is kept beside it.
#[derive(Debug)]
pub struct EntryMut<'a> {
    /// Its place.
    pub slot: Slot,
    /// The entry.
    pub hot: &'a mut HotEntry,
    meters: &'a mut HashMap<u32, Vec<MeterTrack>>,
    customers: &'a mut Customers,
}

impl EntryMut<'_> {
    /// What is known of a meter of the terminal.
    #[must_use]
    pub fn meter(&self, meter: u8) -> Option<MeterTrack> {
        if self.hot.meter.used && self.hot.meter.meter == meter {
            return Some(self.hot.meter);
        }
        let further = self.meters.get(&self.slot.0)?;
        let place = further.binary_search_by_key(&meter, |track| track.meter);
        further.get(place.ok()?).copied()
    }

    /// The track of a meter, made if it is new. A terminal has 256 meters at most.
    pub fn meter_mut(&mut self, meter: u8) -> &mut MeterTrack {
        if !self.hot.meter.used || self.hot.meter.meter == meter {
            return &mut self.hot.meter;
        }
        let further = self.meters.entry(self.slot.0).or_default();
        let place = further.binary_search_by_key(&meter, |track| track.meter);
        let place = place.unwrap_or_else(|place| {
            let new = MeterTrack {
                meter,
                ..MeterTrack::default()
            };
            further.insert(place, new);
            place
        });
        // There is one at the place in any case.
        further.get_mut(place).unwrap_or(&mut self.hot.meter)
    }

    /// What is known of all meters of the terminal, by slot and generation.
    #[must_use]
    pub fn all_meters(&self) -> Vec<MeterTrack> {
        (0..=u8::MAX)
            .filter_map(|meter| self.meter(meter))
            .collect()
    }

    /// The terminal's opaque customer number.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        let customer = self.customers.by_slot.get(&self.slot.0);
        customer.map(|customer| &**customer)
    }

    /// Notes the terminal's opaque customer number, or that it has none.
    pub fn set_customer(&mut self, customer: Option<&str>) {
        self.customers.set(self.slot.0, customer);
    }
}

/// Customer numbers. Beside the entries, since few fleets have them and sessions never ask.
#[derive(Debug, Default)]
struct Customers {
    by_slot: HashMap<u32, Box<str>>,
    /// The octets of all numbers.
    octets: u64,
}

impl Customers {
    fn set(&mut self, slot: u32, customer: Option<&str>) {
        let octets = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
        let before = match customer {
            Some(customer) => self.by_slot.insert(slot, customer.into()),
            None => self.by_slot.remove(&slot),
        };
        let less = before.as_deref().map_or(0, octets);
        self.octets = self.octets.saturating_sub(less);
        self.octets = self.octets.saturating_add(customer.map_or(0, octets));
    }
}

#[derive(Debug, Default)]
struct Shard {
    index: HashTable<u32>,
    chunks: Vec<Vec<HotEntry>>,
    /// Of each slot, the tracks of further meters by their numbers.
    meters: HashMap<u32, Vec<MeterTrack>>,
    customers: Customers,
}

impl Shard {
    fn entry(&self, place: u32) -> Option<&HotEntry> {
        let place = usize::try_from(place).ok()?;
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    fn entry_mut(&mut self, slot: Slot) -> Option<EntryMut<'_>> {
        let place = usize::try_from(slot.place()).ok()?;
        let hot = self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)?;
        Some(EntryMut {
            slot,
            hot,
            meters: &mut self.meters,
            customers: &mut self.customers,
        })
    }

    fn len(&self) -> usize {
        let before = self.chunks.len().saturating_sub(1).saturating_mul(CHUNK);
        before.saturating_add(self.chunks.last().map_or(0, Vec::len))
    }

    fn find(&self, hash: u64, id: TerminalId) -> Option<u32> {
        let is_it = |place: &u32| self.entry(*place).is_some_and(|entry| entry.id == id);
        self.index.find(hash, is_it).copied()
    }
}

/// The table.
#[derive(Debug)]
pub struct HotTable {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

/// More terminals than a server takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the table of terminals is full at 200,000,000: register these at another server, each with \
     utilities of its own"
)]
pub struct TableFull;

impl Default for HotTable {
    fn default() -> Self {
        Self::with_room(0)
    }
}

impl HotTable {
    /// A table that takes about so many terminals before an index of it grows.
    #[must_use]
    pub fn with_room(terminals: usize) -> Self {
        let even = terminals / SHARDS;
        let shard = || Shard {
            // No shard has exactly its share.
            index: HashTable::with_capacity(even.saturating_add(even / 16)),
            ..Shard::default()
        };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            hasher: RandomState::new(),
        }
    }

    /// How many terminals it holds, removed ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether so many more terminals may be registered; to be asked before a registration is made
    /// durable, since one that finds no place could not be taken up at a start.
    ///
    /// # Errors
    ///
    /// [`TableFull`].
    pub fn room_for(&self, terminals: usize) -> Result<(), TableFull> {
        let with_them = self.len().saturating_add(terminals);
        (with_them <= TERMINALS_MAX).then_some(()).ok_or(TableFull)
    }

    /// The shard and the hash of a terminal. The index of a shard goes by the lower bits of the
    /// hash and, to tell entries apart, by its upper seven; the shard goes by bits that are
    /// neither.
    fn place_of(&self, id: TerminalId) -> (usize, u64) {
        let hash = self.hasher.hash_one(id);
        let shard = usize::try_from(hash >> SHARD_SHIFT & SHARD_MASK).unwrap_or(0);
        (shard, hash)
    }

    /// The shard that a terminal is in, or would be, 0 to 63.
    #[must_use]
    pub fn shard_of(&self, id: TerminalId) -> usize {
        self.place_of(id).0
    }

    /// Looks a terminal up and works on its entry, under the lock of its shard.
    pub fn with<R>(&self, id: TerminalId, work: impl FnOnce(EntryMut<'_>) -> R) -> Option<R> {
        let (number, hash) = self.place_of(id);
        let mut shard = self.shards.get(number)?.lock();
        let place = shard.find(hash, id)?;
        shard.entry_mut(slot_of(number, place)?).map(work)
    }

    /// Works on the entry of a slot, under the lock of its shard.
    pub fn with_slot<R>(&self, slot: Slot, work: impl FnOnce(EntryMut<'_>) -> R) -> Option<R> {
        let mut shard = self.shards.get(slot.shard())?.lock();
        shard.entry_mut(slot).map(work)
    }

    /// Works on the entry of a terminal, which is made of `new` if there is none.
    ///
    /// # Errors
    ///
    /// [`TableFull`].
    pub fn with_or_insert<R>(
        &self,
        new: &HotEntry,
        work: impl FnOnce(EntryMut<'_>) -> R,
    ) -> Result<R, TableFull> {
        let (number, hash) = self.place_of(new.id);
        let mut shard = self.shards.get(number).ok_or(TableFull)?.lock();
        let place = match shard.find(hash, new.id) {
            Some(place) => place,
            None => self.insert(&mut shard, hash, new)?,
        };
        let slot = slot_of(number, place).ok_or(TableFull)?;
        shard.entry_mut(slot).map(work).ok_or(TableFull)
    }

    fn insert(&self, shard: &mut Shard, hash: u64, new: &HotEntry) -> Result<u32, TableFull> {
        let place = u32::try_from(shard.len()).map_err(|_| TableFull)?;
        if place >= PLACES {
            return Err(TableFull);
        }
        if shard.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            shard.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = shard.chunks.last_mut() {
            chunk.push(*new);
        }
        let Shard { index, chunks, .. } = shard;
        let rehash = |place: &u32| {
            let place = usize::try_from(*place).unwrap_or(usize::MAX);
            let chunk = chunks.get(place / CHUNK);
            let entry = chunk.and_then(|chunk| chunk.get(place % CHUNK));
            entry.map_or(0, |entry| self.hasher.hash_one(entry.id))
        };
        index.insert_unique(hash, place, rehash);
        Ok(place)
    }

    /// Shows all entries of one shard, each with the tracks of its further meters and its customer
    /// number as they are at the same moment. Some are copied under the lock and shown after it:
    /// others wait for the copying alone, however long it takes to show them.
    pub fn show_shard(
        &self,
        number: usize,
        mut show: impl FnMut(&HotEntry, &[MeterTrack], Option<&str>),
    ) {
        let Some(shard) = self.shards.get(number) else {
            return;
        };
        let mut some = Copied::default();
        let mut from = 0;
        loop {
            some.copy(&shard.lock(), number, from);
            if some.entries.is_empty() {
                return;
            }
            some.show(&mut show);
            from = from.saturating_add(some.entries.len());
        }
    }

    /// How many terminals have a customer number, and the octets of all of these numbers.
    #[must_use]
    pub fn customers(&self) -> (u64, u64) {
        let of = |shard: &Mutex<Shard>| {
            let customers = &shard.lock().customers;
            let count = u64::try_from(customers.by_slot.len()).unwrap_or(u64::MAX);
            (count, customers.octets)
        };
        let each = self.shards.iter().map(of);
        each.fold((0, 0), |(count, octets), (more, longer)| {
            (count.saturating_add(more), octets.saturating_add(longer))
        })
    }
}

/// Some entries of a shard that lie one after the other, copied out with what is beside them.
#[derive(Debug, Default)]
struct Copied {
    entries: Vec<HotEntry>,
    /// Of each entry, where its tracks and its customer number end, and whether it has one.
    ends: Vec<(usize, usize, bool)>,
    further: Vec<MeterTrack>,
    customers: String,
}

impl Copied {
    fn copy(&mut self, shard: &Shard, number: usize, from: usize) {
        self.entries.clear();
        self.ends.clear();
        self.further.clear();
        self.customers.clear();
        let entries = shard.chunks.get(from / CHUNK);
        let entries = entries.and_then(|chunk| chunk.get(from % CHUNK..));
        for (place, entry) in (from..).zip(entries.unwrap_or_default()).take(SHOWN) {
            self.entries.push(*entry);
            let slot = u32::try_from(place).ok();
            let slot = slot.and_then(|place| slot_of(number, place));
            let further = slot.and_then(|slot| shard.meters.get(&slot.get()));
            self.further
                .extend_from_slice(further.map_or(&[], Vec::as_slice));
            let customer = slot.and_then(|slot| shard.customers.by_slot.get(&slot.get()));
            self.customers.push_str(customer.map_or("", |one| one));
            let ends = (self.further.len(), self.customers.len());
            self.ends.push((ends.0, ends.1, customer.is_some()));
        }
    }

    fn show(&self, show: &mut impl FnMut(&HotEntry, &[MeterTrack], Option<&str>)) {
        let mut from = (0, 0);
        for (entry, &(further, customer, has_one)) in self.entries.iter().zip(&self.ends) {
            let tracks = self.further.get(from.0..further).unwrap_or_default();
            let number = self.customers.get(from.1..customer);
            show(entry, tracks, number.filter(|_| has_one));
            from = (further, customer);
        }
    }
}

fn slot_of(shard: usize, place: u32) -> Option<Slot> {
    let shard = u32::try_from(shard).ok()?;
    Some(Slot(place << SHARD_BITS | shard))
}

#[cfg(test)]
mod tests {
    use super::super::directory::UtilityIndex;
    use super::*;
    use crate::wire::otl::ident::Mode;

    fn entry(number: u64) -> HotEntry {
        let id = TerminalId::new(number.to_be_bytes());
        HotEntry::new(id, UtilityIndex::new(0), Mode::CcmStatic)
    }

    #[test]
    fn every_terminal_is_found_again_by_identity_and_by_slot() {
        let table = HotTable::default();
        for number in 0..20_000 {
            let slot = table.with_or_insert(&entry(number), |entry| {
                entry.hot.last_contact_utc_s = 1;
                entry.slot
            });
            let found = table.with(TerminalId::new(number.to_be_bytes()), |entry| entry.slot);
            assert_eq!(slot.ok(), found);
        }
        assert_eq!(table.len(), 20_000);
        for number in 0..20_000u64 {
            let id = TerminalId::new(number.to_be_bytes());
            let slot = table.with(id, |entry| entry.slot).unwrap();
            assert_eq!(table.with_slot(slot, |entry| entry.hot.id), Some(id));
        }
        assert_eq!(table.with(TerminalId::new([0xFF; 8]), |_| ()), None);
    }

    #[test]
    fn every_slot_is_below_the_number_of_guards_and_the_limit_leaves_shards_uneven() {
        let last = slot_of(SHARDS - 1, PLACES - 1).unwrap();
        assert_eq!(last.get(), SLOTS - 1);
        let mean = TERMINALS_MAX / SHARDS;
        assert!(mean + mean / 4 < usize::try_from(PLACES).unwrap());
        let table = HotTable::default();
        assert_eq!(table.room_for(TERMINALS_MAX), Ok(()));
        table.with_or_insert(&entry(1), |_| ()).unwrap();
        let full = table.room_for(TERMINALS_MAX).unwrap_err().to_string();
        assert!(full.contains("200,000,000"), "{full}");
    }

    #[test]
    fn entries_of_one_shard_have_all_tags_of_its_index() {
        let table = HotTable::default();
        let mut tags: Vec<std::collections::BTreeSet<u64>> = vec![Default::default(); SHARDS];
        for number in 0..200_000u64 {
            let (shard, hash) = table.place_of(TerminalId::new(number.to_be_bytes()));
            tags[shard].insert(hash >> 57);
        }
        assert!(tags.iter().all(|tags| tags.len() == 128));
    }

    #[test]
    fn further_meters_are_kept_beside_the_first() {
        let table = HotTable::default();
        let check = table.with_or_insert(&entry(1), |mut entry| {
            for meter in [0x00, 0x10, 0x11] {
                let track = entry.meter_mut(meter);
                track.used = true;
                track.meter = meter;
                track.register = u64::from(meter);
            }
            [0x00, 0x10, 0x11].map(|meter| entry.meter(meter).map(|track| track.register))
        });
        assert_eq!(check, Ok([Some(0), Some(0x10), Some(0x11)]));
        let mut shown = Vec::new();
        for shard in 0..SHARDS {
            table.show_shard(shard, |_, further, _| shown.push(further.len()));
        }
        assert_eq!(shown, [2]);
    }

    #[test]
    fn each_entry_is_shown_once_with_what_is_its_own_and_without_the_lock() {
        let table = HotTable::default();
        let (mut wanted, mut octets) = (Vec::new(), 0);
        for number in 0..20_000_u64 {
            let customer = (number % 3 == 0).then(|| format!("C-{number}"));
            let put = |mut entry: EntryMut<'_>| {
                entry.set_customer(Some("another before"));
                entry.set_customer(customer.as_deref());
                for meter in 0..u8::try_from(number % 4).unwrap() {
                    let track = entry.meter_mut(meter);
                    (track.used, track.meter, track.register) = (true, meter, number);
                }
            };
            table.with_or_insert(&entry(number), put).unwrap();
            octets += customer.as_ref().map_or(0, |one| one.len() as u64);
            wanted.push((number, usize::try_from(number % 4).unwrap(), customer));
        }
        let mut shown = Vec::new();
        for shard in 0..SHARDS {
            table.show_shard(shard, |hot, further, customer| {
                let number = u64::from_be_bytes(hot.id.octets());
                assert!(further.iter().all(|track| track.register == number));
                // Another thread would get the lock now, and so does this one.
                let meters = table.with(hot.id, |entry| entry.all_meters()).unwrap();
                let meters = meters.iter().filter(|track| track.used).count();
                assert_eq!(further.len(), meters.saturating_sub(1));
                shown.push((number, meters, customer.map(str::to_owned)));
            });
        }
        shown.sort_unstable();
        assert_eq!(shown, wanted);
        let with_one = wanted.iter().filter(|(_, _, one)| one.is_some()).count();
        assert_eq!(table.customers(), (with_one as u64, octets));
    }
}
