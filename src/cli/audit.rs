//! `kenshin audit`: what was changed, and what the server noticed.

use std::process::ExitCode;

use clap::Args;

use super::operator::{Place, ask_and_show, check_span, show_error};
use super::output::{instant, or_dash, parse_instant, table};
use crate::admin::query::{AUDIT_MAX, AuditView, Question, Reply};
use crate::admin::{Answer, Ask};
use crate::store::state::sqlite::AuditFilter;

/// What `--help` says after the arguments.
const HELP: &str = "\
What operators changed of utilities, terminals, gateways, keys and sinks, which key versions and
modes terminals proved, and what the server noticed: copies of terminals, signs of rollback, frames
that it cannot fold. It is folded out of the log, and the position says up to where.

An entry has no time of its own. The time that is shown is the receipt of the last frame of a
terminal before it: it is not older than that. The log does not know which person an operator is:
that is told by who can use the account of the server.

Exit status:
  0  shown
  1  the arguments name no place of the list
  2  the arguments are wrong, or it could not be done at all";

/// Kinds of entries: events of the log that people care about, and what is noted beside them.
const KINDS: [&str; 16] = [
    "utility_put",
    "terminals_put",
    "terminal_removed",
    "key_state",
    "key_readmitted",
    "counter_cloned",
    "promoted",
    "rollback_suspected",
    "commands_released",
    "gateway_put",
    "gateway_removed",
    "meter_counter_reserved",
    "sink_created",
    "sink_skipped",
    "sink_removed",
    "not_folded",
];

/// The arguments of `kenshin audit`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct AuditArgs {
    /// Only what is of this kind.
    #[arg(long, value_parser = KINDS)]
    pub kind: Option<String>,

    /// Only what is about this terminal or utility, 16 hexadecimal digits, or this sink or gateway.
    /// An import is about its utility.
    #[arg(long, value_name = "ID")]
    pub about: Option<String>,

    /// Not older than this day (UTC+9) or instant, as far as that is known.
    #[arg(long, value_parser = parse_instant)]
    pub from: Option<u32>,

    /// After a frame that came before this day (UTC+9) or instant.
    #[arg(long, value_parser = parse_instant)]
    pub to: Option<u32>,

    /// Only those before this one: where the last answer ended.
    #[arg(long, value_name = "KEY")]
    pub before: Option<String>,

    /// How many.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(AUDIT_MAX)))]
    pub limit: u32,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// Shows what was done, the newest first.
#[must_use]
pub fn run(args: &AuditArgs) -> ExitCode {
    if let Err(error) = check_span(args.from, args.to) {
        return show_error(&args.place, &error);
    }
    let question = Question::Audit {
        wanted: AuditFilter {
            kind: args.kind.clone(),
            subject: args.about.clone(),
            from_utc_s: args.from,
            to_utc_s: args.to,
        },
        before: args.before.clone(),
        limit: args.limit,
    };
    ask_and_show(&args.place, Ask::Query(question), text)
}

fn text(answer: &Answer) -> Option<String> {
    let Answer::Query(Reply::Audit {
        position,
        entries,
        next,
    }) = answer
    else {
        return None;
    };
    let names = ["position", "not before", "kind", "about", "detail"];
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    let mut text = table(&names, &rows);
    text.push_str(&format!("as of position {position} of the log\n"));
    if let Some(next) = next {
        text.push_str(&format!("there may be more: --before {next}\n"));
    }
    Some(text)
}

fn row(one: &AuditView) -> Vec<String> {
    vec![
        one.position.to_string(),
        instant(Some(one.after_utc_s).filter(|at| *at != 0)),
        one.kind.clone(),
        or_dash(one.subject.as_ref()),
        // As JSON, which escapes what would steer a terminal.
        one.detail.to_string(),
    ]
}
