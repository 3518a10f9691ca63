//! Why the ledger refuses.

/// Why a command was not approved.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum ApproveRefusal {
    /// The sequence was used, or lies below one that was.
    // spec: CMD-17
    #[error("the command sequence is not above the terminal's last one")]
    SequenceUsed,
    /// The kind is neither registered nor a maker's own.
    #[error("the command kind is not registered")]
    UnknownKind,
    /// The parameters have another length or range than the kind has.
    #[error("the parameters do not fit the kind")]
    BadParameters,
    /// The precondition is above 127, or the kind asks for another one.
    // spec: CMD-26
    #[error("the precondition does not fit the kind")]
    BadPrecondition,
    /// Only harmless commands may be without a limit in time.
    #[error("only harmless commands may have no time limit")]
    NoTimeLimit,
    /// The transition could not be made durable.
    #[error("the signer's journal failed")]
    JournalFailed,
}

/// Why a cancellation was not confirmed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum CancelRefusal {
    /// No approval of this sequence is known.
    #[error("no approval of this sequence is known")]
    UnknownApproval,
    /// The command has ended already.
    #[error("the command has ended")]
    Ended,
    /// The transition could not be made durable.
    #[error("the signer's journal failed")]
    JournalFailed,
}

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum SignRefusal {
    /// No approval of this sequence is known.
    // spec: CMD-18
    #[error("no approval of this sequence is known")]
    UnknownApproval,
    /// The approval was cancelled.
    // spec: CMD-18, CMD-22
    #[error("the approval was cancelled")]
    Cancelled,
    /// The command has ended.
    #[error("the command has ended")]
    Ended,
    /// The approval came out of an older copy of the ledger and was not released.
    // spec: ROL-1
    #[error("the approval was restored from an older copy and is not released")]
    Held,
    /// The request is not what was approved.
    // spec: CMD-17
    #[error("the request differs from what was approved")]
    NotAsApproved,
    /// A dangerous or config command has to be bound to an uplink.
    // spec: CMD-2
    #[error("dangerous and config commands have to be bound to an uplink")]
    Unbound,
    /// not_after is past by the signer's clock.
    // spec: CMD-18
    #[error("the command is past its not_after")]
    Expired,
    /// The seconds of Ns are more than 30 s off the signer's clock.
    // spec: CMD-18
    #[error("the seconds of the server nonce are more than 30 s off the signer's clock")]
    ClockDifference,
    /// What it is to be bound to is not an uplink of this terminal in modes 1 to 3.
    // spec: SEC-4
    #[error("the binding is not an uplink of this terminal in modes 1 to 3")]
    BadBinding,
    /// The uplink has a ticket of zero.
    // spec: FRS-3
    #[error("the uplink has no ticket")]
    NoTicket,
    /// It was signed for another uplink.
    // spec: CMD-19
    #[error("the dangerous command was signed for another uplink")]
    OtherUplink,
    /// A command with a higher sequence was signed for this terminal.
    // spec: CMD-17
    #[error("a command with a higher sequence was signed")]
    Superseded,
    /// An earlier dangerous command was signed for this uplink or a later one, so that the terminal
    /// cannot have reported on it.
    // spec: CMD-20, CMD-24
    #[error("the terminal has not reported on an earlier dangerous command")]
    EarlierNotReported,
    /// The command key is not at hand.
    #[error("no command key: {0}")]
    Key(#[from] crate::keyring::KeyError),
    /// The transition could not be made durable.
    #[error("the signer's journal failed")]
    JournalFailed,
}

impl SignRefusal {
    /// The metric label.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::UnknownApproval => "unknown_approval",
            Self::Cancelled => "cancelled",
            Self::Ended => "ended",
            Self::Held => "held",
            Self::NotAsApproved => "not_as_approved",
            Self::Unbound => "unbound",
            Self::Expired => "expired",
            Self::ClockDifference => "clock_difference",
            Self::BadBinding => "bad_binding",
            Self::NoTicket => "no_ticket",
            Self::OtherUplink => "other_uplink",
            Self::Superseded => "superseded",
            Self::EarlierNotReported => "earlier_not_reported",
            Self::Key(error) => error.id(),
            Self::JournalFailed => "journal_failed",
        }
    }
}
