//! How operators reach the registry and the sinks: through the socket of the server that runs, or
//! else in the data folder itself.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::admin::{Answer, Ask, CallError, Client, Trouble};
use crate::app::Direct;
use crate::app::boot::BootError;
use crate::app::direct::DirectError;
use crate::config::{Config, Log, LogFormat, LogLevel};
use crate::registry::Change;
use crate::store::fs::LockError;
use crate::store::log::DIRECTORY;
use crate::telemetry::init_logs;

use super::config::LoadConfigError;
use super::link_ring::{self, LinkRingError};
use super::output::{FAILED, show};

/// What `--help` says after the arguments.
pub const AFTER_HELP: &str = "\
Works through the admin socket of the server that runs, and in the data folder itself while none
does. What is reported as done is durable.

Exit status:
  0  done
  1  refused, or the input has mistakes; nothing was changed
  2  the arguments are wrong, or it could not be done at all, or it is not known whether it was:
     the message says what is known";

/// Where the registry is, and how to show it.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The configuration of the server; without it every setting has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The data folder, in place of the one of the configuration.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Show the outcome as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Why an operator has no answer.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no configuration.
    #[error(transparent)]
    Config(#[from] LoadConfigError),
    /// There is no data folder, and nothing that would fill one is asked.
    #[error("{} is no data folder: name it with --data-dir or --config", .0.display())]
    NoData(PathBuf),
    /// Somebody has the data folder and does not answer.
    #[error(
        "a process uses the data folder {}, and nobody answers on {}: it is starting, stopping or \
         another command; try again, or name its configuration with --config",
        data_dir.display(), socket.display()
    )]
    Locked {
        /// The data folder.
        data_dir: PathBuf,
        /// Where nobody answers.
        socket: PathBuf,
    },
    /// The keys that decide what is allowed are not there.
    #[error(transparent)]
    Keys(#[from] LinkRingError),
    /// The data folder cannot be worked on.
    #[error(transparent)]
    Direct(#[from] DirectError),
    /// The server gave no answer.
    #[error(transparent)]
    Call(CallError),
    /// It was answered, and is not done.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// The time that is asked for has no second.
    #[error("--from is not before --to: nothing can be between them")]
    EmptySpan,
    /// Nobody can tell whether a sink is in use.
    #[error(
        "no server runs, and without --config nobody can tell whether the sink is still in use: \
         name the server's configuration"
    )]
    NoConfig,
    /// The answer is one to another question: a bug of the server.
    #[error("the server answered something else than what was asked")]
    OtherAnswer,
}

impl From<CallError> for OperatorError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Trouble(trouble) => Self::Trouble(trouble),
            error => Self::Call(error),
        }
    }
}

impl OperatorError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Trouble(trouble) if trouble.is_refusal() => ExitCode::from(1),
            _ => ExitCode::from(FAILED),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Trouble(trouble) => json!({ "error": trouble }),
            error => json!({ "error": Trouble::new("unavailable", error.to_string()) }),
        }
    }
}

/// A way to the registry and the sinks.
#[derive(Debug)]
pub enum Link {
    /// Through a server.
    Served(Client),
    /// In the data folder.
    Direct(Box<Direct>),
}

impl Link {
    /// Finds the way. `only_reads`: nothing is to be changed, and so no data folder to be made.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn open(place: &Place, only_reads: bool) -> Result<Self, OperatorError> {
        let mut config = super::config::load(place.config.as_deref())?;
        if let Some(dir) = &place.data_dir {
            config.data_dir.clone_from(dir);
        }
        let socket = config.admin_socket();
        match Client::connect(&socket) {
            Ok(client) => Ok(Self::Served(client)),
            Err(CallError::NotServed(_)) => Self::open_direct(&config, socket, only_reads),
            Err(error) => Err(error.into()),
        }
    }

    fn open_direct(
        config: &Config,
        socket: PathBuf,
        only_reads: bool,
    ) -> Result<Self, OperatorError> {
        let data_dir = &config.data_dir;
        if only_reads && !data_dir.join(DIRECTORY).exists() {
            return Err(OperatorError::NoData(data_dir.clone()));
        }
        if !data_dir.join(DIRECTORY).exists() {
            let text = format!("kenshin: {} is a new data folder\n", data_dir.display());
            // A failure to say so has no place to be said.
            io::stderr().write_all(text.as_bytes()).ok();
        }
        let keys = link_ring::load(&config.keys)?;
        tell_what_is_taken_up(config);
        match Direct::open(config, keys) {
            Ok(direct) => Ok(Self::Direct(Box::new(direct))),
            Err(DirectError::Boot(BootError::Lock(LockError::Taken(data_dir)))) => {
                Err(OperatorError::Locked { data_dir, socket })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks, and waits until what changed is durable.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn ask(&mut self, ask: Ask) -> Result<Answer, OperatorError> {
        match self {
            Self::Served(client) => Ok(client.ask(ask)?),
            Self::Direct(direct) => Ok(direct.answer(ask)?),
        }
    }

    /// Gives the data folder back.
    ///
    /// # Errors
    ///
    /// [`OperatorError`]; what was answered is durable all the same.
    pub fn close(self) -> Result<(), OperatorError> {
        match self {
            Self::Served(_) => Ok(()),
            Self::Direct(direct) => Ok(direct.close()?),
        }
    }
}

/// Has what is noticed in the data folder told on standard error, but not what is as it should be.
fn tell_what_is_taken_up(config: &Config) {
    let level = match config.log.level {
        LogLevel::Error => LogLevel::Error,
        _ => LogLevel::Warn,
    };
    let format = LogFormat::Text;
    // Where log lines go somewhere already, they go there.
    init_logs(Log { format, level }).ok();
}

/// Asks one thing.
///
/// # Errors
///
/// [`OperatorError`].
pub fn ask(place: &Place, ask: Ask) -> Result<Answer, OperatorError> {
    let mut link = Link::open(place, ask.only_reads())?;
    let answer = link.ask(ask)?;
    link.close()?;
    Ok(answer)
}

/// Asks one thing and shows what became of it. `text` is for people; none where the answer is to
/// another question.
pub fn ask_and_show(
    place: &Place,
    what: Ask,
    text: impl FnOnce(&Answer) -> Option<String>,
) -> ExitCode {
    match ask(place, what) {
        Ok(answer) => show_answer(place, &answer, text),
        Err(error) => show_error(place, &error),
    }
}

/// Shows an answer.
pub fn show_answer(
    place: &Place,
    answer: &Answer,
    text: impl FnOnce(&Answer) -> Option<String>,
) -> ExitCode {
    let Some(text) = text(answer) else {
        return show_error(place, &OperatorError::OtherAnswer);
    };
    let shown = if place.json {
        let value = match answer {
            Answer::Registry(reply) => json!(reply),
            Answer::Sink(reply) => json!(reply),
            Answer::Query(reply) => json!(reply),
            Answer::Called { terminal } => json!({ "called": terminal }),
        };
        format!("{value}\n")
    } else {
        text
    };
    show(&shown, ExitCode::SUCCESS)
}

/// Shows why there is no answer: rows that are refused a line each.
pub fn show_error(place: &Place, error: &OperatorError) -> ExitCode {
    let code = error.exit_code();
    if place.json {
        return show(&format!("{}\n", error.json()), code);
    }
    let mut text = String::new();
    if let OperatorError::Trouble(trouble) = error {
        for row in &trouble.rows {
            text.push_str(&format!("{row}\n"));
        }
    }
    text.push_str(&format!("kenshin: {error}\n"));
    // A failure to say why has no place to be said.
    io::stderr().write_all(text.as_bytes()).ok();
    code
}

/// Refuses a span of time that holds nothing.
///
/// # Errors
///
/// [`OperatorError::EmptySpan`].
pub fn check_span(from: Option<u32>, to: Option<u32>) -> Result<(), OperatorError> {
    match (from, to) {
        (Some(from), Some(to)) if from >= to => Err(OperatorError::EmptySpan),
        _ => Ok(()),
    }
}

/// What a command did, as a word.
#[must_use]
pub const fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Changed => "changed",
        Change::Unchanged => "unchanged",
        Change::Removed => "removed",
    }
}
