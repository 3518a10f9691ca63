//! What approvals, requests and transitions hold.

use serde::{Deserialize, Serialize};

use crate::crypto::otl::AnsweredUplink;

/// What a person or a rule of the utility approved: one command, down to its parameters.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Approval {
    /// Kind, as registered in `commands.toml`.
    pub kind: u8,
    /// The meter: slot in bits 7-4, generation in bits 3-0; 0 for kinds without a meter.
    pub meter: u8,
    /// Precondition, 0 to 127.
    pub precondition: u8,
    /// Last UTC second at which it may be signed or accepted; 0xFFFF_FFFF: no limit, harmless kinds
    /// only.
    pub not_after_utc_s: u32,
    /// Parameters of the kind.
    pub parameters: Vec<u8>,
}

/// The uplink that a command was signed for, octet for octet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UplinkRef {
    /// Its whole header, 23 or 31 octets.
    pub header: Vec<u8>,
    /// Its tag, 8 or 16 octets.
    pub tag: Vec<u8>,
}

impl UplinkRef {
    /// The uplink of a binding. The server nonce is left out: the same uplink may be answered again
    /// with another one.
    #[must_use]
    pub fn of(uplink: &AnsweredUplink<'_>) -> Self {
        Self {
            header: uplink.header.to_vec(),
            tag: uplink.tag.to_vec(),
        }
    }

    /// Whether it is this uplink.
    #[must_use]
    pub fn is(&self, uplink: &AnsweredUplink<'_>) -> bool {
        self.header == uplink.header && self.tag == uplink.tag
    }

    /// Its frame counter; 0 if the header is too short to have one.
    pub(super) fn counter(&self) -> u32 {
        counter(&self.header)
    }
}

/// The frame counter in the header of an UPLINK; 0 if it is too short to have one.
pub(super) fn counter(header: &[u8]) -> u32 {
    let octets = header.get(11..).and_then(|rest| rest.first_chunk::<4>());
    octets.map_or(0, |octets| u32::from_be_bytes(*octets))
}

/// What a server asks a signer to sign.
#[derive(Clone, Copy, Debug)]
pub struct SignRequest<'a> {
    /// The terminal.
    pub identity: [u8; 8],
    /// Version of the command key.
    pub key_version: u8,
    /// The command sequence: it names the approval.
    pub sequence: u32,
    /// Kind.
    pub kind: u8,
    /// The meter.
    pub meter: u8,
    /// Precondition.
    pub precondition: u8,
    /// Last UTC second.
    pub not_after_utc_s: u32,
    /// Parameters of the kind.
    pub parameters: &'a [u8],
    /// The uplink to whose answer it is to be bound.
    pub bound_to: Option<AnsweredUplink<'a>>,
}

impl SignRequest<'_> {
    /// Whether it asks for exactly what was approved.
    pub(super) fn matches(&self, approval: &Approval) -> bool {
        self.kind == approval.kind
            && self.meter == approval.meter
            && self.precondition == approval.precondition
            && self.not_after_utc_s == approval.not_after_utc_s
            && self.parameters == approval.parameters
    }
}

/// What a confirmed cancellation means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CancelOutcome {
    /// It was never signed for an uplink: it cannot be executed any more.
    NeverSigned,
    /// It had been signed, or the ledger is restored and cannot know: nothing more will be signed,
    /// but the terminal may have it. It is *in doubt*.
    MayHaveBeenSigned,
}

/// A change of the ledger, in a form that can be written down.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Transition {
    /// A command was approved.
    Approved {
        /// The terminal.
        identity: [u8; 8],
        /// Its command sequence.
        sequence: u32,
        /// What was approved.
        approval: Approval,
    },
    /// A bound command was signed. To be made durable before the MAC leaves the signer.
    Signed {
        /// The terminal.
        identity: [u8; 8],
        /// Its command sequence.
        sequence: u32,
        /// The uplink that it was signed for.
        uplink: UplinkRef,
    },
    /// An approval was cancelled. To be made durable before the cancellation is confirmed.
    Cancelled {
        /// The terminal.
        identity: [u8; 8],
        /// Its command sequence.
        sequence: u32,
    },
    /// The end of a command is known: by a result or valve state whose MAC was verified, or by a
    /// person.
    Ended {
        /// The terminal.
        identity: [u8; 8],
        /// Its command sequence.
        sequence: u32,
    },
    /// A person released an entry that was held after a restore.
    Released {
        /// The terminal.
        identity: [u8; 8],
        /// Its command sequence.
        sequence: u32,
    },
    /// The terminal reported a sequence that the ledger does not know: later ones lie above it.
    FloorRaised {
        /// The terminal.
        identity: [u8; 8],
        /// The reported sequence.
        sequence: u32,
    },
    /// An entry that can never be signed again was dropped.
    Forgotten {
        /// The terminal.
        identity: [u8; 8],
        /// Its command sequence.
        sequence: u32,
    },
}

impl Transition {
    /// The terminal that it is about.
    #[must_use]
    pub const fn identity(&self) -> [u8; 8] {
        match self {
            Self::Approved { identity, .. }
            | Self::Signed { identity, .. }
            | Self::Cancelled { identity, .. }
            | Self::Ended { identity, .. }
            | Self::Released { identity, .. }
            | Self::FloorRaised { identity, .. }
            | Self::Forgotten { identity, .. } => *identity,
        }
    }
}
