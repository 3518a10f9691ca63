//! Frames octet by octet, for people.
//!
//! ```text
//! line 7: uplink of mode 1, 128 octets: verified
//!       0  11                       version and frame type: uplink
//!       1  28                       mode and flags: 0b00101000
//! ```
//!
//! The row of the first wrong octet begins with `>`.

use std::fmt::Write as _;

use crate::wire::hex::Hex;
use crate::wire::otl::annotate;
use crate::wire::otl::header::{Header, Mode};
use crate::wire::view::Annotation;

use super::decoder::Decoded;
use super::lines::LineError;

/// Octets of a row.
const ROW: usize = 8;

/// A line that is no frame.
pub fn bad_line(out: &mut String, line: u64, error: &LineError) {
    put(
        out,
        format_args!("line {line}: refused: {}: {error}\n", error.kind()),
    );
}

/// A frame: what it is and whether it verified, then its octets.
pub fn frame(out: &mut String, line: u64, frame: &[u8], decoded: &Decoded) {
    put(
        out,
        format_args!("line {line}: {}\n", verdict(frame, decoded)),
    );
    let plaintext = decoded.plaintext.as_deref();
    let shown = in_clear(frame, decoded);
    let view = annotate::view(frame, decoded.from, plaintext);
    // A frame in clear of an unknown terminal is not refused, and may be damaged all the same.
    let wrong = match &decoded.failure {
        Some(failure) => Some(failure.offset),
        None => view.error.map(|error| error.offset),
    };
    for span in &view.spans {
        let octets = shown.get(span.offset..).unwrap_or_default();
        let octets = octets.get(..span.len).unwrap_or(octets);
        match wrong.and_then(|wrong| wrong.checked_sub(span.offset)) {
            Some(inside) if inside < span.len => {
                damaged_span(out, span, octets, inside);
            }
            _ => rows(out, ' ', span.offset, octets, &named(span)),
        }
    }
    if let Some(wrong) = wrong.filter(|wrong| *wrong >= frame.len()) {
        rows(out, '>', wrong, &[], "missing");
    }
}

/// A span whose octet `inside` is the first wrong one.
fn damaged_span(out: &mut String, span: &Annotation, octets: &[u8], inside: usize) {
    let Some((right, wrong)) = octets.split_at_checked(inside) else {
        return;
    };
    let at = span.offset.saturating_add(inside);
    if span.name != UNDECODED {
        // A field that was read and is wrong all the same, such as a tag.
        rows(out, ' ', span.offset, right, span.name);
        rows(out, '>', at, wrong, &named(span));
        return;
    }
    let (first, rest) = wrong.split_at_checked(1).unwrap_or((wrong, &[]));
    rows(out, ' ', span.offset, right, UNDECODED);
    rows(out, '>', at, first, "wrong from here on");
    rows(out, ' ', at.saturating_add(1), rest, UNDECODED);
}

/// What the view calls octets without a name.
const UNDECODED: &str = "undecoded";

/// Name and value; not the value where it only repeats the octets.
fn named(span: &Annotation) -> String {
    match span.name {
        UNDECODED | "ciphertext" | "tag" => span.name.to_owned(),
        name => format!("{name}: {}", printable(&span.value)),
    }
}

/// A text of a frame without what could steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

/// Octets in rows; the text stands in the first. Without octets and mark there is no row.
fn rows(out: &mut String, mark: char, at: usize, octets: &[u8], text: &str) {
    if octets.is_empty() && mark != ' ' {
        put(out, format_args!("{mark} {at:5}  {:16}  {text}\n", ""));
    }
    for (index, row) in octets.chunks(ROW).enumerate() {
        let at = at.saturating_add(index.saturating_mul(ROW));
        let hex = Hex(row).to_string();
        if index == 0 {
            put(out, format_args!("{mark} {at:5}  {hex:16}  {text}\n"));
        } else {
            put(out, format_args!("  {at:5}  {hex}\n"));
        }
    }
}

/// The frame with its plaintext, if it was opened, in place of the ciphertext.
fn in_clear(frame: &[u8], decoded: &Decoded) -> Vec<u8> {
    let mut shown = frame.to_vec();
    if let (Some(plaintext), Some(header)) = (&decoded.plaintext, &decoded.header) {
        let at = header
            .kind()
            .header_len(header.mode().unwrap_or(Mode::Clear));
        let end = at.saturating_add(plaintext.len());
        if let Some(ciphertext) = shown.get_mut(at..end) {
            ciphertext.copy_from_slice(plaintext);
        }
    }
    shown
}

/// What the frame is, and whether to believe it.
fn verdict(frame: &[u8], decoded: &Decoded) -> String {
    let kind = match &decoded.header {
        Some(header) => describe(header),
        None => "frame".to_owned(),
    };
    let len = frame.len();
    let trust = match (&decoded.failure, &decoded.header) {
        (Some(failure), _) => {
            let verified = if decoded.verified {
                "verified, but "
            } else {
                ""
            };
            format!(
                "{verified}refused: {} at octet {}: {}",
                failure.kind, failure.offset, failure.message
            )
        }
        (None, _) if decoded.verified => "verified".to_owned(),
        (None, Some(Header::Close(_))) => "never authenticated".to_owned(),
        (None, _) if decoded.plaintext.is_some() => "in clear, nothing to verify".to_owned(),
        (None, Some(Header::Answer(_) | Header::ResyncAnswer(_))) => {
            "not verified: what it answers is not known".to_owned()
        }
        (None, _) => "not verified: no key of this terminal is known".to_owned(),
    };
    format!("{kind}, {len} octets: {trust}")
}

fn describe(header: &Header) -> String {
    let kind = header.kind().id();
    match header.mode() {
        Some(mode) => format!("{kind} of mode {}", mode.number()),
        None => kind.to_owned(),
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    out.write_fmt(text).ok();
}
