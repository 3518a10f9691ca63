//! Whoever answers operators.

use std::sync::Arc;

use crate::forward::{Sinks, command as sinks};
use crate::registry::Registry;

use super::protocol::{Answer, Ask, Trouble};
use super::query::Archive;

/// What operators can ask of one data folder.
#[derive(Debug)]
pub struct Desk {
    registry: Registry,
    sinks: Arc<Sinks>,
    archive: Archive,
}

impl Desk {
    /// A desk for a registry, the sinks and the records of one log.
    #[must_use]
    pub const fn new(registry: Registry, sinks: Arc<Sinks>, archive: Archive) -> Self {
        Self {
            registry,
            sinks,
            archive,
        }
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
            Ask::Sink(command) => Ok(Answer::Sink(sinks::apply(&self.sinks, command)?)),
        }
    }
}
