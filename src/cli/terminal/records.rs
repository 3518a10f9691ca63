//! `kenshin terminal readings` and `kenshin terminal alarms`: what a terminal said over time.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::super::operator::{Place, ask_and_show, table};
use crate::admin::query::{Question, Reply};
use crate::admin::{Answer, Ask};
use crate::model::{Lane, Lsn, TerminalId};
use crate::registry::parse_terminal;

/// Records in one answer at most.
const LIMIT_MAX: i64 = 1_000;
/// The zone of a day that is given without one, as people here mean it.
const DAY_BEGINS: &str = "T00:00:00+09:00";

/// The arguments of both.
#[derive(Debug, Args)]
pub struct RecordsArgs {
    /// The terminal: 16 hexadecimal digits, or maker:serial in decimal.
    #[arg(value_parser = parse_terminal)]
    pub terminal: TerminalId,

    /// Not measured before this day (UTC+9) or instant: 2026-10-31, or 2026-10-31T06:00:00Z.
    #[arg(long, value_parser = parse_instant, default_value = "1970-01-02")]
    pub from: u32,

    /// Measured before this day (UTC+9) or instant.
    #[arg(long, value_parser = parse_instant, default_value = "2106-01-01")]
    pub to: u32,

    /// How many, at least; the last frame may add some.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=LIMIT_MAX))]
    pub limit: u32,

    /// Only those before this position of the log: where the last answer ended.
    #[arg(long, value_name = "POSITION")]
    pub before: Option<u64>,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// UTC seconds of a day or an instant.
fn parse_instant(text: &str) -> Result<u32, String> {
    let parsed = text.parse::<jiff::Timestamp>();
    let parsed = parsed.or_else(|_| format!("{text}{DAY_BEGINS}").parse());
    let instant = parsed
        .map_err(|_| "not a day or an instant, as 2026-10-31 or 2026-10-31T06:00:00Z".to_owned())?;
    u32::try_from(instant.as_second()).map_err(|_| "before 1970 or after 2106".to_owned())
}

/// Shows the records of a lane.
#[must_use]
pub(super) fn run(args: &RecordsArgs, lane: Lane) -> ExitCode {
    let question = Question::Records {
        terminal: args.terminal,
        lane,
        from_utc_s: args.from,
        to_utc_s: args.to,
        before: args.before.map(Lsn::new),
        limit: args.limit,
    };
    ask_and_show(&args.place, Ask::Query(question), text)
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
    let names = ["measured", "received", "kind", "meter", "flags", "value"];
    let rows: Vec<Vec<String>> = records.iter().map(row).collect();
    let mut text = table(&names, &rows);
    text.push_str(&format!("as of position {position} of the log\n"));
    if let Some(next) = next {
        text.push_str(&format!("there are more: --before {next}\n"));
    }
    Some(text)
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
        part("measured_at"),
        part("received_at"),
        part("kind"),
        meter,
        flags,
        value,
    ]
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
