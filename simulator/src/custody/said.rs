//! What a record says, as its outward form must say it: `protocol-spec/record-json.md` and
//! `decode-json.md`. Names of registries are left out; the octets have their codes.

use serde_json::{Value, json};

use crate::codec::record::{AlarmNotice, Everyday, Health, MeterRef, Record, Register, Unit};
use crate::codec::report::{Stamp, uncertainty_seconds};
use crate::codec::series::Series;

const DAY_S: i64 = 86_400;
const QUARTER_HOUR_S: i64 = 900;
/// Quarter hours to the east, at least and at most.
const ZONES: std::ops::RangeInclusive<i64> = -48..=56;
/// The zone of a server whose terminals do not tell theirs.
const ASSUMED: i64 = 36;

/// The first part of a line's value or times that is not what the record says; none if all is.
pub(super) fn difference(record: &Record, line: &Value) -> Option<&'static str> {
    let value = line.get("value").unwrap_or(&Value::Null);
    if !holds(value, &expected(record)) {
        return Some("value");
    }
    if text(line, "received_at").and_then(instant).is_none() {
        return Some("received_at");
    }
    (!is_dated(record, line)).then_some("measured_at")
}

/// Whether all that is expected is there; of objects, more may be.
fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|found| holds(found, value))),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| holds(f, e))
        }
        _ => found == expected,
    }
}

fn text<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line.get(name)?.as_str()
}

/// Whether `measured_at` is what the record's own stamp or day says.
fn is_dated(record: &Record, line: &Value) -> bool {
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
            let is_zone = |east| ZONES.contains(&east) && (east == ASSUMED || !has("zone_assumed"));
            is_whole && east.is_some_and(is_zone)
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
fn instant(text: &str) -> Option<i64> {
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

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn stamp(of: &Stamp) -> Value {
    match of {
        Stamp::Set { utc_s, uncertainty } => match uncertainty_seconds(*uncertainty) {
            Some(seconds) => json!({"utc_s": utc_s, "uncertainty_s": seconds}),
            None => json!({"utc_s": utc_s}),
        },
        Stamp::Unset { uptime_s, boot } => json!({"uptime_s": uptime_s, "boot": boot}),
    }
}

fn meter(of: MeterRef) -> Value {
    json!({"slot": of.slot, "generation": of.generation})
}

fn unit(of: Unit) -> Value {
    json!({"code": of.0})
}

fn register(of: &Register) -> Value {
    json!({"unit": unit(of.unit), "value": of.value})
}

fn series(of: &Series) -> Value {
    let segments = of
        .segments()
        .iter()
        .map(|segment| json!({"first_mark": segment.first, "registers": segment.registers}));
    segments.collect()
}

fn put(value: &mut Value, key: &str, of: Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.insert(key.to_owned(), of);
    }
}

fn health(of: &Health) -> Value {
    let mut value = json!({"sends": of.sends});
    if of.battery != 255 {
        put(
            &mut value,
            "battery_mv",
            (u32::from(of.battery) * 20).into(),
        );
    }
    value
}

fn everyday(of: &Everyday) -> Value {
    let mut value = json!({
        "type": "everyday", "meter": meter(of.meter), "unit": unit(of.unit), "day": of.day,
    });
    let last = of.registers.as_ref().and_then(|series| series.at(24));
    if let Some(daily) = of.daily.or(last) {
        put(&mut value, "daily_register", daily.into());
    }
    if let Some(registers) = &of.registers {
        put(&mut value, "hourly_registers", series(registers));
    }
    if let Some(gauges) = &of.pressures {
        put(&mut value, "hourly_pressures", json!(gauges.marks()));
    }
    if let Some(of) = &of.health {
        put(&mut value, "health", health(of));
    }
    value
}

fn alarm_notice(of: &AlarmNotice) -> Value {
    let states = ["", "raised", "cleared", "present"];
    let alarms = of.alarms.iter().map(|alarm| {
        let state = states.get(usize::from(alarm.state));
        json!({"state": state, "code": hex(&alarm.code)})
    });
    let mut value = json!({
        "type": "alarm_notice", "stamp": stamp(&of.stamp), "meter": meter(of.meter),
        "snapshot": of.snapshot, "alarms": alarms.collect::<Value>(),
    });
    if let Some(of) = &of.register {
        put(&mut value, "register", register(of));
    }
    value
}

fn expected(record: &Record) -> Value {
    match record {
        Record::Everyday(record) => everyday(record),
        Record::AlarmNotice(record) => alarm_notice(record),
        Record::RegisterReading {
            stamp: at,
            meter: of,
            cause,
            register: value,
        } => json!({
            "type": "register_reading", "stamp": stamp(at), "meter": meter(*of), "cause": cause,
            "register": register(value),
        }),
        Record::IntervalSeries {
            stamp: at,
            meter: of,
            unit: in_unit,
            step_min,
            series: all,
        } => {
            json!({
                "type": "interval_series", "stamp": stamp(at), "meter": meter(*of),
                "unit": unit(*in_unit), "step_min": step_min, "count": all.count(),
                "series": series(all),
            })
        }
        Record::IntervalGauges {
            stamp: at,
            meter: of,
            unit: in_unit,
            step_min,
            gauges,
        } => json!({
            "type": "interval_gauges", "stamp": stamp(at), "meter": meter(*of),
            "unit": unit(*in_unit), "step_min": step_min, "gauges": gauges.marks(),
        }),
        Record::Health {
            stamp: at,
            health: of,
            sends_total,
            uptime_s,
        } => json!({
            "type": "health", "stamp": stamp(at), "health": health(of),
            "sends_total": sends_total, "uptime_s": uptime_s,
        }),
        other => rare(other),
    }
}

fn rare(record: &Record) -> Value {
    match record {
        Record::ValveState(of) => json!({
            "type": "valve_state", "stamp": stamp(&of.stamp), "meter": meter(of.meter),
            "cause": of.cause, "command": of.command,
        }),
        Record::CommandResult(of) => json!({
            "type": "command_result", "stamp": stamp(&of.stamp), "command": of.command,
            "meter": meter(of.meter), "data": hex(&of.data),
        }),
        Record::MeterTable(of) => json!({
            "type": "meter_table", "stamp": stamp(&of.stamp), "meter": meter(of.meter),
            "medium": of.medium, "unit": unit(of.unit), "digits": of.digits,
        }),
        Record::ResidualGas {
            stamp: at,
            meter: of,
            level,
            ..
        } => json!({
            "type": "residual_gas", "stamp": stamp(at), "meter": meter(*of), "level": level,
        }),
        Record::MeterExchange {
            stamp: at,
            old,
            new,
            ..
        } => json!({
            "type": "meter_exchange", "stamp": stamp(at), "old_meter": meter(*old),
            "new_meter": meter(*new),
        }),
        Record::ClockChange {
            before,
            after,
            cause,
        } => json!({
            "type": "clock_change", "before": stamp(before), "after": stamp(after),
            "cause": cause,
        }),
        Record::OpaquePayload {
            stamp: at,
            maker,
            payload_type,
            payload,
        } => json!({
            "type": "opaque_payload", "stamp": stamp(at), "maker": maker,
            "payload_type": payload_type, "payload": hex(payload),
        }),
        Record::TerminalInfo {
            stamp: at,
            model,
            firmware,
            capabilities,
            zone,
        } => json!({
            "type": "terminal_info", "stamp": stamp(at), "model": model, "firmware": firmware,
            "capabilities": capabilities, "zone_quarter_hours": zone,
        }),
        Record::Maker { number, body } => json!({
            "type": "opaque", "number": number, "body": hex(body),
        }),
        _ => Value::Null,
    }
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
