//! A line: a telegram, as digits or as a gateway hands it on, and its key if it has one.

use core::ops::RangeInclusive;

use zeroize::Zeroizing;

use crate::crypto::key::Key128;
use crate::wire::mbus::lines::{self as gateways, LineForm};

use super::super::lines::{self, LINE_MAX, from_hex};

/// Digits of a key.
const KEY_DIGITS: usize = 32;
/// What a word behind others may have to be taken for a key with digits too few or too many.
const KEY_SLIP_DIGITS: RangeInclusive<usize> = 24..=40;

/// A telegram of a line.
#[derive(Debug)]
pub(super) struct Telegram {
    /// Its octets.
    pub(super) octets: Vec<u8>,
    /// The key that stands behind it.
    pub(super) key: Option<Key128>,
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum LineError {
    /// It is too long.
    #[error("the line is longer than {LINE_MAX} octets, and a telegram than any meter sends")]
    TooLong,
    /// The telegram is no hexadecimal text.
    #[error(transparent)]
    Telegram(lines::LineError),
    /// It is no line of a gateway, though it begins as one.
    #[error(transparent)]
    Gateway(gateways::LineError),
    /// What stands behind the telegram is no key. Nothing of it is repeated: it may be one with a
    /// slip of the pen.
    #[error("behind the telegram a key of {KEY_DIGITS} hexadecimal digits is wanted")]
    Key {
        /// Where it begins, in characters of the line.
        offset: usize,
    },
}

impl LineError {
    /// The kind of the JSON form.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::TooLong => "oversize",
            Self::Telegram(error) => error.kind(),
            Self::Gateway(error) => error.id(),
            Self::Key { .. } => "bad_key",
        }
    }

    /// The first character that is wrong, where that is told.
    pub(super) const fn offset(&self) -> Option<usize> {
        match self {
            Self::TooLong => Some(LINE_MAX),
            Self::Telegram(error) => Some(error.offset()),
            Self::Gateway(_) => None,
            Self::Key { offset } => Some(*offset),
        }
    }
}

impl Telegram {
    /// Reads a line. The last word is a key if it has 32 digits and stands behind others; spaces
    /// within a telegram are passed over, unless it is one word and another follows.
    pub(super) fn parse(line: &[u8]) -> Result<Self, LineError> {
        let last_at = line.iter().rposition(u8::is_ascii_whitespace);
        let (before, last) = match last_at {
            Some(at) => {
                let (before, last) = line.split_at_checked(at).unwrap_or((line, &[]));
                (before.trim_ascii_end(), last.trim_ascii_start())
            }
            None => (line, &[][..]),
        };
        let is_key = last.len() == KEY_DIGITS && last.iter().all(u8::is_ascii_hexdigit);
        if is_key {
            let key = from_hex(last)
                .map(Zeroizing::new)
                .map_err(LineError::Telegram)?;
            let mut octets = Zeroizing::new([0; 16]);
            octets.copy_from_slice(key.get(..16).unwrap_or(&[0; 16]));
            return Ok(Self {
                octets: octets_of(before)?,
                key: Some(Key128::take(&mut octets)),
            });
        }
        if is_slip_of_a_key(before, last) {
            return Err(LineError::Key {
                offset: line.len().saturating_sub(last.len()),
            });
        }
        let octets = octets_of(line)?;
        Ok(Self { octets, key: None })
    }
}

/// The octets of a telegram in whatever form.
fn octets_of(text: &[u8]) -> Result<Vec<u8>, LineError> {
    if LineForm::of(text) == LineForm::Digits {
        return from_hex(text).map_err(LineError::Telegram);
    }
    let line = gateways::read_line(text).map_err(LineError::Gateway)?;
    Ok(line.telegram)
}

/// Whether the last word is no part of the telegram before it, but a key with a slip of the pen.
fn is_slip_of_a_key(before: &[u8], last: &[u8]) -> bool {
    let mut of_bars = before.split(|octet| *octet == b'|');
    let (_, unended, ended) = (of_bars.next(), of_bars.next(), of_bars.next());
    let before = match (LineForm::of(before), unended, ended) {
        (LineForm::Digits, ..) => before.trim_ascii_start(),
        // A telegram of wmbusmeters that ends in the last word.
        (LineForm::Wmbusmeters, _, None) if last.contains(&b'|') => return false,
        // Without its second bar it is digits from its first one on.
        (LineForm::Wmbusmeters, Some(digits), None) => digits.trim_ascii_start(),
        _ => {
            // A gateway's line has no such word behind its last field.
            let digits = last.strip_prefix(b"0x").unwrap_or(last);
            return digits.len() > 2 && digits.iter().all(u8::is_ascii_hexdigit);
        }
    };
    if before.is_empty() {
        return false;
    }
    let is_about_as_long = KEY_SLIP_DIGITS.contains(&last.len());
    // Words of two digits are octets; one long word and another one are telegram and key. So is a
    // word about as long as a key behind shorter ones.
    let is_one_word = !before.iter().any(u8::is_ascii_whitespace);
    let mut words = before.split(u8::is_ascii_whitespace);
    let is_longest = words.all(|word| word.len() < last.len());
    (is_longest && is_about_as_long) || (is_one_word && before.len() > KEY_DIGITS && last.len() > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_telegram_and_perhaps_its_key() {
        let plain = Telegram::parse(b"0x68 03 03 68").unwrap();
        assert_eq!((plain.octets, plain.key), (vec![0x68, 3, 3, 0x68], None));
        let keyed = Telegram::parse(b"6803\t000102030405060708090a0b0c0D0E0F").unwrap();
        assert_eq!(keyed.octets, [0x68, 3]);
        let key: [u8; 16] = core::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(keyed.key, Some(Key128::from(key)));
        let long = "00".repeat(20);
        let wrong = Telegram::parse(format!("{long} 0001020304").as_bytes()).unwrap_err();
        assert_eq!(wrong, LineError::Key { offset: 41 });
        assert!(!wrong.to_string().contains("0001"));
        // A key with a slip of the pen is no part of a telegram, whatever stands before it.
        for before in ["68 03 03 68", "1844AE4C4455"] {
            let line = format!("{before} 0102030405060708090A0B0C0D0E");
            let wrong = Telegram::parse(line.as_bytes()).unwrap_err();
            assert!(matches!(wrong, LineError::Key { .. }), "{line}");
        }
        let halves = Telegram::parse(b"1844AE4C4455223368077A55000000 041389E20100023B0000");
        assert_eq!(halves.unwrap().octets.len(), 25);
        assert_eq!(Telegram::parse(b"0y").unwrap_err().kind(), "bad_hex");
    }

    #[test]
    fn a_telegram_may_stand_as_gateways_hand_it_on_with_its_key_behind() {
        let key = "000102030405060708090a0b0c0d0e0f";
        for line in [
            "{\"telegram\": \"680303\", \"time\": \"2026-11-28T08:00:00Z\", \"rssi\": -87}",
            "T1;1;1;2026-11-28 08:00:00.000;97;148;12345678;0x680303",
            "telegram=|680303|+7",
        ] {
            let plain = Telegram::parse(line.as_bytes()).unwrap();
            assert_eq!(
                (plain.octets, plain.key),
                (vec![0x68, 3, 3], None),
                "{line}"
            );
            let keyed = Telegram::parse(format!("{line} {key}").as_bytes()).unwrap();
            assert_eq!(keyed.octets, [0x68, 3, 3], "{line}");
            assert!(keyed.key.is_some(), "{line}");
            let prefixed = format!("0x{key}");
            for wrong in ["02030405060708090a0b0c0d0e0f11", "0708090a", &prefixed] {
                let slip = Telegram::parse(format!("{line} {wrong}").as_bytes()).unwrap_err();
                assert!(matches!(slip, LineError::Key { .. }), "{line} {wrong}");
            }
        }
        let unended = "telegram=|16449315785634123303780C13 12345600046D120A3C2F";
        for line in [
            unended.to_owned(),
            format!(" {unended}"),
            unended.replace('|', "| "),
            format!("{unended}|+7"),
            format!("{unended} |+7"),
            format!("{} |+7", unended.replace(' ', "")),
            unended.replace(' ', "").replace('|', "| "),
            format!("  {}", unended.replace(' ', "").replace("telegram=|", "")),
        ] {
            let plain = Telegram::parse(line.as_bytes()).unwrap();
            assert_eq!((plain.octets.len(), plain.key), (23, None), "{line}");
        }
        let whole = unended.replace(' ', "");
        for slip in [
            "0102030405060708090a0b0c0d0e0f",
            "0102030405060708090a0b0c0d0e0f1011",
        ] {
            let refused = Telegram::parse(format!("{whole} {slip}").as_bytes()).unwrap_err();
            assert!(matches!(refused, LineError::Key { .. }), "{slip}");
        }
        let damaged = b"T1;0;1;2026-11-28 08:00:00.000;97;148;12345678;0x680303";
        let refused = Telegram::parse(damaged).unwrap_err();
        assert_eq!((refused.kind(), refused.offset()), ("crc_not_ok", None));
        let refused = Telegram::parse(b"{\"telegram\":").unwrap_err();
        assert_eq!(refused.kind(), "line_json");
    }
}
