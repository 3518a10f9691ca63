//! Cutting frames out of a stream.

use proptest::prelude::*;

use crate::wire::error::{DecodeError, EncodeError, ErrorKind};
use crate::wire::otl::framer::{KEEP_ALIVE, TcpFramer, TcpPiece, tcp_prefix};

/// What came out: a frame, or nothing for a keep-alive.
type Piece = Option<Vec<u8>>;

/// Feeds chunks to a framer and gathers what comes out.
fn cut<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Piece>, DecodeError> {
    let mut framer = TcpFramer::new();
    let mut pieces = Vec::new();
    for chunk in chunks {
        let mut rest = chunk;
        loop {
            let fed = framer.feed(rest)?;
            rest = &rest[fed.taken..];
            match fed.piece {
                Some(TcpPiece::Frame(frame)) => pieces.push(Some(frame.to_vec())),
                Some(TcpPiece::KeepAlive) => pieces.push(None),
                None => break,
            }
        }
        assert!(rest.is_empty());
        assert!(framer.reserved() <= 1_200);
    }
    Ok(pieces)
}

fn stream(pieces: &[Piece]) -> Vec<u8> {
    let mut stream = Vec::new();
    for piece in pieces {
        match piece {
            None => stream.extend(KEEP_ALIVE),
            Some(frame) => {
                stream.extend(tcp_prefix(frame).unwrap());
                stream.extend(frame);
            }
        }
    }
    stream
}

// spec: TCP-1
#[test]
fn length_before_a_frame_is_two_octets_most_significant_first() {
    assert_eq!(tcp_prefix(&[0; 1_200]), Ok([0x04, 0xB0]));
    assert_eq!(tcp_prefix(&[0; 2]), Ok([0, 2]));
    assert_eq!(tcp_prefix(&[]), Err(EncodeError::NoRoom));
    assert_eq!(tcp_prefix(&[0; 1_201]), Err(EncodeError::NoRoom));
}

// spec: TCP-2
#[test]
fn length_of_zero_is_a_keep_alive_and_no_frame() {
    let stream = [KEEP_ALIVE.as_slice(), &[0, 1, 9], &KEEP_ALIVE].concat();
    let pieces = cut([stream.as_slice()]).unwrap();
    assert_eq!(pieces, [None, Some(vec![9]), None]);
}

// spec: TCP-3, FRM-4
#[test]
fn length_above_1200_is_oversize_for_good() {
    let mut framer = TcpFramer::new();
    let fed = framer.feed(&[0, 1, 9, 0x04]).unwrap();
    assert_eq!((fed.taken, fed.piece), (3, Some(TcpPiece::Frame(&[9]))));
    let fed = framer.feed(&[0x04]).unwrap();
    assert_eq!((fed.taken, fed.piece), (1, None));
    for next in [[0xB1, 0], [0, 0], [0, 1]] {
        let error = framer.feed(&next).unwrap_err();
        assert_eq!((error.kind, error.offset), (ErrorKind::Oversize, 3));
    }
    assert!(cut([[0x04, 0xB0].as_slice(), &[7; 1_200]]).is_ok());
}

// spec: TCP-7
#[test]
fn buffer_is_reserved_for_an_incomplete_frame_only() {
    let mut framer = TcpFramer::new();
    assert_eq!(framer.reserved(), 0);
    framer.feed(&[0x04, 0xB0]).unwrap();
    assert_eq!(framer.reserved(), 0);
    for _ in 0..1_199 {
        assert!(framer.feed(&[1]).unwrap().piece.is_none());
        assert!(framer.is_mid_frame());
        assert!(framer.reserved() <= 1_200);
    }
    let last = framer.feed(&[1]).unwrap();
    assert_eq!(last.piece, Some(TcpPiece::Frame(&[1; 1_200])));
    framer.feed(&[]).unwrap();
    assert_eq!(framer.reserved(), 0);
    assert!(!framer.is_mid_frame());
}

#[test]
fn framer_tells_whether_a_frame_has_begun() {
    let mut framer = TcpFramer::new();
    assert!(!framer.is_mid_frame());
    framer.feed(&[0]).unwrap();
    assert!(framer.is_mid_frame());
    framer.feed(&[0]).unwrap();
    assert!(!framer.is_mid_frame());
}

proptest! {
    // spec: TCP-1, TCP-2, TCP-7
    #[test]
    fn pieces_come_out_whole_however_the_stream_is_chopped(
        pieces in prop::collection::vec(
            prop::option::of(prop::collection::vec(any::<u8>(), 1..1_200)), 0..6),
        cuts in prop::collection::vec(1_usize..700, 1..30),
    ) {
        let stream = stream(&pieces);
        let mut chunks = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert_eq!(cut(chunks).unwrap(), pieces);
    }

    // spec: TCP-3
    #[test]
    fn any_stream_is_cut_or_refused(chunks in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 0..90), 0..20)) {
        let whole = chunks.concat();
        let one = cut([whole.as_slice()]);
        let many = cut(chunks.iter().map(Vec::as_slice));
        prop_assert_eq!(one, many);
    }
}
