//! Telegrams octet by octet, for people: the layers as they came, then the records in clear.

use std::fmt::Write as _;

use serde_json::Value;

use crate::wire::hex::Hex;
use crate::wire::mbus::annotate;

use super::decoder::Decoder;
use super::line::{LineError, Telegram};

/// Octets of a row.
const ROW: usize = 8;

/// A line that is no telegram.
pub(super) fn bad_line(number: u64, error: &LineError, out: &mut String) {
    put(
        out,
        format_args!("line {number}: refused: {}: {error}\n", error.kind()),
    );
}

/// A telegram. Says whether it is good.
pub(super) fn telegram(
    decoder: &mut Decoder<'_>,
    number: u64,
    telegram: &Telegram,
    out: &mut String,
) -> bool {
    let mut object = String::new();
    let ok = decoder.decode(telegram, &mut object);
    // It was written a moment ago, by this program.
    let object: Value = serde_json::from_str(&object).unwrap_or_default();
    let text = |at: &str| object.pointer(at).and_then(Value::as_str);
    let len = telegram.octets.len();
    let verdict = match text("/error/message") {
        Some(message) => format!("refused: {}: {message}", text("/error/kind").unwrap_or("")),
        None => match text("/security/verified") {
            Some("mac") => "verified".to_owned(),
            Some("check_bytes") => "decrypted, its check octets hold".to_owned(),
            _ => "in clear, nothing to verify".to_owned(),
        },
    };
    put(
        out,
        format_args!("line {number}: M-Bus, {len} octets: {verdict}\n"),
    );
    let view = annotate::layers(&telegram.octets);
    for note in &view.notes {
        let octets = view.octets.get(note.offset..).unwrap_or_default();
        let octets = octets.get(..note.len).unwrap_or(octets);
        rows(
            out,
            note.offset,
            octets,
            &format!("{}{}", note.name, told(&note.value)),
        );
    }
    for record in object
        .pointer("/records")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        put(out, format_args!("   = {}\n", Record(record)));
    }
    for opaque in object
        .pointer("/opaque")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        put(out, format_args!("   = opaque {opaque}\n"));
    }
    for name in ["application_error", "compact", "format", "faults"] {
        if let Some(value) = object.get(name).filter(|value| !value.is_string()) {
            put(out, format_args!("   ! {name} {value}\n"));
        }
    }
    ok
}

fn told(value: &str) -> String {
    if value.is_empty() {
        String::new()
    } else {
        format!(": {value}")
    }
}

/// One record in a line.
struct Record<'a>(&'a Value);

impl std::fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |name: &str| self.0.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| self.0.get(name).and_then(Value::as_u64).unwrap_or_default();
        let value = match self.0.get("value") {
            // As JSON, which escapes what would steer a terminal.
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        write!(
            f,
            "{} {value} {}",
            text("quantity"),
            text("unit").escape_default()
        )?;
        for (name, of) in [
            ("storage", "storage"),
            ("tariff", "tariff"),
            ("subunit", "subunit"),
        ] {
            if number(of) > 0 {
                write!(f, ", {name} {}", number(of))?;
            }
        }
        if text("function") != "instantaneous" {
            write!(f, ", {}", text("function"))?;
        }
        for name in ["at", "invalid", "sent", "error"] {
            if !text(name).is_empty() {
                write!(f, ", {name} {}", text(name))?;
            }
        }
        Ok(())
    }
}

/// Octets in rows; the text stands in the first.
fn rows(out: &mut String, at: usize, octets: &[u8], text: &str) {
    for (index, row) in octets.chunks(ROW).enumerate() {
        let at = at.saturating_add(index.saturating_mul(ROW));
        let hex = Hex(row).to_string();
        if index == 0 {
            put(out, format_args!("  {at:5}  {hex:16}  {text}\n"));
        } else {
            put(out, format_args!("  {at:5}  {hex}\n"));
        }
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    out.write_fmt(text).ok();
}
