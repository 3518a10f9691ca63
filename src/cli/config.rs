//! `kenshin config`: shows a commented configuration, and checks one.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::key::files::begins_sealed;
use super::key::master;
use super::link_ring;
use super::output::{fail, show};
use crate::app::followers::tokens_of;
use crate::config::{Config, ConfigErrors, ConfigProblem, Place, TEMPLATE};
use crate::telemetry::chain;

/// The longest configuration that is read, in octets.
const CONFIG_FILE_MAX: u64 = 1_024 * 1_024;

/// What `--help` says after the arguments.
const AFTER_HELP: &str = "\
Exit status:
  0  the configuration can be used; warnings do not change that
  1  it has mistakes, each told with its line, key and remedy
  2  the arguments are wrong, or the file cannot be read

Variables of the environment are checked too: KENSHIN_ and the path of a setting, with two
underscores between its parts, as in KENSHIN_LISTEN__UDP=127.0.0.1:7511.";

/// The arguments of `kenshin config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// The subcommands of `kenshin config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write a configuration file with every setting, its default and the reason, to standard
    /// output.
    Template,
    /// Tell all mistakes of a configuration and of the environment at once.
    #[command(after_long_help = AFTER_HELP)]
    Check(CheckArgs),
}

/// The arguments of `kenshin config check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration file (TOML). Without it, the defaults and the environment are checked.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Show the outcome as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// It is longer than 1 MiB.
    #[error("the configuration {} is longer than 1 MiB", .0.display())]
    TooLong(PathBuf),
    /// It holds octets that are no UTF-8.
    #[error("the configuration {} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// It has mistakes; all of them, a line each.
    #[error("the configuration cannot be used:\n{0}")]
    Invalid(#[source] ConfigErrors),
}

/// Runs a subcommand of `kenshin config`.
///
/// The exit code is 0 on success, 1 where the configuration has mistakes, and 2 where its file
/// cannot be read.
#[must_use]
pub fn run(args: &ConfigArgs) -> ExitCode {
    match &args.command {
        ConfigCommand::Template => show(TEMPLATE, ExitCode::SUCCESS),
        ConfigCommand::Check(args) => check(args),
    }
}

/// Reads the configuration of a file, or the defaults without one, and of the environment. Files
/// of secrets that it names have been looked at: they are there, and only their owner can use
/// them.
///
/// # Errors
///
/// [`LoadConfigError`].
pub fn load(path: Option<&Path>) -> Result<Config, LoadConfigError> {
    let text = path.map_or_else(|| Ok(String::new()), read_text)?;
    let config = Config::parse(&text, std::env::vars_os()).map_err(LoadConfigError::Invalid)?;
    let problems: Vec<ConfigProblem> = config
        .secret_files()
        .into_iter()
        .filter_map(|(key, path)| problem_of_secret(key, path))
        .collect();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(LoadConfigError::Invalid(ConfigErrors(problems)))
    }
}

fn read_text(path: &Path) -> Result<String, LoadConfigError> {
    let failed = |cause| LoadConfigError::Read {
        path: path.to_owned(),
        cause,
    };
    let mut octets = Vec::new();
    File::open(path)
        .and_then(|file| {
            let most = CONFIG_FILE_MAX.saturating_add(1);
            file.take(most).read_to_end(&mut octets)
        })
        .map_err(failed)?;
    if u64::try_from(octets.len()).is_ok_and(|len| len > CONFIG_FILE_MAX) {
        return Err(LoadConfigError::TooLong(path.to_owned()));
    }
    String::from_utf8(octets).map_err(|_| LoadConfigError::NotText(path.to_owned()))
}

/// Which ring the file of a setting holds.
fn role_of(key: &str) -> Option<&'static str> {
    match key {
        "keys.link_file" => Some("link"),
        "keys.mbus_file" => Some("mbus"),
        _ => None,
    }
}

/// What is wrong with a file that holds a secret.
fn problem_of_secret(key: String, path: &Path) -> Option<ConfigProblem> {
    let path_text = path.display();
    let (wrong, remedy) = match fs::metadata(path) {
        Err(cause) => {
            let remedy = "correct the path, or make the file".to_owned();
            (format!("cannot look at {path_text}: {cause}"), remedy)
        }
        Ok(found) if found.is_dir() => {
            (format!("{path_text} is a folder"), "name a file".to_owned())
        }
        Ok(found) if master::is_open_to_others(&found) => {
            let mut remedy = format!("run chmod 600 {path_text}");
            if let Some(role) = role_of(&key)
                && !begins_sealed(path)
            {
                remedy.push_str(&format!(
                    ", and seal it with `kenshin key seal --role {role}` unless \
                     keys.allow_clear_keys is true"
                ));
            }
            (format!("others can read or change {path_text}"), remedy)
        }
        Ok(_) => return None,
    };
    Some(ConfigProblem {
        place: Place::Whole,
        key,
        wrong,
        remedy,
    })
}

/// What a server would refuse of the files that a configuration names: they are there, and hold
/// something else than they should.
fn problems_of_contents(config: &Config) -> Vec<ConfigProblem> {
    let problem = |key: &str, wrong: String, remedy: &str| ConfigProblem {
        place: Place::Whole,
        key: key.to_owned(),
        wrong,
        remedy: remedy.to_owned(),
    };
    let keys = link_ring::load(&config.keys).err().map(|error| {
        let remedy = "name the sealed link ring and the master key that it was sealed with";
        problem("keys.link_file", chain(&error), remedy)
    });
    let tokens = tokens_of(&config.consumers).err().map(|error| {
        let remedy =
            "write one token into each file, as `head -c 24 /dev/urandom | base64` makes it";
        problem("consumer.token_file", chain(&error), remedy)
    });
    let meters = link_ring::load_meters(&config.keys).err().map(|error| {
        let remedy =
            "name the sealed table of meters' keys and the master key that it was sealed with";
        problem("keys.mbus_file", chain(&error), remedy)
    });
    keys.into_iter().chain(meters).chain(tokens).collect()
}

fn check(args: &CheckArgs) -> ExitCode {
    let loaded = load(args.config.as_deref()).and_then(|config| {
        let problems = problems_of_contents(&config);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(LoadConfigError::Invalid(ConfigErrors(problems)))
        }
    });
    match (loaded, args.json) {
        (Ok(config), true) => show(&format!("{}\n", json_of(&config)), ExitCode::SUCCESS),
        (Ok(config), false) => show(&text_of(&config), ExitCode::SUCCESS),
        (Err(LoadConfigError::Invalid(errors)), true) => {
            let object = json!({
                "ok": false,
                "errors": errors.0.iter().map(json_of_problem).collect::<Vec<_>>(),
            });
            show(&format!("{object}\n"), ExitCode::FAILURE)
        }
        (Err(LoadConfigError::Invalid(errors)), false) => {
            show(&format!("{errors}\n"), ExitCode::FAILURE)
        }
        (Err(error), _) => fail(&error),
    }
}

fn json_of_problem(problem: &ConfigProblem) -> Value {
    let (line, variable) = match &problem.place {
        Place::Line(line) => (Some(line), None),
        Place::Variable(name) => (None, Some(name)),
        Place::Whole => (None, None),
    };
    json!({
        "line": line,
        "variable": variable,
        "key": problem.key,
        "wrong": problem.wrong,
        "remedy": problem.remedy,
    })
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn json_of(config: &Config) -> Value {
    let bounds = config.memory_bounds(cores());
    let bounds: serde_json::Map<String, Value> = bounds
        .into_iter()
        .map(|bound| (bound.key.to_owned(), bound.octets.into()))
        .collect();
    json!({
        "ok": true,
        "warnings": config.warnings(),
        "memory_bound_octets": bounds,
    })
}

fn text_of(config: &Config) -> String {
    const MIB: u64 = 1_024 * 1_024;
    let mut text = String::new();
    for warning in config.warnings() {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let bounds = config.memory_bounds(cores());
    let sum = bounds
        .iter()
        .fold(0_u64, |sum, bound| sum.saturating_add(bound.octets));
    text.push_str(&format!(
        "The configuration can be used. Its bounds allow at most {} MiB of memory beside the \
         terminals that are registered:\n",
        sum.div_ceil(MIB)
    ));
    for bound in bounds {
        text.push_str(&format!(
            "  {:<26} {:>6} MiB\n",
            bound.key,
            bound.octets.div_ceil(MIB)
        ));
    }
    text
}
