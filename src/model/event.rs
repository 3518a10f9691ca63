//! What changes beside session steps: the registry, key states, marks, cursors.
//!
//! An event is one frame of the log, as JSON with a tag, so that an auditor can read it with any
//! tool. It holds no secret: keys stay in key files, and only their states are here.

use serde::{Deserialize, Serialize};

use super::gateway::{Cidr, Fingerprint};
use super::ids::{Lsn, TerminalId};
use crate::keyring::UtilityId;
use crate::keyring::mbus::{CounterKey, Reservation};

/// An event of the log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A utility was added, or got another name or policy.
    UtilityPut(UtilityEntry),
    /// Terminals were registered or changed.
    TerminalsPut {
        /// The utility, 16 hexadecimal digits.
        utility: String,
        /// The terminals, at most [`TERMINALS_PER_EVENT`].
        terminals: Vec<TerminalEntry>,
    },
    /// A terminal was removed; its records stay.
    TerminalRemoved {
        /// Which.
        terminal: TerminalId,
    },
    /// A version of a utility's link master changed its state.
    // spec: KEY-8
    KeyState {
        /// The utility, 16 hexadecimal digits.
        utility: String,
        /// The version, 1 to 255.
        version: u8,
        /// NEW, ACTIVE, EXPIRED or WITHDRAWN.
        state: String,
    },
    /// A lower link key version of a terminal was admitted again.
    // spec: ROT-7
    KeyReadmitted {
        /// Which terminal.
        terminal: TerminalId,
        /// The version, 1 to 255.
        version: u8,
    },
    /// The mark of server nonces.
    // spec: FRS-4
    NonceMark {
        /// The last UTC second that a server nonce may carry.
        mark_utc_s: u32,
        /// Seconds in which none was sent: above the first, below the second.
        gaps: Vec<(u32, u32)>,
    },
    /// A frame counter was seen with two tags.
    // spec: REP-3
    CounterCloned {
        /// Which terminal.
        terminal: TerminalId,
        /// The counter.
        counter: u32,
    },
    /// A frame that changed nothing else proved a key version or a mode.
    // spec: ROT-5, ROT-11
    Promoted {
        /// Which terminal.
        terminal: TerminalId,
        /// The link key version.
        version: Option<u8>,
        /// The mode.
        mode: Option<u8>,
    },
    /// A terminal was told to call.
    // spec: SES-13
    Called {
        /// Which.
        terminal: TerminalId,
        /// The call counter.
        counter: u32,
    },
    /// The guarded commands of a utility were released after a sign of rollback.
    // spec: ROL-1
    CommandsReleased {
        /// The utility, 16 hexadecimal digits.
        utility: String,
    },
    /// A gateway was registered, or is registered otherwise.
    GatewayPut(GatewayEntry),
    /// A gateway was removed.
    GatewayRemoved {
        /// Its name.
        gateway: String,
    },
    /// Counters of downlinks were set aside for one version of a key of an M-Bus meter.
    MeterCounterReserved {
        /// The meter: its address in the order of the link.
        meter: TerminalId,
        /// The number of the key.
        key_id: u8,
        /// Its version.
        key_version: u8,
        /// The last counter that may be used.
        up_to: u32,
    },
    /// A sink or consumer was seen for the first time, and begins here.
    SinkCreated {
        /// Its name.
        sink: String,
        /// Where both lanes begin.
        from: Lsn,
    },
    /// Everything of a lane below a position has reached a sink.
    SinkAdvanced {
        /// Its name.
        sink: String,
        /// Where the alarm lane goes on.
        alarm: Lsn,
        /// Where the bulk lane goes on.
        bulk: Lsn,
    },
    /// A person let a sink skip a range: its records of it do not reach that sink.
    SinkSkipped {
        /// Its name.
        sink: String,
        /// From where, in both lanes, what was not delivered yet.
        from: Lsn,
        /// Up to where.
        to: Lsn,
    },
    /// A sink was removed, and holds the log no longer.
    SinkRemoved {
        /// Its name.
        sink: String,
    },
}

/// Terminals in one event at most: an event stays below 64 KiB.
pub const TERMINALS_PER_EVENT: usize = 500;

/// A utility as it is registered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UtilityEntry {
    /// Its octets, 16 hexadecimal digits.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// Whether its terminals may be registered in mode 0, for a laboratory.
    // spec: SEC-3
    #[serde(default)]
    pub allow_mode0: bool,
}

/// A gateway as it is registered. It has a token, a certificate or an address.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayEntry {
    /// Its name.
    pub gateway: String,
    /// The utility whose meters it hears.
    pub utility: UtilityId,
    /// The digest of its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_sha256: Option<Fingerprint>,
    /// The digest of its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<Fingerprint>,
    /// The addresses from which it sends, none of them another gateway's, at most
    /// [`ADDRESSES_PER_GATEWAY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Cidr>,
}

/// Ranges of addresses of a gateway at most.
pub const ADDRESSES_PER_GATEWAY: usize = 64;

/// A terminal as it is registered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalEntry {
    /// Its identity.
    pub id: TerminalId,
    /// The pinned security mode, 0 to 3.
    pub mode: u8,
    /// Its opaque customer number, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
}

impl From<Reservation> for Event {
    /// What makes a reservation durable.
    fn from(reservation: Reservation) -> Self {
        let CounterKey { meter, id, version } = reservation.key;
        Self::MeterCounterReserved {
            meter: TerminalId::new(meter.link_order()),
            key_id: id.0,
            key_version: version.0,
            up_to: reservation.up_to,
        }
    }
}

/// Why an event of the log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the event cannot be read: a later server wrote it, or its form is broken; read this log with \
     the server that wrote it"
)]
pub struct EventError(#[source] serde_json::Error);

impl Event {
    /// Writes the event.
    ///
    /// # Errors
    ///
    /// [`EventError`]; no event of this server has a form that JSON cannot hold.
    pub fn encode(&self) -> Result<Vec<u8>, EventError> {
        serde_json::to_vec(self).map_err(EventError)
    }

    /// Reads an event.
    ///
    /// # Errors
    ///
    /// [`EventError`].
    pub fn decode(octets: &[u8]) -> Result<Self, EventError> {
        serde_json::from_slice(octets).map_err(EventError)
    }

    /// The terminal that the event is about, if it is one.
    #[must_use]
    pub const fn terminal(&self) -> Option<TerminalId> {
        match self {
            Self::TerminalRemoved { terminal }
            | Self::KeyReadmitted { terminal, .. }
            | Self::CounterCloned { terminal, .. }
            | Self::Promoted { terminal, .. }
            | Self::Called { terminal, .. } => Some(*terminal),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_as_it_was_written_and_an_unknown_one_is_refused() {
        let event = Event::Promoted {
            terminal: TerminalId::new([0, 7, 0, 0, 0x49, 0x96, 2, 0xD2]),
            version: Some(2),
            mode: None,
        };
        let octets = event.encode().unwrap();
        let text = r#"{"event":"promoted","terminal":"00070000499602d2","version":2,"mode":null}"#;
        assert_eq!(String::from_utf8_lossy(&octets), text);
        assert_eq!(Event::decode(&octets).unwrap(), event);
        assert!(Event::decode(br#"{"event":"of_tomorrow"}"#).is_err());
    }
}
