//! Octets of OTL v1: what a terminal writes and what it reads.

pub mod answer;
pub mod bits;
pub mod frame;
pub mod gauges;
pub mod record;
pub mod record_body;
pub mod report;
pub mod series;
pub mod wire;

/// Why a value has no encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field is outside of what its clause permits.
    #[error("{0} is out of range")]
    BadValue(&'static str),
    /// The whole does not fit one frame.
    #[error("the record is too long for a frame")]
    TooLong,
    /// Sealing failed.
    #[error(transparent)]
    Crypto(#[from] crate::crypto::CryptoError),
}

/// Why a received frame is dropped. Names are those of the registry of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The frame ends before its fields do.
    #[error("truncated")]
    Truncated,
    /// Octets follow after the last field.
    #[error("trailing_bytes")]
    TrailingBytes,
    /// Longer than 1,200 octets.
    #[error("oversize")]
    Oversize,
    /// A field holds a value that its clause excludes.
    #[error("bad_value")]
    BadValue,
    /// Not the one encoding of the value.
    #[error("non_canonical")]
    NonCanonical,
    /// A reserved bit is set.
    #[error("reserved_bits")]
    ReservedBits,
    /// The frame type is not registered.
    #[error("unknown_frame_type")]
    UnknownFrameType,
    /// A frame that only terminals send.
    #[error("wrong_direction")]
    WrongDirection,
    /// The version is not 1.
    #[error("unsupported_version")]
    UnsupportedVersion,
    /// The mode field is 4 to 7.
    #[error("unknown_mode")]
    UnknownMode,
    /// This frame does not exist in mode 0.
    #[error("mode_forbids_frame")]
    ModeForbidsFrame,
    /// A critical item that this version does not know.
    #[error("unknown_critical_item")]
    UnknownCriticalItem(u8),
    /// Not the pinned mode.
    #[error("mode_mismatch")]
    ModeMismatch,
    /// No key of this version is held.
    #[error("unknown_key_version")]
    UnknownKeyVersion,
    /// The tag does not verify.
    #[error("tag_mismatch")]
    TagMismatch,
    /// The frame is for another terminal.
    #[error("unknown_terminal")]
    UnknownTerminal,
    /// It answers nothing that is outstanding.
    #[error("not_outstanding")]
    NotOutstanding,
}
