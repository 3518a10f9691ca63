//! What the listeners of gateways count. The names are those of the fields.

use super::super::counters::Counter;
use super::contract::Transport;

/// Senders of one transport that were refused, by why. Those that are simply not known are counted
/// by the handler.
#[derive(Debug, Default)]
pub struct RefusedSenders {
    /// Too much had failed from their address.
    pub too_many_failures: Counter,
    /// Too much had failed on their port.
    pub too_many_failures_on_port: Counter,
    /// Their token was longer than any.
    pub token_too_long: Counter,
}

/// What [`RefusedSenders`] was when somebody looked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RefusedTotals {
    /// See [`RefusedSenders::too_many_failures`].
    pub too_many_failures: u64,
    /// See [`RefusedSenders::too_many_failures_on_port`].
    pub too_many_failures_on_port: u64,
    /// See [`RefusedSenders::token_too_long`].
    pub token_too_long: u64,
}

impl RefusedSenders {
    fn totals(&self) -> RefusedTotals {
        RefusedTotals {
            too_many_failures: self.too_many_failures.get(),
            too_many_failures_on_port: self.too_many_failures_on_port.get(),
            token_too_long: self.token_too_long.get(),
        }
    }
}

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
    /// Connections whose senders were refused.
    pub refused_tcp: RefusedSenders,
    /// Datagrams whose senders were refused.
    pub refused_udp: RefusedSenders,
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
    /// See [`MbusCounters::refused_tcp`].
    pub refused_tcp: RefusedTotals,
    /// See [`MbusCounters::refused_udp`].
    pub refused_udp: RefusedTotals,
}

impl MbusCounters {
    pub(super) const fn refused(&self, transport: Transport) -> &RefusedSenders {
        match transport {
            Transport::Tcp => &self.refused_tcp,
            Transport::Udp => &self.refused_udp,
        }
    }

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
            refused_tcp: self.refused_tcp.totals(),
            refused_udp: self.refused_udp.totals(),
        }
    }
}
