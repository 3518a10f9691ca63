//! `kenshin alarms`: the alarms that go on.

use std::process::ExitCode;

use clap::Args;

use super::operator::{Place, ask_and_show};
use super::output::{instant, or_dash, table};
use crate::admin::query::{ALARMS_MAX, AlarmView, Question, Reply};
use crate::admin::{Answer, Ask};

/// What `--help` says after the arguments.
const HELP: &str = "\
An alarm is open from the notice that it began until the one that it ended. What is shown is folded
out of the log, and the position says up to where.

Exit status:
  0  shown
  1  the arguments name no place of the list
  2  the arguments are wrong, or it could not be done at all";

/// The arguments of `kenshin alarms`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct AlarmsArgs {
    /// Only those after this one: where the last answer ended.
    #[arg(long, value_name = "KEY")]
    pub after: Option<String>,

    /// How many.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(ALARMS_MAX)))]
    pub limit: u32,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// Shows the alarms that go on.
#[must_use]
pub fn run(args: &AlarmsArgs) -> ExitCode {
    let question = Question::OpenAlarms {
        after: args.after.clone(),
        limit: args.limit,
    };
    ask_and_show(&args.place, Ask::Query(question), text)
}

fn text(answer: &Answer) -> Option<String> {
    let Answer::Query(Reply::OpenAlarms {
        position,
        alarms,
        next,
    }) = answer
    else {
        return None;
    };
    let names = ["terminal", "meter", "alarm", "code", "since"];
    let rows: Vec<Vec<String>> = alarms.iter().map(row).collect();
    let mut text = table(&names, &rows);
    text.push_str(&format!("as of position {position} of the log\n"));
    if let Some(next) = next {
        text.push_str(&format!("there may be more: --after {next}\n"));
    }
    Some(text)
}

fn row(one: &AlarmView) -> Vec<String> {
    vec![
        one.terminal.to_string(),
        format!("{}.{}", one.slot, one.generation),
        one.alarm.clone(),
        or_dash(one.code.as_ref()),
        instant(Some(one.since_utc_s)),
    ]
}
