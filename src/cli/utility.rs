//! `kenshin utility`: the companies whose terminals are served.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::operator::{AFTER_HELP, Place, ask_and_show, word};
use super::output::table;
use crate::admin::{Answer, Ask};
use crate::keyring::UtilityId;
use crate::registry::{Command, Reply, UtilityView};

/// The arguments of `kenshin utility`.
#[derive(Debug, Args)]
pub struct UtilityArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: UtilityCommand,
}

/// The subcommands of `kenshin utility`.
#[derive(Debug, Subcommand)]
pub enum UtilityCommand {
    /// Add a utility, or give one another name or policy. What is left out stays.
    #[command(after_long_help = AFTER_HELP)]
    Put(PutArgs),
    /// Show all utilities.
    #[command(after_long_help = AFTER_HELP)]
    List(ListArgs),
    /// Show a utility.
    #[command(after_long_help = AFTER_HELP)]
    Show(OneArgs),
    /// Let guarded commands of a utility go again after a sign of rollback.
    #[command(after_long_help = AFTER_HELP)]
    ReleaseCommands(OneArgs),
}

/// The arguments of `kenshin utility put`.
#[derive(Debug, Args)]
pub struct PutArgs {
    /// The utility, 16 hexadecimal digits, as in the key file.
    pub utility: UtilityId,

    /// Its name, for people. A new utility needs one.
    #[arg(long)]
    pub name: Option<String>,

    /// Whether its terminals may be registered in mode 0, for a laboratory. The configuration has
    /// to allow it too.
    #[arg(long, value_name = "BOOL")]
    pub allow_mode0: Option<bool>,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of `kenshin utility list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of what is about one utility.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// The utility, 16 hexadecimal digits.
    pub utility: UtilityId,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// Runs a subcommand of `kenshin utility`.
#[must_use]
pub fn run(args: &UtilityArgs) -> ExitCode {
    let (place, command) = match &args.command {
        UtilityCommand::Put(args) => {
            let command = Command::UtilityPut {
                utility: args.utility,
                name: args.name.clone(),
                allow_mode0: args.allow_mode0,
            };
            (&args.place, command)
        }
        UtilityCommand::List(args) => (&args.place, Command::UtilityList),
        UtilityCommand::Show(args) => {
            let utility = args.utility;
            (&args.place, Command::UtilityShow { utility })
        }
        UtilityCommand::ReleaseCommands(args) => {
            let utility = args.utility;
            (&args.place, Command::UtilityReleaseCommands { utility })
        }
    };
    ask_and_show(place, Ask::Registry(command), text)
}

fn text(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Registry(Reply::UtilityPut { change, utility }) => {
            let text = lines(std::slice::from_ref(utility));
            Some(format!("{}\n{text}", word(*change)))
        }
        Answer::Registry(Reply::Utility { utility }) => Some(lines(std::slice::from_ref(utility))),
        Answer::Registry(Reply::Utilities { utilities }) => Some(lines(utilities)),
        _ => None,
    }
}

fn lines(utilities: &[UtilityView]) -> String {
    let row = |one: &UtilityView| {
        let mode0 = if one.allow_mode0 { "allowed" } else { "no" };
        let commands = if one.commands_stopped {
            "stopped"
        } else {
            "go"
        };
        vec![
            one.utility.to_string(),
            one.terminals.to_string(),
            mode0.to_owned(),
            commands.to_owned(),
            // As a literal: a name may hold what would steer a terminal.
            format!("{:?}", one.name),
        ]
    };
    let rows: Vec<_> = utilities.iter().map(row).collect();
    table(
        &["utility", "terminals", "mode 0", "commands", "name"],
        &rows,
    )
}
