//! What the listeners count, for metrics. The names are those of the fields.

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

/// Totals since the start, but for [`Self::connections_open`], which is a level.
#[derive(Debug, Default)]
pub struct NetCounters {
    /// Datagrams that were read.
    pub datagrams_in: Counter,
    /// Their octets, as far as they were kept: at most 1,201 each.
    pub datagram_octets_in: Counter,
    /// Datagrams that the kernel took.
    pub datagrams_out: Counter,
    /// Calls that read datagrams, with at least one each: the batch is the quotient.
    pub batches_in: Counter,
    /// Reads of a UDP socket that failed.
    pub receive_failures: Counter,
    /// Datagrams and TCP lengths above 1,200 octets, and empty datagrams.
    pub length_refused: Counter,
    /// Frames that were dropped before any cryptography, because their address fails too often.
    pub admission_refused: Counter,
    /// Frames that were dropped before any cryptography, because too much fails on their port.
    pub budget_refused: Counter,
    /// Frames that did not authenticate.
    pub failed_authentication: Counter,
    /// Octets that were no frame.
    pub malformed: Counter,
    /// Frames that came over TCP.
    pub stream_frames_in: Counter,
    /// Answers that could not be sent: no room, no route, or no such connection any more.
    pub send_failures: Counter,
    /// Connections that are open now.
    pub connections_open: Counter,
    /// Connections that were accepted.
    pub connections_accepted: Counter,
    /// Connections that were closed at once, because the configured number was open.
    pub connections_refused: Counter,
    /// Connections that were cut before a frame verified on them, to make room for newer ones.
    pub connections_evicted: Counter,
    /// Connections that ended by themselves or by a timeout before a frame came on them.
    pub ended_unverified: Counter,
    /// Calls of accept that failed, as for want of file descriptors.
    pub accept_failures: Counter,
    /// Connections without a verified frame in the first seconds.
    pub timeouts_unverified: Counter,
    /// Connections with a frame that was begun and not ended in time.
    pub timeouts_partial: Counter,
    /// Verified connections that were silent for too long.
    pub timeouts_idle: Counter,
    /// Connections that did not read what they were sent.
    pub timeouts_unread: Counter,
}
