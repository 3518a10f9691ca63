//! Tests of what all protocols share: varints, bit streams, the writer, errors, views.

#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use hex_literal::hex;
use proptest::prelude::*;

use super::bits::{BitFault, BitReader, BitWriter};
use super::error::{DecodeError, EncodeError, ErrorKind};
use super::hex::Hex;
use super::span::{Span, plain};
use super::varint::{self, varint};
use super::view::Notes;
use super::writer::Writer;

fn read(octets: &[u8], max: u64) -> Result<(u64, usize), (ErrorKind, usize)> {
    varint(max)(Span::new(octets, 100))
        .map(|(rest, value)| (value, rest.offset() - 100))
        .map_err(plain)
        .map_err(|error| (error.kind, error.offset - 100))
}

fn written(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out, 10).varint(value).unwrap();
    out
}

// spec: GEN-2
#[test]
fn varint_is_least_significant_group_first() {
    assert_eq!(read(&hex!("00"), 9), Ok((0, 1)));
    assert_eq!(read(&hex!("7f ff"), 127), Ok((127, 1)));
    assert_eq!(read(&hex!("80 01"), 128), Ok((128, 2)));
    assert_eq!(read(&hex!("87 ad 4b"), u64::MAX), Ok((1_234_567, 3)));
    assert_eq!(
        read(&hex!("ffffffffffff3f"), (1 << 48) - 1),
        Ok(((1 << 48) - 1, 7))
    );
}

// spec: GEN-2
#[test]
fn longer_form_of_varint_is_non_canonical() {
    assert_eq!(
        read(&hex!("80 00"), u64::MAX),
        Err((ErrorKind::NonCanonical, 0))
    );
    assert_eq!(read(&hex!("87 ad 4b"), u64::MAX), Ok((1_234_567, 3)));
    assert_eq!(
        read(&hex!("87 ad cb 00"), u64::MAX),
        Err((ErrorKind::NonCanonical, 0))
    );
}

// spec: GEN-2
#[test]
fn varint_above_its_limit_is_bad_value() {
    assert_eq!(read(&hex!("0b"), 10), Err((ErrorKind::BadValue, 0)));
    assert_eq!(read(&hex!("80 01"), 127), Err((ErrorKind::BadValue, 0)));
    let u32_max = u64::from(u32::MAX);
    assert_eq!(read(&hex!("ff ff ff ff 0f"), u32_max), Ok((u32_max, 5)));
    assert_eq!(
        read(&hex!("80 80 80 80 10"), u32_max),
        Err((ErrorKind::BadValue, 0))
    );
    // More octets than the limit needs, whatever follows.
    assert_eq!(
        read(&hex!("80 80 80 80 80 00"), u32_max),
        Err((ErrorKind::BadValue, 0))
    );
    assert_eq!(read(&[0xFF; 10], u64::MAX), Err((ErrorKind::BadValue, 0)));
}

// spec: ERR-3
#[test]
fn varint_that_ends_early_is_truncated_at_its_end() {
    assert_eq!(read(&[], 9), Err((ErrorKind::Truncated, 0)));
    assert_eq!(
        read(&hex!("ff ff"), u64::MAX),
        Err((ErrorKind::Truncated, 2))
    );
}

#[test]
fn writer_never_exceeds_its_limit() {
    let mut out = vec![9];
    let mut writer = Writer::new(&mut out, 4);
    writer.u16(0x0102).unwrap();
    assert_eq!(writer.u32(1), Err(EncodeError::NoRoom));
    assert_eq!(writer.zeros(3), Err(EncodeError::NoRoom));
    writer.u8(3).unwrap();
    writer.zeros(1).unwrap();
    assert_eq!(writer.room(), 0);
    assert_eq!(writer.varint(0), Err(EncodeError::NoRoom));
    assert_eq!(out, hex!("09 01 02 03 00"));
}

// spec: GEN-1
#[test]
fn integers_are_written_most_significant_octet_first() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 6);
    writer.u16(0x0102).unwrap();
    writer.u32(0x0304_0506).unwrap();
    assert_eq!(out, hex!("010203040506"));
}

#[test]
fn length_before_a_long_body_needs_two_octets_of_room() {
    for (limit, fits) in [(201, false), (202, true)] {
        let mut out = Vec::new();
        let result = Writer::new(&mut out, limit).with_length(|out| out.zeros(200));
        assert_eq!(result.is_ok(), fits);
        assert!(!fits || out.starts_with(&hex!("c8 01 00")));
        assert!(!fits || out.len() == 202);
    }
}

#[test]
fn bit_reader_tells_where_octets_end() {
    let mut reader = BitReader::new(&hex!("f0 01"));
    assert_eq!(reader.ones_and_bits(9, 3), Ok((4, 0)));
    assert_eq!(reader.left(), 8);
    assert_eq!(reader.read(8), Ok(1));
    assert_eq!(reader.read(1), Err(BitFault::End));
    assert_eq!(reader.read(0), Ok(0));
}

#[test]
fn run_of_ones_is_refused_as_soon_as_it_is_too_long() {
    assert_eq!(
        BitReader::new(&[0xFF; 3]).ones_and_bits(20, 3),
        Err(BitFault::RunTooLong)
    );
    assert_eq!(
        BitReader::new(&[0xFF; 3]).ones_and_bits(24, 3),
        Err(BitFault::End)
    );
    assert_eq!(
        BitReader::new(&[0xFF; 150]).ones_and_bits(1_000, 3),
        Err(BitFault::RunTooLong)
    );
}

#[test]
fn kinds_have_names_of_their_own() {
    let mut names: Vec<_> = ErrorKind::ALL.map(ErrorKind::id).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ErrorKind::ALL.len());
}

// spec: ERR-5
#[test]
fn error_text_holds_place_kind_and_field_only() {
    let error = DecodeError::new(17, ErrorKind::BadValue, "unit");
    assert_eq!(error.to_string(), "bad_value at octet 17 (unit)");
    let error = DecodeError::new(0, ErrorKind::Truncated, "");
    assert_eq!(error.to_string(), "truncated at octet 0");
}

#[test]
fn view_shows_gaps_and_leaves_out_overlaps() {
    let notes = Notes::default();
    notes.add(13, 2, "b", &"late");
    notes.add(11, 1, "a", &"early");
    notes.add(14, 3, "overlap", &"");
    notes.add(12, 0, "empty", &"");
    let view = notes.into_view(&hex!("00 01 02 03 04 05"), 10, None);
    let shown: Vec<_> = view
        .spans
        .iter()
        .map(|span| (span.offset, span.len, span.name, span.value.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (10, 1, "undecoded", "00"),
            (11, 1, "a", "early"),
            (12, 1, "undecoded", "02"),
            (13, 2, "b", "late"),
            (15, 1, "undecoded", "05"),
        ]
    );
}

#[test]
fn hex_is_lower_case_without_separators() {
    assert_eq!(Hex(&hex!("00 0f AB")).to_string(), "000fab");
}

proptest! {
    // spec: GEN-2
    #[test]
    fn every_number_has_one_varint(value: u64, shift in 0_u32..64) {
        let value = value >> shift;
        let octets = written(value);
        prop_assert_eq!(octets.len(), varint::len(value));
        prop_assert_eq!(read(&octets, u64::MAX), Ok((value, octets.len())));
        prop_assert_eq!(read(&octets, value), Ok((value, octets.len())));
    }

    // spec: GEN-2
    #[test]
    fn no_two_octet_strings_are_the_same_varint(
        octets in prop::collection::vec(any::<u8>(), 0..12)
    ) {
        if let Ok((value, len)) = read(&octets, u64::MAX) {
            prop_assert_eq!(&written(value)[..], &octets[..len]);
        }
    }

    #[test]
    fn bits_come_back_as_they_were_written(
        codes in prop::collection::vec((0_u64..90, 0_u64..=u64::from(u32::MAX), 0_u32..32), 0..40)
    ) {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, 4_000);
        let mut bits = BitWriter::new(&mut writer);
        for (ones, value, count) in &codes {
            bits.ones(*ones).unwrap();
            if *ones > 0 {
                bits.write(*value, *count).unwrap();
            }
        }
        bits.finish().unwrap();
        let mut reader = BitReader::new(&out);
        for (ones, value, count) in &codes {
            let mask = (1 << count) - 1;
            let low = if *ones > 0 { value & mask } else { 0 };
            if let Some(code) = reader.short_code(*count, mask) {
                prop_assert_eq!((code.ones, code.bits), (*ones, low));
                prop_assert_eq!(code.some != 0, *ones > 0);
                let mut after = reader;
                after.take(&code);
                prop_assert_eq!(reader.ones_and_bits(90, *count), Ok((*ones, low)));
                prop_assert_eq!(after.left(), reader.left());
            } else {
                prop_assert_eq!(reader.ones_and_bits(90, *count), Ok((*ones, low)));
            }
        }
        prop_assert!(reader.left() < 8);
        prop_assert!(reader.fill_is_zero());
    }
}
