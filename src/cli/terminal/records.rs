//! `kenshin terminal readings` and `kenshin terminal alarms`: what a terminal said over time.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::super::operator::{Link, OperatorError, Place, check_span, show_answer, show_error};
use super::super::output::{parse_instant, table};
use crate::admin::query::{Question, RECORDS_MAX, Reply};
use crate::admin::{Answer, Ask};
use crate::model::{Lane, Lsn, TerminalId};
use crate::registry::parse_terminal_or_meter;

/// The arguments of both.
#[derive(Debug, Args)]
pub struct RecordsArgs {
    /// The terminal: 16 hexadecimal digits, or maker:serial in decimal. An M-Bus meter: its
    /// name, as in ELS-12345678-33-03, or its address in the order of the link.
    #[arg(value_parser = parse_terminal_or_meter)]
    pub terminal: TerminalId,

    /// Not measured before this day (UTC+9) or instant: 2026-10-31, or 2026-10-31T06:00:00Z.
    #[arg(long, value_parser = parse_instant, default_value = "1970-01-02")]
    pub from: u32,

    /// Measured before this day (UTC+9) or instant.
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
        Ok(answer) => show_answer(&args.place, &answer, text),
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
            terminal: args.terminal,
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

fn text(answer: &Answer) -> Option<String> {
    let Answer::Query(Reply::Records {
        position,
        records,
        next,
    }) = answer
    else {
        return None;
    };
    let names = [
        "measured", "received", "through", "kind", "meter", "flags", "value",
    ];
    let rows: Vec<Vec<String>> = records.iter().map(row).collect();
    let mut text = table(&names, &rows);
    text.push_str(&format!("as of position {position} of the log\n"));
    if let Some(next) = next {
        text.push_str(&format!("there may be more: --before {next}\n"));
    }
    Some(text)
}

/// When a record was measured; a telegram that does not say so was measured about when it was
/// heard.
fn measured(record: &Value) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    match (
        text("measured_at"),
        text("measured_local"),
        text("heard_at"),
    ) {
        (Some(at), ..) => at.to_owned(),
        (None, Some(local), _) => format!("{local} (meter's clock)"),
        (None, None, Some(heard)) => format!("{heard} (heard)"),
        (None, None, None) => "-".to_owned(),
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
    let flags = record.get("flags").and_then(Value::as_array);
    let flags: Vec<&str> = flags
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let flags = if flags.is_empty() {
        "-".to_owned()
    } else {
        flags.join(",")
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
        flags,
        value,
    ]
}
