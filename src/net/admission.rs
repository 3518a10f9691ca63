//! Who may make the server compute: a limit per address on what fails.
//!
//! A carrier's NAT puts a fleet behind one address, so verified frames are never counted; only
//! failed authentications and octets that are no frame are. An address whose failures have spent
//! its allowance is *suspect*. Its frames are then tried at a bounded rate, which is divided by
//! source port into [`LANES`] lanes, and a frame that verifies gives its trial back. So a flood
//! from one port leaves 63 of 64 terminals behind the same address untouched, and one from all
//! ports leaves each try of a terminal the chance `trials_per_s / frames_per_s` of its address.
//! Addresses that never fail pass on one hash and one atomic read.
//!
//! Once all addresses together fail more than `failures_per_s_total` in a second, every address
//! with a failure on record is taken as suspect for the rest of it. Whatever the addresses, each
//! port has a budget of `failures_per_s_port`, beyond which nothing on it is tried, and half of
//! which suspect addresses leave to the others: a flood from ever new addresses has that much of
//! the processors, and the other ports their own.
//!
//! # What this does not keep off
//!
//! The source of a datagram can be invented. Whoever sends forged frames under the address of a
//! carrier's NAT makes that address suspect, and if he uses all of its ports, terminals behind it
//! are tried by chance only; they send again, and over TCP, where an address cannot be invented
//! so, they have a budget of their own. Whoever invents ever new addresses faster than the budget
//! makes every new sender on that port wait for its chance in the same way. Good frames and forged
//! ones cannot be told apart before they are tried: what is bounded is the work, not the loss. Only
//! filters in the network (source address validation, a private APN) keep such floods away.
//!
//! The table has a fixed size, and its sets of eight places are chosen by a keyed hash. In a full
//! set the address with the fewest failures makes room, of several the one that was silent longest,
//! so that those who attack stay known. IPv6 addresses count by their /64. Nothing here reads a
//! clock or a socket.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::contract::Verdict;

/// Into how many lanes the trials of a suspect address are divided, by source port.
pub const LANES: u16 = 64;
/// The same, as a length.
const LANES_LEN: usize = 64;
/// Places in a set.
const WAYS: usize = 8;
/// One failure, in the unit of debts.
const FAILURE: u64 = 1_000;

/// The limits. All of them at least 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AdmissionLimits {
    /// Failures that an address may have at once before it is suspect.
    pub failure_burst: u32,
    /// Failures a second that are forgiven.
    pub failures_per_s: u32,
    /// Frames a second of a suspect address that are tried; at least [`LANES`].
    pub trials_per_s: u32,
    /// Failures a second of all addresses together above which one failure makes suspect.
    pub failures_per_s_total: u32,
    /// Failures a second on one port (readings, alarms, TCP, each of gateways) beyond which nothing
    /// on it is tried.
    pub failures_per_s_port: u32,
    /// Addresses that are remembered, rounded up to a multiple of eight; about 70 octets each,
    /// and 280 more for one that is suspect.
    pub addresses_max: usize,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            failure_burst: 1_000,
            failures_per_s: 100,
            trials_per_s: 6_400,
            failures_per_s_total: 15_000,
            failures_per_s_port: 30_000,
            addresses_max: 16_384,
        }
    }
}

/// How a frame may go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pass {
    /// Its address has no spent allowance.
    Open,
    /// It used up a trial of its suspect address.
    Trial,
    /// It is dropped before any cryptography.
    Refused,
}

/// An address, as far as it is told apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Source {
    V4(u32),
    /// The upper half.
    V6(u64),
}

impl Source {
    pub(super) fn of(peer: SocketAddr) -> Self {
        match peer.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.octets();
                let [_, _, _, _, e, f, g, h, ..] = ip.octets();
                Self::V6(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

/// Trials of one second.
#[derive(Debug)]
struct Trials {
    second: u64,
    used: [u32; LANES_LEN],
}

impl Default for Trials {
    fn default() -> Self {
        Self {
            second: 0,
            used: [0; LANES_LEN],
        }
    }
}

impl Trials {
    /// The lane of a port in this second.
    fn lane(&mut self, port: u16, second: u64) -> Option<&mut u32> {
        if self.second != second {
            self.second = second;
            self.used = [0; LANES_LEN];
        }
        self.used.get_mut(usize::from(port % LANES))
    }
}

#[derive(Debug)]
struct Place {
    source: Source,
    /// Failures that are not forgiven yet, in thousandths.
    debt: u64,
    seen_ms: u64,
    failed_ms: u64,
    /// Only for one that was suspect.
    trials: Option<Box<Trials>>,
}

impl Place {
    /// Forgives what time forgives.
    fn settle(&mut self, limits: &AdmissionLimits, now_ms: u64) {
        // A thousandth of a failure in a millisecond for each failure in a second.
        let passed_ms = now_ms.saturating_sub(self.seen_ms);
        let forgiven = passed_ms.saturating_mul(u64::from(limits.failures_per_s));
        self.debt = self.debt.saturating_sub(forgiven);
        self.seen_ms = self.seen_ms.max(now_ms);
    }
}

/// Some places, which addresses of the same hash share.
#[derive(Debug, Default)]
struct Set {
    /// How many places are taken; read without the lock.
    taken: AtomicUsize,
    places: Mutex<Vec<Place>>,
}

/// The limits and what is remembered. Times are milliseconds of a clock that never goes back.
#[derive(Debug)]
pub struct Admission {
    limits: AdmissionLimits,
    sets: Box<[Set]>,
    hasher: RandomState,
    /// Second in the upper half, failures of all addresses in it in the lower half.
    pressure: AtomicU64,
}

impl Admission {
    /// What is bounded.
    pub(super) const fn limits(&self) -> &AdmissionLimits {
        &self.limits
    }

    /// Nobody has failed yet.
    #[must_use]
    pub fn new(limits: AdmissionLimits) -> Self {
        let sets = limits.addresses_max.div_ceil(WAYS).max(1);
        Self {
            limits,
            sets: (0..sets).map(|_| Set::default()).collect(),
            hasher: RandomState::new(),
            pressure: AtomicU64::new(0),
        }
    }

    /// Whether a frame from `peer` may go on to cryptography.
    pub fn admit(&self, peer: SocketAddr, now_ms: u64) -> Pass {
        let source = Source::of(peer);
        let Some(set) = self.set(source) else {
            return Pass::Open;
        };
        if set.taken.load(Ordering::Relaxed) == 0 {
            return Pass::Open;
        }
        let mut places = set.places.lock();
        let Some(index) = places.iter().position(|place| place.source == source) else {
            return Pass::Open;
        };
        let Some(place) = places.get_mut(index) else {
            return Pass::Open;
        };
        place.settle(&self.limits, now_ms);
        if place.debt == 0 {
            places.swap_remove(index);
            set.taken.store(places.len(), Ordering::Relaxed);
            return Pass::Open;
        }
        if !self.has_spent(place, now_ms) {
            return Pass::Open;
        }
        let quota = (self.limits.trials_per_s / u32::from(LANES)).max(1);
        let trials = place.trials.get_or_insert_default();
        match trials.lane(peer.port(), now_ms / 1_000) {
            Some(used) if *used < quota => {
                *used = used.saturating_add(1);
                Pass::Trial
            }
            _ => Pass::Refused,
        }
    }

    /// Whether an address has spent its allowance.
    pub fn is_suspect(&self, peer: SocketAddr, now_ms: u64) -> bool {
        let source = Source::of(peer);
        let Some(set) = self.set(source) else {
            return false;
        };
        if set.taken.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut places = set.places.lock();
        let place = places.iter_mut().find(|place| place.source == source);
        place.is_some_and(|place| {
            place.settle(&self.limits, now_ms);
            self.has_spent(place, now_ms)
        })
    }

    fn has_spent(&self, place: &Place, now_ms: u64) -> bool {
        let allowance = u64::from(self.limits.failure_burst).saturating_mul(FAILURE);
        place.debt >= allowance || (place.debt > 0 && self.is_under_pressure(now_ms))
    }

    /// Tells what became of a frame that [`Self::admit`] let pass.
    pub fn settle(&self, peer: SocketAddr, pass: Pass, verdict: Verdict, now_ms: u64) {
        match verdict {
            Verdict::FailedAuthentication | Verdict::Malformed => self.failed(peer, now_ms),
            Verdict::Verified | Verdict::Shed if pass == Pass::Trial => {
                self.give_back(peer, now_ms);
            }
            Verdict::Verified | Verdict::Shed => {}
        }
    }

    /// Addresses that are remembered now.
    #[cfg(test)]
    fn remembered(&self) -> usize {
        let taken = self
            .sets
            .iter()
            .map(|set| set.taken.load(Ordering::Relaxed));
        taken.sum()
    }

    fn set(&self, source: Source) -> Option<&Set> {
        let sets = u64::try_from(self.sets.len()).ok()?;
        let index = self.hasher.hash_one(source).checked_rem(sets)?;
        self.sets.get(usize::try_from(index).ok()?)
    }

    fn failed(&self, peer: SocketAddr, now_ms: u64) {
        self.press(now_ms);
        let source = Source::of(peer);
        let Some(set) = self.set(source) else {
            return;
        };
        let mut places = set.places.lock();
        for place in places.iter_mut() {
            place.settle(&self.limits, now_ms);
        }
        // Twice the allowance at most: who stops is forgiven soon.
        let debt_max = u64::from(self.limits.failure_burst).saturating_mul(2 * FAILURE);
        if let Some(place) = places.iter_mut().find(|place| place.source == source) {
            place.debt = place.debt.saturating_add(FAILURE).min(debt_max);
            place.failed_ms = now_ms;
            return;
        }
        places.retain(|place| place.debt > 0);
        if places.len() >= WAYS {
            let places_by = (0..).zip(places.iter());
            let lightest = places_by.min_by_key(|(_, place)| (place.debt, place.failed_ms));
            if let Some((index, _)) = lightest {
                places.swap_remove(index);
            }
        }
        places.push(Place {
            source,
            debt: FAILURE,
            seen_ms: now_ms,
            failed_ms: now_ms,
            trials: None,
        });
        set.taken.store(places.len(), Ordering::Relaxed);
    }

    fn give_back(&self, peer: SocketAddr, now_ms: u64) {
        let source = Source::of(peer);
        let Some(set) = self.set(source) else {
            return;
        };
        let mut places = set.places.lock();
        let place = places.iter_mut().find(|place| place.source == source);
        let trials = place.and_then(|place| place.trials.as_mut());
        if let Some(used) = trials.and_then(|trials| trials.lane(peer.port(), now_ms / 1_000)) {
            *used = used.saturating_sub(1);
        }
    }

    /// Counts a failure of anybody. Two threads at the turn of a second may lose one count.
    fn press(&self, now_ms: u64) {
        let second = (now_ms / 1_000) << 32;
        let before = self.pressure.load(Ordering::Relaxed);
        if before >> 32 == second >> 32 {
            self.pressure.fetch_add(1, Ordering::Relaxed);
        } else {
            self.pressure.store(second | 1, Ordering::Relaxed);
        }
    }

    fn is_under_pressure(&self, now_ms: u64) -> bool {
        let pressure = self.pressure.load(Ordering::Relaxed);
        let failures = pressure & u64::from(u32::MAX);
        pressure >> 32 == now_ms / 1_000 && failures > u64::from(self.limits.failures_per_s_total)
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
