//! `kenshin key list`, `state` and `readmit`: which key versions are in use.

use std::process::ExitCode;

use clap::Args;

use super::super::operator::{Place, ask_and_show, word};
use super::super::output::table;
use crate::admin::{Answer, Ask};
use crate::keyring::{KeyState, UtilityId};
use crate::model::TerminalId;
use crate::registry::{Command, KeyView, Reply, parse_terminal};

/// The arguments of `kenshin key list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those of this utility, 16 hexadecimal digits.
    #[arg(long)]
    pub utility: Option<UtilityId>,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of `kenshin key state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// The utility, 16 hexadecimal digits.
    pub utility: UtilityId,

    /// The version.
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    pub version: u8,

    /// NEW, ACTIVE, EXPIRED or WITHDRAWN.
    #[arg(value_parser = state)]
    pub state: KeyState,

    /// Say that terminals may be shut out.
    #[arg(long)]
    pub yes: bool,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of `kenshin key readmit`.
#[derive(Debug, Args)]
pub struct ReadmitArgs {
    /// The terminal: 16 hexadecimal digits, or maker:serial in decimal.
    #[arg(value_parser = parse_terminal)]
    pub terminal: TerminalId,

    /// The version.
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    pub version: u8,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

fn state(text: &str) -> Result<KeyState, &'static str> {
    KeyState::from_id(&text.to_ascii_uppercase()).ok_or("say NEW, ACTIVE, EXPIRED or WITHDRAWN")
}

/// Shows versions.
pub(super) fn list(args: &ListArgs) -> ExitCode {
    let utility = args.utility;
    let command = Command::KeyList { utility };
    ask_and_show(&args.place, Ask::Registry(command), text)
}

/// Gives a version another state.
pub(super) fn set(args: &StateArgs) -> ExitCode {
    let command = Command::KeyState {
        utility: args.utility,
        version: args.version,
        state: args.state,
        confirmed: args.yes,
    };
    ask_and_show(&args.place, Ask::Registry(command), text)
}

/// Admits a lower version again.
pub(super) fn readmit(args: &ReadmitArgs) -> ExitCode {
    let command = Command::KeyReadmit {
        terminal: args.terminal,
        version: args.version,
    };
    ask_and_show(&args.place, Ask::Registry(command), text)
}

fn text(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Registry(Reply::Keys { keys }) => Some(lines(keys)),
        Answer::Registry(Reply::KeyState { change, key }) => {
            let lines = lines(std::slice::from_ref(key));
            Some(format!("{}\n{lines}", word(*change)))
        }
        Answer::Registry(Reply::KeyReadmitted {
            change,
            terminal,
            version,
        }) => Some(format!(
            "{}: {terminal} may use version {version} until it proves a higher one\n",
            word(*change)
        )),
        _ => None,
    }
}

fn lines(keys: &[KeyView]) -> String {
    let row = |one: &KeyView| {
        let escrowed = if one.escrowed { "yes" } else { "no, not used" };
        vec![
            one.utility.to_string(),
            one.version.to_string(),
            one.state.id().to_owned(),
            one.bits.to_string(),
            escrowed.to_owned(),
            one.terminals.to_string(),
        ]
    };
    let names = [
        "utility",
        "version",
        "state",
        "bits",
        "escrowed",
        "terminals",
    ];
    table(&names, &keys.iter().map(row).collect::<Vec<_>>())
}
