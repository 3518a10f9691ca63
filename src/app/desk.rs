//! What operators ask of a data folder, and calls of terminals.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::admin::query::Archive;
use crate::admin::{Caller, Desk, Trouble};
use crate::config::Config;
use crate::forward::Sinks;
use crate::ingest::intake::Intake;
use crate::keyring::KeyError;
use crate::model::{TerminalId, Zone};
use crate::net::Outbound;
use crate::registry::{Policy, Registry};
use crate::store::state::sqlite::FoldedReader;
use crate::time::Clock;

use super::boot::{Booted, STATE_DIRECTORY};

/// Who asks what is folded; none if that is switched off.
pub(super) fn folded_reader_of(config: &Config, booted: &Booted) -> Option<FoldedReader> {
    let dir = booted.data_dir.join(STATE_DIRECTORY);
    config.store.sqlite.then(|| FoldedReader::new(&dir))
}

/// The desk of what was taken up.
pub(super) fn desk_of(
    config: &Config,
    booted: &Booted,
    sinks: Arc<Sinks>,
    folded: Option<FoldedReader>,
) -> Desk {
    let policy = Policy {
        allow_mode0: config.keys.allow_mode0,
    };
    let registry = Registry::new(Arc::clone(&booted.state), Arc::clone(&booted.log), policy);
    let (log, state) = (Arc::clone(&booted.log), Arc::clone(&booted.state));
    let archive = Archive::new(log, state, folded, Zone::JAPAN);
    Desk::new(registry, sinks, archive)
}

/// Calls terminals of a running server.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) intake: Arc<Intake>,
    pub(super) outbound: Arc<Outbound>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stopping: CancellationToken,
}

impl Calls {
    /// See [`super::Server::call`].
    pub(super) fn call_now(&self, terminal: TerminalId) -> Result<bool, KeyError> {
        let mut out = Vec::new();
        let is_served = self.intake.call_now(terminal, &mut out)?;
        self.outbound.send_all(&mut out, self.clock.monotonic_ms());
        Ok(is_served)
    }
}

impl Caller for Calls {
    fn call(&self, terminal: TerminalId) -> Result<(), Trouble> {
        if self.stopping.is_cancelled() {
            return Err(Trouble::new("unavailable", "the server stops"));
        }
        let called = self.call_now(terminal).map_err(|error| {
            let message = match error {
                KeyError::UnknownKeyVersion => {
                    format!(
                        "{terminal} has not called yet under a key that is in use, so there is \
                         none to call it with: {error}"
                    )
                }
                error => format!("{terminal} cannot be called: {error}"),
            };
            Trouble::new("refused", message)
        })?;
        if called {
            return Ok(());
        }
        let message = "all places of sessions are taken: try again in a moment";
        Err(Trouble::new("unavailable", message))
    }
}
