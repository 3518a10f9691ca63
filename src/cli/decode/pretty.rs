//! Frames octet by octet, for people.
//!
//! ```text
//! line 7: uplink of mode 1, 128 octets: verified
//!       0  11                version and frame type: uplink
//!       1  28                mode and flags: 0b00101000
//!    -- decrypted: octets 23 to 119 --
//!      23  02                stamp quality: ±2 s
//! ```
//!
//! The row of the first wrong octet begins with `>`; so does a row without octets where the first
//! one is missing.

use std::fmt::Write as _;
use std::ops::Range;

use crate::wire::error::ErrorKind;
use crate::wire::hex::Hex;
use crate::wire::otl::annotate;
use crate::wire::otl::header::{Header, Mode};
use crate::wire::view::Annotation;

use super::decoder::{Decoded, Failure};
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

/// A frame: what it is and whether it verified, then its octets. Says whether it is refused, or
/// holds what cannot be read.
pub fn frame(out: &mut String, line: u64, frame: &[u8], decoded: &Decoded) -> bool {
    let plaintext = decoded.plaintext.as_deref();
    let view = annotate::view(frame, decoded.from, plaintext);
    let of_view = view.error.map(Failure::from);
    let failure = decoded.failure.as_ref().or(of_view.as_ref());
    let mut verdict = verdict(frame, decoded, failure);
    // A frame that is refused before its content is read may have a damaged content besides.
    if let (Some(failure), Some(besides)) = (failure, &of_view)
        && plaintext.is_none()
        && failure != besides
    {
        put(&mut verdict, format_args!("; {}", refused(besides)));
    }
    put(out, format_args!("line {line}: {verdict}\n"));

    let shown = in_clear(frame, decoded);
    let decrypted = decrypted(decoded);
    let mut unmarked = failure;
    for span in &view.spans {
        if let Some(octets) = decrypted.as_ref().filter(|of| of.start == span.offset) {
            let last = octets.end.saturating_sub(1);
            put(
                out,
                format_args!("   -- decrypted: octets {} to {last} --\n", octets.start),
            );
        }
        let octets = shown.get(span.offset..).unwrap_or_default();
        let octets = octets.get(..span.len).unwrap_or(octets);
        let inside = unmarked.and_then(|failure| failure.offset.checked_sub(span.offset));
        match (unmarked, inside) {
            (Some(failure), Some(inside)) if inside < span.len => {
                damaged_span(out, span, octets, inside, failure);
                unmarked = None;
            }
            _ => rows(out, ' ', span.offset, octets, &named(span)),
        }
    }
    if let Some(failure) = unmarked {
        missing(out, failure);
    }
    failure.is_some()
}

/// A span at whose octet `inside` something is wrong, or missing before it.
fn damaged_span(
    out: &mut String,
    span: &Annotation,
    octets: &[u8],
    inside: usize,
    failure: &Failure,
) {
    let Some((right, wrong)) = octets.split_at_checked(inside) else {
        return;
    };
    let at = failure.offset;
    rows(out, ' ', span.offset, right, span.name);
    if failure.kind == ErrorKind::Truncated.id() {
        // What follows is not to blame: it belongs to the next field.
        missing(out, failure);
        rows(out, ' ', at, wrong, &named(span));
    } else if span.name != UNDECODED {
        // A field that was read and is wrong all the same, such as a tag.
        rows(out, '>', at, wrong, &named(span));
    } else {
        let (field, rest) = wrong
            .split_at_checked(field_len(failure.field, wrong))
            .unwrap_or((wrong, &[]));
        let colon = if failure.field.is_empty() { "" } else { ": " };
        let text = format!("{}{colon}wrong from here on", failure.field);
        rows(out, '>', at, field, &text);
        rows(out, ' ', at.saturating_add(field.len()), rest, UNDECODED);
    }
}

/// A row of no octets, where one was wanted.
fn missing(out: &mut String, failure: &Failure) {
    let colon = if failure.field.is_empty() { "" } else { ": " };
    let (at, field) = (failure.offset, failure.field);
    put(
        out,
        format_args!("> {at:5}  {:16}  missing{colon}{field}\n", ""),
    );
}

/// How many of `octets` belong to the refused field that they begin with. Of the fields that can
/// be refused, all others have one octet, or are bits whose end is not known.
fn field_len(field: &str, octets: &[u8]) -> usize {
    match field {
        "store epoch" | "previous epoch" | "command sequence" | "floor" => 4,
        "second of the day" => 3,
        "come-back" | "step" => 2,
        "record sequence" | "item length" | "last command" | "register" | "daily register"
        | "start" | "segment start" => {
            let goes_on = |octet: &&u8| **octet & 0x80 != 0;
            let before_last = octets.iter().take(ROW).take_while(goes_on).count();
            before_last.saturating_add(1)
        }
        _ => 1,
    }
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

/// Octets in rows; the text stands in the first. Without octets there is no row.
fn rows(out: &mut String, mark: char, at: usize, octets: &[u8], text: &str) {
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

/// Where the ciphertext stands in the frame, or in mode 0 what is in its place.
fn content_at(header: &Header) -> usize {
    header
        .kind()
        .header_len(header.mode().unwrap_or(Mode::Clear))
}

/// The octets that were decrypted, which the recorded frame does not show.
fn decrypted(decoded: &Decoded) -> Option<Range<usize>> {
    let header = decoded.header.as_ref().filter(|_| decoded.verified)?;
    let (plaintext, at) = (decoded.plaintext.as_ref()?, content_at(header));
    Some(at..at.saturating_add(plaintext.len()))
}

/// The frame with its plaintext, if it was opened, in place of the ciphertext.
fn in_clear(frame: &[u8], decoded: &Decoded) -> Vec<u8> {
    let mut shown = frame.to_vec();
    if let (Some(plaintext), Some(header)) = (&decoded.plaintext, &decoded.header) {
        let at = content_at(header);
        let end = at.saturating_add(plaintext.len());
        if let Some(ciphertext) = shown.get_mut(at..end) {
            ciphertext.copy_from_slice(plaintext);
        }
    }
    shown
}

/// What the frame is, and whether to believe it.
fn verdict(frame: &[u8], decoded: &Decoded, failure: Option<&Failure>) -> String {
    let kind = match &decoded.header {
        Some(header) => describe(header),
        None => "frame".to_owned(),
    };
    let len = frame.len();
    let s = if len == 1 { "" } else { "s" };
    let trust = match (failure, &decoded.header) {
        (Some(failure), _) if decoded.verified => format!("verified, but {}", refused(failure)),
        (Some(failure), _) => refused(failure),
        (None, _) if decoded.verified => "verified".to_owned(),
        (None, Some(Header::Close(_))) => "never authenticated".to_owned(),
        (None, _) if decoded.plaintext.is_some() => "in clear, nothing to verify".to_owned(),
        (None, Some(Header::Answer(_) | Header::ResyncAnswer(_))) => {
            "not verified: put its uplink on a line before it".to_owned()
        }
        (None, _) => "not verified: no key of this terminal is known".to_owned(),
    };
    format!("{kind}, {len} octet{s}: {trust}")
}

fn refused(failure: &Failure) -> String {
    format!(
        "refused: {} at octet {}: {}",
        failure.kind, failure.offset, failure.message
    )
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
