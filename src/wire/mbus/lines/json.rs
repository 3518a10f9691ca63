//! Lines that are JSON objects.

use serde_json::{Map, Value};

use super::{Line, LineError, LineForm, signal_of, telegram_of, time};

const TELEGRAM: [&str; 3] = ["telegram", "data", "hex"];
const TIME: [&str; 3] = ["time", "timestamp", "received_at"];
const SIGNAL: [&str; 2] = ["rssi", "rssi_dbm"];

pub(super) fn read(line: &[u8]) -> Result<Line, LineError> {
    // A line is short, so that this is too.
    let object: Map<String, Value> = serde_json::from_slice(line).map_err(|_| LineError::Json)?;
    let telegram = field(&object, &TELEGRAM).and_then(Value::as_str);
    let telegram = telegram_of(telegram.ok_or(LineError::Form)?.as_bytes())?;
    let heard = field(&object, &TIME).map(|value| time_of(value).ok_or(LineError::Time));
    let signal = field(&object, &SIGNAL).map(|value| {
        let dbm = match value {
            Value::Number(number) => signal_of(&number.to_string()),
            Value::String(text) => signal_of(text),
            _ => None,
        };
        dbm.ok_or(LineError::Signal)
    });
    Ok(Line {
        form: LineForm::Json,
        telegram,
        heard_utc_ms: heard.transpose()?,
        rssi_dbm: signal.transpose()?,
    })
}

/// The first of some names that has a value.
fn field<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    let mut values = names.iter().filter_map(|name| object.get(*name));
    values.find(|value| !value.is_null())
}

fn time_of(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => time::unix_ms(&number.to_string()),
        Value::String(text) => time::rfc3339_utc_ms(text).or_else(|| time::unix_ms(text)),
        _ => None,
    }
}
