//! What the listeners count, for metrics. The names are those of the fields.
//!
//! What changes with every frame is counted by each owner for itself, so that no two loops write
//! to one line of the cache.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that many threads change. Readers see each change some time later.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`; wraps after 2^64.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes `n` away, where the number is a level and not a total.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number to which each owner adds in a place of its own.
#[derive(Debug)]
pub struct OwnersCounter(Box<[Place]>);

/// A line of the cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(Counter);

impl OwnersCounter {
    fn new(owners: u16) -> Self {
        Self((0..owners.max(1)).map(|_| Place::default()).collect())
    }

    /// Adds `n` for an owner.
    pub fn add(&self, owner: u16, n: u64) {
        if let Some(Place(counter)) = self.0.get(usize::from(owner)) {
            counter.add(n);
        }
    }

    /// What one owner has added.
    #[must_use]
    pub fn of(&self, owner: u16) -> u64 {
        let place = self.0.get(usize::from(owner));
        place.map_or(0, |Place(counter)| counter.get())
    }

    /// What all but one owner have added.
    fn of_others(&self, owner: u16) -> u64 {
        let places = self.0.iter().enumerate();
        let others = places.filter(|(place, _)| *place != usize::from(owner));
        let counters = others.map(|(_, Place(counter))| counter.get());
        counters.fold(0, u64::wrapping_add)
    }

    /// What all have added.
    #[must_use]
    pub fn get(&self) -> u64 {
        let counters = self.0.iter().map(|Place(counter)| counter.get());
        counters.fold(0, u64::wrapping_add)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $kind:ident,)+) => {
        /// Totals since the start, but for [`Self::connections_open`], which is a level.
        #[derive(Debug)]
        pub struct NetCounters {
            alarm_owner: u16,
            $($(#[$doc])* pub $name: $kind,)+
        }

        /// What the counters were when somebody looked.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct NetTotals {
            /// Datagrams of the alarm port among [`Self::datagrams_in`].
            pub alarm_datagrams_in: u64,
            /// The others among [`Self::datagrams_in`].
            pub reading_datagrams_in: u64,
            $($(#[$doc])* pub $name: u64,)+
        }

        impl NetCounters {
            /// All at zero, for so many owners, of whom one has the alarm port.
            #[must_use]
            pub fn new(owners: u16, alarm_owner: u16) -> Self {
                Self { alarm_owner, $($name: counters!(@new $kind owners),)+ }
            }

            /// What they are now.
            #[must_use]
            pub fn totals(&self) -> NetTotals {
                NetTotals {
                    alarm_datagrams_in: self.datagrams_in.of(self.alarm_owner),
                    reading_datagrams_in: self.datagrams_in.of_others(self.alarm_owner),
                    $($name: self.$name.get(),)+
                }
            }
        }
    };
    (@new Counter $owners:ident) => { Counter::default() };
    (@new OwnersCounter $owners:ident) => { OwnersCounter::new($owners) };
}

counters! {
    /// Datagrams that were read.
    datagrams_in: OwnersCounter,
    /// Their octets, as far as they were kept: at most 1,201 each.
    datagram_octets_in: Counter,
    /// Datagrams that the kernel took.
    datagrams_out: Counter,
    /// Calls that read datagrams, with at least one each: the batch is the quotient.
    batches_in: Counter,
    /// Reads of a UDP socket that failed.
    receive_failures: Counter,
    /// Datagrams and TCP lengths above 1,200 octets, and empty datagrams.
    length_refused: Counter,
    /// Frames that were dropped before any cryptography, because their address fails too often.
    admission_refused: Counter,
    /// Frames that were dropped before any cryptography, because too much fails on their port.
    budget_refused: Counter,
    /// Frames that verified.
    verified: OwnersCounter,
    /// Frames that verified and for which there was no room.
    shed: Counter,
    /// Frames that did not authenticate.
    failed_authentication: Counter,
    /// Octets that were no frame.
    malformed: Counter,
    /// Frames that came over TCP.
    stream_frames_in: Counter,
    /// Answers that could not be sent: no room, no route, or no such connection any more.
    send_failures: Counter,
    /// Connections that are open now.
    connections_open: Counter,
    /// Connections that were accepted.
    connections_accepted: Counter,
    /// Connections that were closed at once, because the configured number was open.
    connections_refused: Counter,
    /// Connections that were cut before a frame verified on them, to make room for newer ones.
    connections_evicted: Counter,
    /// Connections that ended by themselves or by a timeout before a frame came on them.
    ended_unverified: Counter,
    /// Calls of accept that failed, as for want of file descriptors.
    accept_failures: Counter,
    /// Connections without a verified frame in the first seconds.
    timeouts_unverified: Counter,
    /// Connections with a frame that was begun and not ended in time.
    timeouts_partial: Counter,
    /// Verified connections that were silent for too long.
    timeouts_idle: Counter,
    /// Connections that did not read what they were sent.
    timeouts_unread: Counter,
}
