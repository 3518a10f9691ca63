//! M-Bus telegrams, a line each, as JSON or octet by octet.

use std::io::{BufRead, Write};

use crate::keyring::mbus::MeterKeyring;

use super::lines::Text;
use super::{Outcome, StreamError, each_line};

mod decoder;
mod json;
mod keys;
mod line;
mod pretty;

use decoder::Decoder;
use line::Telegram;

/// Decodes all lines of `input` to `output`.
///
/// # Errors
///
/// [`StreamError`] if either stream fails; what was written so far is whole lines.
pub fn decode_lines(
    input: impl BufRead,
    output: &mut impl Write,
    ring: &MeterKeyring,
    is_pretty: bool,
) -> Result<Outcome, StreamError> {
    let mut decoder = Decoder::new(ring);
    each_line(input, output, |number, line, text| {
        let telegram = match line {
            Text::Blank => return None,
            Text::TooLong => Err(line::LineError::TooLong),
            Text::Line(line) => Telegram::parse(line),
        };
        Some(match (telegram, is_pretty) {
            (Ok(telegram), false) => decoder.decode(&telegram, text),
            (Ok(telegram), true) => pretty::telegram(&mut decoder, number, &telegram, text),
            (Err(error), false) => {
                json::write_line_error(text, &error);
                false
            }
            (Err(error), true) => {
                pretty::bad_line(number, &error, text);
                false
            }
        })
    })
}
