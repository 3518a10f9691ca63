//! Any octets as a frame, from both sides: header, cutting by every pinned mode, and the view.

use kenshin::wire::error::ErrorKind;
use kenshin::wire::otl::annotate;
use kenshin::wire::otl::frame::Frame;
use kenshin::wire::otl::header::{Direction, Header, Mode};
use kenshin::wire::otl::json::{self, Security};
use kenshin::wire::view::View;

use crate::content::{self, Content};

/// Runs the target.
pub fn run(data: &[u8]) {
    let from_terminal = header(data, Direction::FromTerminal);
    let from_server = header(data, Direction::FromServer);
    assert!(
        from_terminal.is_none() || from_server.is_none(),
        "a frame type belongs to one direction"
    );
}

/// Checks a frame that came from one side, and gives its header if it has one.
fn header(data: &[u8], from: Direction) -> Option<Header> {
    let view = annotate::view(data, from, None);
    covers(&view, data.len());
    match Header::parse(data, from) {
        Err(error) => {
            assert!(error.offset <= data.len(), "an error stands in the frame");
            assert_eq!(view.error, Some(error));
            let message = error.to_string();
            content::print(&json::refused(
                error.kind.id(),
                error.offset,
                &message,
                None,
            ));
            None
        }
        Ok(header) => {
            assert_eq!(header.kind().from(), from);
            let encoded = header.encode();
            assert!(
                data.starts_with(encoded.as_slice()),
                "one encoding a header"
            );
            for pinned in Mode::ALL {
                split(header, data, pinned);
            }
            Some(header)
        }
    }
}

/// Cuts a frame by a pinned mode.
fn split(header: Header, data: &[u8], pinned: Mode) {
    let frame = match Frame::split(header, data, pinned) {
        Ok(frame) => frame,
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::ModeMismatch);
            assert_ne!(header.mode(), Some(pinned));
            return;
        }
    };
    let (kind, ciphertext) = (frame.kind(), frame.ciphertext);
    assert_eq!([frame.header_octets, ciphertext, frame.tag].concat(), data);
    assert_eq!(frame.header_octets.len(), kind.header_len(pinned));
    assert_eq!(frame.tag.len(), kind.tag_len(pinned));
    content::print(&json::sealed(&header, pinned, ciphertext.len()));
    let security = Security {
        mode: header.mode(),
        verified: false,
    };
    content::print(&json::bare(&header, security));

    // The ciphertext in place of the plaintext: a view of the content, valid or not.
    let view = annotate::view(data, kind.from(), Some(ciphertext));
    covers(&view, data.len());
    let decoded = Content::decode(kind, ciphertext, frame.ciphertext_offset(), pinned);
    assert_eq!(view.error, decoded.err(), "a view names the first error");

    // A plaintext of another length is none.
    let longer = [ciphertext, &[0]].concat();
    covers(
        &annotate::view(data, kind.from(), Some(&longer)),
        data.len(),
    );
}

/// The spans of a view cover each octet of the frame once, in order.
fn covers(view: &View, len: usize) {
    let end = view.spans.iter().fold(0, |at, span| {
        assert_eq!(span.offset, at, "a gap or an overlap before {}", span.name);
        assert_ne!(span.len, 0, "{} is empty", span.name);
        at.saturating_add(span.len)
    });
    assert_eq!(end, len);
}
