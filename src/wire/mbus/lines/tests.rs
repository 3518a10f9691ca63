#![allow(clippy::string_slice, reason = "tests")]

use hex_literal::hex;
use proptest::prelude::*;

use super::*;

/// OMS Volume 2 Annex N, N.2.1: the first block of the gas meter, without its CRC.
const DIGITS: &str = "2E449315785634123303";
const OCTETS: [u8; 10] = hex!("2E449315785634123303");

fn read(line: &str) -> Result<Line, LineError> {
    read_line(line.as_bytes())
}

#[test]
fn every_form_of_a_line_gives_the_same_telegram() {
    for (line, form) in [
        (DIGITS.to_owned(), LineForm::Digits),
        (" 0x2e44 9315_7856\t34123303\r".to_owned(), LineForm::Digits),
        (
            format!("telegram=|2E44_{}|+7", &DIGITS[4..]),
            LineForm::Wmbusmeters,
        ),
        (format!("telegram=|{DIGITS}|"), LineForm::Wmbusmeters),
        (
            format!("T1;1;1;2026-11-28 08:00:00.000;97;148;12345678;0x{DIGITS}"),
            LineForm::RtlWmbus,
        ),
        (format!("{{\"hex\":\"{DIGITS}\"}}"), LineForm::Json),
    ] {
        let expected = Line {
            form,
            telegram: OCTETS.to_vec(),
            heard_utc_ms: None,
            rssi_dbm: None,
        };
        assert_eq!(read(&line), Ok(expected), "{line}");
    }
}

#[test]
fn time_and_signal_are_taken_where_they_mean_something() {
    let told = |line: &str| {
        let line = read(line).unwrap();
        (line.heard_utc_ms, line.rssi_dbm)
    };
    let at = Some(1_795_852_800_000);
    let rtl = |time: &str, signal: &str| format!("C1;1;1;{time};{signal};1;12345678;0x{DIGITS}");
    assert_eq!(
        told(&rtl("2026-11-28 08:00:00.000Z", "-87.5")),
        (at, Some(-87))
    );
    assert_eq!(told(&rtl("2026-11-28 08:00:00", "87")), (None, None));
    let json = |rest: &str| format!("{{\"data\":\"{DIGITS}\",\"mode\":\"T\"{rest}}}");
    assert_eq!(
        told(&json(",\"time\":\"2026-11-28T08:00:00Z\",\"rssi\":-87")),
        (at, Some(-87))
    );
    assert_eq!(
        told(&json(",\"timestamp\":1795852800,\"rssi_dbm\":\"-87.9\"")),
        (at, Some(-87))
    );
    assert_eq!(
        told(&json(",\"received_at\":1795852800.5,\"rssi\":null")),
        (Some(1_795_852_800_500), None)
    );
}

#[test]
fn what_is_wrong_with_a_line_is_told_by_name() {
    let long_line = "0".repeat(LINE_MAX + 1);
    let long_telegram = "00".repeat(TELEGRAM_MAX + 1);
    let rtl = |crc: &str, symbols: &str| format!("T1;{crc};{symbols};-;1;1;12345678;0x{DIGITS}");
    for (line, error) in [
        (long_line, LineError::TooLong),
        (long_telegram, LineError::TooLong),
        (String::new(), LineError::Digits),
        ("2E4".to_owned(), LineError::Digits),
        ("2 E44".to_owned(), LineError::Digits),
        ("GET / HTTP/1.1".to_owned(), LineError::Digits),
        ("telegram=|".to_owned(), LineError::Digits),
        (rtl("0", "1"), LineError::CrcNotOk),
        (rtl("1", "0"), LineError::CrcNotOk),
        (rtl("", "1"), LineError::Form),
        (format!("T1;1;1;0x{DIGITS}"), LineError::Form),
        ("{}".to_owned(), LineError::Form),
        ("{\"telegram\":7}".to_owned(), LineError::Form),
        ("{\"telegram\":\"7\"}".to_owned(), LineError::Digits),
        ("{\"telegram\":\"".to_owned(), LineError::Json),
        ("{\"telegram\":\"00\"} x".to_owned(), LineError::Json),
        (
            "{\"telegram\":\"00\",\"time\":\"now\"}".to_owned(),
            LineError::Time,
        ),
        (
            "{\"telegram\":\"00\",\"time\":[]}".to_owned(),
            LineError::Time,
        ),
        (
            "{\"telegram\":\"00\",\"rssi\":9999}".to_owned(),
            LineError::Signal,
        ),
        (
            "{\"telegram\":\"00\",\"rssi\":true}".to_owned(),
            LineError::Signal,
        ),
    ] {
        assert_eq!(read(&line), Err(error), "{line}");
    }
    assert_eq!(
        read(&"00".repeat(TELEGRAM_MAX)).unwrap().telegram.len(),
        TELEGRAM_MAX
    );
}

#[test]
fn a_line_that_was_cut_or_changed_anywhere_is_read_or_refused() {
    let lines = [
        format!("T1;1;1;2026-11-28 08:00:00Z;-97;148;12345678;0x{DIGITS}"),
        format!(
            "{{\"telegram\":\"{DIGITS}\",\"time\":\"2026-11-28T08:00:00+01:00\",\"rssi\":-7.5}}"
        ),
        format!("telegram=|{DIGITS}|+7"),
    ];
    for line in lines {
        for end in 0..=line.len() {
            let _read = read_line(&line.as_bytes()[..end]);
        }
        for place in 0..line.len() {
            for octet in 0..=u8::MAX {
                let mut changed = line.clone().into_bytes();
                changed[place] = octet;
                let _read = read_line(&changed);
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_octets_a_line_has_it_is_read_within_bounds_or_refused(
        line in proptest::collection::vec(any::<u8>(), 0..3_000),
    ) {
        if let Ok(line) = read_line(&line) {
            prop_assert!((1..=TELEGRAM_MAX).contains(&line.telegram.len()));
        }
    }
}

#[test]
fn text_is_told_from_octets() {
    assert!(is_text(b"TOKEN abc\r\n{\"hex\":\"00\"}\n"));
    assert!(!is_text(&OCTETS));
}
