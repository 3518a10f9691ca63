//! Headers: literal octets, the order of refusals, lengths.

use hex_literal::hex;

use crate::wire::error::ErrorKind;
use crate::wire::otl::frame::Frame;
use crate::wire::otl::header::{
    AnswerHeader, CallNowHeader, CloseHeader, Direction, FrameCounter, FrameKind, Header, Identity,
    KeyVersion, Mode, Ns, ResyncAnswerHeader, ResyncHeader, ResyncNonce, TerminalNonce,
    UplinkHeader,
};

use super::octets;

const IDENTITY: Identity = Identity::new(hex!("0001 0002540be400"));
const TICKET: Ns = Ns::new(hex!("6b359b78 0badcafe"));
const NT: TerminalNonce = TerminalNonce(hex!("6e74000102030405"));
const NR: ResyncNonce = ResyncNonce(hex!("000102030405060708090a0b0c0d0e0f"));

fn counter() -> FrameCounter {
    FrameCounter::new(100_001).unwrap()
}

fn version() -> KeyVersion {
    KeyVersion::new(2).unwrap()
}

/// One frame of each kind and mode: the header's octets, its value, and how long the rest is at
/// least and at most.
fn frames() -> Vec<(Vec<u8>, Header, usize, usize)> {
    let uplink = UplinkHeader::ccm_static(true, true, version(), IDENTITY, counter(), TICKET);
    let clear = UplinkHeader::clear(false, true, IDENTITY, counter());
    let modes = [Mode::CcmStatic, Mode::CcmSession, Mode::GcmSession];
    let mut frames = vec![
        (
            octets("11 08 00 00010002540be400 000186a1"),
            Header::Uplink(clear),
            11,
            1_185,
        ),
        (
            octets("11 38 02 00010002540be400 000186a1 6b359b780badcafe"),
            Header::Uplink(uplink),
            19,
            1_177,
        ),
        (
            octets("11 58 02 00010002540be400 000186a1 6b359b780badcafe 6e74000102030405"),
            Header::Uplink(uplink.with_session(false, NT)),
            19,
            1_169,
        ),
        (
            octets("11 78 02 00010002540be400 000186a1 6b359b780badcafe 6e74000102030405"),
            Header::Uplink(uplink.with_session(true, NT)),
            27,
            1_169,
        ),
        (
            octets("19 00 000186a1"),
            Header::Answer(AnswerHeader::clear(counter())),
            3,
            3,
        ),
        (
            octets("1f 03"),
            Header::Close(CloseHeader { code: 3 }),
            0,
            0,
        ),
    ];
    for mode in modes {
        let (flags, tag) = (mode.number() << 5, mode.tag_len());
        let resync = ResyncHeader::new(mode, version(), IDENTITY, NR).unwrap();
        let head = [
            vec![0x12, flags | 8, 2],
            IDENTITY.octets().to_vec(),
            NR.0.to_vec(),
        ];
        frames.push((head.concat(), Header::Resync(resync), 37, 37));
        let answer = AnswerHeader::sealed(mode, counter(), TICKET).unwrap();
        let head = [
            vec![0x19, flags, 0, 1, 0x86, 0xA1],
            TICKET.octets().to_vec(),
        ];
        frames.push((head.concat(), Header::Answer(answer), 3 + tag, 1_186));
        let answer = ResyncAnswerHeader::new(mode, TICKET).unwrap();
        let head = [vec![0x1A, flags], TICKET.octets().to_vec()];
        frames.push((head.concat(), Header::ResyncAnswer(answer), 4 + tag, 1_190));
        let call = CallNowHeader::new(mode, version(), IDENTITY, 0x0102_0304).unwrap();
        let head = [
            vec![0x1B, flags, 2],
            IDENTITY.octets().to_vec(),
            vec![1, 2, 3, 4],
        ];
        frames.push((head.concat(), Header::CallNow(call), tag, tag));
    }
    frames
}

fn refusal(frame: &[u8], from: Direction) -> (ErrorKind, usize) {
    let error = Header::parse(frame, from).unwrap_err();
    (error.kind, error.offset)
}

fn from_terminal(frame: &str) -> (ErrorKind, usize) {
    refusal(&octets(frame), Direction::FromTerminal)
}

fn from_server(frame: &str) -> (ErrorKind, usize) {
    refusal(&octets(frame), Direction::FromServer)
}

// spec: GEN-1, ID-1, NON-5, NON-7
#[test]
fn every_header_is_read_and_written_as_its_octets() {
    for (head, header, shortest, longest) in frames() {
        let from = header.kind().from();
        for rest in [shortest, longest] {
            let frame = [head.clone(), vec![0; rest]].concat();
            assert_eq!(Header::parse(&frame, from), Ok(header), "{header:?}");
        }
        assert_eq!(header.encode().as_slice(), head);
    }
}

// spec: FRM-4, FRM-7, FRM-14, FRM-16
#[test]
fn every_other_length_is_truncated_trailing_or_oversize() {
    for (head, header, shortest, longest) in frames() {
        let from = header.kind().from();
        for len in 1..head.len() + shortest {
            let frame = [head.clone(), vec![0; shortest]].concat();
            let expected = (ErrorKind::Truncated, len);
            assert_eq!(refusal(&frame[..len], from), expected, "{header:?} {len}");
        }
        let max = head.len() + longest;
        let frame = [head, vec![0; longest + 1]].concat();
        let expected = if max == 1_200 {
            (ErrorKind::Oversize, 1_200)
        } else {
            (ErrorKind::TrailingBytes, max)
        };
        assert_eq!(refusal(&frame, from), expected, "{header:?}");
    }
    assert_eq!(from_terminal(""), (ErrorKind::Truncated, 0));
}

// spec: FRM-4
#[test]
fn oversize_is_found_before_anything_else() {
    assert_eq!(
        refusal(&[0xFF; 1_201], Direction::FromTerminal),
        (ErrorKind::Oversize, 1_200)
    );
}

// spec: FRM-1, EXT-5
#[test]
fn version_other_than_1_is_unsupported_before_any_further_octet() {
    for first in ["01", "21", "f1", "0f", "2f"] {
        let expected = (ErrorKind::UnsupportedVersion, 0);
        assert_eq!(from_terminal(first), expected);
        assert_eq!(from_server(first), expected);
    }
}

// spec: FRM-2
#[test]
fn frame_types_are_known_and_of_one_direction() {
    for first in 0x10..=0x1F {
        let frame = [first];
        let known = FrameKind::ALL
            .into_iter()
            .find(|kind| kind.octet() == first);
        for from in [Direction::FromTerminal, Direction::FromServer] {
            let expected = match known {
                None => (ErrorKind::UnknownFrameType, 0),
                Some(kind) if kind.from() != from => (ErrorKind::WrongDirection, 0),
                Some(_) => (ErrorKind::Truncated, 1),
            };
            assert_eq!(refusal(&frame, from), expected, "{first:02x}");
        }
    }
}

// spec: FRM-3
#[test]
fn modes_4_to_7_are_unknown() {
    for mode in 4..8_u8 {
        let flags = mode << 5;
        for kind in FrameKind::ALL {
            if kind != FrameKind::Close {
                let frame = [kind.octet(), flags];
                assert_eq!(refusal(&frame, kind.from()), (ErrorKind::UnknownMode, 1));
            }
        }
    }
}

// spec: FRM-17
#[test]
fn mode_0_has_no_resync_and_no_call() {
    assert_eq!(from_terminal("12 08"), (ErrorKind::ModeForbidsFrame, 1));
    assert_eq!(from_server("1a 00"), (ErrorKind::ModeForbidsFrame, 1));
    assert_eq!(from_server("1b 00"), (ErrorKind::ModeForbidsFrame, 1));
    assert!(ResyncHeader::new(Mode::Clear, version(), IDENTITY, NR).is_none());
    assert!(ResyncAnswerHeader::new(Mode::Clear, TICKET).is_none());
    assert!(CallNowHeader::new(Mode::Clear, version(), IDENTITY, 1).is_none());
    assert!(AnswerHeader::sealed(Mode::Clear, counter(), TICKET).is_none());
}

/// A valid frame with octet 1 changed.
fn with_flags(kind: FrameKind, mode: Mode, change: u8) -> Vec<u8> {
    let (head, _, rest, _) = frames()
        .into_iter()
        .find(|(_, header, ..)| header.kind() == kind && header.mode() == Some(mode))
        .unwrap();
    let mut frame = [head, vec![0; rest]].concat();
    frame[1] ^= change;
    frame
}

// spec: GEN-7
#[test]
fn reserved_flags_are_refused() {
    for (kind, reserved) in [
        (FrameKind::Uplink, 0b0000_0011),
        (FrameKind::Resync, 0b0000_0011),
        (FrameKind::Answer, 0b0001_1111),
        (FrameKind::ResyncAnswer, 0b0001_1111),
        (FrameKind::CallNow, 0b0001_1111),
    ] {
        for bit in (0..8)
            .map(|place| 1_u8 << place)
            .filter(|bit| bit & reserved != 0)
        {
            let frame = with_flags(kind, Mode::CcmStatic, bit);
            let expected = (ErrorKind::ReservedBits, 1);
            assert_eq!(refusal(&frame, kind.from()), expected, "{kind:?} {bit:08b}");
        }
    }
}

// spec: FRM-5
#[test]
fn alias_is_a_form_that_is_not_supported() {
    for kind in [FrameKind::Uplink, FrameKind::Resync] {
        let frame = with_flags(kind, Mode::CcmStatic, 0b100);
        let expected = (ErrorKind::IdentityFormUnsupported, 1);
        assert_eq!(refusal(&frame, Direction::FromTerminal), expected);
    }
    for (head, header, ..) in frames() {
        let is_uplink = matches!(header, Header::Uplink(_) | Header::Resync(_));
        assert!(!is_uplink || head[1] & 0b100 == 0);
    }
}

// spec: FRM-18
#[test]
fn resync_waits_for_an_answer_and_holds_no_alarm() {
    for change in [0b0001_0000, 0b0000_1000] {
        let frame = with_flags(FrameKind::Resync, Mode::CcmSession, change);
        assert_eq!(
            refusal(&frame, Direction::FromTerminal),
            (ErrorKind::BadValue, 1)
        );
    }
}

// spec: FRM-8, KEY-7
#[test]
fn key_version_is_0_in_mode_0_only() {
    for (head, header, rest, _) in frames() {
        if !matches!(
            header,
            Header::Uplink(_) | Header::Resync(_) | Header::CallNow(_)
        ) {
            continue;
        }
        let mut frame = [head, vec![0; rest]].concat();
        frame[2] = u8::from(header.mode() == Some(Mode::Clear));
        let from = header.kind().from();
        assert_eq!(refusal(&frame, from), (ErrorKind::BadValue, 2));
    }
}

// spec: NON-5
#[test]
fn counters_that_no_terminal_uses_are_refused() {
    for (counter, good) in [
        ("00000000", false),
        ("00000001", true),
        ("ffff0000", true),
        ("ffff0001", false),
        ("ffffffff", false),
    ] {
        let uplink = octets(&format!("11 08 00 00010002540be400 {counter}"));
        let uplink = [uplink, vec![0; 11]].concat();
        let answer = octets(&format!("19 00 {counter} 000000"));
        for (frame, from, at) in [
            (uplink, Direction::FromTerminal, 11),
            (answer, Direction::FromServer, 2),
        ] {
            let parsed = Header::parse(&frame, from).map_err(|error| (error.kind, error.offset));
            let expected = Err((ErrorKind::BadValue, at));
            assert!(
                if good {
                    parsed.is_ok()
                } else {
                    parsed == expected
                },
                "{counter}"
            );
        }
    }
}

// spec: ERR-2
#[test]
fn first_of_several_failures_is_reported_in_the_order_of_the_specification() {
    // Each frame has the named failure and all that follow it.
    let rest = "00".repeat(60);
    assert_eq!(from_terminal("29 ff"), (ErrorKind::UnsupportedVersion, 0));
    assert_eq!(from_terminal("15 ff"), (ErrorKind::UnknownFrameType, 0));
    assert_eq!(from_terminal("1a ff"), (ErrorKind::WrongDirection, 0));
    assert_eq!(from_terminal("12 f7"), (ErrorKind::UnknownMode, 1));
    assert_eq!(from_terminal("12 17"), (ErrorKind::ModeForbidsFrame, 1));
    assert_eq!(from_terminal("12 37"), (ErrorKind::Truncated, 2));
    assert_eq!(
        from_terminal(&format!("12 37 {rest}")),
        (ErrorKind::Truncated, 62)
    );
    assert_eq!(
        from_terminal(&format!("12 37 00 {rest}00")),
        (ErrorKind::ReservedBits, 1)
    );
    assert_eq!(
        from_terminal(&format!("12 34 00 {rest}00")),
        (ErrorKind::IdentityFormUnsupported, 1)
    );
    assert_eq!(
        from_terminal(&format!("12 30 00 {rest}00")),
        (ErrorKind::BadValue, 1)
    );
    assert_eq!(
        from_terminal(&format!("12 28 00 {rest}00")),
        (ErrorKind::BadValue, 2)
    );
    assert_eq!(
        from_terminal(&format!("11 28 00 {rest}")),
        (ErrorKind::BadValue, 2)
    );
    assert_eq!(
        from_terminal(&format!("11 28 01 {rest}")),
        (ErrorKind::BadValue, 11)
    );
}

// spec: ERR-4
#[test]
fn close_has_a_code_and_nothing_else() {
    let close = Header::parse(&hex!("1f 00"), Direction::FromServer).unwrap();
    assert_eq!(close, Header::Close(CloseHeader { code: 0 }));
    assert_eq!(from_server("1f"), (ErrorKind::Truncated, 1));
    assert_eq!(from_server("1f0000"), (ErrorKind::TrailingBytes, 2));
}

// spec: SEC-1, SEC-2
#[test]
fn frame_is_cut_by_the_pinned_mode_and_any_other_is_a_mismatch() {
    for (head, header, shortest, _) in frames() {
        let frame = [head.clone(), (0..).take(shortest).collect()].concat();
        for pinned in Mode::ALL {
            let split = Frame::split(header, &frame, pinned);
            let Some(mode) = header.mode().filter(|mode| *mode != pinned) else {
                let split = split.unwrap();
                let tag = split.kind().tag_len(pinned);
                assert_eq!(split.header_octets, head);
                assert_eq!(split.tag.len(), tag);
                assert_eq!(
                    [split.header_octets, split.ciphertext, split.tag].concat(),
                    frame
                );
                continue;
            };
            let error = split.unwrap_err();
            assert_eq!(
                (error.kind, error.offset),
                (ErrorKind::ModeMismatch, 1),
                "{mode}"
            );
        }
    }
}

// spec: ID-1, ID-2, ID-3
#[test]
fn identity_is_maker_and_serial() {
    assert_eq!(Identity::from_parts(1, 10_000_000_000), Some(IDENTITY));
    assert_eq!((IDENTITY.maker(), IDENTITY.serial()), (1, 10_000_000_000));
    assert_eq!(IDENTITY.to_string(), "00010002540be400");
    assert!(Identity::from_parts(0, 1 << 48).is_none());
    let largest = Identity::from_parts(0xFFFF, 99_999_999_999).unwrap();
    assert!(largest.is_eleven_digit());
    assert!(
        !Identity::from_parts(0xFFFF, 100_000_000_000)
            .unwrap()
            .is_eleven_digit()
    );
}

// spec: NON-7, FRS-1
#[test]
fn server_nonce_is_seconds_then_random_bits_and_zero_is_no_ticket() {
    assert_eq!(Ns::from_parts(0x6b35_9b78, 0x0bad_cafe), TICKET);
    assert_eq!(TICKET.utc_s(), 0x6b35_9b78);
    assert!(Ns::new([0; 8]).is_zero());
    assert!(!TICKET.is_zero());
}
