//! M-Bus telegrams, a line each, as JSON or octet by octet.

use std::io::{BufRead, Write};

use crate::keyring::mbus::MeterKeyring;

use super::lines::{Lines, Text};
use super::{Outcome, StreamError};

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
    let mut lines = Lines::new(input);
    let mut outcome = Outcome::AllDecoded;
    let mut text = String::new();
    while let Some((number, line)) = lines.next_text().map_err(StreamError::Read)? {
        text.clear();
        let telegram = match line {
            Text::Blank => continue,
            Text::TooLong => Err(line::LineError::TooLong),
            Text::Line(line) => Telegram::parse(line),
        };
        let ok = match (telegram, is_pretty) {
            (Ok(telegram), false) => decoder.decode(&telegram, &mut text),
            (Ok(telegram), true) => pretty::telegram(&mut decoder, number, &telegram, &mut text),
            (Err(error), false) => {
                json::write_line_error(&mut text, &error);
                false
            }
            (Err(error), true) => {
                pretty::bad_line(number, &error, &mut text);
                false
            }
        };
        text.push('\n');
        output
            .write_all(text.as_bytes())
            .map_err(StreamError::Write)?;
        if !ok {
            outcome = Outcome::SomeRefused;
        }
    }
    output.flush().map_err(StreamError::Write)?;
    Ok(outcome)
}
