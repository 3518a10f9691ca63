#![allow(
    clippy::arithmetic_side_effects,
    clippy::let_underscore_must_use,
    reason = "tests"
)]

use hex_literal::hex;

use super::framed::with_crcs;
use super::*;

fn read_all(octets: &[u8]) -> Result<(Format, Vec<u8>, usize), MbusError> {
    let mut scratch = Vec::new();
    let link = read(octets, Carriage::Auto, &mut scratch)?;
    Ok((link.format, link.body.to_vec(), link.trailing_octets))
}

/// OMS Volume 2 Annex N, N.2.1, with and without the CRCs of format A.
const WITH_CRC: &[u8] = &hex!(
    "2E44931578563412330333637A2A0020255923C95AAA26D1B2E7493BC2AD013EC4A6F6D3529B520EDFF0EA6DEFC955"
    "B29D6D69EBF3EC8A"
);
const WITHOUT_CRC: &[u8] = &hex!(
    "2E4493157856341233037A2A0020255923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3"
);

#[test]
fn a_published_telegram_is_the_same_with_and_without_its_checks() {
    let with = read_all(WITH_CRC).unwrap();
    let without = read_all(WITHOUT_CRC).unwrap();
    assert_eq!(
        (with.0, without.0),
        (Format::WirelessA, Format::WirelessPlain)
    );
    assert_eq!(with.1, without.1);
    assert_eq!(with.1, WITHOUT_CRC[10..]);
    let mut scratch = Vec::new();
    let link = read(WITH_CRC, Carriage::Auto, &mut scratch).unwrap();
    assert_eq!(link.sender.unwrap().to_string(), "ELS-12345678-33-03");
    assert_eq!(c_field_name(link.c_field.unwrap()), Some("SND-NR"));
    assert!(!link.is_downlink());
}

#[test]
fn both_formats_of_one_published_telegram_give_the_same_body() {
    // EN 13757-4 examples as quoted by the reference: T1 in format A, C1 in format B.
    let a = read_all(&hex!("0F44AE0C7856341201074447780B134365871E6D")).unwrap();
    let b = read_all(&hex!("1444AE0C7856341201078C2027780B134365877AC5")).unwrap();
    assert_eq!(
        (a.0, a.1.as_slice()),
        (Format::WirelessA, hex!("780B13436587").as_slice())
    );
    assert_eq!(
        (b.0, b.1.as_slice()),
        (Format::WirelessB, hex!("8C2027780B13436587").as_slice())
    );
}

#[test]
fn octets_behind_the_end_are_left_out_and_counted() {
    let mut noisy = WITHOUT_CRC.to_vec();
    noisy.extend([0x5A, 0x01]);
    assert_eq!(read_all(&noisy).unwrap().2, 2);
    assert_eq!(read_all(&noisy).unwrap().1, WITHOUT_CRC[10..]);
    let mut noisy = WITH_CRC.to_vec();
    noisy.push(0xA7);
    assert_eq!(
        read_all(&noisy).unwrap(),
        (Format::WirelessA, WITHOUT_CRC[10..].to_vec(), 1)
    );
}

#[test]
fn a_telegram_without_its_length_is_taken_by_its_c_field() {
    let (format, body, trailing) = read_all(&WITHOUT_CRC[1..]).unwrap();
    assert_eq!((format, trailing), (Format::WirelessNoLength, 0));
    assert_eq!(body, WITHOUT_CRC[10..]);
}

#[test]
fn a_damaged_block_is_named() {
    for (at, block) in [(2, 0), (13, 1), (31, 2), (52, 3)] {
        let mut damaged = WITH_CRC.to_vec();
        damaged[at] ^= 0x10;
        assert_eq!(
            read_all(&damaged).unwrap_err().kind,
            MbusErrorKind::BlockCrc(block),
            "{at}"
        );
    }
    let cut = read_all(&WITH_CRC[..40]).unwrap_err();
    assert_eq!(cut.kind, MbusErrorKind::Truncated);
}

#[test]
fn a_damaged_half_of_a_long_telegram_of_format_b_is_named() {
    let mut telegram = vec![7; 200];
    telegram[0] = 199;
    let framed = with_crcs(&telegram, false);
    assert_eq!(read_all(&framed).unwrap().0, Format::WirelessB);
    for (at, block) in [(20, 0), (127, 0), (130, 1), (203, 1)] {
        for noise in [&[][..], &[0xA5]] {
            let mut damaged = [&framed, noise].concat();
            damaged[at] ^= 1;
            let kind = read_all(&damaged).unwrap_err().kind;
            assert_eq!(kind, MbusErrorKind::BlockCrc(block), "{at}");
        }
    }
}

#[test]
fn a_telegram_without_its_length_is_told_by_its_c_field() {
    let c_fields = [
        0x08, 0x18, 0x28, 0x38, 0x43, 0x44, 0x46, 0x47, 0x48, 0x53, 0x73,
    ];
    // Shorter than its C field would count as a length, longer, and just as long.
    for (c_field, len) in c_fields
        .iter()
        .flat_map(|c| (11..=255).map(|len| (*c, len)))
    {
        let mut telegram = vec![c_field, 0x2D, 0x2C, 0x32, 0x34, 0x27, 0x33, 0x02, 0x8D];
        telegram.resize(len, 0x78);
        let (format, body, trailing) = read_all(&telegram).unwrap();
        let expected = (Format::WirelessNoLength, 0);
        assert_eq!((format, trailing), expected, "{c_field:02X} {len}");
        assert_eq!(body.len(), len - 9);
    }
}

#[test]
fn wired_frames_are_told_by_their_start() {
    assert_eq!(read_all(&[0xE5]).unwrap().0, Format::WiredAck);
    assert_eq!(read_all(&hex!("105B015C16")).unwrap().0, Format::WiredShort);
    // OMS Volume 2 Annex N, N.2.2.
    let long = hex!("6820206808FD7278563412931533032A0000000C1427048502046D32371F1502FD1700008916");
    let (format, body, _) = read_all(&long).unwrap();
    assert_eq!((format, body.as_slice()), (Format::WiredLong, &long[6..36]));
    let kind = |at: usize, value: u8| {
        let mut damaged = long;
        damaged[at] = value;
        let mut scratch = Vec::new();
        read(&damaged, Carriage::Wired, &mut scratch)
            .unwrap_err()
            .kind
    };
    assert_eq!(kind(0, 0x11), MbusErrorKind::Start);
    assert_eq!(kind(1, 0x21), MbusErrorKind::Length);
    assert_eq!(kind(3, 0x69), MbusErrorKind::Start);
    assert_eq!(kind(20, 0x28), MbusErrorKind::Checksum);
    assert_eq!(kind(37, 0x17), MbusErrorKind::Stop);
    for end in 0..long.len() {
        let mut scratch = Vec::new();
        assert!(
            read(&long[..end], Carriage::Wired, &mut scratch).is_err(),
            "{end}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn what_a_format_frames_comes_out_of_it(
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..200),
        noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..30),
        is_a: bool,
    ) {
        let mut telegram = vec![0, 0x44, 0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 0x03];
        telegram.extend(&body);
        telegram[0] = u8::try_from(telegram.len() - 1).unwrap();
        let framed = [&with_crcs(&telegram, is_a)[..], &noise].concat();
        let (format, read, trailing) = read_all(&framed).unwrap();
        let expected = if is_a { Format::WirelessA } else { Format::WirelessB };
        proptest::prop_assert_eq!((format, trailing), (expected, noise.len()));
        proptest::prop_assert_eq!(read, body);
    }

    #[test]
    fn a_damaged_bit_of_format_a_never_makes_data_of_its_checks(
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..100),
        noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..4),
        bit: usize,
    ) {
        let mut telegram = vec![0, 0x44, 0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 0x03];
        telegram.extend(&body);
        telegram[0] = u8::try_from(telegram.len() - 1).unwrap();
        let mut framed = with_crcs(&telegram, true);
        let octets = framed.len();
        framed.extend(&noise);
        let (_, read, trailing) = read_all(&framed).unwrap();
        proptest::prop_assert_eq!((&read, trailing), (&body, noise.len()));
        // A damaged length changes where all later checks stand.
        let bit = 8 + bit % (octets * 8 - 8);
        framed[bit / 8] ^= 1 << (bit % 8);
        let refused = read_all(&framed).unwrap_err();
        proptest::prop_assert!(matches!(refused.kind, MbusErrorKind::BlockCrc(_)), "{refused}");
    }

    #[test]
    fn any_octets_are_read_or_refused(
        octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
    ) {
        let _ = read_all(&octets);
    }
}

/// A long frame that libmbus's tests would call whole, made for this test.
fn long_frame() -> Vec<u8> {
    let content = [&[0x08, 0x05, 0x72][..], &[0x11; 0x78]].concat();
    let length = u8::try_from(content.len()).unwrap();
    let sum = content
        .iter()
        .fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
    [&[0x68, length, length, 0x68], &content[..], &[sum, 0x16]].concat()
}

#[test]
fn a_wired_frame_with_a_damaged_octet_is_never_a_wireless_telegram() {
    let whole = long_frame();
    let mut scratch = Vec::new();
    assert!(read(&whole, Carriage::Auto, &mut scratch).is_ok());
    for place in 0..whole.len() {
        for octet in 0..=u8::MAX {
            let mut damaged = whole.clone();
            damaged[place] = octet;
            if octet != whole[place] {
                assert!(
                    read(&damaged, Carriage::Auto, &mut scratch).is_err(),
                    "{place}"
                );
            }
        }
    }
}

#[test]
fn octets_whose_second_is_no_c_field_are_no_telegram_without_crcs() {
    let mut octets = vec![0x72, 0x78];
    octets.resize(0x73, 0x0C);
    let mut scratch = Vec::new();
    let error = read(&octets, Carriage::Auto, &mut scratch).unwrap_err();
    assert_eq!((error.offset, error.kind), (1, MbusErrorKind::Reserved));
    octets[1] = 0x44;
    assert!(read(&octets, Carriage::Auto, &mut scratch).is_ok());
}
