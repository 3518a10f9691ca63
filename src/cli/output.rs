//! What commands write on standard output and standard error, and instants as people write them.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::telemetry::chain;

/// The exit code of what cannot be done at all.
pub const FAILED: u8 = 2;
/// The zone of a day that is given without one, as people here mean it.
const DAY_BEGINS: &str = "T00:00:00+09:00";

/// Why standard output does not take anything.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct ShowError(#[source] io::Error);

/// Writes to standard output, and gives the exit code if that can be done.
#[must_use]
pub fn show(text: &str, code: ExitCode) -> ExitCode {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    match written.and_then(|()| output.flush()) {
        Ok(()) => code,
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(error) => fail(&ShowError(error)),
    }
}

/// Says on standard error what went wrong, with its causes, and gives the exit code for it.
pub fn fail(error: &dyn Error) -> ExitCode {
    // A failure to say why has no place to be said.
    writeln!(io::stderr(), "kenshin: {}", chain(error)).ok();
    ExitCode::from(FAILED)
}

/// Lines with aligned columns, the first of them the names.
#[must_use]
pub fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|cell| cell.chars().count());
        let name = names.get(column).map_or(0, |name| name.len());
        cells.max().unwrap_or(0).max(name)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&mut names.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// Lines of a name and a value each, aligned.
#[must_use]
pub fn fields(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name:width$}  {value}\n");
    pairs.iter().map(line).collect()
}

/// A value that may not be there.
#[must_use]
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// An instant as people read it, in UTC.
#[must_use]
pub fn instant(utc_s: Option<u32>) -> String {
    let instant = utc_s.map(|utc_s| jiff::Timestamp::from_second(i64::from(utc_s)));
    or_dash(instant.and_then(Result::ok))
}

/// UTC seconds of a day, which begins at midnight of UTC+9, or of an instant.
///
/// # Errors
///
/// What is wrong with the text.
pub fn parse_instant(text: &str) -> Result<u32, String> {
    let parsed = text.parse::<jiff::Timestamp>();
    let parsed = parsed.or_else(|_| format!("{text}{DAY_BEGINS}").parse());
    let instant = parsed
        .map_err(|_| "not a day or an instant, as 2026-10-31 or 2026-10-31T06:00:00Z".to_owned())?;
    u32::try_from(instant.as_second()).map_err(|_| "before 1970 or after 2106".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_japan_and_an_instant_is_one() {
        assert_eq!(parse_instant("1970-01-02"), Ok(86_400 - 32_400));
        assert_eq!(parse_instant("1970-01-02T00:00:00Z"), Ok(86_400));
        for wrong in ["", "yesterday", "2026-13-01", "1969-01-01"] {
            assert!(parse_instant(wrong).is_err(), "{wrong}");
        }
    }
}
