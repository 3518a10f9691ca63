//! What a record says, as its outward form must say it: `protocol-spec/record-json.md`.

use serde_json::Value;

use super::ledger::RecordId;
use crate::codec::record::Record;
use crate::codec::report::Stamp;
use crate::json::{self, Names};

const DAY_S: i64 = 86_400;
const QUARTER_HOUR_S: i64 = 900;
/// The zone of a server whose terminals do not tell theirs, in quarter hours to the east.
const ASSUMED: i64 = 36;

/// Whose record it is.
pub(super) struct Origin {
    pub(super) utility: u64,
    pub(super) terminal: u64,
    pub(super) record: RecordId,
    /// Quarter hours that the terminal's days are ahead of UTC.
    pub(super) zone_quarter_hours: i8,
}

/// The first field of a line that is not what the record and its origin say; none if all are.
pub(super) fn difference(
    record: &Record,
    origin: &Origin,
    names: &Names,
    line: &Value,
) -> Option<&'static str> {
    let RecordId { epoch, sequence } = origin.record;
    let value = json::record(record, sequence, names);
    let hex = |number: u64| Value::from(format!("{number:016x}"));
    let said = [
        ("schema", Some(Value::from("kenshin.record/1"))),
        ("utility", Some(hex(origin.utility))),
        ("terminal", Some(hex(origin.terminal))),
        ("epoch", Some(Value::from(epoch))),
        ("sequence", Some(Value::from(sequence))),
        ("kind", value.get("type").cloned()),
        ("meter", meter_of(record, &value)),
        ("protocol", Some(Value::from("otl/1"))),
        ("value", Some(value)),
    ];
    let differs = said
        .iter()
        .find(|(name, said)| line.get(name) != said.as_ref());
    if let Some((name, _)) = differs {
        return Some(name);
    }
    if text(line, "received_at").and_then(instant).is_none() {
        return Some("received_at");
    }
    (!is_dated(record, origin, line)).then_some("measured_at")
}

/// The meter that a record is about; of an exchange, the new one.
fn meter_of(record: &Record, value: &Value) -> Option<Value> {
    let name = match record {
        Record::MeterExchange { .. } => "new_meter",
        _ => "meter",
    };
    value.get(name).cloned()
}

fn text<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line.get(name)?.as_str()
}

/// Whether `measured_at` is what the record's own stamp or day says.
fn is_dated(record: &Record, origin: &Origin, line: &Value) -> bool {
    let told = text(line, "measured_at");
    let measured = told.and_then(instant);
    if told.is_some() != measured.is_some() {
        return false;
    }
    let flags = line.get("flags").and_then(Value::as_array);
    let has = |name: &str| flags.is_some_and(|flags| flags.iter().any(|flag| flag == name));
    match record {
        Record::Everyday(record) => {
            let local_s = (i64::from(record.day) + 1) * DAY_S;
            let east = measured.map(|measured| (local_s - measured) / QUARTER_HOUR_S);
            let is_whole = measured.is_some_and(|at| (local_s - at) % QUARTER_HOUR_S == 0);
            let zone = if has("zone_assumed") {
                ASSUMED
            } else {
                i64::from(origin.zone_quarter_hours)
            };
            is_whole && east == Some(zone)
        }
        _ => match stamp_of(record) {
            Some(Stamp::Set { utc_s, .. }) => measured == Some(i64::from(utc_s)),
            Some(Stamp::Unset { .. }) => measured.is_some() == has("dated_by_server"),
            None => measured.is_none(),
        },
    }
}

fn stamp_of(record: &Record) -> Option<Stamp> {
    match record {
        Record::AlarmNotice(record) => Some(record.stamp),
        Record::ValveState(record) => Some(record.stamp),
        Record::MeterTable(record) => Some(record.stamp),
        Record::CommandResult(record) => Some(record.stamp),
        Record::ClockChange { after, .. } => Some(*after),
        Record::RegisterReading { stamp, .. }
        | Record::IntervalSeries { stamp, .. }
        | Record::IntervalGauges { stamp, .. }
        | Record::Health { stamp, .. }
        | Record::ResidualGas { stamp, .. }
        | Record::MeterExchange { stamp, .. }
        | Record::OpaquePayload { stamp, .. }
        | Record::TerminalInfo { stamp, .. } => Some(*stamp),
        Record::Everyday(_) | Record::Maker { .. } => None,
    }
}

/// Seconds since 1970 of `yyyy-mm-ddThh:mm:ssZ`; none for any other text.
pub(crate) fn instant(text: &str) -> Option<i64> {
    let octets: &[u8; 20] = text.as_bytes().try_into().ok()?;
    for (at, mark) in [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'Z'),
    ] {
        if octets.get(at) != Some(&mark) {
            return None;
        }
    }
    let number = |from: usize, to: usize| {
        let digits = octets.get(from..to)?;
        digits.iter().try_fold(0_i64, |number, digit| {
            let digit = char::from(*digit).to_digit(10)?;
            Some(number * 10 + i64::from(digit))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_in_range = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years that begin with March, so that the leap day is the last one.
    let years = if month > 2 { year } else { year - 1 };
    let months = (month + 9) % 12;
    let day_of_year = (153 * months + 2) / 5 + day - 1;
    let days = years * 365 + years / 4 - years / 100 + years / 400 + day_of_year - 719_468;
    Some(days * DAY_S + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_over_leap_days_and_nothing_else_is() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("2026-10-31T00:00:00Z", 1_793_404_800),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(instant(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "2026-10-31",
            "2026-10-31T00:00:00+",
            "2026-13-31T00:00:00Z",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
