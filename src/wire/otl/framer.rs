//! Cutting frames out of a TCP stream.
//!
//! The framer is driven: it is given what arrived, says how much of it it took, and gives a frame
//! out when one is whole. It copies each octet at most once, not at all if a frame arrives in one
//! piece, and holds memory only while a frame is incomplete, so that an idle connection costs
//! nothing. After an error it stays in the error.

use crate::wire::error::{DecodeError, EncodeError, ErrorKind};

use super::limits::{FRAME_MAX, TCP_PREFIX_LEN};

/// A keep-alive, which only a terminal sends and nobody answers.
// spec: TCP-2
pub const KEEP_ALIVE: [u8; TCP_PREFIX_LEN] = [0, 0];

/// What came out of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpPiece<'a> {
    /// A frame of 1 to 1,200 octets.
    Frame(&'a [u8]),
    /// A length of 0.
    // spec: TCP-2
    KeepAlive,
}

/// What became of octets that were fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed<'a> {
    /// How many octets were taken. What is left is to be fed again.
    pub taken: usize,
    /// What became whole, if something did; otherwise all octets were taken.
    pub piece: Option<TcpPiece<'a>>,
}

/// Cuts one direction of a connection into frames.
#[derive(Debug, Default)]
pub struct TcpFramer {
    state: State,
    /// The octets of an incomplete frame; at most [`FRAME_MAX`] are ever reserved.
    // spec: TCP-7
    buffer: Vec<u8>,
    /// Where in the stream the present length begins.
    length_at: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Before the first octet of a length.
    #[default]
    Start,
    /// After the first octet of a length.
    HalfLength(u8),
    /// Inside of a frame of so many octets.
    Frame(usize),
    /// The stream cannot be cut any more.
    // spec: TCP-3
    Failed,
}

impl TcpFramer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a frame has begun and is not whole.
    #[must_use]
    pub const fn is_mid_frame(&self) -> bool {
        matches!(self.state, State::HalfLength(_) | State::Frame(_))
    }

    /// How many octets are reserved, at most 1,200.
    // spec: TCP-7
    #[must_use]
    pub const fn reserved(&self) -> usize {
        self.buffer.capacity()
    }

    /// Takes octets up to the end of the next frame or keep-alive.
    ///
    /// # Errors
    ///
    /// `oversize` for a length above 1,200, then and on every later call: the connection has to
    /// be closed. The offset is that of the length, counted from the start of the stream.
    // spec: TCP-1, TCP-2, TCP-3, TCP-7
    pub fn feed<'a>(&'a mut self, input: &'a [u8]) -> Result<Fed<'a>, DecodeError> {
        let mut rest = input;
        loop {
            match self.state {
                State::Failed => {
                    let at = self.length_at;
                    return Err(DecodeError::new(at, ErrorKind::Oversize, "TCP length"));
                }
                State::Start => {
                    // Frees what the last frame needed.
                    self.buffer = Vec::new();
                    let Some((high, after)) = rest.split_first() else {
                        return Ok(fed(input, rest, None));
                    };
                    self.state = State::HalfLength(*high);
                    rest = after;
                }
                State::HalfLength(high) => {
                    let Some((low, after)) = rest.split_first() else {
                        return Ok(fed(input, rest, None));
                    };
                    rest = after;
                    match usize::from(u16::from_be_bytes([high, *low])) {
                        0 => {
                            self.next_length(0);
                            return Ok(fed(input, rest, Some(TcpPiece::KeepAlive)));
                        }
                        len @ 1..=FRAME_MAX => self.state = State::Frame(len),
                        _ => self.state = State::Failed,
                    }
                }
                State::Frame(len) => return Ok(self.frame(len, input, rest)),
            }
        }
    }

    /// Expects a length after a piece of `len` octets.
    const fn next_length(&mut self, len: usize) {
        self.state = State::Start;
        self.length_at = self
            .length_at
            .saturating_add(TCP_PREFIX_LEN)
            .saturating_add(len);
    }

    /// Takes octets of a frame of `len` octets.
    fn frame<'a>(&'a mut self, len: usize, input: &'a [u8], rest: &'a [u8]) -> Fed<'a> {
        let missing = len.saturating_sub(self.buffer.len());
        let (part, after) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
        if part.len() < missing {
            if !part.is_empty() {
                self.buffer.reserve_exact(missing);
                self.buffer.extend_from_slice(part);
            }
            return fed(input, after, None);
        }
        self.next_length(len);
        let frame = if self.buffer.is_empty() {
            part
        } else {
            self.buffer.extend_from_slice(part);
            self.buffer.as_slice()
        };
        fed(input, after, Some(TcpPiece::Frame(frame)))
    }
}

fn fed<'a>(input: &[u8], rest: &[u8], piece: Option<TcpPiece<'a>>) -> Fed<'a> {
    Fed {
        taken: input.len().saturating_sub(rest.len()),
        piece,
    }
}

/// The length that stands before a frame on TCP.
///
/// # Errors
///
/// [`EncodeError::NoRoom`] for a frame of no or of more than 1,200 octets.
// spec: TCP-1, FRM-4
pub fn tcp_prefix(frame: &[u8]) -> Result<[u8; TCP_PREFIX_LEN], EncodeError> {
    match frame.len() {
        1..=FRAME_MAX => u16::try_from(frame.len())
            .map(u16::to_be_bytes)
            .map_err(|_| EncodeError::NoRoom),
        _ => Err(EncodeError::NoRoom),
    }
}
