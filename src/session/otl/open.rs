//! From the octets of a frame to a verified content: parse, one look-up, one derivation, one open.
//!
//! Nothing in here keeps anything. Whatever fails leaves the caller with a [`Refusal`] and no octet
//! of plaintext.

use crate::crypto::otl::{LinkKey, OpenError, SessionNonces};
use crate::keyring::{KeyError, LinkKeyring, OpeningKey};
use crate::wire::error::{DecodeError, ErrorKind};
use crate::wire::otl::frame::Frame;
use crate::wire::otl::header::{
    Direction, Header, HeaderOctets, Mode, Ns, ResyncHeader, TerminalNonce, UplinkHeader,
};
use crate::wire::otl::ident::KeyVersion;
use crate::wire::otl::limits::{FRAME_MAX, TAG_MAX};
use crate::wire::otl::padding::is_on_ladder;
use crate::wire::otl::resync::ResyncBody;
use crate::wire::otl::uplink::{DamagedItem, Salvage, UplinkBody};

use super::refusal::{Reason, Refusal};
use super::window::TagDigest;

/// The number of the alarm notice record.
const ALARM_NOTICE: u8 = 0x05;

/// Whoever knows how to open the frames of a terminal: one look-up and one derivation.
pub trait OpeningKeys {
    /// How to open a frame with this mode and link key version in its header.
    ///
    /// # Errors
    ///
    /// [`KeyError`], the first that holds in the order of [`KeyError::ALL`].
    fn opening_key(
        &self,
        identity: &[u8; 8],
        mode: Mode,
        key_version: u8,
    ) -> Result<OpeningKey, KeyError>;
}

impl OpeningKeys for LinkKeyring {
    fn opening_key(
        &self,
        identity: &[u8; 8],
        mode: Mode,
        key_version: u8,
    ) -> Result<OpeningKey, KeyError> {
        Self::opening_key(self, identity, mode, key_version)
    }
}

/// A tag as it came: up to 16 octets, held in place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameTag {
    octets: [u8; TAG_MAX],
    used: usize,
}

impl FrameTag {
    fn new(tag: &[u8]) -> Self {
        let mut octets = [0; TAG_MAX];
        let mut used = 0usize;
        for (to, from) in octets.iter_mut().zip(tag) {
            *to = *from;
            used = used.saturating_add(1);
        }
        Self { octets, used }
    }

    /// The octets.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.used).unwrap_or(&self.octets)
    }

    /// The four octets that stand for the tag in the replay window.
    // spec: REP-1
    #[must_use]
    pub const fn digest(&self) -> TagDigest {
        let [a, b, c, d, ..] = self.octets;
        [a, b, c, d]
    }
}

/// The frame that an answer will be bound to.
#[derive(Debug)]
pub struct Answered {
    /// The octets of its header.
    pub header: HeaderOctets,
    /// Its tag.
    pub tag: FrameTag,
    /// The key that opened it, from which the answer's key comes; none in mode 0.
    pub key: Option<LinkKey>,
}

/// A verified UPLINK (in mode 0: a decoded one).
#[derive(Debug)]
pub struct OpenedUplink {
    /// Its header, now to be believed.
    pub header: UplinkHeader,
    /// What is needed to answer it.
    pub answered: Answered,
    /// The octets between header and tag, decrypted: with the header they are what is kept, so
    /// that they can be decoded again without a key.
    pub plaintext: Vec<u8>,
    /// Report, records and session items.
    pub body: UplinkBody,
    /// Items whose body cannot be read, for quarantine.
    // spec: REC-12
    pub damaged: Vec<DamagedItem>,
    /// The frame's length, as the ladder has it or not.
    // spec: FRM-12
    pub off_ladder: bool,
    /// What it proves of keys and modes.
    pub promotion: Promotion,
}

impl OpenedUplink {
    /// Whether an alarm notice is in the frame, readable or not.
    // spec: OVL-4
    #[must_use]
    pub fn holds_alarm(&self) -> bool {
        self.body.holds_alarm() || self.damaged.iter().any(|item| item.number == ALARM_NOTICE)
    }

    /// Whether the alarm bit and the content disagree, to be counted.
    // spec: FRM-6
    #[must_use]
    pub fn alarm_bit_wrong(&self) -> bool {
        self.header.alarm() != self.holds_alarm()
    }
}

/// What a frame proves by verifying; to be made durable before anything is answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Promotion {
    /// A link key version above the promoted one.
    // spec: ROT-5
    pub version: Option<KeyVersion>,
    /// The mode of a pending change.
    // spec: ROT-11
    pub mode: Option<Mode>,
}

impl Promotion {
    fn of(opening: &OpeningKey, version: Option<KeyVersion>) -> Self {
        Self {
            version: version.filter(|_| opening.promotes_version),
            mode: opening.promotes_mode.then_some(opening.mode),
        }
    }
}

/// An UPLINK that verified, and whose content is refused whole.
// spec: REC-12
#[derive(Debug)]
pub struct UnreadableUplink {
    /// Its header.
    pub header: UplinkHeader,
    /// What is needed to answer it.
    pub answered: Answered,
    /// The octets between header and tag, decrypted, for quarantine.
    pub plaintext: Vec<u8>,
    /// Why it is refused.
    pub refusal: Refusal,
    /// What it proves of keys and modes.
    pub promotion: Promotion,
}

/// A verified RESYNC.
#[derive(Debug)]
pub struct OpenedResync {
    /// Its header.
    pub header: ResyncHeader,
    /// What is needed to answer it.
    pub answered: Answered,
    /// What it proves of keys and modes: the one thing that a RESYNC may change.
    // spec: RSY-1
    pub promotion: Promotion,
    /// Report and reason.
    pub body: ResyncBody,
}

/// A verified frame from a terminal.
#[derive(Debug)]
pub enum Opened {
    /// An UPLINK.
    Uplink(Box<OpenedUplink>),
    /// An UPLINK without a readable content.
    Unreadable(Box<UnreadableUplink>),
    /// A RESYNC.
    Resync(Box<OpenedResync>),
}

/// The nonces that a session key is made from.
#[must_use]
pub fn session_nonces(header: &UplinkHeader) -> SessionNonces {
    SessionNonces {
        terminal_nonce: header.nt().map_or([0; 8], |TerminalNonce(octets)| octets),
        ticket: header.ticket().map_or([0; 8], Ns::octets),
    }
}

/// Verifies and reads a frame from a terminal.
///
/// # Errors
///
/// [`Refusal`], the first in the order of ERR-2.
// spec: SES-9, ERR-2, SEC-5, GEN-5, EXT-5
pub fn open<K: OpeningKeys + ?Sized>(frame: &[u8], keys: &K) -> Result<Opened, Refusal> {
    match Header::parse(frame, Direction::FromTerminal)? {
        Header::Uplink(header) => open_uplink(header, frame, keys),
        Header::Resync(header) => open_resync(header, frame, keys),
        Header::Answer(_) | Header::ResyncAnswer(_) | Header::CallNow(_) | Header::Close(_) => {
            Err(DecodeError::new(0, ErrorKind::WrongDirection, "frame type").into())
        }
    }
}

fn open_uplink<K: OpeningKeys + ?Sized>(
    header: UplinkHeader,
    frame: &[u8],
    keys: &K,
) -> Result<Opened, Refusal> {
    let version = header.key_version().map_or(0, |version| version.get());
    let opening = keys.opening_key(&header.identity().octets(), header.mode(), version)?;
    let cut = Frame::split(Header::Uplink(header), frame, opening.mode)?;
    let mut buffer = [0; FRAME_MAX];
    let plaintext = buffer
        .get_mut(..cut.ciphertext.len())
        .ok_or_else(Refusal::too_long)?;
    plaintext.copy_from_slice(cut.ciphertext);
    if let Some(key) = &opening.key {
        let cipher = key.uplink_cipher(session_nonces(&header));
        cipher
            .open(cut.header_octets, plaintext, cut.tag)
            .map_err(|error| refuse_open(error, &cut))?;
    }
    let salvage = Salvage::decode(plaintext, cut.ciphertext_offset(), opening.mode);
    let promotion = Promotion::of(&opening, header.key_version());
    let answered = Answered {
        header: header.encode(),
        tag: FrameTag::new(cut.tag),
        key: opening.key,
    };
    let Salvage { body, damaged } = match salvage {
        Ok(salvage) => salvage,
        // Nobody has authenticated: it is refused like anything else.
        Err(error) if opening.mode == Mode::Clear => return Err(error.into()),
        Err(error) => {
            let refusal = Refusal::verified(error);
            return Ok(Opened::Unreadable(Box::new(UnreadableUplink {
                plaintext: plaintext.to_vec(),
                header,
                answered,
                refusal,
                promotion,
            })));
        }
    };
    Ok(Opened::Uplink(Box::new(OpenedUplink {
        off_ladder: opening.mode != Mode::Clear && !is_on_ladder(frame.len()),
        plaintext: plaintext.to_vec(),
        promotion,
        answered,
        header,
        body,
        damaged,
    })))
}

fn open_resync<K: OpeningKeys + ?Sized>(
    header: ResyncHeader,
    frame: &[u8],
    keys: &K,
) -> Result<Opened, Refusal> {
    let version = header.key_version().get();
    let opening = keys.opening_key(&header.identity().octets(), header.mode(), version)?;
    let cut = Frame::split(Header::Resync(header), frame, opening.mode)?;
    let mut buffer = [0; FRAME_MAX];
    let plaintext = buffer
        .get_mut(..cut.ciphertext.len())
        .ok_or_else(Refusal::too_long)?;
    plaintext.copy_from_slice(cut.ciphertext);
    let promotion = Promotion::of(&opening, Some(header.key_version()));
    let Some(key) = opening.key else {
        return Err(DecodeError::new(1, ErrorKind::ModeForbidsFrame, "flags").into());
    };
    let cipher = key.resync_cipher(header.nr().0);
    cipher
        .open(cut.header_octets, plaintext, cut.tag)
        .map_err(|error| refuse_open(error, &cut))?;
    let body = ResyncBody::decode(plaintext, cut.ciphertext_offset()).map_err(Refusal::verified)?;
    let answered = Answered {
        header: header.encode(),
        tag: FrameTag::new(cut.tag),
        key: Some(key),
    };
    Ok(Opened::Resync(Box::new(OpenedResync {
        header,
        answered,
        promotion,
        body,
    })))
}

fn refuse_open(error: OpenError, cut: &Frame<'_>) -> Refusal {
    match error {
        OpenError::TagMismatch => {
            let offset = cut.ciphertext_offset().saturating_add(cut.ciphertext.len());
            Refusal::at(Reason::TagMismatch, offset)
        }
        OpenError::Shape => Refusal::at(Reason::Truncated, cut.ciphertext_offset()),
    }
}
