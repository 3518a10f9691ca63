//! Messages that come in more than one telegram, put together.
//!
//! A message belongs to one sender and one access session; its fragments come in order. Anything
//! else ends it: what follows a gap is of no use, since the MAC is over the whole.

use std::collections::HashMap;

use crate::wire::mbus::address::Address;
use crate::wire::mbus::afl::{Afl, MESSAGE_MAX};
use crate::wire::mbus::error::{MbusError, MbusErrorKind};

/// Senders with a message under way at most.
const SENDERS_MAX: usize = 4_096;
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

/// What came of a fragment.
#[derive(Debug)]
pub(super) enum Taken {
    /// It is kept until the next one comes.
    Kept,
    /// It was the last: the message and what its AFLs say.
    Whole(Vec<u8>, Authentication),
}

#[derive(Debug)]
struct Assembly {
    access_session: Option<u8>,
    is_downlink: bool,
    next: u8,
    began_ms: u64,
    message: Vec<u8>,
    about: Authentication,
}

/// The messages under way. Bounded: one a sender, 16 KiB each, and a number of senders beyond which
/// the oldest message is given up.
#[derive(Debug, Default)]
pub struct Fragments {
    assemblies: HashMap<[u8; 8], Assembly>,
}

/// Which message a fragment belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) sender: Address,
    pub(super) is_downlink: bool,
    /// The access number of the extended link layer, one for all fragments of a message.
    pub(super) access_session: Option<u8>,
}

impl Fragments {
    /// Messages under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.assemblies.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.assemblies.is_empty()
    }

    /// Takes a fragment. An error gives the sender's message up. `offset` is where the AFL stands.
    // clause: OMS Volume 2, 6.3.6
    pub(super) fn take(
        &mut self,
        now_ms: u64,
        origin: Origin,
        afl: &Afl<'_>,
        part: &[u8],
        offset: usize,
    ) -> Result<Taken, MbusError> {
        let key = origin.sender.link_order();
        let wrong = |field| MbusError::new(offset, MbusErrorKind::Fragment, field);
        if afl.fragment == 1 {
            self.make_room(now_ms);
            self.assemblies.insert(
                key,
                Assembly {
                    access_session: origin.access_session,
                    is_downlink: origin.is_downlink,
                    next: 2,
                    began_ms: now_ms,
                    message: part.to_vec(),
                    about: Authentication::of(afl),
                },
            );
            if !afl.more_fragments {
                self.assemblies.remove(&key);
                return Err(wrong("a first fragment that is the last"));
            }
            return Ok(Taken::Kept);
        }
        let mut assembly = self
            .assemblies
            .remove(&key)
            .ok_or(wrong("no first fragment"))?;
        let is_same = assembly.access_session == origin.access_session
            && assembly.is_downlink == origin.is_downlink;
        if !is_same || now_ms.saturating_sub(assembly.began_ms) > TIMEOUT_MS {
            return Err(wrong("a fragment of another message"));
        }
        if afl.fragment != assembly.next {
            return Err(wrong("a gap between fragments"));
        }
        if assembly.message.len().saturating_add(part.len()) > MESSAGE_MAX {
            return Err(MbusError::new(offset, MbusErrorKind::Limit, "message"));
        }
        assembly.message.extend_from_slice(part);
        if afl.more_fragments {
            assembly.next = assembly
                .next
                .checked_add(1)
                .ok_or(wrong("too many fragments"))?;
            self.assemblies.insert(key, assembly);
            return Ok(Taken::Kept);
        }
        let told = assembly
            .about
            .length
            .map(u16::from_le_bytes)
            .map(usize::from);
        if told.is_some_and(|told| told != assembly.message.len()) {
            return Err(wrong("AFL.ML"));
        }
        assembly.about.set_mac(afl.mac);
        Ok(Taken::Whole(assembly.message, assembly.about))
    }

    /// Gives up what took too long, and the oldest if there is no room.
    fn make_room(&mut self, now_ms: u64) {
        if self.assemblies.len() < SENDERS_MAX {
            return;
        }
        let is_young = |one: &Assembly| now_ms.saturating_sub(one.began_ms) <= TIMEOUT_MS;
        self.assemblies.retain(|_, one| is_young(one));
        if self.assemblies.len() >= SENDERS_MAX {
            let oldest = self.assemblies.iter().min_by_key(|(_, one)| one.began_ms);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.assemblies.remove(&key);
            }
        }
    }
}
