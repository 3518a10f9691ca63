//! What the listeners of gateways count. The names are those of the fields.

use super::super::counters::Counter;

/// Totals since the start, but for [`Self::connections_open`], which is a level.
#[derive(Debug, Default)]
pub struct MbusCounters {
    /// Connections that are open now.
    pub connections_open: Counter,
    /// Connections that were accepted.
    pub connections_accepted: Counter,
    /// Connections that were closed at once, because the configured number was open.
    pub connections_refused: Counter,
    /// Connections that were cut before their gateway was known, to make room for newer ones.
    pub evicted_unknown: Counter,
    /// Connections that made way for a newer one of the same gateway.
    pub evicted_same_gateway: Counter,
    /// Connections of a gateway with several that made way for a newcomer.
    pub evicted_for_newcomer: Counter,
    /// Connections that took too long.
    pub timeouts: Counter,
    /// Connections on which no TLS came about.
    pub tls_failures: Counter,
    /// Calls of accept that failed.
    pub accept_failures: Counter,
    /// Lines that came over connections.
    pub lines_in: Counter,
    /// Datagrams that came.
    pub datagrams_in: Counter,
}

/// What the counters were when somebody looked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MbusTotals {
    /// See [`MbusCounters::connections_open`].
    pub connections_open: u64,
    /// See [`MbusCounters::connections_accepted`].
    pub connections_accepted: u64,
    /// See [`MbusCounters::connections_refused`].
    pub connections_refused: u64,
    /// See [`MbusCounters::evicted_unknown`].
    pub evicted_unknown: u64,
    /// See [`MbusCounters::evicted_same_gateway`].
    pub evicted_same_gateway: u64,
    /// See [`MbusCounters::evicted_for_newcomer`].
    pub evicted_for_newcomer: u64,
    /// See [`MbusCounters::timeouts`].
    pub timeouts: u64,
    /// See [`MbusCounters::tls_failures`].
    pub tls_failures: u64,
    /// See [`MbusCounters::accept_failures`].
    pub accept_failures: u64,
    /// See [`MbusCounters::lines_in`].
    pub lines_in: u64,
    /// See [`MbusCounters::datagrams_in`].
    pub datagrams_in: u64,
}

impl MbusCounters {
    /// What they are now.
    #[must_use]
    pub fn totals(&self) -> MbusTotals {
        MbusTotals {
            connections_open: self.connections_open.get(),
            connections_accepted: self.connections_accepted.get(),
            connections_refused: self.connections_refused.get(),
            evicted_unknown: self.evicted_unknown.get(),
            evicted_same_gateway: self.evicted_same_gateway.get(),
            evicted_for_newcomer: self.evicted_for_newcomer.get(),
            timeouts: self.timeouts.get(),
            tls_failures: self.tls_failures.get(),
            accept_failures: self.accept_failures.get(),
            lines_in: self.lines_in.get(),
            datagrams_in: self.datagrams_in.get(),
        }
    }
}
