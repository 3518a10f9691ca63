//! Frame headers: all that is readable before a frame is authenticated.
//!
//! Nothing here may be believed until the tag has verified. [`Header::parse`] makes every check
//! that needs no key and no registry, in the order of the specification, and allocates nothing.

use crate::wire::error::{DecodeError, ErrorKind};
use crate::wire::span::{Parsed, Span, array, plain};

pub use super::ident::{
    Direction, FrameCounter, Identity, KeyVersion, Mode, Ns, ResyncNonce, TerminalNonce,
};
use super::limits::{
    ANSWER_MIN, CALL_NOW_HEADER_LEN, CLOSE_LEN, FRAME_MAX, HEADER_MAX, REPORT_MIN,
    RESYNC_ANSWER_HEADER_LEN, RESYNC_ANSWER_MIN, RESYNC_HEADER_LEN, RESYNC_LEN,
};

mod types;

pub use types::{
    AnswerHeader, CallNowHeader, CloseHeader, HeaderOctets, ResyncAnswerHeader, ResyncHeader,
    UplinkHeader,
};

/// The version of the link that this module speaks, in bits 7 to 4 of the first octet.
pub const VERSION: u8 = 1;

const MODE_BITS: u8 = 0b1110_0000;
const ALARM_BIT: u8 = 0b0001_0000;
const ANSWER_BIT: u8 = 0b0000_1000;
const ALIAS_BIT: u8 = 0b0000_0100;
const UPLINK_RESERVED: u8 = 0b0000_0011;
const SERVER_RESERVED: u8 = 0b0001_1111;

/// The kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// 0x11, from the terminal: report and records.
    Uplink,
    /// 0x12, from the terminal: its counter is lost.
    Resync,
    /// 0x19, from the server: the reply to an uplink.
    Answer,
    /// 0x1A, from the server: the reply to a resync.
    ResyncAnswer,
    /// 0x1B, from the server: asks for an uplink.
    CallNow,
    /// 0x1F, from the server: the TCP connection ends.
    Close,
}

impl FrameKind {
    /// All kinds of frames.
    pub const ALL: [Self; 6] = [
        Self::Uplink,
        Self::Resync,
        Self::Answer,
        Self::ResyncAnswer,
        Self::CallNow,
        Self::Close,
    ];

    /// The first octet of the frame: version and type.
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::Uplink => 0x11,
            Self::Resync => 0x12,
            Self::Answer => 0x19,
            Self::ResyncAnswer => 0x1A,
            Self::CallNow => 0x1B,
            Self::Close => 0x1F,
        }
    }

    /// The name in the JSON form.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Uplink => "uplink",
            Self::Resync => "resync",
            Self::Answer => "answer",
            Self::ResyncAnswer => "resync_answer",
            Self::CallNow => "call_now",
            Self::Close => "close",
        }
    }

    /// The side that sends frames of this kind.
    #[must_use]
    pub const fn from(self) -> Direction {
        match self {
            Self::Uplink | Self::Resync => Direction::FromTerminal,
            Self::Answer | Self::ResyncAnswer | Self::CallNow | Self::Close => {
                Direction::FromServer
            }
        }
    }

    /// The octets of the header in a mode. In mode 0 only UPLINK, ANSWER and CLOSE exist.
    #[must_use]
    pub const fn header_len(self, mode: Mode) -> usize {
        match self {
            Self::Uplink => mode.uplink_header_len(),
            Self::Resync => RESYNC_HEADER_LEN,
            Self::Answer => mode.answer_header_len(),
            Self::ResyncAnswer => RESYNC_ANSWER_HEADER_LEN,
            Self::CallNow => CALL_NOW_HEADER_LEN,
            Self::Close => CLOSE_LEN,
        }
    }

    /// The octets of the tag in a mode.
    #[must_use]
    pub const fn tag_len(self, mode: Mode) -> usize {
        match self {
            Self::Close => 0,
            _ => mode.tag_len(),
        }
    }

    /// The shortest and the longest frame of this kind in a mode.
    // spec: FRM-4, FRM-7, FRM-14, FRM-16
    #[must_use]
    pub const fn len_range(self, mode: Mode) -> (usize, usize) {
        let fixed = self.header_len(mode).saturating_add(self.tag_len(mode));
        match self {
            Self::Uplink => (fixed.saturating_add(REPORT_MIN), FRAME_MAX),
            Self::Resync => (RESYNC_LEN, RESYNC_LEN),
            Self::Answer => match mode {
                Mode::Clear => {
                    let exact = fixed.saturating_add(ANSWER_MIN);
                    (exact, exact)
                }
                _ => (fixed.saturating_add(ANSWER_MIN), FRAME_MAX),
            },
            Self::ResyncAnswer => (fixed.saturating_add(RESYNC_ANSWER_MIN), FRAME_MAX),
            Self::CallNow => (fixed, fixed),
            Self::Close => (CLOSE_LEN, CLOSE_LEN),
        }
    }

    fn from_type(octet: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.octet() == octet)
    }
}

/// The header of any frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Of an UPLINK.
    Uplink(UplinkHeader),
    /// Of a RESYNC.
    Resync(ResyncHeader),
    /// Of an ANSWER.
    Answer(AnswerHeader),
    /// Of a RESYNC_ANSWER.
    ResyncAnswer(ResyncAnswerHeader),
    /// Of a CALL_NOW.
    CallNow(CallNowHeader),
    /// Of a CLOSE, which has nothing else.
    Close(CloseHeader),
}

impl Header {
    /// Reads the header of a frame that came from the side `from`.
    ///
    /// The checks and their order: length above 1,200, version, frame type, direction, mode
    /// value, mode 0 where it is forbidden, the length that the frame type and mode ask for,
    /// reserved bits, identity form, the fixed flags of a RESYNC, key version, frame counter.
    ///
    /// # Errors
    ///
    /// `oversize`, `unsupported_version`, `unknown_frame_type`, `wrong_direction`,
    /// `unknown_mode`, `mode_forbids_frame`, `truncated`, `trailing_bytes`, `reserved_bits`,
    /// `identity_form_unsupported`, `bad_value`.
    // spec: ERR-2, FRM-4, FRM-7, FRM-16
    pub fn parse(frame: &[u8], from: Direction) -> Result<Self, DecodeError> {
        let kind = frame_kind(frame, from)?;
        if kind == FrameKind::Close {
            check_len(frame, kind, Mode::Clear)?;
            let [_, code] = head::<2>(frame)?;
            return Ok(Self::Close(CloseHeader { code }));
        }
        let [_, flags] = head::<2>(frame)?;
        let mode = check_mode(kind, flags)?;
        check_len(frame, kind, mode)?;
        check_flags(kind, flags)?;
        let rest = Span::new(frame.get(2..).unwrap_or(&[]), 2);
        let parsed = match kind {
            FrameKind::Uplink => uplink(rest, mode, flags),
            FrameKind::Resync => resync(rest, mode),
            FrameKind::Answer => answer(rest, mode),
            FrameKind::ResyncAnswer => resync_answer(rest, mode),
            FrameKind::CallNow | FrameKind::Close => call_now(rest, mode),
        };
        parsed.map(|(_, header)| header).map_err(plain)
    }

    /// The kind of the frame.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        match self {
            Self::Uplink(_) => FrameKind::Uplink,
            Self::Resync(_) => FrameKind::Resync,
            Self::Answer(_) => FrameKind::Answer,
            Self::ResyncAnswer(_) => FrameKind::ResyncAnswer,
            Self::CallNow(_) => FrameKind::CallNow,
            Self::Close(_) => FrameKind::Close,
        }
    }

    /// The mode that the header names; none in a CLOSE. Not to be believed: see SEC-2.
    #[must_use]
    pub const fn mode(&self) -> Option<Mode> {
        match self {
            Self::Uplink(header) => Some(header.mode()),
            Self::Resync(header) => Some(header.mode()),
            Self::Answer(header) => Some(header.mode()),
            Self::ResyncAnswer(header) => Some(header.mode()),
            Self::CallNow(header) => Some(header.mode()),
            Self::Close(_) => None,
        }
    }

    /// The octets of the header.
    #[must_use]
    pub fn encode(&self) -> HeaderOctets {
        match self {
            Self::Uplink(header) => header.encode(),
            Self::Resync(header) => header.encode(),
            Self::Answer(header) => header.encode(),
            Self::ResyncAnswer(header) => header.encode(),
            Self::CallNow(header) => header.encode(),
            Self::Close(header) => header.encode(),
        }
    }
}

/// The kind of a frame by its length limit and first octet alone.
///
/// # Errors
///
/// `truncated` for no octets, `oversize`, `unsupported_version`, `unknown_frame_type`,
/// `wrong_direction`.
// spec: FRM-1, FRM-2, FRM-4
pub fn frame_kind(frame: &[u8], from: Direction) -> Result<FrameKind, DecodeError> {
    if frame.len() > FRAME_MAX {
        return Err(DecodeError::new(FRAME_MAX, ErrorKind::Oversize, "frame"));
    }
    let [first] = head::<1>(frame)?;
    if first >> 4 != VERSION {
        return Err(DecodeError::new(
            0,
            ErrorKind::UnsupportedVersion,
            "version",
        ));
    }
    let kind = FrameKind::from_type(first).ok_or(DecodeError::new(
        0,
        ErrorKind::UnknownFrameType,
        "frame type",
    ))?;
    if kind.from() == from {
        Ok(kind)
    } else {
        Err(DecodeError::new(0, ErrorKind::WrongDirection, "frame type"))
    }
}

/// The first `N` octets of a frame.
fn head<const N: usize>(frame: &[u8]) -> Result<[u8; N], DecodeError> {
    frame
        .first_chunk::<N>()
        .copied()
        .ok_or_else(|| DecodeError::new(frame.len(), ErrorKind::Truncated, "header"))
}

/// The mode in the flags octet.
// spec: FRM-3, FRM-17
fn check_mode(kind: FrameKind, flags: u8) -> Result<Mode, DecodeError> {
    let refuse = |kind| Err(DecodeError::new(1, kind, "flags"));
    let Some(mode) = Mode::from_number((flags & MODE_BITS) >> 5) else {
        return refuse(ErrorKind::UnknownMode);
    };
    let exists_in_clear = matches!(kind, FrameKind::Uplink | FrameKind::Answer);
    if mode == Mode::Clear && !exists_in_clear {
        return refuse(ErrorKind::ModeForbidsFrame);
    }
    Ok(mode)
}

/// Checks the other bits of the flags octet.
// spec: GEN-7, FRM-5, FRM-18
fn check_flags(kind: FrameKind, flags: u8) -> Result<(), DecodeError> {
    let refuse = |kind| Err(DecodeError::new(1, kind, "flags"));
    let reserved = match kind.from() {
        Direction::FromTerminal => UPLINK_RESERVED,
        Direction::FromServer => SERVER_RESERVED,
    };
    if flags & reserved != 0 {
        return refuse(ErrorKind::ReservedBits);
    }
    if flags & ALIAS_BIT != 0 {
        return refuse(ErrorKind::IdentityFormUnsupported);
    }
    if kind == FrameKind::Resync && flags & (ALARM_BIT | ANSWER_BIT) != ANSWER_BIT {
        return refuse(ErrorKind::BadValue);
    }
    Ok(())
}

// spec: FRM-7, FRM-14, FRM-16
fn check_len(frame: &[u8], kind: FrameKind, mode: Mode) -> Result<(), DecodeError> {
    let (shortest, longest) = kind.len_range(mode);
    if frame.len() < shortest {
        Err(DecodeError::new(frame.len(), ErrorKind::Truncated, "frame"))
    } else if frame.len() > longest {
        Err(DecodeError::new(longest, ErrorKind::TrailingBytes, "frame"))
    } else {
        Ok(())
    }
}

// spec: FRM-8
fn key_version(input: Span<'_>) -> Parsed<'_, KeyVersion> {
    let (rest, [number]) = array::<1>(input)?;
    match KeyVersion::new(number) {
        Some(version) => Ok((rest, version)),
        None => refuse_key_version(input),
    }
}

fn refuse_key_version<T>(input: Span<'_>) -> Parsed<'_, T> {
    input
        .refuse(ErrorKind::BadValue)
        .map_err(|error| error.map(|error: DecodeError| error.in_field("key version")))
}

fn identity(input: Span<'_>) -> Parsed<'_, Identity> {
    let (rest, octets) = array(input)?;
    Ok((rest, Identity::new(octets)))
}

/// Reads a frame counter.
// spec: NON-5
fn counter(input: Span<'_>) -> Parsed<'_, FrameCounter> {
    let (rest, counter) = array(input)?;
    match FrameCounter::new(u32::from_be_bytes(counter)) {
        Some(counter) => Ok((rest, counter)),
        None => input
            .refuse(ErrorKind::BadValue)
            .map_err(|error| error.map(|error: DecodeError| error.in_field("frame counter"))),
    }
}

fn uplink(input: Span<'_>, mode: Mode, flags: u8) -> Parsed<'_, Header> {
    let (alarm, answer) = (flags & ALARM_BIT != 0, flags & ANSWER_BIT != 0);
    if mode == Mode::Clear {
        let (rest, [version]) = array::<1>(input)?;
        if version != 0 {
            return refuse_key_version(input);
        }
        let (rest, identity) = identity(rest)?;
        let (rest, counter) = counter(rest)?;
        let header = UplinkHeader::clear(alarm, answer, identity, counter);
        return Ok((rest, Header::Uplink(header)));
    }
    let (rest, version) = key_version(input)?;
    let (rest, identity) = identity(rest)?;
    let (rest, counter) = counter(rest)?;
    let (rest, ticket) = array(rest)?;
    let ticket = Ns::new(ticket);
    let header = UplinkHeader::ccm_static(alarm, answer, version, identity, counter, ticket);
    if mode == Mode::CcmStatic {
        return Ok((rest, Header::Uplink(header)));
    }
    let (rest, nt) = array(rest)?;
    let header = header.with_session(mode == Mode::GcmSession, TerminalNonce(nt));
    Ok((rest, Header::Uplink(header)))
}

fn resync(input: Span<'_>, mode: Mode) -> Parsed<'_, Header> {
    let (rest, version) = key_version(input)?;
    let (rest, identity) = identity(rest)?;
    let (rest, nr) = array(rest)?;
    match ResyncHeader::new(mode, version, identity, ResyncNonce(nr)) {
        Some(header) => Ok((rest, Header::Resync(header))),
        None => input.refuse_at(1, ErrorKind::ModeForbidsFrame),
    }
}

fn answer(input: Span<'_>, mode: Mode) -> Parsed<'_, Header> {
    let (rest, counter) = counter(input)?;
    if mode == Mode::Clear {
        return Ok((rest, Header::Answer(AnswerHeader::clear(counter))));
    }
    let (rest, ns) = array(rest)?;
    match AnswerHeader::sealed(mode, counter, Ns::new(ns)) {
        Some(header) => Ok((rest, Header::Answer(header))),
        None => input.refuse_at(1, ErrorKind::ModeForbidsFrame),
    }
}

fn resync_answer(input: Span<'_>, mode: Mode) -> Parsed<'_, Header> {
    let (rest, ns) = array(input)?;
    match ResyncAnswerHeader::new(mode, Ns::new(ns)) {
        Some(header) => Ok((rest, Header::ResyncAnswer(header))),
        None => input.refuse_at(1, ErrorKind::ModeForbidsFrame),
    }
}

fn call_now(input: Span<'_>, mode: Mode) -> Parsed<'_, Header> {
    let (rest, version) = key_version(input)?;
    let (rest, identity) = identity(rest)?;
    let (rest, counter) = array(rest)?;
    match CallNowHeader::new(mode, version, identity, u32::from_be_bytes(counter)) {
        Some(header) => Ok((rest, Header::CallNow(header))),
        None => input.refuse_at(1, ErrorKind::ModeForbidsFrame),
    }
}
