//! `kenshin sink`: how far sinks and consumers are.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::operator::{
    AFTER_HELP, Link, OperatorError, Place, ask_and_show, show_answer, show_error,
};
use super::output::{or_dash, table};
use crate::admin::{Answer, Ask};
use crate::forward::SinkStatus;
use crate::forward::command::{Command, Reply};
use crate::model::Lsn;

/// The kind of a sink while nobody is there who knows it.
const UNKNOWN: &str = "unknown";

/// The arguments of `kenshin sink`.
#[derive(Debug, Args)]
pub struct SinkArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SinkCommand,
}

/// The subcommands of `kenshin sink`.
#[derive(Debug, Subcommand)]
pub enum SinkCommand {
    /// Show how all sinks and consumers stand.
    #[command(after_long_help = AFTER_HELP)]
    List(ListArgs),
    /// Let one skip what it was not given: it goes on behind that. The range is logged. Only a
    /// consumer that asks with a cursor of its own from before can still read it back, as long as
    /// the log keeps it.
    #[command(after_long_help = AFTER_HELP)]
    Skip(SkipArgs),
    /// Forget one that the configuration no longer names, so that it holds the log no longer.
    #[command(after_long_help = AFTER_HELP)]
    Remove(RemoveArgs),
}

/// The arguments of `kenshin sink list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of `kenshin sink skip`.
#[derive(Debug, Args)]
pub struct SkipArgs {
    /// Its name.
    pub name: String,

    /// Up to this position of the log; without it, to the end.
    #[arg(long, value_name = "POSITION")]
    pub to: Option<u64>,

    /// Say that records are to be dropped.
    #[arg(long)]
    pub yes: bool,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of `kenshin sink remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Its name.
    pub name: String,

    /// Say that records are to be dropped.
    #[arg(long)]
    pub yes: bool,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// Runs a subcommand of `kenshin sink`.
#[must_use]
pub fn run(args: &SinkArgs) -> ExitCode {
    let (place, command) = match &args.command {
        SinkCommand::List(args) => (&args.place, Command::List),
        SinkCommand::Skip(args) => {
            let command = Command::Skip {
                name: args.name.clone(),
                to: args.to.map(Lsn::new),
                confirmed: args.yes,
            };
            (&args.place, command)
        }
        SinkCommand::Remove(args) => {
            let command = Command::Remove {
                name: args.name.clone(),
                confirmed: args.yes,
            };
            (&args.place, command)
        }
    };
    if place.config.is_none() && !matches!(command, Command::Skip { .. }) {
        return without_configuration(place, command);
    }
    ask_and_show(place, Ask::Sink(command), text)
}

/// Lists or removes. The server knows what it delivers to. Where none runs only its configuration
/// does.
fn without_configuration(place: &Place, command: Command) -> ExitCode {
    let is_list = command == Command::List;
    let answer = Link::open(place, is_list).and_then(|mut link| {
        let is_served = matches!(link, Link::Served(_));
        if !is_served && !is_list {
            return link.close().and(Err(OperatorError::NoConfig));
        }
        let mut answer = link.ask(Ask::Sink(command))?;
        link.close()?;
        if let Answer::Sink(Reply::List { sinks }) = &mut answer
            && !is_served
        {
            let kinds = sinks.iter_mut().map(|one| &mut one.kind);
            kinds.for_each(|kind| UNKNOWN.clone_into(kind));
        }
        Ok(answer)
    });
    match answer {
        Ok(answer) => show_answer(place, &answer, text),
        Err(error) => show_error(place, &error),
    }
}

fn text(answer: &Answer) -> Option<String> {
    let Answer::Sink(reply) = answer else {
        return None;
    };
    Some(match reply {
        Reply::List { sinks } => list(sinks),
        Reply::Skipped { name, from, to } => {
            format!("{name} skipped positions {from} to {to}\n")
        }
        Reply::Removed { name } => format!("{name} is forgotten\n"),
    })
}

fn list(sinks: &[SinkStatus]) -> String {
    let is_unknown = |one: &SinkStatus| one.kind == UNKNOWN;
    let row = |one: &SinkStatus| {
        let failing = one.alarm.failing.as_ref().or(one.bulk.failing.as_ref());
        vec![
            one.name.clone(),
            one.kind.clone(),
            match is_unknown(one) {
                true => UNKNOWN.to_owned(),
                false => or_dash(one.utility.as_ref()),
            },
            one.reached.alarm.to_string(),
            one.reached.bulk.to_string(),
            one.lag_octets.to_string(),
            or_dash(failing),
        ]
    };
    let names = [
        "name",
        "kind",
        "utility",
        "alarms to",
        "bulk to",
        "behind, octets",
        "failing",
    ];
    let mut text = table(&names, &sinks.iter().map(row).collect::<Vec<_>>());
    if sinks.iter().any(is_unknown) {
        text.push_str("no server runs: --config with its configuration tells what is unknown\n");
    }
    text
}
