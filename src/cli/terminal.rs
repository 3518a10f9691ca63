//! `kenshin terminal`: the terminals that are served.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::operator::{AFTER_HELP, Place, ask_and_show, word};
use super::output::{fields, instant, or_dash, table};
use crate::admin::{Answer, Ask};
use crate::keyring::UtilityId;
use crate::model::{Lane, TerminalId};
use crate::registry::{
    Command, LIST_MAX, MeterView, Reply, Row, TerminalLine, TerminalView, parse_terminal,
};

mod import;
pub mod records;
mod show;

/// What `--help` says after the arguments of `call`.
const CALL_HELP: &str = "\
Needs a server that runs. The call leaves once its counter is durable, by all ways to the terminal
that the server knows, and not at all if it knows none; `kenshin terminal show` tells the call
counter and the last contact.

Exit status:
  0  called, if there is a way to it
  1  refused: the terminal is not known, or no key of it can be used
  2  the arguments are wrong, no server runs, or it could not be done at all";

/// What `--help` says after the arguments of `import`.
const IMPORT_HELP: &str = "\
The table begins with the names of its columns, in any order:

  terminal,utility,mode,customer
  00070000499602d2,a1b2c3d4e5f60718,1,C-0012345
  7:1234567891,a1b2c3d4e5f60718,2,

A terminal is 16 hexadecimal digits, or maker:serial in decimal. The customer is an opaque number,
never a name or an address; without that column, the numbers that are known stay.

All mistakes are named with their lines, and then nothing is imported. Importing the same table
again changes nothing; so an import that was broken off is simply run again. A long one tells on
standard error how far it is.

Exit status:
  0  imported, or with --dry-run: would be
  1  the table has mistakes; nothing was changed
  2  the arguments are wrong, or it could not be done, or was broken off: the message says what is
     known";

/// The arguments of `kenshin terminal`.
#[derive(Debug, Args)]
pub struct TerminalArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TerminalCommand,
}

/// The subcommands of `kenshin terminal`.
#[derive(Debug, Subcommand)]
pub enum TerminalCommand {
    /// Register a terminal.
    #[command(after_long_help = AFTER_HELP)]
    Add(AddArgs),
    /// Change the registration of a terminal. What is left out stays.
    #[command(after_long_help = AFTER_HELP)]
    Set(SetArgs),
    /// End the registration of a terminal. Its records and counters stay.
    #[command(after_long_help = AFTER_HELP)]
    Remove(OneArgs),
    /// Show a terminal: its registration, keys, counters, last contact, health, meters with their
    /// valves, and open alarms.
    #[command(after_long_help = AFTER_HELP)]
    Show(OneArgs),
    /// Show the records of a terminal or the telegrams of an M-Bus meter but alarms, the newest
    /// first.
    #[command(after_long_help = AFTER_HELP)]
    Readings(records::RecordsArgs),
    /// Show the alarm notices of a terminal, or the telegrams of an M-Bus meter that say an alarm,
    /// the newest first.
    #[command(after_long_help = AFTER_HELP)]
    Alarms(records::RecordsArgs),
    /// Have the server call a terminal that holds a connection or listens on UDP; it answers with
    /// an uplink like any other.
    #[command(after_long_help = CALL_HELP)]
    Call(OneArgs),
    /// Show registered terminals, in the order of their identities.
    #[command(after_long_help = AFTER_HELP)]
    List(ListArgs),
    /// Register the terminals of a table (CSV), or change their registration.
    #[command(after_long_help = IMPORT_HELP)]
    Import(ImportArgs),
}

/// The arguments of `kenshin terminal add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The terminal: 16 hexadecimal digits, or maker:serial in decimal.
    #[arg(value_parser = parse_terminal)]
    pub terminal: TerminalId,

    /// Its utility, 16 hexadecimal digits.
    #[arg(long)]
    pub utility: UtilityId,

    /// Its pinned security mode.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=3))]
    pub mode: u8,

    /// Its opaque customer number.
    #[arg(long)]
    pub customer: Option<String>,

    /// Say that the terminal was another utility's, and has new keys.
    #[arg(long)]
    pub move_utility: bool,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of `kenshin terminal set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The terminal: 16 hexadecimal digits, or maker:serial in decimal.
    #[arg(value_parser = parse_terminal)]
    pub terminal: TerminalId,

    /// Another utility, 16 hexadecimal digits; needs --move-utility.
    #[arg(long)]
    pub utility: Option<UtilityId>,

    /// Another pinned security mode.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=3))]
    pub mode: Option<u8>,

    /// Another opaque customer number; an empty one takes it away.
    #[arg(long)]
    pub customer: Option<String>,

    /// Say that the terminal changes its utility, and has new keys.
    #[arg(long)]
    pub move_utility: bool,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of what is about one terminal.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// The terminal: 16 hexadecimal digits, or maker:serial in decimal.
    #[arg(value_parser = parse_terminal)]
    pub terminal: TerminalId,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of `kenshin terminal list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those of this utility, 16 hexadecimal digits.
    #[arg(long)]
    pub utility: Option<UtilityId>,

    /// Only those after this one.
    #[arg(long, value_name = "TERMINAL", value_parser = parse_terminal)]
    pub after: Option<TerminalId>,

    /// How many.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(LIST_MAX)))]
    pub limit: u32,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of `kenshin terminal import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The table, or - for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,

    /// Say that terminals that were another utility's have new keys.
    #[arg(long)]
    pub move_utility: bool,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// Runs a subcommand of `kenshin terminal`.
#[must_use]
pub fn run(args: &TerminalArgs) -> ExitCode {
    let (place, command) = match &args.command {
        TerminalCommand::Import(args) => return import::run(args),
        TerminalCommand::Show(args) => return show::run(args),
        TerminalCommand::Readings(args) => return records::run(args, Lane::Bulk),
        TerminalCommand::Alarms(args) => return records::run(args, Lane::Alarm),
        TerminalCommand::Call(args) => {
            let terminal = args.terminal;
            return ask_and_show(&args.place, Ask::Call { terminal }, text);
        }
        TerminalCommand::Add(args) => {
            let row = Row {
                line: 0,
                terminal: args.terminal,
                utility: args.utility,
                mode: args.mode,
                customer: args.customer.clone(),
            };
            let move_utility = args.move_utility;
            (&args.place, Command::TerminalAdd { row, move_utility })
        }
        TerminalCommand::Set(args) => {
            let command = Command::TerminalSet {
                terminal: args.terminal,
                utility: args.utility,
                mode: args.mode,
                customer: args.customer.clone(),
                move_utility: args.move_utility,
            };
            (&args.place, command)
        }
        TerminalCommand::Remove(args) => {
            let terminal = args.terminal;
            (&args.place, Command::TerminalRemove { terminal })
        }
        TerminalCommand::List(args) => {
            let command = Command::TerminalList {
                utility: args.utility,
                after: args.after,
                limit: args.limit,
            };
            (&args.place, command)
        }
    };
    ask_and_show(place, Ask::Registry(command), text)
}

fn text(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Registry(Reply::TerminalPut { change, terminal }) => {
            Some(format!("{}\n{}", word(*change), show(terminal)))
        }
        Answer::Registry(Reply::Terminal { terminal }) => Some(show(terminal)),
        Answer::Called { terminal } => Some(format!(
            "{terminal} is called, if it holds a connection or listens\n"
        )),
        Answer::Registry(Reply::Terminals { terminals, next }) => {
            let mut text = list(terminals);
            if let Some(next) = next {
                text.push_str(&format!("there are more: --after {next}\n"));
            }
            Some(text)
        }
        _ => None,
    }
}

fn list(terminals: &[TerminalLine]) -> String {
    let row = |one: &TerminalLine| {
        vec![
            one.terminal.to_string(),
            one.utility.to_string(),
            one.mode.to_string(),
            or_dash(one.key_version),
            instant(one.last_contact_utc_s),
        ]
    };
    let names = ["terminal", "utility", "mode", "key version", "last contact"];
    table(&names, &terminals.iter().map(row).collect::<Vec<_>>())
}

fn show(one: &TerminalView) -> String {
    let registered = if one.registered { "yes" } else { "no, removed" };
    let mode = match one.pending_mode {
        Some(pending) => format!("{}, changing to {pending}", one.mode),
        None => one.mode.to_string(),
    };
    let key_version = match one.readmitted_version {
        Some(readmitted) => format!("{}, and {readmitted} again", or_dash(one.key_version)),
        None => or_dash(one.key_version),
    };
    let slot = one.wake_slot;
    let slot = slot.map(|(second, version)| format!("second {second} of the day, slot {version}"));
    let mut pairs = vec![
        ("terminal", one.terminal.to_string()),
        ("maker:serial", format!("{}:{}", one.maker, one.serial)),
        ("registered", registered.to_owned()),
        // As a literal: a name may hold what would steer a terminal.
        ("utility", format!("{} {:?}", one.utility, one.utility_name)),
        ("customer", or_dash(one.customer.as_ref())),
        ("mode", mode),
        ("key version", key_version),
        ("last contact", instant(one.last_contact_utc_s)),
        ("frame counter", one.frame_counter.to_string()),
        ("call counter", one.call_counter.to_string()),
        ("command sequence", one.command_sequence.to_string()),
        ("store epoch", or_dash(one.epoch.as_ref())),
        ("record sequence", one.record_sequence.to_string()),
        ("wake slot", or_dash(slot)),
    ];
    pairs.extend(one.meters.iter().map(|meter| ("meter", meter_text(meter))));
    fields(&pairs)
}

fn meter_text(meter: &MeterView) -> String {
    let bound = if meter.bound { "" } else { ", not bound" };
    let mut text = format!("slot {} generation {}{bound}", meter.slot, meter.generation);
    if let Some(serial) = &meter.serial {
        text.push_str(&format!(", serial {serial}"));
    }
    match meter.register {
        None => text.push_str(": no register"),
        Some(register) => {
            let quantity = meter.quantity.as_deref().unwrap_or("unknown unit");
            let exponent = match meter.exponent {
                None | Some(0) => String::new(),
                Some(exponent) => format!(" × 10^{exponent}"),
            };
            let at = instant(meter.measured_at_utc_s);
            text.push_str(&format!(": {register}{exponent} {quantity} at {at}"));
        }
    }
    if let Some(valve) = &meter.valve {
        text.push_str(&format!(
            "; valve {valve} at {}",
            instant(meter.valve_at_utc_s)
        ));
    }
    text
}
