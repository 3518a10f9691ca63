//! A data folder in the hands of an operator, while no server runs.

use std::sync::Arc;

use crate::admin::query::Archive;
use crate::admin::{Answer, Ask, Desk, Trouble};
use crate::config::Config;
use crate::forward::SinkError;
use crate::keyring::LinkKeyring;
use crate::model::Zone;
use crate::registry::{Policy, Registry};
use crate::store::fs::{DataDirLock, RealFs};
use crate::store::state::sqlite::FoldedReader;

use super::boot::{BootError, Booted, STATE_DIRECTORY, boot, lock};
use super::followers::attach_known;
use super::server::log_options;

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
    #[error("the log stopped: {0}")]
    Stopped(String),
}

/// A data folder, locked and taken up.
#[derive(Debug)]
pub struct Direct {
    desk: Desk,
    booted: Booted,
    /// Given back last.
    _lock: DataDirLock,
}

impl Direct {
    /// Takes up the data folder of a configuration, which is made if there is none.
    ///
    /// # Errors
    ///
    /// [`DirectError`].
    pub fn open(config: &Config, keys: LinkKeyring) -> Result<Self, DirectError> {
        let fs = Arc::new(RealFs);
        let data_lock = lock(&*fs, &config.data_dir)?;
        let booted = boot(fs, &config.data_dir, log_options(config), 0, keys)?;
        let sinks = attach_known(config, &booted)?;
        Ok(Self {
            desk: Desk::new(
                registry_of(config, &booted),
                sinks,
                archive_of(&booted, folded_reader_of(config, &booted)),
            ),
            booted,
            _lock: data_lock,
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

/// Where records and what is folded of them are found.
pub(super) fn archive_of(booted: &Booted, folded: Option<FoldedReader>) -> Archive {
    Archive::new(Arc::clone(&booted.log), folded, Zone::JAPAN)
}

/// Who asks what is folded; none if that is switched off.
pub(super) fn folded_reader_of(config: &Config, booted: &Booted) -> Option<FoldedReader> {
    let dir = booted.data_dir.join(STATE_DIRECTORY);
    config.store.sqlite.then(|| FoldedReader::new(&dir))
}

/// The registry of what was taken up.
pub(super) fn registry_of(config: &Config, booted: &Booted) -> Registry {
    let policy = Policy {
        allow_mode0: config.keys.allow_mode0,
    };
    Registry::new(Arc::clone(&booted.state), Arc::clone(&booted.log), policy)
}
