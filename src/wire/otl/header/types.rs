//! The header of each frame as a value, and its octets.

use super::{
    ALARM_BIT, ANSWER_BIT, FrameCounter, FrameKind, HEADER_MAX, Identity, KeyVersion, Mode, Ns,
    ResyncNonce, TerminalNonce,
};

/// The octets of a header, at most 31, held in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderOctets {
    octets: [u8; HEADER_MAX],
    len: usize,
}

impl HeaderOctets {
    fn from_parts(parts: &[&[u8]]) -> Self {
        let mut octets = [0; HEADER_MAX];
        let len = fill(&mut octets, parts);
        Self { octets, len }
    }

    /// The octets.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or(&[])
    }
}

impl AsRef<[u8]> for HeaderOctets {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// Lays parts one after the other, as far as they fit, and returns how many octets they fill.
fn fill(target: &mut [u8], parts: &[&[u8]]) -> usize {
    let mut source = parts.iter().flat_map(|part| part.iter().copied());
    let mut filled = 0_usize;
    for (place, octet) in target.iter_mut().zip(&mut source) {
        *place = octet;
        filled = filled.saturating_add(1);
    }
    filled
}

/// What only some modes have in the header of an UPLINK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seal {
    Clear,
    Static {
        key_version: KeyVersion,
        ticket: Ns,
    },
    Session {
        gcm: bool,
        key_version: KeyVersion,
        ticket: Ns,
        nt: TerminalNonce,
    },
}

/// The header of an UPLINK. It has exactly the fields that its mode has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkHeader {
    alarm: bool,
    answer: bool,
    identity: Identity,
    counter: FrameCounter,
    seal: Seal,
}

impl UplinkHeader {
    /// A header in mode 0.
    #[must_use]
    pub const fn clear(
        alarm: bool,
        answer: bool,
        identity: Identity,
        counter: FrameCounter,
    ) -> Self {
        Self {
            alarm,
            answer,
            identity,
            counter,
            seal: Seal::Clear,
        }
    }

    /// A header in mode 1.
    #[must_use]
    pub const fn ccm_static(
        alarm: bool,
        answer: bool,
        key_version: KeyVersion,
        identity: Identity,
        counter: FrameCounter,
        ticket: Ns,
    ) -> Self {
        let seal = Seal::Static {
            key_version,
            ticket,
        };
        Self {
            alarm,
            answer,
            identity,
            counter,
            seal,
        }
    }

    /// The header of mode 1 as one of mode 2, or of mode 3 if `gcm`. In mode 0 there is neither
    /// key nor ticket, and the header stays as it is.
    #[must_use]
    pub const fn with_session(self, gcm: bool, nt: TerminalNonce) -> Self {
        let seal = match self.seal {
            Seal::Clear => Seal::Clear,
            Seal::Static {
                key_version,
                ticket,
            }
            | Seal::Session {
                key_version,
                ticket,
                ..
            } => Seal::Session {
                gcm,
                key_version,
                ticket,
                nt,
            },
        };
        Self { seal, ..self }
    }

    /// Whether the frame says that it holds an alarm notice.
    // spec: FRM-6
    #[must_use]
    pub const fn alarm(&self) -> bool {
        self.alarm
    }

    /// Whether the terminal waits for an answer to this frame.
    #[must_use]
    pub const fn answer(&self) -> bool {
        self.answer
    }

    /// Who says it sent the frame.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// The frame counter.
    #[must_use]
    pub const fn counter(&self) -> FrameCounter {
        self.counter
    }

    /// The mode that the header names.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self.seal {
            Seal::Clear => Mode::Clear,
            Seal::Static { .. } => Mode::CcmStatic,
            Seal::Session { gcm: false, .. } => Mode::CcmSession,
            Seal::Session { gcm: true, .. } => Mode::GcmSession,
        }
    }

    /// The version of the link key; none in mode 0.
    // spec: FRM-8
    #[must_use]
    pub const fn key_version(&self) -> Option<KeyVersion> {
        match self.seal {
            Seal::Clear => None,
            Seal::Static { key_version, .. } | Seal::Session { key_version, .. } => {
                Some(key_version)
            }
        }
    }

    /// The nonce of the last answer that the terminal accepted, or zero; none in mode 0.
    #[must_use]
    pub const fn ticket(&self) -> Option<Ns> {
        match self.seal {
            Seal::Clear => None,
            Seal::Static { ticket, .. } | Seal::Session { ticket, .. } => Some(ticket),
        }
    }

    /// The terminal's nonce; in modes 2 and 3 only.
    #[must_use]
    pub const fn nt(&self) -> Option<TerminalNonce> {
        match self.seal {
            Seal::Session { nt, .. } => Some(nt),
            Seal::Clear | Seal::Static { .. } => None,
        }
    }

    /// The octets of the header: 15, 23 or 31.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.mode().uplink_header_len()
    }

    /// The octets of the header, which are also the whole additional data of the frame.
    // spec: SEC-6, FRM-5, GEN-1
    #[must_use]
    pub fn encode(&self) -> HeaderOctets {
        let mut flags = self.mode().bits();
        if self.alarm {
            flags |= ALARM_BIT;
        }
        if self.answer {
            flags |= ANSWER_BIT;
        }
        let version = self.key_version().map_or(0, KeyVersion::get);
        let ticket = self.ticket().map(Ns::octets);
        let nt = self.nt().map(|nonce| nonce.0);
        HeaderOctets::from_parts(&[
            &[FrameKind::Uplink.octet(), flags, version],
            &self.identity.octets(),
            &self.counter.get().to_be_bytes(),
            ticket.as_ref().map_or(&[], |octets| octets),
            nt.as_ref().map_or(&[], |octets| octets),
        ])
    }
}

/// The header of a RESYNC, which exists in modes 1 to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResyncHeader {
    mode: Mode,
    key_version: KeyVersion,
    identity: Identity,
    nr: ResyncNonce,
}

impl ResyncHeader {
    /// A header; none in mode 0.
    // spec: FRM-17
    #[must_use]
    pub const fn new(
        mode: Mode,
        key_version: KeyVersion,
        identity: Identity,
        nr: ResyncNonce,
    ) -> Option<Self> {
        match mode {
            Mode::Clear => None,
            _ => Some(Self {
                mode,
                key_version,
                identity,
                nr,
            }),
        }
    }

    /// The mode that the header names, 1 to 3.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The version of the link key.
    #[must_use]
    pub const fn key_version(&self) -> KeyVersion {
        self.key_version
    }

    /// Who says it sent the frame.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// The random nonce of this frame.
    #[must_use]
    pub const fn nr(&self) -> ResyncNonce {
        self.nr
    }

    /// The octets of the header, 27.
    // spec: FRM-18
    #[must_use]
    pub fn encode(&self) -> HeaderOctets {
        HeaderOctets::from_parts(&[
            &[
                FrameKind::Resync.octet(),
                self.mode.bits() | ANSWER_BIT,
                self.key_version.get(),
            ],
            &self.identity.octets(),
            &self.nr.0,
        ])
    }
}

/// The header of an ANSWER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerHeader {
    mode: Mode,
    counter: FrameCounter,
    ns: Option<Ns>,
}

impl AnswerHeader {
    /// A header in mode 0, which has no nonce.
    #[must_use]
    pub const fn clear(counter: FrameCounter) -> Self {
        Self {
            mode: Mode::Clear,
            counter,
            ns: None,
        }
    }

    /// A header in modes 1 to 3; none in mode 0.
    #[must_use]
    pub const fn sealed(mode: Mode, counter: FrameCounter, ns: Ns) -> Option<Self> {
        match mode {
            Mode::Clear => None,
            _ => Some(Self {
                mode,
                counter,
                ns: Some(ns),
            }),
        }
    }

    /// The mode that the header names.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The frame counter of the uplink that this answers.
    #[must_use]
    pub const fn counter(&self) -> FrameCounter {
        self.counter
    }

    /// The server's nonce; none in mode 0.
    #[must_use]
    pub const fn ns(&self) -> Option<Ns> {
        self.ns
    }

    /// The octets of the header, 6 or 14.
    #[must_use]
    pub fn encode(&self) -> HeaderOctets {
        let ns = self.ns.map(Ns::octets);
        HeaderOctets::from_parts(&[
            &[FrameKind::Answer.octet(), self.mode.bits()],
            &self.counter.get().to_be_bytes(),
            ns.as_ref().map_or(&[], |octets| octets),
        ])
    }
}

/// The header of a RESYNC_ANSWER, which exists in modes 1 to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResyncAnswerHeader {
    mode: Mode,
    ns: Ns,
}

impl ResyncAnswerHeader {
    /// A header; none in mode 0.
    // spec: FRM-17
    #[must_use]
    pub const fn new(mode: Mode, ns: Ns) -> Option<Self> {
        match mode {
            Mode::Clear => None,
            _ => Some(Self { mode, ns }),
        }
    }

    /// The mode that the header names, 1 to 3.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The server's nonce.
    #[must_use]
    pub const fn ns(&self) -> Ns {
        self.ns
    }

    /// The octets of the header, 10.
    #[must_use]
    pub fn encode(&self) -> HeaderOctets {
        HeaderOctets::from_parts(&[
            &[FrameKind::ResyncAnswer.octet(), self.mode.bits()],
            &self.ns.octets(),
        ])
    }
}

/// The header of a CALL_NOW, which exists in modes 1 to 3 and is followed by its tag alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallNowHeader {
    mode: Mode,
    key_version: KeyVersion,
    identity: Identity,
    call_counter: u32,
}

impl CallNowHeader {
    /// A header; none in mode 0.
    // spec: FRM-17
    #[must_use]
    pub const fn new(
        mode: Mode,
        key_version: KeyVersion,
        identity: Identity,
        call_counter: u32,
    ) -> Option<Self> {
        match mode {
            Mode::Clear => None,
            _ => Some(Self {
                mode,
                key_version,
                identity,
                call_counter,
            }),
        }
    }

    /// The mode that the header names, 1 to 3.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The version of the link key.
    #[must_use]
    pub const fn key_version(&self) -> KeyVersion {
        self.key_version
    }

    /// Who is called.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// The call counter.
    #[must_use]
    pub const fn call_counter(&self) -> u32 {
        self.call_counter
    }

    /// The octets of the header, 15, which are also what the tag is made over.
    // spec: SEC-8
    #[must_use]
    pub fn encode(&self) -> HeaderOctets {
        HeaderOctets::from_parts(&[
            &[
                FrameKind::CallNow.octet(),
                self.mode.bits(),
                self.key_version.get(),
            ],
            &self.identity.octets(),
            &self.call_counter.to_be_bytes(),
        ])
    }
}

/// A CLOSE, which is not authenticated and tells a terminal nothing.
// spec: ERR-4
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseHeader {
    /// The code on the air: 0 before authentication; 1 idle, 2 taken over, 3 the server stops.
    pub code: u8,
}

impl CloseHeader {
    /// The octets of the frame, 2.
    #[must_use]
    pub fn encode(&self) -> HeaderOctets {
        HeaderOctets::from_parts(&[&[FrameKind::Close.octet(), self.code]])
    }
}
