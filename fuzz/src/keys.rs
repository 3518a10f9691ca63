//! The keys, terminals and frames that the targets work with: those of the test vectors.

use std::sync::OnceLock;

use kenshin::crypto::otl::{
    AnswerCipher, AnsweredFrame, CallKey, LinkKey, OpenError, ResyncAnswerCipher, ResyncCipher,
    SealError, SessionNonces, Tag, UplinkCipher,
};
use kenshin::keyring::{LinkKeyring, keys_toml};
use kenshin::wire::otl::header::{
    Direction, FrameCounter, Header, HeaderOctets, Identity, KeyVersion, Mode, Ns, ResyncHeader,
    ResyncNonce, TerminalNonce, UplinkHeader,
};

/// The plain key file of the vectors.
const KEYS_TOML: &str = include_str!("../../protocol-spec/vectors/keys.toml");

/// A terminal of the vectors that is pinned to mode 1.
pub const TERMINAL_MODE_1: Identity = Identity::new([0, 0, 0, 2, 0xDF, 0xDC, 0x1C, 0x35]);

/// A server nonce.
pub const NS: Ns = Ns::new([0x6B, 0x36, 0xEC, 0xF8, 0x5E, 0xED, 0, 1]);

/// The tag of the frame that an answer answers, as long as the mode has it.
const ANSWERED_TAG: [u8; 16] = *b"the uplink's tag";

/// The link keys and terminals of the vectors.
pub fn ring() -> &'static LinkKeyring {
    static RING: OnceLock<LinkKeyring> = OnceLock::new();
    RING.get_or_init(|| match keys_toml::parse(KEYS_TOML) {
        Ok(keys) => keys.link,
        Err(errors) => panic!("the keys of the vectors: {errors}"),
    })
}

/// The terminal of [`ring`] that answers in a mode are for, and its key version.
fn terminal(mode: Mode) -> (Identity, KeyVersion) {
    let (identity, version) = match mode {
        Mode::Clear => ([0, 0, 0, 2, 0x54, 0x0B, 0xE4, 0x00], 2),
        Mode::CcmStatic => (TERMINAL_MODE_1.octets(), 2),
        Mode::CcmSession => ([0, 0, 0, 5, 0x33, 0xE8, 0x00, 0x35], 2),
        Mode::GcmSession => ([0, 0, 0, 7, 0x87, 0xF3, 0xE4, 0x35], 1),
    };
    let version = KeyVersion::new(version).expect("versions count from 1");
    (Identity::new(identity), version)
}

/// The header of an uplink in a mode. Answers name no terminal: those of the corpora are answers to
/// a frame with this header.
#[must_use]
pub fn uplink_header(mode: Mode) -> UplinkHeader {
    let (identity, version) = terminal(mode);
    let counter = FrameCounter::FIRST;
    let nonce = TerminalNonce(*b"nonce Nt");
    let sealed = UplinkHeader::ccm_static(false, true, version, identity, counter, NS);
    match mode {
        Mode::Clear => UplinkHeader::clear(false, true, identity, counter),
        Mode::CcmStatic => sealed,
        Mode::CcmSession => sealed.with_session(false, nonce),
        Mode::GcmSession => sealed.with_session(true, nonce),
    }
}

/// As [`uplink_header`], for the answers to RESYNC frames; none in mode 0.
fn resync_header(mode: Mode) -> Option<ResyncHeader> {
    let (identity, version) = terminal(mode);
    ResyncHeader::new(mode, version, identity, ResyncNonce(*b"the 16-octet Nr."))
}

/// The side that a frame with this first octet comes from.
#[must_use]
pub const fn direction(first: u8) -> Direction {
    if first & 0x08 == 0 {
        Direction::FromTerminal
    } else {
        Direction::FromServer
    }
}

/// The key of a terminal, by what a frame's header says.
fn link_key(identity: Identity, mode: Mode, version: KeyVersion) -> Option<LinkKey> {
    let opening = ring().opening_key(&identity.octets(), mode, version.get());
    opening.ok()?.key
}

fn nonces(header: &UplinkHeader) -> SessionNonces {
    SessionNonces {
        terminal_nonce: header.nt().map_or([0; 8], |TerminalNonce(octets)| octets),
        ticket: header.ticket().map_or([0; 8], Ns::octets),
    }
}

/// What frames with one header are sealed and opened with.
#[derive(Debug)]
pub enum Cipher {
    /// Of an UPLINK.
    Uplink(UplinkCipher),
    /// Of a RESYNC.
    Resync(ResyncCipher),
    /// Of an ANSWER, with the header and tag of the uplink that it answers.
    Answer(AnswerCipher, HeaderOctets, Vec<u8>),
    /// Of a RESYNC_ANSWER, with the header and tag of the RESYNC that it answers.
    ResyncAnswer(ResyncAnswerCipher, HeaderOctets, Vec<u8>),
}

impl Cipher {
    /// The cipher of a frame with this header; none in mode 0, for a frame without content, and for
    /// a terminal, mode or version that the ring has no key for.
    #[must_use]
    pub fn of(header: &Header) -> Option<Self> {
        match header {
            Header::Uplink(header) => {
                let key = link_key(header.identity(), header.mode(), header.key_version()?)?;
                Some(Self::Uplink(key.uplink_cipher(nonces(header))))
            }
            Header::Resync(header) => {
                let key = link_key(header.identity(), header.mode(), header.key_version())?;
                Some(Self::Resync(key.resync_cipher(header.nr().0)))
            }
            Header::Answer(header) => {
                let uplink = Header::Uplink(uplink_header(header.mode()));
                Self::answering(&uplink, ANSWERED_TAG.get(..header.mode().tag_len())?)
            }
            Header::ResyncAnswer(header) => {
                let resync = Header::Resync(resync_header(header.mode())?);
                Self::answering(&resync, ANSWERED_TAG.get(..header.mode().tag_len())?)
            }
            Header::CallNow(_) | Header::Close(_) => None,
        }
    }

    /// The cipher of an answer to the UPLINK or RESYNC with this header and tag.
    #[must_use]
    pub fn answering(header: &Header, tag: &[u8]) -> Option<Self> {
        match header {
            Header::Uplink(uplink) => {
                let key = link_key(uplink.identity(), uplink.mode(), uplink.key_version()?)?;
                let cipher = key.answer_cipher(nonces(uplink));
                Some(Self::Answer(cipher, uplink.encode(), tag.to_vec()))
            }
            Header::Resync(resync) => {
                let key = link_key(resync.identity(), resync.mode(), resync.key_version())?;
                let cipher = key.resync_answer_cipher(resync.nr().0);
                Some(Self::ResyncAnswer(cipher, resync.encode(), tag.to_vec()))
            }
            _ => None,
        }
    }

    /// Verifies the tag and decrypts the buffer in place.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the tag is wrong.
    pub fn open(&self, header: &[u8], buffer: &mut [u8], tag: &[u8]) -> Result<(), OpenError> {
        match self {
            Self::Uplink(cipher) => cipher.open(header, buffer, tag),
            Self::Resync(cipher) => cipher.open(header, buffer, tag),
            Self::Answer(cipher, to, to_tag) => {
                cipher.open(header, answered(to, to_tag), buffer, tag)
            }
            Self::ResyncAnswer(cipher, to, to_tag) => {
                cipher.open(header, answered(to, to_tag), buffer, tag)
            }
        }
    }

    /// Encrypts the buffer in place and gives the tag.
    ///
    /// # Errors
    ///
    /// [`SealError`] if the header is that of another kind of frame.
    pub fn seal(&self, header: &[u8], buffer: &mut [u8]) -> Result<Tag, SealError> {
        match self {
            Self::Uplink(cipher) => cipher.seal(header, buffer),
            Self::Resync(cipher) => cipher.seal(header, buffer),
            Self::Answer(cipher, to, to_tag) => cipher.seal(header, answered(to, to_tag), buffer),
            Self::ResyncAnswer(cipher, to, to_tag) => {
                cipher.seal(header, answered(to, to_tag), buffer)
            }
        }
    }
}

fn answered<'a>(header: &'a HeaderOctets, tag: &'a [u8]) -> AnsweredFrame<'a> {
    AnsweredFrame {
        header: header.as_slice(),
        tag,
    }
}

/// The key of CALL_NOW frames with this header.
#[must_use]
pub fn call_key(header: &Header) -> Option<CallKey> {
    let Header::CallNow(header) = header else {
        return None;
    };
    let key = link_key(header.identity(), header.mode(), header.key_version())?;
    Some(key.call_key())
}
