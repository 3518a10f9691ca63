//! What is known of M-Bus meters: which telegrams are durable already, and when each was last
//! heard.
//!
//! It is what the frames of telegrams add up to, and nothing else. A telegram that is verified is
//! asked for here before it is appended, and moves the window only once it is durable.
//!
//! # Copies
//!
//! The same telegram comes through several gateways, at once or hours apart. It is known by its
//! digest: of each meter those of the last [`SPAN_S`] are kept, [`RECENT_MIN`] at least and
//! [`RECENT_MAX`] at most. Under a key with counters a copy is a copy whenever it comes; without
//! one, the same octets are the same telegram within [`SPAN_S`], and later the meter has said the
//! same again. Of one that was heard no later than [`SPAN_S`] after a digest that made room nothing
//! is known here: whoever asks looks in the log. What a meter says now is that only if more comes
//! within [`SPAN_S`] than is kept.
//!
//! # Utilities
//!
//! Gateways of two utilities may hear one meter in clear. Each has its own entry, so that neither
//! can push out what is known of the other's.
//!
//! # Counters
//!
//! Each version of each key has a sliding window, [`ReplayWindow`]. A counter that is in it and was
//! not seen is new, however late it comes. One that was seen in a telegram whose digest is not kept
//! any more, and one before the window, is not: whoever asks then looks in the log whether it is a
//! copy, and refuses it if it is none. A window that made room for another key's leaves its highest
//! counter behind: up to there the log knows, as far back as it is kept. Old snapshots have no such
//! floors. Where one may be missing, the first counter of a key that is not known is looked for,
//! and is the key's floor from then on.
//!
//! # MACs of mode 5
//!
//! Without a MAC a telegram of mode 5 has no counter, and one that had both can be stripped of them
//! by whoever hears it. Under a version of a key under which a meter has sent MACs in mode 5, none
//! without is taken: whoever asks looks in the log whether it is a copy of what came before, and
//! refuses it if it is none. A MAC under another key than the one that encrypts counts for all
//! versions.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::keyring::UtilityId;
use crate::model::telegram::Telegram;
use crate::model::{Lsn, TerminalId};
use crate::session::mbus::{KeyId, KeyName, ReplayWindow, Verdict, Verified};

/// Windows of a meter at most; the one that was used longest ago makes room.
pub const WINDOWS_MAX: usize = 4;
/// Windows that made room, of whose keys the highest counter is kept, at most: more than a ring can
/// have keys of a meter.
pub const FLOORS_MAX: usize = 64;
/// Keys under which a meter signs in mode 5, at most: as many.
pub const SIGNING_MAX: usize = FLOORS_MAX;
/// Digests of a meter that are kept however old they are.
pub const RECENT_MIN: usize = 32;
/// Digests of a meter at most: all of the last [`SPAN_S`] of one that sends every 16 seconds.
pub const RECENT_MAX: usize = 240;
/// For how long, in seconds, the same octets without a counter are the same telegram: access
/// numbers come again after 256 telegrams, of a quick meter after an hour.
pub const SPAN_S: u32 = 3_600;

const SHARDS: usize = 64;

/// A meter in the order of the link, and whose gateways hear it.
pub(super) type MeterKey = ([u8; 8], UtilityId);

/// What a telegram is judged by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// The digest of its content.
    pub digest: u64,
    /// When it was heard, UTC seconds.
    pub at_utc_s: u32,
    /// Its key and counter, if a MAC under that key holds.
    pub counter: Option<(KeyName, u32)>,
    /// The key that verified it, in whatever way.
    pub key: Option<KeyName>,
    /// Whether its mode is 5.
    pub is_mode_5: bool,
}

impl Mark {
    /// That of a telegram.
    #[must_use]
    pub fn of(telegram: &Telegram<'_>) -> Self {
        let security = &telegram.security;
        let is_counted = security.verified == Verified::Mac;
        let counter = security.key.zip(security.counter);
        Self {
            digest: telegram.digest,
            at_utc_s: u32::try_from(telegram.at_utc_ms() / 1_000).unwrap_or(u32::MAX),
            counter: counter.filter(|_| is_counted),
            key: security.key,
            is_mode_5: security.mode == 5,
        }
    }

    /// Whether `other` is the same telegram.
    #[must_use]
    pub fn is_copy_of(&self, other: &Self) -> bool {
        self.is_copy(other.digest, other.at_utc_s)
    }

    fn is_copy(&self, digest: u64, at_utc_s: u32) -> bool {
        let is_near = self.at_utc_s.abs_diff(at_utc_s) <= SPAN_S;
        self.digest == digest && (self.counter.is_some() || is_near)
    }
}

/// Whether a telegram is new.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// It is.
    New,
    /// It is durable already.
    Copy,
    /// Its counter was seen, and the telegram is not known.
    Replay,
    /// Its counter is before the window.
    TooOld,
    /// It may be a copy of what made room: the log knows.
    Forgotten,
    /// Nothing says that its counter was used, and the floor that may have said it is not known: it
    /// is new unless the log has a copy.
    Unsure,
    /// It has no MAC, and others of the meter in its mode under its key have: the log knows whether
    /// it is a copy.
    Unsigned,
}

/// One meter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Meter {
    /// Up to which frame it has seen the log.
    pub(super) applied: Lsn,
    /// When it was last received, UTC seconds.
    pub(super) last_contact_utc_s: u32,
    /// The one that was used last stands last.
    pub(super) windows: Vec<(KeyName, ReplayWindow)>,
    /// The highest counters of windows that made room, the one that did last at the end.
    pub(super) floors: Vec<(KeyName, u32)>,
    /// Whether windows may have made room that left no floor behind. Of a key that comes later all
    /// counters may have been used then, and no floor says for sure which.
    pub(super) lacks_floors: bool,
    /// The keys under which it has sent MACs in mode 5.
    pub(super) signing: Vec<KeyName>,
    /// Digests and when each was heard, the one that was heard last at the end.
    pub(super) recent: VecDeque<(u64, u32)>,
    /// When the latest of those that made room was heard; none if none did.
    pub(super) lost_utc_s: Option<u32>,
}

impl Meter {
    fn judge(&self, mark: &Mark) -> Seen {
        let mut recent = self.recent.iter();
        if recent.any(|(digest, at_utc_s)| mark.is_copy(*digest, *at_utc_s)) {
            return Seen::Copy;
        }
        if mark.is_mode_5 && mark.counter.is_none() && self.signs_like(mark.key) {
            return Seen::Unsigned;
        }
        let Some((key, counter)) = mark.counter else {
            let lost = self.lost_utc_s;
            let may_be_lost = lost.is_some_and(|lost| mark.at_utc_s <= lost.saturating_add(SPAN_S));
            return match may_be_lost {
                true => Seen::Forgotten,
                false => Seen::New,
            };
        };
        let window = self.windows.iter().find(|(of, _)| *of == key);
        let verdict = window.map(|(_, window)| window.check(counter, short(mark.digest)));
        let floor = self.floors.iter().find(|(of, _)| *of == key);
        let is_below = floor.is_some_and(|(_, highest)| counter <= *highest);
        match verdict {
            None | Some(Verdict::Fresh) if is_below && !self.lacks_floors => Seen::Forgotten,
            Some(Verdict::Fresh) if is_below => Seen::Unsure,
            None if self.lacks_floors => Seen::Unsure,
            None | Some(Verdict::Fresh) => Seen::New,
            Some(Verdict::Copy | Verdict::Replay) => Seen::Replay,
            Some(Verdict::TooOld) => Seen::TooOld,
        }
    }

    /// Whether what `key` encrypts in mode 5 is signed. Where there is no key nothing is encrypted:
    /// that is as good as what comes in clear.
    fn signs_like(&self, key: Option<KeyName>) -> bool {
        let signs = |signing: &KeyName| {
            signing.id != KeyId::PERSISTENT || key.is_some_and(|key| key.version == signing.version)
        };
        key.is_some() && self.signing.iter().any(signs)
    }

    fn note(&mut self, mark: &Mark) {
        // A backlog that comes late does not push out what was heard since.
        let later = self.recent.iter().rev();
        let later = later.take_while(|(_, at)| *at > mark.at_utc_s).count();
        let place = self.recent.len().saturating_sub(later);
        self.recent.insert(place, (mark.digest, mark.at_utc_s));
        // What was received while the clock was ahead makes nothing older.
        let is_past = |at: u32| at < mark.at_utc_s.saturating_sub(SPAN_S);
        while let Some((_, oldest)) = self.recent.front().copied()
            && (self.recent.len() > RECENT_MAX
                || (self.recent.len() > RECENT_MIN && is_past(oldest)))
        {
            self.recent.pop_front();
            self.lost_utc_s = self.lost_utc_s.max(Some(oldest));
        }
        let Some((key, counter)) = mark.counter else {
            return;
        };
        if mark.is_mode_5 && !self.signing.contains(&key) {
            if self.signing.len() >= SIGNING_MAX {
                self.signing.remove(0);
            }
            self.signing.push(key);
        }
        let known = self.windows.iter().position(|(of, _)| *of == key);
        let known = known.map(|place| self.windows.remove(place).1);
        if known.is_none() && self.lacks_floors {
            self.note_floor(key, u32::MAX);
        }
        let mut window = known.unwrap_or_default();
        // One before the window was new when it was judged, and moves nothing.
        window.accept(counter, short(mark.digest));
        if self.windows.len() >= WINDOWS_MAX {
            let (of, window) = self.windows.remove(0);
            self.note_floor(of, window.highest().unwrap_or_default());
        }
        self.windows.push((key, window));
    }

    /// Notes up to where the counters of a key are not known one by one any more.
    pub(super) fn note_floor(&mut self, key: KeyName, highest: u32) {
        let known = self.floors.iter().position(|(of, _)| *of == key);
        let known = known.map(|place| self.floors.remove(place).1);
        if self.floors.len() >= FLOORS_MAX {
            self.floors.remove(0);
        }
        let highest = known.map_or(highest, |known| known.max(highest));
        self.floors.push((key, highest));
    }
}

/// The part of a digest that a window keeps.
const fn short(digest: u64) -> u32 {
    let [.., a, b, c, d] = digest.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// What each utility's gateways have heard of a meter.
type Heard = Vec<(UtilityId, Meter)>;
type Shard = RwLock<HashMap<[u8; 8], Heard>>;

/// All meters that a telegram is durable of.
#[derive(Debug)]
pub struct MeterTable {
    shards: [Shard; SHARDS],
    /// Meters, those that two utilities hear twice.
    count: AtomicUsize,
}

impl Default for MeterTable {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Shard::default()),
            count: AtomicUsize::new(0),
        }
    }
}

impl MeterTable {
    /// Parts of the table, which are locked one by one.
    pub(super) const SHARDS: usize = SHARDS;

    fn shard(&self, meter: [u8; 8]) -> Option<&Shard> {
        let hash = usize::try_from(crc32c::crc32c(&meter)).unwrap_or_default();
        self.shards.get(hash % SHARDS)
    }

    /// How many meters there are; one that two utilities hear counts twice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What `of` tells of a meter as one utility hears it.
    fn with<T>(
        &self,
        utility: UtilityId,
        meter: TerminalId,
        of: impl FnOnce(&Meter) -> T,
    ) -> Option<T> {
        let meter = meter.octets();
        let shard = self.shard(meter)?.read();
        let heard = shard.get(&meter)?;
        let own = heard.iter().find(|(one, _)| *one == utility);
        own.map(|(_, meter)| of(meter))
    }

    /// Whether a telegram of a meter is durable that this utility heard.
    #[must_use]
    pub fn knows(&self, utility: UtilityId, meter: TerminalId) -> bool {
        self.with(utility, meter, |_| ()).is_some()
    }

    /// When a telegram of a meter was last received, UTC seconds.
    #[must_use]
    pub fn last_contact_utc_s(&self, utility: UtilityId, meter: TerminalId) -> Option<u32> {
        self.with(utility, meter, |meter| meter.last_contact_utc_s)
    }

    /// The position of the last frame of a meter, whoever heard it; none if there is none.
    #[must_use]
    pub fn applied(&self, meter: TerminalId) -> Option<Lsn> {
        let meter = meter.octets();
        let shard = self.shard(meter)?.read();
        let heard = shard.get(&meter)?;
        heard.iter().map(|(_, meter)| meter.applied).max()
    }

    /// Whether a telegram of a meter is new to a utility.
    #[must_use]
    pub fn judge(&self, utility: UtilityId, meter: TerminalId, mark: &Mark) -> Seen {
        let seen = self.with(utility, meter, |meter| meter.judge(mark));
        seen.unwrap_or(Seen::New)
    }

    /// Folds a telegram in. What has seen its frame skips it.
    pub(super) fn fold(&self, lsn: Lsn, telegram: &Telegram<'_>) {
        let address = telegram.meter.link_order();
        let Some(shard) = self.shard(address) else {
            return;
        };
        let mut shard = shard.write();
        let heard = shard.entry(address).or_default();
        let own = heard.iter().position(|(one, _)| *one == telegram.utility);
        let own = own.unwrap_or_else(|| {
            self.count.fetch_add(1, Ordering::Relaxed);
            heard.push((telegram.utility, Meter::default()));
            heard.len().saturating_sub(1)
        });
        let Some((_, meter)) = heard.get_mut(own) else {
            return;
        };
        if meter.applied >= lsn {
            return;
        }
        meter.applied = lsn;
        let received_utc_s = u32::try_from(telegram.received_utc_ms / 1_000).unwrap_or(u32::MAX);
        meter.last_contact_utc_s = meter.last_contact_utc_s.max(received_utc_s);
        meter.note(&Mark::of(telegram));
    }

    /// Copies what is in a shard, to be written.
    pub(super) fn copy_of_shard(&self, shard: usize) -> Vec<(MeterKey, Meter)> {
        let Some(shard) = self.shards.get(shard) else {
            return Vec::new();
        };
        let shard = shard.read();
        let all = shard.iter().flat_map(|(address, heard)| {
            let of = heard.iter();
            of.map(|(utility, meter)| ((*address, *utility), meter.clone()))
        });
        let mut all: Vec<_> = all.collect();
        drop(shard);
        all.sort_unstable_by_key(|((address, utility), _)| (*address, utility.octets()));
        all
    }

    /// Puts a meter in as a snapshot has it.
    pub(super) fn restore(&self, (address, utility): MeterKey, meter: Meter) {
        if let Some(shard) = self.shard(address) {
            let mut shard = shard.write();
            shard.entry(address).or_default().push((utility, meter));
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
#[path = "meters_tests.rs"]
pub(super) mod tests;
