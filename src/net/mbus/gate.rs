//! Who is there: a gateway by what it shows, within what its address may fail.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::super::admission::{Admission, AdmissionLimits, Pass};
use super::super::contract::Verdict;
use super::contract::{Gateway, Proof, TelegramHandler, Transport};
use super::counters::MbusCounters;
use crate::time::Clock;

/// The word with which a line names a token.
const TOKEN: &[u8] = b"TOKEN ";

/// What all sockets of gateways share.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) handler: Arc<dyn TelegramHandler>,
    pub(super) clock: Arc<dyn Clock>,
    /// One for each transport: the address of a datagram can be invented, and what fails under it
    /// must not keep anybody from connecting.
    pub(super) admission: Arc<Admissions>,
    pub(super) counters: Arc<MbusCounters>,
    /// Is cancelled when nothing more is read.
    pub(super) stopping: CancellationToken,
}

/// What addresses have failed, by transport.
pub(super) struct Admissions {
    tcp: Admission,
    udp: Admission,
}

impl Admissions {
    pub(super) fn new(limits: &AdmissionLimits) -> Self {
        Self {
            tcp: Admission::new(*limits),
            udp: Admission::new(*limits),
        }
    }

    pub(super) const fn of(&self, transport: Transport) -> &Admission {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        }
    }
}

/// Why somebody is no gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stranger {
    /// Nothing that was shown is a gateway's.
    Unknown,
    /// Too much from this address failed, and nothing is looked at for a while.
    TooManyFailures,
}

impl Stranger {
    /// The name, for answers and metrics.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_gateway",
            Self::TooManyFailures => "too_many_failures",
        }
    }

    /// What it says, in a sentence.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "no gateway is registered with this token, certificate or address",
            Self::TooManyFailures => "too many have failed from this address: wait a minute",
        }
    }
}

/// The token that a line names, if it names one.
pub(super) fn token_of(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(TOKEN).map(<[u8]>::trim_ascii)
}

impl Gate {
    /// The gateway of a connection or a datagram from `peer`, that begins with this line if it is
    /// one of text. `known` is whose certificate was shown.
    pub(super) fn identify(
        &self,
        peer: SocketAddr,
        known: Option<&Gateway>,
        token: Option<&[u8]>,
        transport: Transport,
    ) -> Result<Gateway, Stranger> {
        let now_ms = self.clock.monotonic_ms();
        let admission = self.admission.of(transport);
        let pass = admission.admit(peer, now_ms);
        if pass == Pass::Refused {
            return Err(Stranger::TooManyFailures);
        }
        let found = match (token, known) {
            (Some(token), _) => self.handler.gateway(Proof::Token(token)),
            (None, Some(known)) => Some(known.clone()),
            (None, None) => self.by_address(peer),
        };
        let verdict = if found.is_some() {
            Verdict::Verified
        } else {
            self.handler.unknown_gateway(transport);
            Verdict::FailedAuthentication
        };
        admission.settle(peer, pass, verdict, now_ms);
        found.ok_or(Stranger::Unknown)
    }

    /// The gateway that sends from an address.
    pub(super) fn by_address(&self, peer: SocketAddr) -> Option<Gateway> {
        let address = peer.ip().to_canonical();
        self.handler.gateway(Proof::Address(address))
    }
}
