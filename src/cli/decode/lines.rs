//! Lines of hexadecimal text, read with bounded memory.

use std::io::{self, BufRead};

use serde_json::Value;

use crate::wire::otl::json;
use crate::wire::otl::limits::FRAME_MAX;

/// The longest line that is looked at, in octets; of a longer one the rest is read and dropped.
pub const LINE_MAX: usize = 65_536;

/// What some editors put before the first line; it says nothing in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What stands in a line.
#[derive(Debug, Eq, PartialEq)]
pub enum Line {
    /// Nothing, or a remark.
    Blank,
    /// The octets of a frame, at most half of [`LINE_MAX`].
    Frame(Vec<u8>),
    /// No frame.
    Bad(LineError),
}

/// A line before anything is made of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Text<'a> {
    /// Nothing, or a remark.
    Blank,
    /// More than [`LINE_MAX`] octets.
    TooLong,
    /// A line without the white space at its end.
    Line(&'a [u8]),
}

impl From<Text<'_>> for Line {
    fn from(text: Text<'_>) -> Self {
        match text {
            Text::Blank => Self::Blank,
            Text::TooLong => Self::Bad(LineError::TooLong),
            Text::Line(text) => match from_hex(text) {
                Ok(frame) => Self::Frame(frame),
                Err(error) => Self::Bad(error),
            },
        }
    }
}

/// Why a line is no frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineError {
    /// A character is no hexadecimal digit.
    #[error("a hexadecimal digit is wanted at character {offset}, not {character:?}")]
    NotADigit {
        /// Which character of the line, from 0. All before it are ASCII.
        offset: usize,
        /// The character; U+FFFD if it is not UTF-8.
        character: char,
    },
    /// The second digit of the last octet is missing.
    #[error("the number of hexadecimal digits is odd")]
    OddDigits {
        /// Where the digit is missing: the end of the line.
        offset: usize,
    },
    /// The line is longer than [`LINE_MAX`].
    #[error("the line is longer than {LINE_MAX} octets, and a frame than {FRAME_MAX}")]
    TooLong,
}

impl LineError {
    /// The error kind in the JSON form.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotADigit { .. } | Self::OddDigits { .. } => "bad_hex",
            Self::TooLong => "oversize",
        }
    }

    /// The first character that is wrong, or where one is missing.
    #[must_use]
    pub const fn offset(&self) -> usize {
        match self {
            Self::NotADigit { offset, .. } | Self::OddDigits { offset } => *offset,
            Self::TooLong => FRAME_MAX,
        }
    }

    /// The JSON form.
    #[must_use]
    pub fn json(&self) -> Value {
        json::refused(self.kind(), self.offset(), &self.to_string(), None)
    }
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of a stream.
    pub const fn new(input: R) -> Self {
        Self {
            input,
            number: 0,
            line: Vec::new(),
        }
    }

    /// The next line as it stands, and its number, from 1; none at the end of the stream.
    ///
    /// # Errors
    ///
    /// What the stream gives.
    pub fn next_text(&mut self) -> io::Result<Option<(u64, Text<'_>)>> {
        let Some(is_whole) = self.read_line()? else {
            return Ok(None);
        };
        self.number = self.number.saturating_add(1);
        if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        let text = self.line.trim_ascii_start();
        let text = if text.starts_with(b"#") {
            Text::Blank
        } else if !is_whole {
            Text::TooLong
        } else if text.is_empty() {
            Text::Blank
        } else {
            Text::Line(self.line.trim_ascii_end())
        };
        Ok(Some((self.number, text)))
    }

    /// Reads up to the next end of a line. Says whether all of it was kept; none if there is none.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut is_whole, mut has_begun) = (true, false);
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                return Ok(has_begun.then_some(is_whole));
            }
            has_begun = true;
            let end = chunk.iter().position(|octet| *octet == b'\n');
            let part = end.and_then(|end| chunk.get(..end)).unwrap_or(chunk);
            let room = LINE_MAX.saturating_sub(self.line.len());
            let kept = part.get(..room).unwrap_or(part);
            is_whole &= kept.len() == part.len();
            self.line.extend_from_slice(kept);
            let used = part.len().saturating_add(usize::from(end.is_some()));
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(is_whole));
            }
        }
    }
}

/// Reads hexadecimal digits, with whitespace anywhere, `0x` before them, and `:` or `-` after an
/// octet.
pub(super) fn from_hex(line: &[u8]) -> Result<Vec<u8>, LineError> {
    let mut octets = Vec::with_capacity(line.len() / 2);
    let mut high = None;
    let digits_at = digits_at(line);
    for (offset, character) in line.iter().enumerate().skip(digits_at) {
        let is_between = high.is_none() && !octets.is_empty() && matches!(character, b':' | b'-');
        if character.is_ascii_whitespace() || is_between {
            continue;
        }
        let digit = digit(*character).ok_or_else(|| LineError::NotADigit {
            offset,
            character: first_character(line.get(offset..).unwrap_or_default()),
        })?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => octets.push(high << 4 | digit),
        }
    }
    match high {
        None => Ok(octets),
        Some(_) => Err(LineError::OddDigits { offset: line.len() }),
    }
}

/// Where the digits begin: after `0x`, if that stands first.
fn digits_at(line: &[u8]) -> usize {
    match line.trim_ascii_start() {
        [b'0', b'x' | b'X', rest @ ..] => line.len().saturating_sub(rest.len()),
        _ => 0,
    }
}

fn first_character(text: &[u8]) -> char {
    // No character is longer than four octets.
    let start = text.get(..4).unwrap_or(text);
    let first = String::from_utf8_lossy(start).chars().next();
    first.unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next<R: BufRead>(lines: &mut Lines<R>) -> Option<(u64, Line)> {
        let next = lines.next_text().unwrap();
        next.map(|(number, text)| (number, text.into()))
    }

    fn all(text: &[u8]) -> Vec<(u64, Line)> {
        // A small buffer, so that lines come in pieces.
        let mut lines = Lines::new(io::BufReader::with_capacity(3, text));
        let mut found = Vec::new();
        while let Some(line) = next(&mut lines) {
            found.push(line);
        }
        found
    }

    fn not_a_digit(offset: usize, character: char) -> Line {
        Line::Bad(LineError::NotADigit { offset, character })
    }

    #[test]
    fn digits_may_stand_as_other_programs_print_them() {
        let text = "\u{FEFF}0x0102\n 0X 01:02-03\n01: 02 - 03\n# 0xzz\n";
        let three = || Line::Frame(vec![1, 2, 3]);
        assert_eq!(
            all(text.as_bytes()),
            [
                (1, Line::Frame(vec![1, 2])),
                (2, three()),
                (3, three()),
                (4, Line::Blank),
            ]
        );
        let wrong = "0:1\n:01\n010x02\n0x0xff\n01,02\n01\u{3000}02\n\u{FEFF}01\n01\u{1B}\n";
        assert_eq!(
            all(wrong.as_bytes()),
            [
                (1, not_a_digit(1, ':')),
                (2, not_a_digit(0, ':')),
                (3, not_a_digit(3, 'x')),
                (4, not_a_digit(3, 'x')),
                (5, not_a_digit(2, ',')),
                (6, not_a_digit(2, '\u{3000}')),
                (7, not_a_digit(0, '\u{FEFF}')),
                (8, not_a_digit(2, '\u{1B}')),
            ]
        );
        let error = LineError::NotADigit {
            offset: 2,
            character: '\u{1B}',
        };
        assert!(error.to_string().ends_with("character 2, not '\\u{1b}'"));
    }

    #[test]
    fn lines_are_frames_blanks_remarks_or_errors() {
        let text = b"0aFF\r\n\n  # zz\n 0 1\t02 \n0y\n012\n\xff\nab";
        assert_eq!(
            all(text),
            [
                (1, Line::Frame(vec![0x0A, 0xFF])),
                (2, Line::Blank),
                (3, Line::Blank),
                (4, Line::Frame(vec![1, 2])),
                (5, not_a_digit(1, 'y')),
                (6, Line::Bad(LineError::OddDigits { offset: 3 })),
                (7, not_a_digit(0, '\u{FFFD}')),
                (8, Line::Frame(vec![0xAB])),
            ]
        );
        assert_eq!(all(b""), []);
    }

    #[test]
    fn a_long_line_is_dropped_and_the_next_is_read() {
        let mut text = vec![b'0'; LINE_MAX];
        text.extend_from_slice(b"\n");
        text.extend(vec![b'0'; LINE_MAX + 1]);
        text.extend_from_slice(b"\n01\n");
        let mut lines = Lines::new(text.as_slice());
        let longest = next(&mut lines).unwrap().1;
        assert_eq!(longest, Line::Frame(vec![0; LINE_MAX / 2]));
        let too_long = next(&mut lines).unwrap().1;
        assert_eq!(too_long, Line::Bad(LineError::TooLong));
        assert!(lines.line.capacity() <= 2 * LINE_MAX);
        assert_eq!(next(&mut lines), Some((3, Line::Frame(vec![1]))));
    }
}
