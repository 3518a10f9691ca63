//! Whoever answers operators.

use std::fmt::Debug;
use std::sync::Arc;

use crate::forward::{Sinks, command as sinks};
use crate::model::TerminalId;
use crate::registry::Registry;

use super::protocol::{Answer, Ask, Trouble};
use super::query::Archive;

/// Whoever can call terminals: a server that runs.
pub trait Caller: Debug + Send + Sync {
    /// Calls a terminal, if a way to it is known.
    ///
    /// # Errors
    ///
    /// [`Trouble`] of kind `refused` or `unavailable`.
    fn call(&self, terminal: TerminalId) -> Result<(), Trouble>;
}

/// What operators can ask of one data folder.
#[derive(Debug)]
pub struct Desk {
    registry: Registry,
    sinks: Arc<Sinks>,
    archive: Archive,
    caller: Option<Arc<dyn Caller>>,
}

impl Desk {
    /// A desk for a registry, the sinks and the records of one log.
    #[must_use]
    pub const fn new(registry: Registry, sinks: Arc<Sinks>, archive: Archive) -> Self {
        Self {
            registry,
            sinks,
            archive,
            caller: None,
        }
    }

    /// This desk, which calls terminals too.
    #[must_use]
    pub fn with_caller(mut self, caller: Arc<dyn Caller>) -> Self {
        self.caller = Some(caller);
        self
    }

    /// Does what is asked. Blocks until what changed is durable and folded.
    ///
    /// # Errors
    ///
    /// [`Trouble`].
    pub fn answer(&self, ask: Ask) -> Result<Answer, Trouble> {
        match ask {
            Ask::Registry(command) => Ok(Answer::Registry(self.registry.apply(command)?)),
            Ask::Query(question) => Ok(Answer::Query(self.archive.answer(question)?)),
            Ask::Call { terminal } => self.call(terminal),
            Ask::Sink(command) => Ok(Answer::Sink(sinks::apply(&self.sinks, command)?)),
        }
    }

    // spec: SES-12
    fn call(&self, terminal: TerminalId) -> Result<Answer, Trouble> {
        let caller = self.caller.as_ref().ok_or_else(|| {
            let message = "no server runs on this data folder, and only one that runs can call";
            Trouble::new("unavailable", message)
        })?;
        caller.call(terminal)?;
        Ok(Answer::Called { terminal })
    }
}
