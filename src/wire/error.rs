//! What can be wrong with octets that were received, and with a buffer that is written to.
//!
//! A [`DecodeError`] names the place, the kind and the field. The kinds carry the names of the
//! specification, so that log, metric, command line and test vectors say the same word. Kinds of
//! refusals that need a key, a registry or a clock belong to the session, not here.

use core::fmt;

use super::span::Span;

/// Why octets were refused.
// spec: ERR-1
// As wide as a word: a refusal is moved through many results, and odd octets of it are slow to
// move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u64)]
pub enum ErrorKind {
    /// The octets end before the value does.
    Truncated,
    /// Octets follow where the value has ended.
    TrailingBytes,
    /// A frame is longer than 1,200 octets.
    Oversize,
    /// A value is outside of its range.
    BadValue,
    /// The value has another, canonical encoding.
    NonCanonical,
    /// A reserved bit or octet is set.
    ReservedBits,
    /// Padding holds something, or stands where none may be.
    PaddingNotZero,
    /// The version is not 1.
    UnsupportedVersion,
    /// The frame type is not registered.
    UnknownFrameType,
    /// The frame type belongs to the other direction.
    WrongDirection,
    /// The mode is 4 to 7.
    UnknownMode,
    /// The identity is in a form that this version reserves.
    IdentityFormUnsupported,
    /// The frame type does not exist in mode 0.
    ModeForbidsFrame,
    /// The frame's mode is not the one that the caller has pinned.
    ModeMismatch,
    /// An answer holds an item that must be understood and is not known.
    UnknownCriticalItem,
}

impl ErrorKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 15] = [
        Self::Truncated,
        Self::TrailingBytes,
        Self::Oversize,
        Self::BadValue,
        Self::NonCanonical,
        Self::ReservedBits,
        Self::PaddingNotZero,
        Self::UnsupportedVersion,
        Self::UnknownFrameType,
        Self::WrongDirection,
        Self::UnknownMode,
        Self::IdentityFormUnsupported,
        Self::ModeForbidsFrame,
        Self::ModeMismatch,
        Self::UnknownCriticalItem,
    ];

    /// The name in the specification, in `snake_case`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing_bytes",
            Self::Oversize => "oversize",
            Self::BadValue => "bad_value",
            Self::NonCanonical => "non_canonical",
            Self::ReservedBits => "reserved_bits",
            Self::PaddingNotZero => "padding_not_zero",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnknownFrameType => "unknown_frame_type",
            Self::WrongDirection => "wrong_direction",
            Self::UnknownMode => "unknown_mode",
            Self::IdentityFormUnsupported => "identity_form_unsupported",
            Self::ModeForbidsFrame => "mode_forbids_frame",
            Self::ModeMismatch => "mode_mismatch",
            Self::UnknownCriticalItem => "unknown_critical_item",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A refusal of octets.
///
/// Holds no octet of the input, so that it can be logged whatever the input was.
// spec: ERR-3, ERR-5
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The first octet that is wrong or missing, counted from the start of the frame.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: ErrorKind,
    /// The field that was being read; empty if no field had begun.
    pub context: &'static str,
}

impl DecodeError {
    /// A refusal at an offset, in a field.
    #[must_use]
    pub const fn new(offset: usize, kind: ErrorKind, context: &'static str) -> Self {
        Self {
            offset,
            kind,
            context,
        }
    }

    /// The same refusal, naming the field if it named none so far.
    #[must_use]
    pub(crate) const fn in_field(self, context: &'static str) -> Self {
        if self.context.is_empty() {
            Self { context, ..self }
        } else {
            self
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.kind, self.offset)?;
        if self.context.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.context)
        }
    }
}

impl core::error::Error for DecodeError {}

/// The seam to nom: its parsers report an end of input here, and nothing else.
impl<'a> nom::error::ParseError<Span<'a>> for DecodeError {
    fn from_error_kind(input: Span<'a>, code: nom::error::ErrorKind) -> Self {
        match code {
            nom::error::ErrorKind::Eof => input.truncated(),
            _ => Self::new(input.offset(), ErrorKind::BadValue, ""),
        }
    }

    fn append(_input: Span<'a>, _code: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

/// Why a value could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The octets would exceed the limit that the caller gave.
    NoRoom,
    /// The value may not be sent in mode 0, or in no mode but 0.
    ModeForbids,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "the value does not fit into the frame",
            Self::ModeForbids => "the security mode does not permit the value",
        })
    }
}

impl core::error::Error for EncodeError {}

/// A value that a checked constructor refused: it is outside of the range that the text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange(pub &'static str);

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "out of range: {}", self.0)
    }
}

impl core::error::Error for OutOfRange {}
