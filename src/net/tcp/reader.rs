//! What one connection has delivered so far, and for how long it may wait. Sans-IO.

use crate::wire::otl::framer::{TcpFramer, TcpPiece};

use super::connection::{CLOSE_GENERIC, CLOSE_IDLE};

/// For how long a connection may do what, in milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StreamLimits {
    /// Until its first verified frame.
    // spec: TCP-4
    pub first_verified_ms: u64,
    /// From the first octet of a frame to its last.
    // spec: TCP-4
    pub whole_frame_ms: u64,
    /// Without any octet, once a frame verified.
    // spec: TCP-5
    pub silence_ms: u64,
    /// Without reading what it was sent.
    pub unread_ms: u64,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            first_verified_ms: 20_000,
            whole_frame_ms: 20_000,
            silence_ms: 3_600_000,
            unread_ms: 10_000,
        }
    }
}

/// Which limit was passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Overdue {
    Unverified,
    Partial,
    Idle,
}

impl Overdue {
    /// The code of the CLOSE.
    // spec: SES-10, ERR-4
    pub(super) const fn close_code(self) -> u8 {
        match self {
            Self::Unverified | Self::Partial => CLOSE_GENERIC,
            Self::Idle => CLOSE_IDLE,
        }
    }
}

/// What a frame did to its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    /// It verified.
    Verified,
    /// The connection has to end with CLOSE 0.
    Refused,
}

/// The stream cannot be read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// A length above 1,200.
    Oversize,
    /// A frame was refused.
    Refused,
}

/// Frames and times of one connection.
#[derive(Debug)]
pub(super) struct Reader {
    framer: TcpFramer,
    opened_ms: u64,
    heard_ms: u64,
    /// When the frame began that is not whole.
    begun_ms: Option<u64>,
    is_verified: bool,
}

impl Reader {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            framer: TcpFramer::new(),
            opened_ms: now_ms,
            heard_ms: now_ms,
            begun_ms: None,
            is_verified: false,
        }
    }

    /// Takes what arrived and gives each whole frame to `take`.
    // spec: TCP-2, TCP-3
    pub(super) fn feed(
        &mut self,
        mut rest: &[u8],
        now_ms: u64,
        mut take: impl FnMut(&[u8]) -> Effect,
    ) -> Result<(), Fault> {
        self.heard_ms = now_ms;
        while !rest.is_empty() {
            let fed = self.framer.feed(rest).map_err(|_| Fault::Oversize)?;
            rest = rest.get(fed.taken..).unwrap_or(&[]);
            match fed.piece {
                // spec: TCP-4
                Some(TcpPiece::KeepAlive) => self.begun_ms = None,
                Some(TcpPiece::Frame(frame)) => {
                    self.begun_ms = None;
                    match take(frame) {
                        Effect::Verified => self.is_verified = true,
                        Effect::Refused => return Err(Fault::Refused),
                    }
                }
                None => {}
            }
        }
        if self.framer.is_mid_frame() {
            self.begun_ms.get_or_insert(now_ms);
        }
        Ok(())
    }

    pub(super) const fn is_verified(&self) -> bool {
        self.is_verified
    }

    /// The next limit and when it is passed.
    // spec: TCP-4, TCP-5
    pub(super) fn deadline(&self, limits: &StreamLimits) -> (u64, Overdue) {
        let whole = if self.is_verified {
            let at_ms = self.heard_ms.saturating_add(limits.silence_ms);
            (at_ms, Overdue::Idle)
        } else {
            let at_ms = self.opened_ms.saturating_add(limits.first_verified_ms);
            (at_ms, Overdue::Unverified)
        };
        match self.begun_ms {
            Some(begun_ms) => {
                let at_ms = begun_ms.saturating_add(limits.whole_frame_ms);
                if at_ms < whole.0 {
                    (at_ms, Overdue::Partial)
                } else {
                    whole
                }
            }
            None => whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StreamLimits = StreamLimits {
        first_verified_ms: 20_000,
        whole_frame_ms: 20_000,
        silence_ms: 3_600_000,
        unread_ms: 10_000,
    };

    fn feed(reader: &mut Reader, octets: &[u8], now_ms: u64) -> Result<usize, Fault> {
        let mut frames = 0;
        reader.feed(octets, now_ms, |_| {
            frames += 1;
            Effect::Verified
        })?;
        Ok(frames)
    }

    // spec: TCP-4
    #[test]
    fn neither_keep_alives_nor_parts_of_a_frame_move_the_first_deadline() {
        let mut reader = Reader::new(5);
        assert_eq!(feed(&mut reader, &[0, 0, 0, 0], 10_000), Ok(0));
        assert_eq!(reader.deadline(&LIMITS), (20_005, Overdue::Unverified));
        assert_eq!(feed(&mut reader, &[0, 2, 7], 19_000), Ok(0));
        assert_eq!(reader.deadline(&LIMITS), (20_005, Overdue::Unverified));
    }

    // spec: TCP-4
    #[test]
    fn a_frame_that_dribbles_is_due_from_its_first_octet() {
        let mut reader = Reader::new(0);
        assert_eq!(feed(&mut reader, &[0, 1, 9, 0], 1_000), Ok(1));
        assert_eq!(reader.deadline(&LIMITS), (21_000, Overdue::Partial));
        assert_eq!(feed(&mut reader, &[3, 1], 15_000), Ok(0));
        assert_eq!(reader.deadline(&LIMITS), (21_000, Overdue::Partial));
        assert_eq!(feed(&mut reader, &[1, 1, 0], 16_000), Ok(1));
        assert_eq!(reader.deadline(&LIMITS), (36_000, Overdue::Partial));
    }

    // spec: TCP-5
    #[test]
    fn a_verified_connection_may_be_silent_for_an_hour_after_its_last_octet() {
        let mut reader = Reader::new(0);
        assert_eq!(feed(&mut reader, &[0, 1, 9], 1_000), Ok(1));
        assert_eq!(reader.deadline(&LIMITS), (3_601_000, Overdue::Idle));
        assert_eq!(feed(&mut reader, &[0, 0], 1_500_000), Ok(0));
        assert_eq!(reader.deadline(&LIMITS), (5_100_000, Overdue::Idle));
    }

    // spec: TCP-3
    #[test]
    fn nothing_is_read_after_an_oversize_length() {
        let mut reader = Reader::new(0);
        assert_eq!(
            feed(&mut reader, &[0x04, 0xB1, 0, 1, 9], 0),
            Err(Fault::Oversize)
        );
        assert_eq!(feed(&mut reader, &[0, 1, 9], 0), Err(Fault::Oversize));
    }
}
