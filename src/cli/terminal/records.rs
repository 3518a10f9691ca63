//! `kenshin terminal readings` and `kenshin terminal alarms`: what a terminal said over time.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::super::operator::{Link, OperatorError, Place, check_span, show_answer, show_error};
use super::super::output::{parse_instant, table};
use crate::admin::query::{Question, RECORDS_MAX, Reply};
use crate::admin::{Answer, Ask};
use crate::model::{Lane, Lsn};
use crate::registry::{Named, parse_terminal_or_meter};

/// The arguments of both.
#[derive(Debug, Args)]
pub struct RecordsArgs {
    /// The terminal: 16 hexadecimal digits, or maker:serial in decimal. An M-Bus meter: its
    /// name, as in ELS-12345678-33-03, or its address in the order of the link.
    #[arg(value_parser = parse_terminal_or_meter)]
    pub terminal: Named,

    /// Not measured before this day (UTC+9) or instant: 2026-10-31, or 2026-10-31T06:00:00Z.
    /// Telegrams of a meter go by when they were received, as do records that tell no time.
    #[arg(long, value_parser = parse_instant, default_value = "1970-01-02")]
    pub from: u32,

    /// Measured, or received as above, before this day (UTC+9) or instant.
    #[arg(long, value_parser = parse_instant, default_value = "2106-01-01")]
    pub to: u32,

    /// How many, at least; the last frame may add some.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(RECORDS_MAX)))]
    pub limit: u32,

    /// Only those before this position of the log: where the last answer ended.
    #[arg(long, value_name = "POSITION")]
    pub before: Option<u64>,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// Shows the records of a lane.
#[must_use]
pub(super) fn run(args: &RecordsArgs, lane: Lane) -> ExitCode {
    match ask(args, lane) {
        Ok(answer) => show_answer(&args.place, &answer, |answer| {
            text(answer, args.terminal, lane)
        }),
        Err(error) => show_error(&args.place, &error),
    }
}

/// Asks until there is something to show, or nothing to look through: an answer looks through a
/// part of the log only.
fn ask(args: &RecordsArgs, lane: Lane) -> Result<Answer, OperatorError> {
    check_span(Some(args.from), Some(args.to))?;
    let mut link = Link::open(&args.place, true)?;
    let mut before = args.before.map(Lsn::new);
    loop {
        let question = Question::Records {
            terminal: args.terminal.id(),
            lane,
            from_utc_s: args.from,
            to_utc_s: args.to,
            before,
            limit: args.limit,
        };
        let answer = link.ask(Ask::Query(question))?;
        match &answer {
            Answer::Query(Reply::Records {
                records,
                next: Some(next),
                ..
            }) if records.is_empty() && before.is_none_or(|before| *next < before) => {
                before = Some(*next);
            }
            _ => {
                link.close()?;
                return Ok(answer);
            }
        }
    }
}

fn text(answer: &Answer, of: Named, lane: Lane) -> Option<String> {
    let Answer::Query(Reply::Records {
        position,
        records,
        next,
    }) = answer
    else {
        return None;
    };
    let mut text = if records.is_empty() {
        nothing(of, lane)
    } else {
        rows(records)
    };
    text.push_str(&format!("as of position {position} of the log\n"));
    if let Some(next) = next {
        text.push_str(&format!("there may be more: --before {next}\n"));
    }
    Some(text)
}

fn nothing(of: Named, lane: Lane) -> String {
    let (with, elsewhere) = match lane {
        Lane::Alarm => (" with an alarm", ""),
        Lane::Bulk => (
            "",
            "; `kenshin terminal alarms` shows those that say an alarm",
        ),
    };
    match of {
        Named::Terminal(id) => format!("no record of {id}{with} was found{elsewhere}\n"),
        Named::Meter(meter) => format!(
            "no telegram of {meter}{with} was found: version and device type of a name are \
             hexadecimal{elsewhere}\n"
        ),
    }
}

/// A line a record. Where a gateway told when it heard one, or how well, there is a column for it.
fn rows(records: &[Value]) -> String {
    let heard: Vec<String> = records.iter().map(heard).collect();
    let is_heard = heard.iter().any(|heard| heard != "-");
    let mut names = vec![
        "measured", "received", "through", "kind", "meter", "flags", "value",
    ];
    if is_heard {
        names.insert(1, "heard");
    }
    let row = |(record, heard): (&Value, String)| {
        let mut row = row(record);
        if is_heard {
            row.insert(1, heard);
        }
        row
    };
    let rows: Vec<Vec<String>> = records.iter().zip(heard).map(row).collect();
    table(&names, &rows)
}

/// When a gateway heard a telegram, and with what power.
fn heard(record: &Value) -> String {
    let at = record.get("heard_at").and_then(Value::as_str);
    let rssi_dbm = record.get("rssi_dbm").and_then(Value::as_i64);
    match (at, rssi_dbm) {
        (Some(at), Some(rssi_dbm)) => format!("{at} {rssi_dbm} dBm"),
        (Some(at), None) => at.to_owned(),
        (None, Some(rssi_dbm)) => format!("{rssi_dbm} dBm"),
        (None, None) => "-".to_owned(),
    }
}

fn measured(record: &Value) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    match (text("measured_at"), text("measured_local")) {
        (Some(at), _) => at.to_owned(),
        (None, Some(local)) => format!("{local} (meter's clock)"),
        (None, None) => "-".to_owned(),
    }
}

/// What people should know of a record beside its value: that nobody vouches for it, and its flags.
fn flags(record: &Value) -> String {
    let quality = record.get("quality").and_then(Value::as_str);
    let flags = record.get("flags").and_then(Value::as_array);
    let flags = flags.into_iter().flatten().filter_map(Value::as_str);
    let all: Vec<&str> = quality.into_iter().chain(flags).collect();
    if all.is_empty() {
        "-".to_owned()
    } else {
        all.join(",")
    }
}

fn row(record: &Value) -> Vec<String> {
    let part = |name: &str| match record.get(name) {
        Some(Value::String(text)) => text.clone(),
        _ => "-".to_owned(),
    };
    let number = |name: &str| record.get("meter")?.get(name)?.as_u64();
    let meter = match (number("slot"), number("generation")) {
        (Some(slot), Some(generation)) => format!("{slot}.{generation}"),
        _ => "-".to_owned(),
    };
    let value = record
        .get("value")
        .map_or_else(String::new, Value::to_string);
    vec![
        measured(record),
        part("received_at"),
        part("gateway"),
        part("kind"),
        meter,
        flags(record),
        value,
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(records: Vec<Value>, of: &str, lane: Lane) -> String {
        let answer = Answer::Query(Reply::Records {
            position: Lsn::new(9),
            records,
            next: None,
        });
        text(&answer, parse_terminal_or_meter(of).unwrap(), lane).unwrap()
    }

    #[test]
    fn a_telegram_shows_when_it_was_heard_and_that_nobody_vouches_for_it() {
        let late = json!({
            "kind": "meter_data", "gateway": "roof", "rssi_dbm": -87,
            "heard_at": "2026-11-28T04:21:30Z", "received_at": "2026-11-28T06:00:00Z",
            "quality": "unauthenticated", "flags": ["clear_tail"], "value": {},
        });
        let other = json!({
            "kind": "meter_data", "gateway": "roof", "measured_local": "2026-11-28T13:00",
            "received_at": "2026-11-28T04:00:01Z", "flags": [], "value": {},
        });
        let text = shown(vec![late, other], "ELS-12345678-33-03", Lane::Bulk);
        let expected = "\
measured                          heard                         received              \
through  kind        meter  flags                       value
-                                 2026-11-28T04:21:30Z -87 dBm  2026-11-28T06:00:00Z  \
roof     meter_data  -      unauthenticated,clear_tail  {}
2026-11-28T13:00 (meter's clock)  -                             2026-11-28T04:00:01Z  \
roof     meter_data  -      -                           {}
as of position 9 of the log
";
        assert_eq!(text, expected);
    }

    #[test]
    fn where_no_gateway_told_when_it_heard_there_is_no_column_for_it() {
        let record = json!({
            "measured_at": "2026-11-28T04:00:00Z", "received_at": "2026-11-28T04:00:01Z",
            "kind": "register", "meter": {"slot": 0, "generation": 1}, "flags": [], "value": 1,
        });
        let text = shown(vec![record], "7:1234567890", Lane::Bulk);
        assert!(
            text.starts_with("measured              received "),
            "{text}"
        );
        assert!(!text.contains("heard"), "{text}");
    }

    #[test]
    fn nothing_found_is_said_in_a_sentence_that_tells_where_else_to_look() {
        let text = shown(Vec::new(), "ELS-12345678-33-03", Lane::Bulk);
        let expected = "no telegram of ELS-12345678-33-03 was found: version and device type of a \
                        name are hexadecimal; `kenshin terminal alarms` shows those that say an \
                        alarm\nas of position 9 of the log\n";
        assert_eq!(text, expected);
        let text = shown(Vec::new(), "7:1234567890", Lane::Alarm);
        let expected = "no record of 00070000499602d2 with an alarm was found\n";
        assert!(text.starts_with(expected), "{text}");
    }
}
