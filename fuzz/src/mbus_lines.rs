//! Lines of gateways: what is read of any line, and any octets in each form of a line.

use kenshin::wire::hex::Hex;
use kenshin::wire::mbus::lines::{LINE_MAX, Line, LineError, LineForm, TELEGRAM_MAX, read_line};

/// The first second of 2107: no gateway heard anything later.
const END_UTC_MS: u64 = 4_323_369_600_000;

/// Runs the target.
pub fn run(data: &[u8]) {
    match read_line(data) {
        Ok(line) => check(data, &line),
        Err(error) => assert!(data.len() <= LINE_MAX || error == LineError::TooLong),
    }
    if (1..=TELEGRAM_MAX).contains(&data.len()) {
        check_forms(data);
    }
}

fn check(data: &[u8], line: &Line) {
    assert!((1..=TELEGRAM_MAX).contains(&line.telegram.len()));
    assert!(line.telegram.len() * 2 <= data.len(), "two digits an octet");
    assert!(line.heard_utc_ms.is_none_or(|at| at < END_UTC_MS));
    let in_dbm = |dbm: i16| (-200..=200).contains(&dbm);
    assert!(line.rssi_dbm.is_none_or(in_dbm));
    // What stands around a line is no part of it.
    let around = [b" \t", data, b"\t\r"].concat();
    if around.len() <= LINE_MAX {
        assert_eq!(read_line(&around).as_ref(), Ok(line));
    }
}

/// Octets are the same in whatever form a gateway writes them.
fn check_forms(telegram: &[u8]) {
    let digits = Hex(telegram).to_string();
    let forms = [
        (LineForm::Digits, digits.clone()),
        (LineForm::Digits, format!("0x{}", digits.to_uppercase())),
        (
            LineForm::RtlWmbus,
            format!("T1;1;1;2026-11-28 08:00:00.000;97;148;12345678;0x{digits}"),
        ),
        (LineForm::Wmbusmeters, format!("telegram=|{digits}|+7")),
        (
            LineForm::Json,
            format!("{{\"telegram\":\"{digits}\",\"rssi\":-87}}"),
        ),
    ];
    for (form, text) in forms {
        let line = read_line(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((line.form, line.telegram.as_slice()), (form, telegram));
    }
    let cut = digits.split_at(digits.len() - 1).0;
    assert_eq!(read_line(cut.as_bytes()), Err(LineError::Digits));
}
