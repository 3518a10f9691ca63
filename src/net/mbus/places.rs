//! Places for connections: whoever is not known yet makes way for newer ones, and of those that
//! are known the oldest of a gateway that has several.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Connections that a gateway may have at once. It needs one, and two for a while where it does
/// not know what became of the first; two more are for a second program or network of it.
pub(super) const PER_GATEWAY: usize = 4;

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    connections_max: usize,
    unknown_max: usize,
    /// Those above the places that have made way and still hold their sockets.
    ending_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// All that hold a socket.
    open: usize,
    /// Those whose gateway is not known yet, the oldest first.
    unknown: BTreeMap<u64, Ends>,
    /// Those of each gateway, the one first that has been known longest.
    gateways: BTreeMap<Arc<str>, BTreeMap<u64, Ends>>,
    /// How many these are.
    known: usize,
    /// Those that have made way and write what they still owe, with what ends them.
    leaving: BTreeMap<u64, CancellationToken>,
}

/// How a connection hears that it has to end.
#[derive(Clone, Debug, Default)]
struct Ends {
    /// It reads nothing more, and ends once it owes no answer.
    make_way: CancellationToken,
    /// It ends at once.
    now: CancellationToken,
}

/// A place. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Taken {
    places: Arc<Places>,
    number: u64,
    gateway: Option<Arc<str>>,
    ends: Ends,
}

/// Who makes way for a newcomer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Evicted {
    /// The oldest of those that are not known.
    Unknown,
    /// The oldest of the gateway that has the most.
    Known,
}

/// What came of asking for a place.
#[derive(Debug)]
pub(super) enum Place {
    /// It is there.
    Taken {
        /// It.
        place: Taken,
        /// Who makes way for it.
        evicted: Option<Evicted>,
    },
    /// All places have gateways, each its own.
    None,
    /// Too many that made way have not ended yet. They do within a moment.
    Later,
}

impl Places {
    /// Half of the places may be taken by those who are not known.
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            connections_max,
            unknown_max: (connections_max / 2).max(1),
            ending_max: (connections_max / 8).clamp(4, 64),
            inner: Mutex::default(),
        }
    }

    pub(super) fn take(self: &Arc<Self>) -> Place {
        let mut inner = self.inner.lock();
        if inner.open >= self.connections_max.saturating_add(self.ending_max) {
            // Nobody is let in for those who still hold their sockets, and those that take long
            // to write their answers are not waited for.
            if let Some((_, now)) = inner.leaving.pop_first() {
                now.cancel();
            }
            return Place::Later;
        }
        let unknown = inner.unknown.len();
        let is_full = unknown.saturating_add(inner.known) >= self.connections_max;
        let evicted = if unknown >= self.unknown_max {
            inner.evict_unknown()
        } else if is_full {
            // First one that its gateway can spare, so that newcomers who connect at the same time
            // do not cut each other before they said who they are.
            let spared = inner.evict_known(self.leaving_max());
            spared.or_else(|| inner.evict_unknown())
        } else {
            None
        };
        if is_full && evicted.is_none() {
            return Place::None;
        }
        let number = inner.number();
        inner.open = inner.open.saturating_add(1);
        let ends = Ends::default();
        inner.unknown.insert(number, ends.clone());
        let place = Taken {
            places: Arc::clone(self),
            number,
            gateway: None,
            ends,
        };
        Place::Taken { place, evicted }
    }

    /// The other half of those that are ending need a moment only.
    const fn leaving_max(&self) -> usize {
        self.ending_max / 2
    }
}

impl Inner {
    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }

    fn evict_unknown(&mut self) -> Option<Evicted> {
        let (_, oldest) = self.unknown.pop_first()?;
        oldest.make_way.cancel();
        Some(Evicted::Unknown)
    }

    /// The oldest of the gateway that has the most makes way, if that has more than one.
    fn evict_known(&mut self, leaving_max: usize) -> Option<Evicted> {
        if self.known <= self.gateways.len() {
            return None;
        }
        let most = self.gateways.iter().max_by_key(|(_, all)| all.len());
        let name = most.map(|(name, _)| Arc::clone(name))?;
        self.evict_of(&name, leaving_max)
    }

    fn evict_of(&mut self, gateway: &Arc<str>, leaving_max: usize) -> Option<Evicted> {
        let (number, oldest) = self.gateways.get_mut(gateway)?.pop_first()?;
        self.known = self.known.saturating_sub(1);
        self.leave(number, oldest, leaving_max);
        Some(Evicted::Known)
    }

    fn leave(&mut self, number: u64, ends: Ends, leaving_max: usize) {
        ends.make_way.cancel();
        self.leaving.insert(number, ends.now);
        while self.leaving.len() > leaving_max {
            if let Some((_, now)) = self.leaving.pop_first() {
                now.cancel();
            }
        }
    }

    fn forget(&mut self, number: u64, gateway: Option<&Arc<str>>) {
        self.unknown.remove(&number);
        self.leaving.remove(&number);
        let Some(name) = gateway else { return };
        let Some(all) = self.gateways.get_mut(name) else {
            return;
        };
        if all.remove(&number).is_some() {
            self.known = self.known.saturating_sub(1);
        }
        if all.is_empty() {
            self.gateways.remove(name);
        }
    }
}

impl Taken {
    /// Whether it has been said whose it is.
    pub(super) const fn is_known(&self) -> bool {
        self.gateway.is_some()
    }

    /// It is this gateway's. Whether the gateway's oldest makes way for it.
    pub(super) fn note_known(&mut self, gateway: &Arc<str>) -> bool {
        if self.gateway.as_ref() == Some(gateway) {
            return false;
        }
        let leaving_max = self.places.leaving_max();
        let mut inner = self.places.inner.lock();
        inner.forget(self.number, self.gateway.as_ref());
        self.number = inner.number();
        self.gateway = Some(Arc::clone(gateway));
        let ends = self.ends.clone();
        if ends.make_way.is_cancelled() {
            // Its place is another's since before anybody knew that it may owe answers.
            inner.leave(self.number, ends, leaving_max);
            return false;
        }
        inner.known = inner.known.saturating_add(1);
        let all = inner.gateways.entry(Arc::clone(gateway)).or_default();
        all.insert(self.number, ends);
        all.len() > PER_GATEWAY && inner.evict_of(gateway, leaving_max).is_some()
    }

    /// Waits until it has to make way.
    pub(super) async fn has_to_make_way(&self) {
        self.ends.make_way.cancelled().await;
    }

    /// Waits until it has to end at once. As long as nobody is known on it, it owes no answers, and
    /// making way is ending.
    pub(super) async fn has_to_end(&self) {
        tokio::select! {
            () = self.ends.now.cancelled() => {}
            () = self.ends.make_way.cancelled(), if !self.is_known() => {}
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut inner = self.places.inner.lock();
        inner.forget(self.number, self.gateway.as_ref());
        inner.open = inner.open.saturating_sub(1);
    }
}

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
