//! Places for connections. Whoever is not known yet can be cut for somebody newer.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    connections_max: usize,
    unknown_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    open: usize,
    /// Those whose gateway is not known yet, the oldest first, with what cuts them.
    unknown: BTreeMap<u64, CancellationToken>,
}

/// A place. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Taken {
    places: Arc<Places>,
    number: u64,
    /// Is cancelled when the connection has to end.
    pub(super) cut: CancellationToken,
}

/// What came of asking for a place.
#[derive(Debug)]
pub(super) enum Place {
    /// It is there; maybe the oldest that is not known was cut for it.
    Taken {
        /// It.
        place: Taken,
        /// Whether one was cut.
        has_cut: bool,
    },
    /// All places have gateways.
    None,
    /// Too many that were cut have not ended yet. They do within a moment.
    Later,
}

impl Places {
    /// Half of the places may be taken by those who are not known.
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            connections_max,
            unknown_max: (connections_max / 2).max(1),
            inner: Mutex::default(),
        }
    }

    pub(super) fn take(self: &Arc<Self>) -> Place {
        let mut inner = self.inner.lock();
        let is_full = inner.open >= self.connections_max;
        let mut has_cut = false;
        if is_full || inner.unknown.len() >= self.unknown_max {
            // Nobody is let in for those who were cut and still hold their sockets.
            if inner.open >= self.connections_max.saturating_add(self.unknown_max) {
                return Place::Later;
            }
            let Some((_, oldest)) = inner.unknown.pop_first() else {
                return Place::None;
            };
            oldest.cancel();
            has_cut = true;
        }
        let number = inner.next;
        inner.next = number.wrapping_add(1);
        // The one that was cut gives its own place back when it ends.
        inner.open = inner.open.saturating_add(1);
        let cut = CancellationToken::new();
        inner.unknown.insert(number, cut.clone());
        let place = Taken {
            places: Arc::clone(self),
            number,
            cut,
        };
        Place::Taken { place, has_cut }
    }
}

impl Taken {
    /// Its gateway is known: it is not cut any more.
    pub(super) fn note_known(&self) {
        self.places.inner.lock().unknown.remove(&self.number);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut inner = self.places.inner.lock();
        inner.unknown.remove(&self.number);
        inner.open = inner.open.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(places: &Arc<Places>) -> (Taken, bool) {
        match places.take() {
            Place::Taken { place, has_cut } => (place, has_cut),
            Place::None | Place::Later => panic!("no place"),
        }
    }

    #[test]
    fn whoever_is_not_known_makes_room_and_a_gateway_stays() {
        let places = Arc::new(Places::new(4));
        let (first, _) = taken(&places);
        let (second, has_cut) = taken(&places);
        assert!(!has_cut);
        first.note_known();
        let (third, has_cut) = taken(&places);
        assert!(!has_cut && !second.cut.is_cancelled());
        let (fourth, has_cut) = taken(&places);
        assert!(has_cut && second.cut.is_cancelled() && !first.cut.is_cancelled());
        drop(second);
        for place in [&third, &fourth] {
            place.note_known();
        }
        let (fifth, has_cut) = taken(&places);
        assert!(!has_cut);
        fifth.note_known();
        assert!(matches!(places.take(), Place::None));
        drop(fifth);
        let (_sixth, has_cut) = taken(&places);
        assert!(!has_cut);
    }
}
