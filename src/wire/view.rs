//! The lossless level: what each octet of a message is, for an operator's eyes.
//!
//! A [`View`] exists for any octets. The decoders fill it while they read: each field that they
//! take leaves an [`Annotation`]. Where they stop, the rest is shown as it came, so that the spans
//! of a view always cover the message from its first octet to its last, once.

use core::cell::RefCell;
use core::fmt::Display;

use super::error::DecodeError;
use super::hex::Hex;

/// What a run of octets is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The first octet of the run, counted from the start of the frame.
    pub offset: usize,
    /// How many octets the run has; 0 never occurs.
    pub len: usize,
    /// The name of the field in the specification; `undecoded` where nothing could be read.
    pub name: &'static str,
    /// The value as people read it.
    pub value: String,
}

/// All octets of a message, named, and the first thing that is wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Runs in ascending order, without gap and without overlap.
    pub spans: Vec<Annotation>,
    /// The first error, none if the message is valid as far as it can be read.
    pub error: Option<DecodeError>,
}

/// What the decoders have named so far.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    spans: RefCell<Vec<Annotation>>,
}

impl Notes {
    /// Names a run of octets. Runs without octets are left out.
    pub(crate) fn add(&self, offset: usize, len: usize, name: &'static str, value: &dyn Display) {
        if len == 0 {
            return;
        }
        // Nobody holds a borrow while a decoder runs; if somebody did, a note would be lost and
        // its octets shown as undecoded.
        if let Ok(mut spans) = self.spans.try_borrow_mut() {
            spans.push(Annotation {
                offset,
                len,
                name,
                value: value.to_string(),
            });
        }
    }

    /// A view of `octets`, which begin at `base`: the notes, and between them what has none.
    pub(crate) fn into_view(self, octets: &[u8], base: usize, error: Option<DecodeError>) -> View {
        let mut notes = self.spans.into_inner();
        notes.sort_by_key(|note| note.offset);
        let mut spans = Vec::with_capacity(notes.len().saturating_add(1));
        let mut at = base;
        let end = base.saturating_add(octets.len());
        for note in notes {
            let note_end = note.offset.saturating_add(note.len);
            if note.offset < at || note_end > end {
                continue;
            }
            push_undecoded(&mut spans, octets, base, at, note.offset);
            at = note_end;
            spans.push(note);
        }
        push_undecoded(&mut spans, octets, base, at, end);
        View { spans, error }
    }
}

fn push_undecoded(spans: &mut Vec<Annotation>, octets: &[u8], base: usize, from: usize, to: usize) {
    let range = from.saturating_sub(base)..to.saturating_sub(base);
    if let Some(run) = octets.get(range).filter(|run| !run.is_empty()) {
        spans.push(Annotation {
            offset: from,
            len: run.len(),
            name: "undecoded",
            value: Hex(run).to_string(),
        });
    }
}
