//! What a server that stops closes last.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::log::PoisonReason;

use super::boot::Booted;
use super::folder::Folder;
use super::followers::Followers;
use super::house::House;

/// What is closed last. Dropping it may wait for whatever hangs. The fields are given back in this
/// order, the data folder last.
pub(super) struct Closing {
    pub(super) followers: Option<Followers>,
    pub(super) folder: Option<Folder>,
    pub(super) house: Option<House>,
    pub(super) booted: Arc<Booted>,
    pub(super) broken: CancellationToken,
    pub(super) sinks_at_most: Duration,
    pub(super) folder_at_most: Duration,
}

impl Closing {
    /// Delivers and writes what is left, and closes the log. Nothing that is to be durable waits
    /// for what is only folded behind.
    pub(super) fn close(mut self) {
        if let Some(folder) = &self.folder {
            folder.tell_to_stop();
        }
        if let Some(followers) = self.followers.take() {
            followers.stop(self.sinks_at_most);
        }
        if let Some(mut keeper) = self.house.take().and_then(House::end)
            && let Err(error) = keeper.snapshot()
        {
            tracing::warn!(%error, "No snapshot was written; the next start reads more log.");
        }
        if let Err(poison) = self.booted.log.close() {
            tracing::error!(reason = %poison.reason, cause = poison.cause, "The log stopped.");
            if poison.reason != PoisonReason::Full {
                self.broken.cancel();
            }
        }
        if let Some(folder) = self.folder.take() {
            folder.stop(self.folder_at_most);
        }
    }
}
