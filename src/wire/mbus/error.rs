//! What can be wrong with a telegram, before anybody asks for a key.
//!
//! A [`MbusError`] ends the reading of a telegram; a [`RecordFault`](super::app::RecordFault) is
//! about one record and leaves the others. Neither holds an octet of the input beyond one code, so
//! both can be logged.

use core::fmt;

/// Why a telegram was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum MbusErrorKind {
    /// The octets end before the field does.
    Truncated,
    /// A length field contradicts what came.
    Length,
    /// A start octet or the second length of a wired frame is not what it has to be.
    Start,
    /// The stop octet of a wired frame is not 16h.
    Stop,
    /// The checksum of a wired frame does not hold.
    Checksum,
    /// The CRC of a block of the wireless link does not hold; blocks count from 0.
    BlockCrc(u8),
    /// A CI field that is known and that this version does not read.
    UnsupportedCi(u8),
    /// A bit that has to be 0, or a combination that the text forbids.
    Reserved,
    /// A fragment that does not fit the message under way: a gap, a second start, a wrong total.
    Fragment,
    /// More octets, fragments or extensions than allowed.
    Limit,
}

impl MbusErrorKind {
    /// The name, for JSON, logs and metrics.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Length => "length",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Checksum => "checksum",
            Self::BlockCrc(_) => "block_crc",
            Self::UnsupportedCi(_) => "unsupported_ci",
            Self::Reserved => "reserved",
            Self::Fragment => "fragment",
            Self::Limit => "limit",
        }
    }
}

impl fmt::Display for MbusErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockCrc(block) => write!(f, "the CRC of block {block} does not hold"),
            Self::UnsupportedCi(ci) => write!(f, "the CI field {ci:02X}h is not read"),
            Self::Truncated => f.write_str("the octets end too early"),
            Self::Length => f.write_str("a length contradicts what came"),
            Self::Start => f.write_str("a wired frame begins otherwise"),
            Self::Stop => f.write_str("a wired frame ends with 16h"),
            Self::Checksum => f.write_str("the checksum does not hold"),
            Self::Reserved => f.write_str("what is sent is reserved or forbidden"),
            Self::Fragment => f.write_str("the fragment does not fit those that came"),
            Self::Limit => f.write_str("there is more than is allowed"),
        }
    }
}

/// A refusal of a telegram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MbusError {
    /// The first octet that is wrong or missing, counted from the start of the telegram.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: MbusErrorKind,
    /// The field that was being read, in the standard's words.
    pub field: &'static str,
}

impl MbusError {
    /// A refusal at an offset, in a field.
    #[must_use]
    pub const fn new(offset: usize, kind: MbusErrorKind, field: &'static str) -> Self {
        Self {
            offset,
            kind,
            field,
        }
    }
}

impl fmt::Display for MbusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {} ({})", self.kind, self.offset, self.field)
    }
}

impl core::error::Error for MbusError {}
