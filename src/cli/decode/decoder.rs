//! From the octets of recorded frames, of either direction, to their JSON form.
//!
//! The server's own way of opening frames keeps what it can of a damaged frame; a tool for people
//! has to name the first error instead, and to show the plaintext around it. So this module puts
//! the same parts together in its own way.

use std::collections::VecDeque;

use serde_json::Value;

use crate::crypto::otl::{AnsweredFrame, LinkKey, OpenError, SessionNonces};
use crate::keyring::{KeyError, LinkKeyring, OpeningKey};
use crate::session::otl::open::session_nonces;
use crate::session::otl::refusal::{Reason, Refusal};
use crate::wire::error::DecodeError;
use crate::wire::otl::answer::Answer;
use crate::wire::otl::frame::Frame;
use crate::wire::otl::header::{
    CallNowHeader, Direction, FrameCounter, Header, HeaderOctets, Identity, Mode, ResyncHeader,
    UplinkHeader,
};
use crate::wire::otl::json::{self, Security};
use crate::wire::otl::padding::is_on_ladder;
use crate::wire::otl::resync::{ResyncAnswer, ResyncBody};
use crate::wire::otl::uplink::UplinkBody;

/// How many verified frames of terminals are kept, so that answers to them can be opened.
pub const ANSWERED_MAX: usize = 1_024;

/// How many frames of terminals an answer is tried against, the most recent one first.
pub const CANDIDATES_MAX: usize = 16;

/// Why a frame is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The error kind, an id of `close-codes.toml`.
    pub kind: &'static str,
    /// The first octet that is wrong or missing.
    pub offset: usize,
    /// What is wrong, for people.
    pub message: String,
    /// The field that is wrong; empty if it has no name.
    pub field: &'static str,
}

impl Failure {
    fn new(refusal: Refusal, field: &'static str) -> Self {
        let text = refusal.reason.texts().0;
        let message = if field.is_empty() {
            text.to_owned()
        } else {
            format!("{text} ({field})")
        };
        Self {
            kind: refusal.reason.id(),
            offset: refusal.offset,
            message,
            field,
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::new(error.into(), error.context)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::new(error.into(), "")
    }
}

/// What is known of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The form of `decode-json.md`.
    pub json: Value,
    /// The header, if all of its checks passed.
    pub header: Option<Header>,
    /// The side that the frame is from.
    pub from: Direction,
    /// Whether the tag verified.
    pub verified: bool,
    /// What stands in place of the ciphertext, if the frame was opened or is of mode 0.
    pub plaintext: Option<Vec<u8>>,
    /// Why the frame is refused, if it is.
    pub failure: Option<Failure>,
}

/// A content that could be shown, or not, and what is known of it anyhow.
struct Content {
    shown: Result<Value, Failure>,
    verified: bool,
    plaintext: Option<Vec<u8>>,
}

impl Content {
    /// What needs no opening.
    const fn closed(json: Value) -> Self {
        Self {
            shown: Ok(json),
            verified: false,
            plaintext: None,
        }
    }
}

impl<F: Into<Failure>> From<F> for Content {
    fn from(failure: F) -> Self {
        Self {
            shown: Err(failure.into()),
            verified: false,
            plaintext: None,
        }
    }
}

/// The nonces that a verified frame gave for the key of its answer, and what pairs them.
#[derive(Clone, Copy, Debug)]
enum Exchange {
    Uplink(FrameCounter, SessionNonces),
    Resync([u8; 16]),
}

/// A verified frame of a terminal, to which answers may follow. An answer in mode 0 needs none.
#[derive(Debug)]
struct Answered {
    mode: Mode,
    exchange: Exchange,
    header: HeaderOctets,
    tag: Vec<u8>,
    key: LinkKey,
}

impl Answered {
    /// Opens an answer to this frame.
    fn open(&self, answer: &Frame<'_>) -> Result<Vec<u8>, OpenError> {
        let mut plaintext = answer.ciphertext.to_vec();
        let answered = AnsweredFrame {
            header: self.header.as_slice(),
            tag: &self.tag,
        };
        let header = answer.header_octets;
        match self.exchange {
            Exchange::Uplink(_, nonces) => {
                self.key.answer_cipher(nonces).open(
                    header,
                    answered,
                    &mut plaintext,
                    answer.tag,
                )?;
            }
            Exchange::Resync(nonce) => {
                self.key.resync_answer_cipher(nonce).open(
                    header,
                    answered,
                    &mut plaintext,
                    answer.tag,
                )?;
            }
        }
        Ok(plaintext)
    }
}

/// Decodes frames in the order in which they were recorded.
#[derive(Debug, Default)]
pub struct Decoder {
    keys: Option<LinkKeyring>,
    /// The oldest first; at most [`ANSWERED_MAX`].
    answered: VecDeque<Answered>,
}

impl Decoder {
    /// A decoder with these keys, or with none.
    #[must_use]
    pub fn new(keys: Option<LinkKeyring>) -> Self {
        Self {
            keys,
            answered: VecDeque::new(),
        }
    }

    /// Decodes a frame. Frames of terminals are remembered for their answers.
    // spec: ERR-2, ERR-3, ERR-5
    pub fn decode(&mut self, frame: &[u8]) -> Decoded {
        let from = direction(frame);
        let (header, content) = match Header::parse(frame, from) {
            Ok(header) => (Some(header), self.content(header, frame)),
            Err(error) => (None, error.into()),
        };
        let (json, failure) = match content.shown {
            Ok(json) => (json, None),
            Err(failure) => {
                let Failure {
                    kind,
                    offset,
                    message,
                    field: _,
                } = &failure;
                let json = json::refused(kind, *offset, message, header.as_ref());
                (json, Some(failure))
            }
        };
        Decoded {
            json,
            header,
            from,
            verified: content.verified,
            plaintext: content.plaintext,
            failure,
        }
    }

    fn content(&mut self, header: Header, frame: &[u8]) -> Content {
        // Cut by the mode of the header only to be shown: what opens a frame is the pinned one.
        let mode = header.mode().unwrap_or(Mode::Clear);
        let cut = match Frame::split(header, frame, mode) {
            Ok(cut) => cut,
            Err(error) => return error.into(),
        };
        match header {
            Header::Uplink(of) => self.uplink(&of, &cut),
            Header::Resync(of) => self.resync(&of, &cut),
            Header::Answer(of) => self.answer(of.mode(), Some(of.counter()), &cut),
            Header::ResyncAnswer(of) => self.answer(of.mode(), None, &cut),
            Header::CallNow(of) => self.call_now(&of, &cut),
            Header::Close(_) => {
                let security = Security {
                    mode: None,
                    verified: false,
                };
                Content::closed(json::bare(&header, security))
            }
        }
    }

    /// How to open a frame of a terminal; none if the terminal is not known.
    // spec: SEC-1, SEC-2
    fn opening(
        &self,
        identity: Identity,
        mode: Mode,
        key_version: u8,
    ) -> Result<Option<OpeningKey>, KeyError> {
        let Some(keys) = &self.keys else {
            return Ok(None);
        };
        match keys.opening_key(&identity.octets(), mode, key_version) {
            Ok(opening) => Ok(Some(opening)),
            Err(KeyError::UnknownTerminal) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn uplink(&mut self, of: &UplinkHeader, cut: &Frame<'_>) -> Content {
        let version = of.key_version().map_or(0, |version| version.get());
        let opening = match self.opening(of.identity(), of.mode(), version) {
            Ok(opening) => opening,
            Err(error) => return error.into(),
        };
        let key = opening.and_then(|opening| opening.key);
        // Mode 0 is clear text, and needs no entry in a key file to be read.
        if key.is_none() && of.mode() != Mode::Clear {
            return sealed(cut, of.mode());
        }
        let (nonces, verified) = (session_nonces(of), key.is_some());
        let mut plaintext = cut.ciphertext.to_vec();
        if let Some(key) = key {
            let cipher = key.uplink_cipher(nonces);
            if let Err(error) = cipher.open(cut.header_octets, &mut plaintext, cut.tag) {
                return unopened(error, cut);
            }
            // Its answer does not depend on whether its content can be read.
            self.remember(Answered {
                mode: of.mode(),
                exchange: Exchange::Uplink(of.counter(), nonces),
                header: of.encode(),
                tag: cut.tag.to_vec(),
                key,
            });
        }
        let body = UplinkBody::decode(&plaintext, cut.ciphertext_offset(), of.mode());
        let security = security(of.mode(), verified);
        opened(plaintext, verified, body, |body| {
            json::uplink(&cut.header, security, body)
        })
    }

    fn resync(&mut self, of: &ResyncHeader, cut: &Frame<'_>) -> Content {
        let opening = match self.opening(of.identity(), of.mode(), of.key_version().get()) {
            Ok(opening) => opening,
            Err(error) => return error.into(),
        };
        let Some(key) = opening.and_then(|opening| opening.key) else {
            return sealed(cut, of.mode());
        };
        let nonce = of.nr().0;
        let mut plaintext = cut.ciphertext.to_vec();
        let cipher = key.resync_cipher(nonce);
        if let Err(error) = cipher.open(cut.header_octets, &mut plaintext, cut.tag) {
            return unopened(error, cut);
        }
        self.remember(Answered {
            mode: of.mode(),
            exchange: Exchange::Resync(nonce),
            header: of.encode(),
            tag: cut.tag.to_vec(),
            key,
        });
        let body = ResyncBody::decode(&plaintext, cut.ciphertext_offset());
        let security = security(of.mode(), true);
        opened(plaintext, true, body, |body| {
            json::resync(&cut.header, security, body)
        })
    }

    /// An ANSWER to the uplink with this counter, or without one a RESYNC_ANSWER.
    fn answer(&self, mode: Mode, counter: Option<FrameCounter>, cut: &Frame<'_>) -> Content {
        let fits = |answered: &&Answered| {
            let same_exchange = match answered.exchange {
                Exchange::Uplink(of, _) => Some(of) == counter,
                Exchange::Resync(_) => counter.is_none(),
            };
            same_exchange && answered.mode == mode
        };
        if mode == Mode::Clear {
            return answer_content(cut.ciphertext.to_vec(), mode, counter.is_some(), cut);
        }
        let candidates = self.answered.iter().rev().filter(fits);
        let mut refused = None;
        for candidate in candidates.take(CANDIDATES_MAX) {
            match candidate.open(cut) {
                Ok(plaintext) => return answer_content(plaintext, mode, counter.is_some(), cut),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) => unopened(error, cut),
            None => sealed(cut, mode),
        }
    }

    fn call_now(&self, of: &CallNowHeader, cut: &Frame<'_>) -> Content {
        let opening = match self.opening(of.identity(), of.mode(), of.key_version().get()) {
            Ok(opening) => opening,
            Err(error) => return error.into(),
        };
        let key = opening.and_then(|opening| opening.key);
        let verified = key.is_some();
        if let Some(key) = key {
            let header = cut.header_octets.first_chunk();
            let checked = header.map(|header| key.call_key().verify(header, cut.tag));
            if !matches!(checked, Some(Ok(()))) {
                return unopened(OpenError::TagMismatch, cut);
            }
        }
        Content {
            verified,
            ..Content::closed(json::bare(&cut.header, security(of.mode(), verified)))
        }
    }

    fn remember(&mut self, answered: Answered) {
        if self.answered.len() >= ANSWERED_MAX {
            self.answered.pop_front();
        }
        self.answered.push_back(answered);
    }
}

/// The side that a frame says it is from: bit 3 of its type.
fn direction(frame: &[u8]) -> Direction {
    match frame.first() {
        Some(first) if first & 0b1000 != 0 => Direction::FromServer,
        Some(_) | None => Direction::FromTerminal,
    }
}

const fn security(mode: Mode, verified: bool) -> Security {
    Security {
        mode: Some(mode),
        verified,
    }
}

fn sealed(cut: &Frame<'_>, mode: Mode) -> Content {
    Content::closed(json::sealed(&cut.header, mode, cut.ciphertext.len()))
}

/// What is in an answer that was opened, or in mode 0 needs no opening.
fn answer_content(plaintext: Vec<u8>, mode: Mode, has_counter: bool, cut: &Frame<'_>) -> Content {
    let verified = mode != Mode::Clear;
    let (security, at) = (security(mode, verified), cut.ciphertext_offset());
    if has_counter {
        let body = Answer::decode(&plaintext, at, mode);
        opened(plaintext, verified, body, |body| {
            json::answer(&cut.header, security, body)
        })
    } else {
        let body = ResyncAnswer::decode(&plaintext, at);
        opened(plaintext, verified, body, |body| {
            json::resync_answer(&cut.header, security, body)
        })
    }
}

fn unopened(error: OpenError, cut: &Frame<'_>) -> Content {
    let tag_at = cut.ciphertext_offset().saturating_add(cut.ciphertext.len());
    let reason = match error {
        OpenError::TagMismatch => Reason::TagMismatch,
        OpenError::Shape => Reason::Truncated,
    };
    let mut failure = Failure::new(Refusal::at(reason, tag_at), "");
    let frame_len = tag_at.saturating_add(cut.tag.len());
    // The length of a padded frame is the one thing about it that can be judged without a key.
    if reason == Reason::TagMismatch
        && matches!(cut.header, Header::Uplink(_))
        && !is_on_ladder(frame_len)
    {
        failure.message.push_str(&format!(
            "; length {frame_len} is none of 128, 192, … 1,200 (FRM-10): cut or joined?"
        ));
    }
    failure.into()
}

/// A content whose tag verified, or that has none.
fn opened<T>(
    plaintext: Vec<u8>,
    verified: bool,
    body: Result<T, DecodeError>,
    show: impl FnOnce(&T) -> Value,
) -> Content {
    Content {
        shown: body.as_ref().map(show).map_err(|error| (*error).into()),
        verified,
        plaintext: Some(plaintext),
    }
}
