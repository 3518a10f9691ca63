//! The lines in which gateways hand telegrams on.
//!
//! | Form | Example |
//! |---|---|
//! | digits | `2E4493157856341233037A2A00…`, with spaces or `_` between octets, `0x` before them |
//! | rtl_wmbus | `T1;1;1;2026-11-28 08:00:00.000;97;148;12345678;0x2E44…` |
//! | wmbusmeters | `telegram=\|2E44…\|+7` |
//! | JSON | `{"telegram":"2E44…","time":"2026-11-28T08:00:00Z","rssi":-87}` |
//!
//! The telegram of a JSON line is named `telegram`, `data` or `hex`; its time `time`, `timestamp`
//! or `received_at`: seconds since 1970 (milliseconds from 10¹¹ on), or RFC 3339 with its offset;
//! its signal `rssi` or `rssi_dbm`, in dBm. Other names are not looked at.
//!
//! rtl_wmbus tells its time without a zone and its signal without a unit: the time counts only with
//! a `Z` behind it, the signal only below 0. The offset of wmbusmeters is relative to nothing that
//! is known here, and is not looked at.

mod json;
mod time;

use core::fmt;

/// Octets of a line at most, without its end.
pub const LINE_MAX: usize = 2_048;
/// Octets of a telegram at most: a wireless one of format A has 290, a wired one 261.
pub const TELEGRAM_MAX: usize = 512;

/// The form of a line.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LineForm {
    /// Digits alone.
    Digits,
    /// Of rtl_wmbus.
    RtlWmbus,
    /// Of wmbusmeters.
    Wmbusmeters,
    /// A JSON object.
    Json,
}

/// What a line says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Its form.
    pub form: LineForm,
    /// The telegram, 1 to [`TELEGRAM_MAX`] octets.
    pub telegram: Vec<u8>,
    /// When the gateway heard it, UTC milliseconds, 1970 to 2106.
    pub heard_utc_ms: Option<u64>,
    /// The signal at the gateway, dBm.
    pub rssi_dbm: Option<i16>,
}

/// Why a line was not read. It repeats nothing of the line.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LineError {
    /// It is longer than [`LINE_MAX`], or its telegram than [`TELEGRAM_MAX`].
    TooLong,
    /// It is of no form, or names no telegram.
    Form,
    /// The telegram is no hexadecimal number of whole octets.
    Digits,
    /// The gateway says that the telegram's checks do not hold.
    CrcNotOk,
    /// It is no JSON object.
    Json,
    /// The time is none.
    Time,
    /// The signal is none.
    Signal,
}

impl LineError {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TooLong,
        Self::Form,
        Self::Digits,
        Self::CrcNotOk,
        Self::Json,
        Self::Time,
        Self::Signal,
    ];

    /// The name, for answers, logs and metrics.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::TooLong => "line_too_long",
            Self::Form => "line_form",
            Self::Digits => "line_digits",
            Self::CrcNotOk => "crc_not_ok",
            Self::Json => "line_json",
            Self::Time => "line_time",
            Self::Signal => "line_signal",
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                f,
                "a line has at most {LINE_MAX} octets and a telegram {TELEGRAM_MAX}"
            ),
            Self::Form => f.write_str("the line is of no form that is read here"),
            Self::Digits => {
                f.write_str("the telegram is not written as two hexadecimal digits an octet")
            }
            Self::CrcNotOk => f.write_str("the gateway says that the telegram's CRC does not hold"),
            Self::Json => f.write_str("the line is no JSON object"),
            Self::Time => f.write_str(
                "the time is neither seconds since 1970 nor RFC 3339 with its offset, up to 2106",
            ),
            Self::Signal => f.write_str("the signal is no number of dBm"),
        }
    }
}

impl core::error::Error for LineError {}

/// What a line of wmbusmeters has before its digits.
const WMBUSMETERS: &[u8] = b"telegram=|";

impl LineForm {
    /// The form that a line is to be read in; it may be wrong in that.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        let line = line.trim_ascii_start();
        if line.starts_with(b"{") {
            Self::Json
        } else if line.starts_with(WMBUSMETERS) {
            Self::Wmbusmeters
        } else if line.contains(&b';') {
            Self::RtlWmbus
        } else {
            Self::Digits
        }
    }
}

/// Reads a line, without its end.
///
/// # Errors
///
/// [`LineError`].
pub fn read_line(line: &[u8]) -> Result<Line, LineError> {
    if line.len() > LINE_MAX {
        return Err(LineError::TooLong);
    }
    let line = line.trim_ascii();
    let form = LineForm::of(line);
    match form {
        LineForm::Json => json::read(line),
        LineForm::Wmbusmeters => {
            let digits = line.strip_prefix(WMBUSMETERS).unwrap_or_default();
            let digits = digits.split(|octet| *octet == b'|').next();
            plain(form, digits.unwrap_or_default())
        }
        LineForm::RtlWmbus => rtl_wmbus(line),
        LineForm::Digits => plain(form, line),
    }
}

/// Whether octets are text as gateways send it: printable ASCII, white space, ends of lines.
#[must_use]
pub fn is_text(octets: &[u8]) -> bool {
    let is_printable = |octet: &u8| matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    octets.iter().all(is_printable)
}

fn plain(form: LineForm, digits: &[u8]) -> Result<Line, LineError> {
    Ok(Line {
        form,
        telegram: telegram_of(digits)?,
        heard_utc_ms: None,
        rssi_dbm: None,
    })
}

fn rtl_wmbus(line: &[u8]) -> Result<Line, LineError> {
    let mut fields = line.split(|octet| *octet == b';').map(<[u8]>::trim_ascii);
    let mut field = || fields.next().ok_or(LineError::Form);
    let (mode, crc_ok, symbols_ok) = (field()?, field()?, field()?);
    let (time, signal, _signal_now) = (field()?, field()?, field()?);
    let (_ident, telegram) = (field()?, field()?);
    if !matches!(mode, [b'A'..=b'Z', b'0'..=b'9']) || fields.next().is_some() {
        return Err(LineError::Form);
    }
    match (crc_ok, symbols_ok) {
        (b"1", b"1") => {}
        (b"0" | b"1", b"0" | b"1") => return Err(LineError::CrcNotOk),
        _ => return Err(LineError::Form),
    }
    let telegram = telegram.strip_prefix(b"0x").ok_or(LineError::Form)?;
    let signal = core::str::from_utf8(signal).ok();
    let signal = signal.and_then(signal_of).filter(|dbm| *dbm < 0);
    let time = core::str::from_utf8(time).ok();
    Ok(Line {
        form: LineForm::RtlWmbus,
        telegram: telegram_of(telegram)?,
        heard_utc_ms: time.and_then(time::rfc3339_utc_ms),
        rssi_dbm: signal,
    })
}

/// The octets of hexadecimal digits. Spaces, tabs and underscores may stand between octets.
fn telegram_of(digits: &[u8]) -> Result<Vec<u8>, LineError> {
    let digits = digits.trim_ascii();
    let prefixed = digits
        .strip_prefix(b"0x")
        .or_else(|| digits.strip_prefix(b"0X"));
    let digits = prefixed.unwrap_or(digits);
    let mut octets = Vec::with_capacity((digits.len() / 2).min(TELEGRAM_MAX));
    let mut high = None;
    for octet in digits {
        let digit = match (octet, high) {
            (b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', _) => char::from(*octet).to_digit(16),
            (b' ' | b'\t' | b'_', None) => continue,
            _ => None,
        };
        let digit = digit.and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or(LineError::Digits)?;
        match high.take() {
            None => high = Some(digit),
            Some(_) if octets.len() >= TELEGRAM_MAX => return Err(LineError::TooLong),
            Some(high) => octets.push(high << 4 | digit),
        }
    }
    if high.is_some() || octets.is_empty() {
        return Err(LineError::Digits);
    }
    Ok(octets)
}

/// A signal in dBm, its fraction cut off.
fn signal_of(text: &str) -> Option<i16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|octet| octet.is_ascii_digit());
    let whole = whole.parse::<i16>().ok();
    whole.filter(|dbm| is_fraction && (-200..=200).contains(dbm))
}

#[cfg(test)]
mod tests;
