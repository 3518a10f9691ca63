//! What an operator asks of sinks, as the admin socket carries it.

use serde::{Deserialize, Serialize};

use crate::model::Lsn;

use super::sinks::{SinkError, SinkStatus, Sinks};

/// What is asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "sink", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// How all sinks and consumers stand.
    List,
    /// Lets one skip what it was not given: those records never reach it.
    Skip {
        /// Its name.
        name: String,
        /// Up to where; none is the end of the log.
        to: Option<Lsn>,
        /// Whether the operator means it.
        confirmed: bool,
    },
    /// Forgets one that nothing delivers to.
    Remove {
        /// Its name.
        name: String,
        /// Whether the operator means it.
        confirmed: bool,
    },
}

/// What became of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "sink", rename_all = "snake_case")]
pub enum Reply {
    /// The sinks, by name.
    List {
        /// How each stands.
        sinks: Vec<SinkStatus>,
    },
    /// A range was skipped.
    Skipped {
        /// Which sink.
        name: String,
        /// From where.
        from: Lsn,
        /// Up to where.
        to: Lsn,
    },
    /// A sink is forgotten.
    Removed {
        /// Which.
        name: String,
    },
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nobody confirmed that records are to be dropped.
    #[error("this drops records that {0} was not given: say --yes if that is meant")]
    Unconfirmed(String),
    /// The sinks refused it.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Does what is asked. Waits for the log.
///
/// # Errors
///
/// [`CommandError`].
pub fn apply(sinks: &Sinks, command: Command) -> Result<Reply, CommandError> {
    match command {
        Command::List => Ok(Reply::List {
            sinks: sinks.list(),
        }),
        Command::Skip {
            name,
            confirmed: false,
            ..
        } => {
            sinks.check_known(&name)?;
            Err(CommandError::Unconfirmed(name))
        }
        Command::Remove {
            name,
            confirmed: false,
        } => {
            sinks.check_unused(&name)?;
            Err(CommandError::Unconfirmed(name))
        }
        Command::Skip { name, to, .. } => {
            let (from, to) = sinks.skip(&name, to)?;
            Ok(Reply::Skipped { name, from, to })
        }
        Command::Remove { name, .. } => {
            sinks.remove(&name)?;
            Ok(Reply::Removed { name })
        }
    }
}
