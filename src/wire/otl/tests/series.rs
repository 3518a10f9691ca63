//! Series and gauges in literal octets, and every other form of them.

use hex_literal::hex;
use proptest::prelude::*;

use crate::wire::error::ErrorKind;
use crate::wire::otl::gauges::{Gauges, gauges};
use crate::wire::otl::limits::REGISTER_MAX;
use crate::wire::otl::meter::Register;
use crate::wire::otl::series::{Segment, SegmentReason, Series, series};
use crate::wire::otl::steps::smallest_k;
use crate::wire::span::{Parsed, Span, plain};
use crate::wire::writer::Writer;

use super::octets;

const STEP_MAX: u64 = crate::wire::otl::limits::STEP_MAX as u64;

/// Runs a parser over all octets: the value, or the refusal and its offset.
fn run<'a, T>(
    input: &'a [u8],
    parse: impl Fn(Span<'a>) -> Parsed<'a, T>,
) -> Result<T, (ErrorKind, usize)> {
    let parsed = parse(Span::new(input, 0)).map_err(plain);
    parsed
        .and_then(|(rest, value)| rest.expect_end("").map(|()| value))
        .map_err(|error| (error.kind, error.offset))
}

fn read_series(count: u8, text: &str) -> Result<Series, (ErrorKind, usize)> {
    let octets = octets(text);
    let value = run(&octets, series(count))?;
    let mut out = Vec::new();
    value.encode(&mut Writer::new(&mut out, 9_000)).unwrap();
    assert_eq!(out, octets);
    Ok(value)
}

fn read_gauges(count: u8, text: &str) -> Result<Gauges, (ErrorKind, usize)> {
    let octets = octets(text);
    let value = run(&octets, gauges(count))?;
    let mut out = Vec::new();
    value.encode(&mut Writer::new(&mut out, 9_000)).unwrap();
    assert_eq!(out, octets);
    Ok(value)
}

/// Segments as reason, first mark and registers.
fn segments(series: &Series) -> Vec<(u8, u8, Vec<u64>)> {
    series
        .segments()
        .map(|segment| {
            let registers = segment.registers.iter().map(|value| value.get()).collect();
            (segment.reason.code(), segment.first_mark, registers)
        })
        .collect()
}

fn registers(values: &[u64]) -> Vec<Register> {
    values
        .iter()
        .map(|value| Register::new(*value).unwrap())
        .collect()
}

/// A series from segments as reason, first mark and registers.
fn make(count: u8, parts: &[(u8, u8, &[u64])]) -> Option<Series> {
    let held: Vec<_> = parts.iter().map(|part| registers(part.2)).collect();
    let segments: Vec<_> = parts
        .iter()
        .zip(&held)
        .map(|((reason, first_mark, _), registers)| Segment {
            reason: SegmentReason::from_code(*reason).unwrap(),
            first_mark: *first_mark,
            registers,
        })
        .collect();
    Series::new(count, &segments).ok()
}

// spec: SER-5
#[test]
fn series_without_break_is_start_and_steps() {
    let one = read_series(1, "00 2a").unwrap();
    assert_eq!(segments(&one), [(0, 1, vec![42])]);
    // Steps of 1: k = 0, and the code 10 for each; nine marks leave three bits to fill.
    let rising = read_series(9, "00 00 055550").unwrap();
    assert_eq!(segments(&rising), [(0, 1, (0..9).collect())]);
    // Steps of 0 are a bit each.
    let flat = read_series(24, "00 87ad4b 00000000").unwrap();
    assert_eq!(segments(&flat), [(0, 1, vec![1_234_567; 24])]);
    assert_eq!(flat.at(24), Some(Register::new(1_234_567).unwrap()));
    assert_eq!((flat.at(0), flat.at(25)), (None, None));
}

// spec: SER-1, SER-2
#[test]
fn segments_name_their_reason_first_mark_and_length() {
    let series = read_series(8, "02 00 02 02 0a 01 04 02 00 04").unwrap();
    let expected = [(0, 2, vec![10, 11]), (1, 4, vec![0, 0])];
    assert_eq!(segments(&series), expected);
    let at: Vec<_> = (1..=8)
        .map(|mark| series.at(mark).map(Register::get))
        .collect();
    let expected = [None, Some(10), Some(11), Some(0), Some(0), None, None, None];
    assert_eq!(at, expected);
    // No segment is longer than 1: there are no steps.
    let spots = read_series(5, "02 00 01 01 0a 00 05 01 0b").unwrap();
    assert_eq!(segments(&spots), [(0, 1, vec![10]), (0, 5, vec![11])]);
}

// spec: SER-2
#[test]
fn segments_out_of_order_or_range_are_refused_at_the_wrong_octet() {
    let bad = ErrorKind::BadValue;
    // Too many segments; a segment of no marks; one that begins at 0, or beyond the count.
    assert_eq!(read_series(5, "06 00 01 01 0a"), Err((bad, 0)));
    assert_eq!(read_series(5, "01 00 01 00 0a"), Err((bad, 3)));
    assert_eq!(read_series(5, "01 00 00 01 0a"), Err((bad, 2)));
    assert_eq!(read_series(5, "01 00 06 01 0a"), Err((bad, 2)));
    assert_eq!(read_series(5, "01 00 05 02 0a"), Err((bad, 3)));
    assert_eq!(read_series(5, "01 00 ff ff 0a"), Err((bad, 2)));
    // An unknown reason.
    assert_eq!(read_series(5, "01 07 01 01 0a"), Err((bad, 1)));
    // Overlap, disorder, and a neighbour without a reason.
    assert_eq!(read_series(5, "02 00 01 02 0a 01 02 01 0b"), Err((bad, 6)));
    assert_eq!(read_series(5, "02 00 03 01 0a 00 01 01 0b"), Err((bad, 6)));
    assert_eq!(read_series(5, "02 00 01 02 0a 00 03 01 0b"), Err((bad, 5)));
    assert!(read_series(5, "02 00 01 01 0a 06 02 01 0b").is_ok());
    assert!(read_series(5, "01 04 02 01 0a").is_ok());
}

// spec: SER-5
#[test]
fn segment_over_all_marks_has_one_form() {
    for reason in 0..7_u8 {
        let text = format!("01 0{reason:x} 01 02 0a 00");
        assert_eq!(read_series(2, &text), Err((ErrorKind::NonCanonical, 0)));
    }
    assert!(make(2, &[(0, 1, &[10, 10])]).is_some());
    assert!(make(2, &[(4, 1, &[10, 10])]).is_none());
}

// spec: SER-3
#[test]
fn only_the_smallest_of_the_best_k_is_accepted() {
    // A step of 2: with k = 0 the code is 110, with k = 1 it is 101: as long.
    assert!(read_series(2, "00 00 06").is_ok());
    assert_eq!(
        read_series(2, "00 00 0d"),
        Err((ErrorKind::NonCanonical, 2))
    );
    // A step of 3: 1110, or 1100 with k = 1: as long. A step of 4: 11110 is longer than 1101.
    assert!(read_series(2, "00 00 07 00").is_ok());
    assert_eq!(
        read_series(2, "00 00 0e 00"),
        Err((ErrorKind::NonCanonical, 2))
    );
    assert_eq!(
        read_series(2, "00 00 07 80"),
        Err((ErrorKind::NonCanonical, 2))
    );
    assert!(read_series(2, "00 00 0e 80").is_ok());
    // Without a step any k is as long: only 0 will do.
    assert!(read_series(2, "00 00 00").is_ok());
    for k in 1..32_u8 {
        let text = format!("00 00 {:02x}", k << 3);
        assert_eq!(read_series(2, &text), Err((ErrorKind::NonCanonical, 2)));
    }
}

// spec: SER-4
#[test]
fn fill_bits_are_zero_and_fewer_than_eight() {
    assert!(read_series(2, "00 00 04").is_ok());
    assert_eq!(
        read_series(2, "00 00 01"),
        Err((ErrorKind::NonCanonical, 2))
    );
    assert_eq!(
        read_series(9, "00 00 055551"),
        Err((ErrorKind::NonCanonical, 4))
    );
    assert_eq!(
        read_series(2, "00 00 04 00"),
        Err((ErrorKind::TrailingBytes, 3))
    );
}

// spec: SER-6
#[test]
fn steps_and_registers_beyond_their_limit_are_refused() {
    // The largest step: 2^32 - 1 with k = 31, a high part of 1 and 31 bits of 1 1 1 ... 0.
    let largest = make(2, &[(0, 1, &[0, STEP_MAX])]).unwrap();
    let mut out = Vec::new();
    largest.encode(&mut Writer::new(&mut out, 99)).unwrap();
    assert_eq!(run(&out, series(2)), Ok(largest));
    // k = 31, and a step of 2^32.
    let text = "00 00 fe ff ff ff fe";
    assert_eq!(read_series(2, text), Err((ErrorKind::BadValue, 2)));
    // A run of ones that can only be too large, though the octets end.
    let text = format!("00 00 ff{}", "ff".repeat(3));
    assert_eq!(read_series(2, &text), Err((ErrorKind::BadValue, 2)));
    // The largest register, and one more.
    assert!(read_series(2, "00 feffffffffff3f 04").is_ok());
    let text = "00 ffffffffffff3f 04";
    assert_eq!(read_series(2, text), Err((ErrorKind::BadValue, 8)));
    // The octet that holds the first bit of the step.
    let text = "00 ffffffffffff3f 000100";
    assert_eq!(read_series(12, text), Err((ErrorKind::BadValue, 9)));
}

// spec: SER-1
#[test]
fn series_that_cannot_be_is_not_made() {
    assert!(make(0, &[]).is_none());
    assert!(make(5, &[]).is_none());
    assert!(make(251, &[(0, 1, &[1])]).is_none());
    assert!(make(5, &[(0, 1, &[])]).is_none());
    assert!(make(5, &[(0, 1, &[2, 1])]).is_none());
    assert!(make(5, &[(0, 1, &[0, STEP_MAX + 1])]).is_none());
    assert!(make(5, &[(0, 1, &[0]), (0, 2, &[0])]).is_none());
    assert!(make(5, &[(0, 1, &[0]), (5, 2, &[STEP_MAX + 1])]).is_some());
    assert!(Register::new(REGISTER_MAX + 1).is_err());
}

// spec: SER-7
#[test]
fn gauges_have_a_bitmap_exactly_where_a_mark_is_missing() {
    let values = |gauges: Gauges| gauges.iter().collect::<Vec<_>>();
    assert_eq!(values(read_gauges(1, "00 0117").unwrap()), [Some(279)]);
    assert_eq!(
        values(read_gauges(2, "00 0117 00").unwrap()),
        [Some(279); 2]
    );
    let gaps = read_gauges(9, "01 8080 0117 00").unwrap();
    assert_eq!(
        (gaps.at(1), gaps.at(5), gaps.at(9)),
        (Some(279), None, Some(279))
    );
    assert_eq!((gaps.at(0), gaps.at(10), gaps.count()), (None, None, 9));
    assert_eq!(
        values(read_gauges(2, "01 40 0117").unwrap()),
        [None, Some(279)]
    );
    assert_eq!(read_gauges(2, "02 0117 00"), Err((ErrorKind::BadValue, 0)));
    assert_eq!(
        read_gauges(2, "01 c0 0117 00"),
        Err((ErrorKind::NonCanonical, 0))
    );
    assert_eq!(
        read_gauges(9, "01 0000 0117"),
        Err((ErrorKind::BadValue, 1))
    );
    assert_eq!(
        read_gauges(9, "01 8081 0117 00"),
        Err((ErrorKind::NonCanonical, 2))
    );
    assert_eq!(read_gauges(9, "01 80"), Err((ErrorKind::Truncated, 2)));
}

// spec: SER-8, SER-3, SER-4
#[test]
fn gauges_rise_and_fall_between_0_and_65533() {
    // From 0 to 65,533 and back, the largest differences.
    let all = [Some(0), Some(65_533), Some(0)];
    let made = Gauges::new(&all).unwrap();
    let mut out = Vec::new();
    made.encode(&mut Writer::new(&mut out, 99)).unwrap();
    assert_eq!(run(&out, gauges(3)), Ok(made));
    let bad = ErrorKind::BadValue;
    assert_eq!(read_gauges(1, "00 fffe"), Err((bad, 1)));
    assert!(read_gauges(1, "00 fffd").is_ok());
    // One up from the top, and one down from the bottom: codes 2 and 1.
    assert_eq!(read_gauges(2, "00 fffd 06"), Err((bad, 3)));
    assert_eq!(read_gauges(2, "00 0000 04"), Err((bad, 3)));
    assert!(read_gauges(2, "00 0001 04").is_ok());
    assert_eq!(
        read_gauges(2, "00 0001 0d"),
        Err((ErrorKind::NonCanonical, 3))
    );
    assert_eq!(
        read_gauges(2, "00 0001 05"),
        Err((ErrorKind::NonCanonical, 3))
    );
    assert!(Gauges::new(&[]).is_err());
    assert!(Gauges::new(&[None; 5]).is_err());
    assert!(Gauges::new(&[Some(65_534)]).is_err());
    assert!(Gauges::new(&[Some(1); 251]).is_err());
}

// spec: GEN-6
#[test]
fn claimed_marks_without_octets_cost_no_more_than_their_bound() {
    let input = hex!("00 00");
    assert_eq!(run(&input, series(250)), Err((ErrorKind::Truncated, 2)));
    assert_eq!(
        run(&hex!("00 0000"), gauges(250)),
        Err((ErrorKind::Truncated, 3))
    );
}

/// The bits of steps with a k, by the text of the specification.
fn bits(steps: &[u64], k: u32) -> u64 {
    steps
        .iter()
        .map(|step| match step {
            0 => 1,
            step => 1 + ((step - 1) >> k) + 1 + u64::from(k),
        })
        .sum()
}

proptest! {
    // spec: SER-3
    #[test]
    fn chosen_k_is_the_smallest_of_the_best(
        steps in prop::collection::vec(
            prop_oneof![Just(0), 0..5_u64, 0..300_u64, 0..=STEP_MAX], 0..30)
    ) {
        let best = (0..32).min_by_key(|k| (bits(&steps, *k), *k)).unwrap();
        prop_assert_eq!(smallest_k(steps.iter().copied()), best);
    }

    // spec: SER-3
    #[test]
    fn length_of_a_stream_is_convex_in_k(
        steps in prop::collection::vec(prop_oneof![0..5_u64, 0..300_u64, 0..=STEP_MAX], 0..30)
    ) {
        for k in 1..31 {
            let (below, here, above) = (bits(&steps, k - 1), bits(&steps, k), bits(&steps, k + 1));
            prop_assert!(below + above >= 2 * here);
        }
    }

    // spec: SER-3, GEN-3
    #[test]
    fn stream_with_any_other_k_is_refused(
        steps in prop::collection::vec(prop_oneof![Just(0), 0..9_u64, 0..500_u64], 1..12),
        k in 0_u32..32,
    ) {
        use crate::wire::bits::BitWriter;
        let mut out = vec![0, 0];
        let mut writer = Writer::new(&mut out, 2_000);
        let mut stream = BitWriter::new(&mut writer);
        stream.write(u64::from(k), 5).unwrap();
        for step in &steps {
            match step.checked_sub(1) {
                None => stream.ones(0).unwrap(),
                Some(value) => {
                    stream.ones((value >> k) + 1).unwrap();
                    stream.write(value, k).unwrap();
                }
            }
        }
        stream.finish().unwrap();
        let count = u8::try_from(steps.len() + 1).unwrap();
        let read = run(&out, series(count));
        if k == smallest_k(steps.iter().copied()) {
            prop_assert!(read.is_ok());
        } else {
            prop_assert_eq!(read, Err((ErrorKind::NonCanonical, 2)));
        }
    }
}
