//! Who is there: a gateway by what it shows, within what its address and its port may fail.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::super::admission::{Admission, Pass};
use super::super::budget::Budget;
use super::super::contract::Verdict;
use super::contract::{Gateway, Proof, TelegramHandler, Transport};
use super::counters::MbusCounters;
use crate::time::Clock;

/// The word with which a line names a token.
const TOKEN: &[u8] = b"TOKEN ";

/// Octets of a token at most: no longer one can be registered.
pub(super) const TOKEN_MAX: usize = 128;

/// What the sockets of one port share.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) handler: Arc<dyn TelegramHandler>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Transport,
    /// One for each transport: the address of a datagram can be invented, and what fails under it
    /// must not keep anybody from connecting.
    pub(super) admission: Arc<Admission>,
    /// One for each port, so that a flood on one leaves the others alone.
    pub(super) budget: Arc<Budget>,
    pub(super) counters: Arc<MbusCounters>,
    /// Is cancelled when nothing more is read.
    pub(super) stopping: CancellationToken,
}

/// Why somebody is no gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stranger {
    /// Nothing that was shown is a gateway's.
    Unknown,
    /// Too much from this address failed, and nothing is looked at for a while.
    TooManyFailures,
    /// Too much on this port failed.
    TooManyFailuresOnPort,
    /// A token is longer than any that is registered. It is not looked at.
    TokenTooLong,
}

impl Stranger {
    /// The name, for answers and metrics.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_gateway",
            Self::TooManyFailures => "too_many_failures",
            Self::TooManyFailuresOnPort => "too_many_failures_on_port",
            Self::TokenTooLong => "token_too_long",
        }
    }

    /// What it says, in a sentence.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Unknown => {
                "no gateway is registered with this token, certificate or address: whoever has a \
                 token begins with a line of TOKEN and the token"
            }
            Self::TooManyFailures => "too many have failed from this address: wait a minute",
            Self::TooManyFailuresOnPort => "too many fail on this port: come again later",
            Self::TokenTooLong => "a token has at most 128 characters",
        }
    }
}

/// The token that a line names, if it names one.
pub(super) fn token_of(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(TOKEN).map(<[u8]>::trim_ascii)
}

impl Gate {
    /// Whether anything that `peer` shows is looked at: first the limit of its address, then the
    /// budget of the port.
    ///
    /// # Errors
    ///
    /// Why not; it is counted.
    pub(super) fn admit(&self, peer: SocketAddr, now_ms: u64) -> Result<Pass, Stranger> {
        let pass = self.admission.admit(peer, now_ms);
        let refused = match pass {
            Pass::Refused => Stranger::TooManyFailures,
            Pass::Open | Pass::Trial if self.budget.has_room(pass == Pass::Trial, now_ms) => {
                return Ok(pass);
            }
            Pass::Open | Pass::Trial => Stranger::TooManyFailuresOnPort,
        };
        self.refuse(refused);
        Err(refused)
    }

    /// Tells what came of somebody whom [`Self::admit`] let pass.
    pub(super) fn settle(&self, peer: SocketAddr, pass: Pass, is_known: bool, now_ms: u64) {
        let verdict = if is_known {
            Verdict::Verified
        } else {
            self.budget.charge(now_ms);
            Verdict::FailedAuthentication
        };
        self.admission.settle(peer, pass, verdict, now_ms);
    }

    /// The gateway of a connection or a datagram from `peer`, that begins with this line if it is
    /// one of text. `known` is whose certificate was shown.
    ///
    /// # Errors
    ///
    /// Why there is none; it is counted.
    pub(super) fn identify(
        &self,
        peer: SocketAddr,
        known: Option<&Gateway>,
        token: Option<&[u8]>,
    ) -> Result<Gateway, Stranger> {
        let now_ms = self.clock.monotonic_ms();
        let pass = self.admit(peer, now_ms)?;
        let found = match (token, known) {
            (Some(token), _) if token.len() > TOKEN_MAX => Err(Stranger::TokenTooLong),
            (Some(token), _) => self.found(Proof::Token(token)),
            (None, Some(known)) => Ok(known.clone()),
            (None, None) => self.by_address(peer).ok_or(Stranger::Unknown),
        };
        if let Err(stranger) = &found {
            self.refuse(*stranger);
        }
        self.settle(peer, pass, found.is_ok(), now_ms);
        found
    }

    fn found(&self, proof: Proof<'_>) -> Result<Gateway, Stranger> {
        self.handler.gateway(proof).ok_or(Stranger::Unknown)
    }

    /// Counts somebody who is refused.
    pub(super) fn refuse(&self, stranger: Stranger) {
        let refused = self.counters.refused(self.transport);
        match stranger {
            Stranger::Unknown => self.handler.unknown_gateway(self.transport),
            Stranger::TooManyFailures => refused.too_many_failures.add(1),
            Stranger::TooManyFailuresOnPort => refused.too_many_failures_on_port.add(1),
            Stranger::TokenTooLong => refused.token_too_long.add(1),
        }
    }

    /// The gateway that sends from an address.
    pub(super) fn by_address(&self, peer: SocketAddr) -> Option<Gateway> {
        let address = peer.ip().to_canonical();
        self.handler.gateway(Proof::Address(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_token_that_can_be_registered_is_looked_at() {
        assert_eq!(TOKEN_MAX, crate::api::token::TOKEN_LEN.1);
        assert!(
            Stranger::TokenTooLong
                .text()
                .contains(&TOKEN_MAX.to_string())
        );
    }
}
