//! A data folder in the hands of an operator, while no server runs.

use crate::admin::{Answer, Ask, Desk, Trouble};
use crate::config::Config;
use crate::forward::SinkError;
use crate::keyring::LinkKeyring;

use super::boot::{BootError, Booted, take_up};
use super::desk::{desk_of, folded_reader_of};
use super::followers::attach_known;

/// Why a data folder cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// It is in use, or what is in it cannot be taken up.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The sinks cannot be taken up.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The log stopped: what was answered is durable all the same.
    #[error("it was answered and is durable, and then the log stopped: {0}")]
    Stopped(String),
}

/// A data folder, locked and taken up.
#[derive(Debug)]
pub struct Direct {
    desk: Desk,
    /// Given back last.
    booted: Booted,
}

impl Direct {
    /// Takes up the data folder of a configuration, which is made if there is none.
    ///
    /// # Errors
    ///
    /// [`DirectError`].
    pub fn open(config: &Config, keys: LinkKeyring) -> Result<Self, DirectError> {
        let booted = take_up(config, 0, keys)?;
        let sinks = attach_known(config, &booted)?;
        Ok(Self {
            desk: desk_of(config, &booted, sinks, folded_reader_of(config, &booted)),
            booted,
        })
    }

    /// Does what is asked. Blocks until what changed is durable.
    ///
    /// # Errors
    ///
    /// [`Trouble`].
    pub fn answer(&self, ask: Ask) -> Result<Answer, Trouble> {
        self.desk.answer(ask)
    }

    /// Closes the log.
    ///
    /// # Errors
    ///
    /// [`DirectError::Stopped`].
    pub fn close(self) -> Result<(), DirectError> {
        let closed = self.booted.log.close();
        closed.map_err(|poison| DirectError::Stopped(poison.cause))?;
        Ok(())
    }
}
