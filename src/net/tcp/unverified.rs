//! Connections on which no frame has verified yet.
//!
//! Anybody can open one. They have places of their own, and when these are taken the oldest makes
//! room: a terminal sends its frame within seconds, and whoever only holds places loses them first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::admission::Source;
use super::connection::Connection;

#[derive(Debug, Default)]
struct Places {
    /// By number, and so by age.
    by_age: BTreeMap<u64, Arc<Connection>>,
    by_source: HashMap<Source, BTreeSet<u64>>,
}

impl Places {
    fn remove(&mut self, number: u64) -> Option<Arc<Connection>> {
        let connection = self.by_age.remove(&number)?;
        let source = Source::of(connection.peer);
        if let Some(numbers) = self.by_source.get_mut(&source) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_source.remove(&source);
            }
        }
        Some(connection)
    }
}

/// The connections without a verified frame.
#[derive(Debug, Default)]
pub(crate) struct Unverified(Mutex<Places>);

impl Unverified {
    pub(super) fn insert(&self, connection: &Arc<Connection>) {
        let mut places = self.0.lock();
        let number = connection.number;
        places.by_age.insert(number, Arc::clone(connection));
        let source = Source::of(connection.peer);
        places.by_source.entry(source).or_default().insert(number);
    }

    /// Takes one out that verified or ended. Does nothing if it is out already.
    pub(super) fn remove(&self, number: u64) {
        self.0.lock().remove(number);
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().by_age.len()
    }

    /// How many the address of a peer has.
    pub(super) fn count_of(&self, peer: SocketAddr) -> usize {
        let places = self.0.lock();
        let numbers = places.by_source.get(&Source::of(peer));
        numbers.map_or(0, BTreeSet::len)
    }

    /// Takes out the oldest.
    pub(super) fn take_oldest(&self) -> Option<Arc<Connection>> {
        let mut places = self.0.lock();
        let number = *places.by_age.first_key_value()?.0;
        places.remove(number)
    }

    /// Takes out the oldest of a peer's address.
    pub(super) fn take_oldest_of(&self, peer: SocketAddr) -> Option<Arc<Connection>> {
        let mut places = self.0.lock();
        let number = *places.by_source.get(&Source::of(peer))?.first()?;
        places.remove(number)
    }
}
