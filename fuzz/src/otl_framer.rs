//! A TCP stream gives the same pieces however it is chunked, and a framer holds one frame at most.
//!
//! The first octet of the input says how many octets after it are lengths of chunks (taken in turn,
//! 0 as 256); the rest is the stream.

use kenshin::wire::error::ErrorKind;
use kenshin::wire::otl::framer::{TcpFramer, TcpPiece, tcp_prefix};
use kenshin::wire::otl::limits::FRAME_MAX;

/// What came out of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Frames; a keep-alive is one without octets.
    pieces: Vec<Vec<u8>>,
    /// Whether the stream ended in an error.
    failed: bool,
    /// Whether it ended inside of a frame.
    mid_frame: bool,
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let Some((lengths, stream)) = rest.split_at_checked(usize::from(*count)) else {
        return;
    };
    let expected = cut(stream);
    assert_eq!(feed(stream, [stream.len()].into_iter()), expected);
    assert_eq!(feed(stream, [1].into_iter().cycle()), expected);
    if !lengths.is_empty() {
        let lengths = lengths.iter().map(|length| match length {
            0 => 256,
            length => usize::from(*length),
        });
        assert_eq!(feed(stream, lengths.cycle()), expected);
    }
}

/// The pieces by the rule alone: lengths of two octets, 0 is a keep-alive, above 1,200 is an error.
fn cut(stream: &[u8]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = stream;
    while let [high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > FRAME_MAX {
            outcome.failed = true;
            return outcome;
        }
        let Some((frame, after)) = after.split_at_checked(length) else {
            outcome.mid_frame = true;
            return outcome;
        };
        outcome.pieces.push(frame.to_vec());
        rest = after;
    }
    outcome.mid_frame = !rest.is_empty();
    outcome
}

/// Feeds the stream in chunks of these lengths; a rest that they leave goes unfed.
fn feed(stream: &[u8], lengths: impl Iterator<Item = usize>) -> Outcome {
    let mut framer = TcpFramer::new();
    let mut outcome = Outcome::default();
    let mut rest = stream;
    for length in lengths {
        let (chunk, after) = rest.split_at(length.min(rest.len()));
        if !feed_chunk(&mut framer, chunk, &mut outcome) {
            outcome.failed = true;
            // An error lasts.
            let error = framer.feed(&[0, 0]).expect_err("the stream has failed");
            assert_eq!(error.kind, ErrorKind::Oversize);
            return outcome;
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    outcome.mid_frame = framer.is_mid_frame();
    outcome
}

/// Feeds a chunk until it is used up. False if the stream has failed.
fn feed_chunk(framer: &mut TcpFramer, chunk: &[u8], outcome: &mut Outcome) -> bool {
    let mut rest = chunk;
    loop {
        let Ok(fed) = framer.feed(rest) else {
            return false;
        };
        let after = rest.get(fed.taken..).expect("no more was taken than given");
        match fed.piece {
            Some(TcpPiece::Frame(frame)) => {
                let prefix = tcp_prefix(frame).expect("a frame has 1 to 1,200 octets");
                assert_eq!(usize::from(u16::from_be_bytes(prefix)), frame.len());
                outcome.pieces.push(frame.to_vec());
            }
            Some(TcpPiece::KeepAlive) => outcome.pieces.push(Vec::new()),
            None => assert!(after.is_empty(), "octets are left and nothing became whole"),
        }
        assert!(
            framer.reserved() <= FRAME_MAX,
            "more than one frame is held"
        );
        if after.is_empty() {
            return true;
        }
        rest = after;
    }
}
