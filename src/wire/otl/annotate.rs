//! The view of a frame: each octet with its name and value, also of a damaged frame.

use crate::wire::error::DecodeError;
use crate::wire::hex::{Bits, Hex};
use crate::wire::span::Span;
use crate::wire::view::{Notes, View};

use super::answer::Answer;
use super::header::{Direction, FrameKind, Header, frame_kind};
use super::ident::Mode;
use super::resync::{ResyncAnswer, ResyncBody};
use super::uplink::Salvage;

/// Names the octets of a frame that came from the side `from`.
///
/// `plaintext` is what stands in place of the ciphertext, if somebody opened the frame; without it
/// the ciphertext is one run. In mode 0 there is nothing to open. The view covers every octet
/// once; after the first error outside of an item's body the rest is `undecoded`.
#[must_use]
pub fn view(frame: &[u8], from: Direction, plaintext: Option<&[u8]>) -> View {
    let notes = Notes::default();
    let mut shown = frame.to_vec();
    let error = match Header::parse(frame, from) {
        Err(error) => {
            note_damaged_header(frame, from, &notes);
            Some(error)
        }
        Ok(header) => note_frame(header, &mut shown, plaintext, &notes),
    };
    notes.into_view(&shown, 0, error)
}

/// A field of a header: its name, its octets, and how it is shown.
type Field = (&'static str, usize, fn(&[u8]) -> String);

fn hex(octets: &[u8]) -> String {
    Hex(octets).to_string()
}

fn number(octets: &[u8]) -> String {
    octets
        .iter()
        .fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet))
        .to_string()
}

fn bits(octets: &[u8]) -> String {
    octets
        .first()
        .map_or_else(String::new, |octet| Bits(*octet).to_string())
}

const FLAGS: Field = ("mode and flags", 1, bits);
const KEY_VERSION: Field = ("link key version", 1, number);
const IDENTITY: Field = ("identity", 8, hex);
const COUNTER: Field = ("frame counter", 4, number);
const TICKET: Field = ("ticket", 8, hex);
const NS: Field = ("server nonce", 8, hex);
const NT: Field = ("terminal nonce", 8, hex);

/// The fields after the first octet.
const fn fields(kind: FrameKind, mode: Mode) -> &'static [Field] {
    match (kind, mode) {
        (FrameKind::Uplink, Mode::Clear) => &[FLAGS, KEY_VERSION, IDENTITY, COUNTER],
        (FrameKind::Uplink, Mode::CcmStatic) => &[FLAGS, KEY_VERSION, IDENTITY, COUNTER, TICKET],
        (FrameKind::Uplink, _) => &[FLAGS, KEY_VERSION, IDENTITY, COUNTER, TICKET, NT],
        (FrameKind::Resync, _) => &[FLAGS, KEY_VERSION, IDENTITY, ("resync nonce", 16, hex)],
        (FrameKind::Answer, Mode::Clear) => &[FLAGS, COUNTER],
        (FrameKind::Answer, _) => &[FLAGS, COUNTER, NS],
        (FrameKind::ResyncAnswer, _) => &[FLAGS, NS],
        (FrameKind::CallNow, _) => &[FLAGS, KEY_VERSION, IDENTITY, ("call counter", 4, number)],
        (FrameKind::Close, _) => &[("close code", 1, number)],
    }
}

/// Names the header as far as the octets reach, and returns where it ends.
fn note_header(frame: &[u8], kind: FrameKind, mode: Mode, notes: &Notes) -> usize {
    notes.add(0, 1, "version and frame type", &kind.id());
    let mut at = 1_usize;
    for (name, len, show) in fields(kind, mode) {
        let end = at.saturating_add(*len);
        let Some(octets) = frame.get(at..end) else {
            break;
        };
        notes.add(at, *len, name, &show(octets));
        at = end;
    }
    at
}

/// Names what can be named of a frame whose header is refused.
fn note_damaged_header(frame: &[u8], from: Direction, notes: &Notes) {
    let Ok(kind) = frame_kind(frame, from) else {
        return;
    };
    let mode = frame.get(1).and_then(|flags| Mode::from_number(flags >> 5));
    if let Some(mode) = mode {
        note_header(frame, kind, mode, notes);
    }
}

/// Names a frame whose header is valid. Puts the plaintext in place of the ciphertext.
fn note_frame(
    header: Header,
    shown: &mut [u8],
    plaintext: Option<&[u8]>,
    notes: &Notes,
) -> Option<DecodeError> {
    let kind = header.kind();
    let mode = header.mode().unwrap_or(Mode::Clear);
    let at = note_header(shown, kind, mode, notes);
    let end = shown.len().saturating_sub(kind.tag_len(mode));
    if let Some(tag) = shown.get(end..) {
        notes.add(end, tag.len(), "tag", &Hex(tag));
    }
    let body = shown.get_mut(at..end)?;
    let is_open = match plaintext {
        Some(plaintext) if plaintext.len() == body.len() => {
            body.copy_from_slice(plaintext);
            true
        }
        _ => mode == Mode::Clear,
    };
    let input = Span::new(body, at);
    if !is_open {
        notes.add(at, body.len(), "ciphertext", &Hex(body));
        return None;
    }
    match kind {
        FrameKind::Uplink => Salvage::view(input, mode, notes).err(),
        FrameKind::Resync => ResyncBody::view(input, notes).err(),
        FrameKind::Answer => Answer::view(input, mode, notes).err(),
        FrameKind::ResyncAnswer => ResyncAnswer::view(input, notes).err(),
        FrameKind::CallNow | FrameKind::Close => None,
    }
}
