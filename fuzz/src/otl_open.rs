//! Secured frames of both directions, opened with the keys of the vectors, and their content.
//!
//! No fuzzer can forge a tag. Under `cfg(fuzzing)` the cipher takes any tag where this target asks
//! for it; in other builds the ciphertext is sealed again, which gives the same plaintext, because
//! both ciphers are counter modes. Verification itself is checked with the switch off.

use kenshin::crypto::otl::OpenError;
use kenshin::wire::otl::frame::Frame;
use kenshin::wire::otl::header::{FrameKind, Header, Mode};

use crate::content::{self, Content};
use crate::keys::{self, Cipher};

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some(first) = data.first() else {
        return;
    };
    let Ok(header) = Header::parse(data, keys::direction(*first)) else {
        return;
    };
    let Some(mode) = header.mode() else {
        return;
    };
    let frame = Frame::split(header, data, mode).expect("the header was parsed from this frame");
    if let Some(cipher) = Cipher::of(&header) {
        let plaintext = open(&cipher, &frame);
        content(&frame, &plaintext, mode);
    } else if mode == Mode::Clear {
        content(&frame, frame.ciphertext, mode);
    } else {
        call(&frame);
    }
}

/// The plaintext, whatever the tag is; and what holds of sealing and opening.
fn open(cipher: &Cipher, frame: &Frame<'_>) -> Vec<u8> {
    let header = frame.header_octets;
    let plaintext = open_with_any_tag(cipher, frame);

    let mut sealed = plaintext.clone();
    let tag = cipher.seal(header, &mut sealed).expect("a frame's length");
    assert_eq!(sealed, frame.ciphertext, "one ciphertext under a nonce");

    let mut opened = sealed.clone();
    assert_eq!(cipher.open(header, &mut opened, tag.as_octets()), Ok(()));
    assert_eq!(opened, plaintext);

    let mut wrong_tag = tag.as_octets().to_vec();
    if frame.tag == tag.as_octets() {
        wrong_tag.iter_mut().take(1).for_each(|octet| *octet ^= 1);
    } else {
        wrong_tag.copy_from_slice(frame.tag);
    }
    let mut wiped = sealed;
    let refused = cipher.open(header, &mut wiped, &wrong_tag);
    assert_eq!(refused, Err(OpenError::TagMismatch));
    assert!(
        wiped.iter().all(|octet| *octet == 0),
        "no plaintext is left"
    );
    plaintext
}

#[cfg(fuzzing)]
fn open_with_any_tag(cipher: &Cipher, frame: &Frame<'_>) -> Vec<u8> {
    let mut buffer = frame.ciphertext.to_vec();
    kenshin::crypto::accept_any_tag(true);
    let opened = cipher.open(frame.header_octets, &mut buffer, frame.tag);
    kenshin::crypto::accept_any_tag(false);
    assert_eq!(opened, Ok(()));
    buffer
}

#[cfg(not(fuzzing))]
fn open_with_any_tag(cipher: &Cipher, frame: &Frame<'_>) -> Vec<u8> {
    let mut buffer = frame.ciphertext.to_vec();
    let sealed = cipher.seal(frame.header_octets, &mut buffer);
    assert!(sealed.is_ok(), "{sealed:?}");
    buffer
}

/// What is in the frame.
fn content(frame: &Frame<'_>, plaintext: &[u8], mode: Mode) {
    let base_offset = frame.ciphertext_offset();
    if frame.kind() == FrameKind::Uplink
        && let Some((body, salvage)) = content::salvage_agrees(plaintext, base_offset, mode)
        && !salvage.damaged.is_empty()
    {
        Content::Uplink(body).print(&frame.header);
    }
    if let Ok(value) = Content::decode(frame.kind(), plaintext, base_offset, mode) {
        value.has_one_encoding(plaintext, mode);
        value.print(&frame.header);
    }
}

/// A CALL_NOW has a tag and nothing else.
fn call(frame: &Frame<'_>) {
    let Some(key) = keys::call_key(&frame.header) else {
        return;
    };
    let header = frame.header_octets.try_into().expect("the header's length");
    let tag = key.tag(header);
    assert_eq!(key.verify(header, tag.as_octets()), Ok(()));
    let verified = key.verify(header, frame.tag).is_ok();
    assert_eq!(verified, frame.tag == tag.as_octets());
}
