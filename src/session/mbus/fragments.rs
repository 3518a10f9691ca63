//! Messages that come in more than one telegram, put together.
//!
//! A message belongs to one sender, one direction and one access session: a run of access numbers
//! of the extended link layer. Its fragments come in order, and each as often as gateways heard it.
//! What follows a gap is refused until the missing one has come: the MAC is over the whole.

use std::collections::HashMap;

use crate::wire::mbus::address::Address;
use crate::wire::mbus::afl::{Afl, MESSAGE_MAX};
use crate::wire::mbus::error::{MbusError, MbusErrorKind};

/// Senders with a message under way at most.
const SENDERS_MAX: usize = 256;
/// How long a message may take from its first fragment to its last.
const TIMEOUT_MS: u64 = 300_000;

/// What the first fragment said about the whole message, and the MAC of the last one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Authentication {
    /// The message control field.
    pub(super) control: Option<u8>,
    /// Octets of the MAC that the control field demands.
    pub(super) mac_octets: Option<usize>,
    /// The key information field.
    pub(super) key: Option<[u8; 2]>,
    /// The message counter as on the wire.
    pub(super) counter: Option<[u8; 4]>,
    /// The message length as on the wire.
    pub(super) length: Option<[u8; 2]>,
    mac: [u8; 16],
    mac_len: usize,
}

impl Authentication {
    /// What one AFL says.
    pub(super) fn of(afl: &Afl<'_>) -> Self {
        let mut one = Self {
            control: afl.control.map(|control| control.octet()),
            mac_octets: afl.control.and_then(|control| control.cmac_octets()),
            key: afl.key,
            counter: afl.counter,
            length: afl.message_octets.map(u16::to_le_bytes),
            ..Self::default()
        };
        one.set_mac(afl.mac);
        one
    }

    /// The MAC; empty without one.
    pub(super) fn mac(&self) -> &[u8] {
        self.mac.get(..self.mac_len).unwrap_or_default()
    }

    fn set_mac(&mut self, mac: &[u8]) {
        if let Some(place) = self.mac.get_mut(..mac.len()) {
            place.copy_from_slice(mac);
            self.mac_len = mac.len();
        }
    }
}

/// Where fragments wait. It is asked for fragments alone, so that whole telegrams need no lock.
pub trait FragmentStore {
    /// Gives the messages under way to `with`.
    fn use_fragments<T>(&mut self, with: impl FnOnce(&mut Fragments) -> T) -> T;
}

impl FragmentStore for Fragments {
    fn use_fragments<T>(&mut self, with: impl FnOnce(&mut Self) -> T) -> T {
        with(self)
    }
}

/// What came of a fragment.
#[derive(Debug)]
pub(super) enum Taken {
    /// It is kept until the next one comes.
    Kept,
    /// It was the last: the message and what its AFLs say.
    Whole(Vec<u8>, Authentication),
}

/// How far the access number of the link may run on from one fragment to the next: a partner takes
/// a new one for each request, a meter answers under it, and other requests may lie between.
const ACCESS_RUN: u8 = 16;

#[derive(Debug)]
struct Assembly {
    /// The access number that the last fragment came under.
    access_number: Option<u8>,
    began_ms: u64,
    /// Of each fragment that was taken, in order.
    digests: Vec<u64>,
    /// Empty once it was given out.
    message: Vec<u8>,
    is_whole: bool,
    about: Authentication,
}

impl Assembly {
    /// What a fragment that is held already comes to.
    fn again(&self, afl: &Afl<'_>) -> Taken {
        if afl.more_fragments || !self.is_whole {
            return Taken::Kept;
        }
        let mut about = self.about;
        about.set_mac(afl.mac);
        Taken::Whole(self.message.clone(), about)
    }

    /// Whether this very fragment was taken already: another gateway heard it too.
    fn holds(&self, fragment: u8, digest: u64) -> bool {
        let at = usize::from(fragment).checked_sub(1);
        at.and_then(|at| self.digests.get(at)) == Some(&digest)
    }

    /// Whether a fragment under this access number may be of the same access session.
    fn goes_on_under(&self, access_number: Option<u8>) -> bool {
        match (self.access_number, access_number) {
            (Some(before), Some(now)) => now.wrapping_sub(before) <= ACCESS_RUN,
            (before, now) => before == now,
        }
    }

    fn is_late(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.began_ms) > TIMEOUT_MS
    }
}

/// The sender's address, and whether it sends to a meter.
type Key = ([u8; 8], bool);

/// The messages under way. Bounded: one a sender and direction, 16 KiB each, and a number of
/// senders beyond which the oldest message is given up.
///
/// Fragments are not authenticated one by one, so that a forged one may spoil a message, and
/// never passes for a part of it: the MAC is over the whole.
#[derive(Debug, Default)]
pub struct Fragments {
    assemblies: HashMap<Key, Assembly>,
}

/// Which message a fragment belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) sender: Address,
    pub(super) is_downlink: bool,
    /// The access number of the extended link layer.
    pub(super) access_number: Option<u8>,
}

impl Fragments {
    /// Messages that are remembered: those under way, and for some minutes those that were whole.
    #[must_use]
    pub fn len(&self) -> usize {
        self.assemblies.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.assemblies.is_empty()
    }

    /// Takes a fragment: `octets` from the CI field of its AFL on, which stands at `offset`.
    ///
    /// A copy of one that was taken changes nothing; one of the last gives the message again, since
    /// what became of it is not known here. One that does not fit changes nothing either,
    /// so that the one that was missing may still come. Another first fragment begins anew.
    // clause: OMS Volume 2, 6.3.6
    pub(super) fn take(
        &mut self,
        now_ms: u64,
        origin: Origin,
        afl: &Afl<'_>,
        octets: &[u8],
        offset: usize,
    ) -> Result<Taken, MbusError> {
        let key = (origin.sender.link_order(), origin.is_downlink);
        let wrong = |field| MbusError::new(offset, MbusErrorKind::Fragment, field);
        let part = octets.get(afl.len..).unwrap_or_default();
        let digest = digest(octets);
        let running = self.assemblies.get_mut(&key);
        let running = running.filter(|one| !one.is_late(now_ms));
        if let Some(one) = running
            .as_ref()
            .filter(|one| one.holds(afl.fragment, digest))
        {
            return Ok(one.again(afl));
        }
        if afl.fragment == 1 {
            if !afl.more_fragments {
                return Err(wrong("a first fragment that is the last"));
            }
            self.begin(
                key,
                now_ms,
                origin.access_number,
                Authentication::of(afl),
                part,
                digest,
            );
            return Ok(Taken::Kept);
        }
        let assembly = running.ok_or_else(|| wrong("no first fragment"))?;
        if assembly.is_whole || !assembly.goes_on_under(origin.access_number) {
            return Err(wrong("a fragment of another message"));
        }
        if usize::from(afl.fragment) != assembly.digests.len().saturating_add(1) {
            return Err(wrong("a gap between fragments"));
        }
        let total = assembly.message.len().saturating_add(part.len());
        let told = assembly.about.length.map(u16::from_le_bytes);
        let told = told.map(usize::from);
        let is_wrong = told.is_some_and(|told| total > told || total < told && !afl.more_fragments);
        if total > MESSAGE_MAX || is_wrong {
            self.assemblies.remove(&key);
            return Err(match is_wrong {
                true => wrong("AFL.ML"),
                false => MbusError::new(offset, MbusErrorKind::Limit, "message"),
            });
        }
        assembly.message.extend_from_slice(part);
        assembly.digests.push(digest);
        assembly.access_number = origin.access_number;
        if afl.more_fragments {
            return Ok(Taken::Kept);
        }
        assembly.is_whole = true;
        Ok(assembly.again(afl))
    }

    fn begin(
        &mut self,
        key: Key,
        now_ms: u64,
        access_number: Option<u8>,
        about: Authentication,
        part: &[u8],
        digest: u64,
    ) {
        self.make_room(now_ms);
        let assembly = Assembly {
            access_number,
            began_ms: now_ms,
            digests: vec![digest],
            message: part.to_vec(),
            is_whole: false,
            about,
        };
        self.assemblies.insert(key, assembly);
    }

    /// Gives up what took too long, and the oldest if there is no room.
    fn make_room(&mut self, now_ms: u64) {
        if self.assemblies.len() < SENDERS_MAX {
            return;
        }
        self.assemblies.retain(|_, one| !one.is_late(now_ms));
        if self.assemblies.len() >= SENDERS_MAX {
            let oldest = self.assemblies.iter().min_by_key(|(_, one)| one.began_ms);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.assemblies.remove(&key);
            }
        }
    }
}

/// FNV-1a: tells a copy from another fragment, and proves nothing.
fn digest(octets: &[u8]) -> u64 {
    octets.iter().fold(0xCBF2_9CE4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01B3)
    })
}
