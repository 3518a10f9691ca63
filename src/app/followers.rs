//! Whoever follows the log of a running server: the sinks of its configuration.

use std::io;
use std::sync::Arc;

use crate::config::{Config, FollowFrom, Sink as SinkConfig};
use crate::forward::{Attachment, Begin, Forwarder, SinkError, Sinks};
use crate::model::Lane;
use crate::model::record::Zone;
use crate::store::ndjson::{NdjsonFiles, Rotation};
use crate::time::Clock;

use super::boot::Booted;

/// Why a sink cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// It has no place, or cannot begin where it is told to.
    #[error("the sink {name} cannot be set up")]
    Sink {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: SinkError,
    },
    /// The system gives no thread.
    #[error("cannot start a thread for the sinks: raise the limit of threads")]
    Thread(#[source] io::Error),
}

/// The sinks at work.
#[derive(Debug)]
pub struct Followers {
    forwarder: Forwarder,
}

impl Followers {
    /// Sets all sinks of a configuration to work.
    ///
    /// # Errors
    ///
    /// [`FollowError`] for the first that cannot be.
    pub fn start(
        config: &Config,
        booted: &Booted,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, FollowError> {
        let known = booted.state.directory().sinks.clone();
        let sinks = Arc::new(Sinks::new(Arc::clone(&booted.log), &known));
        let forwarder =
            Forwarder::start(Arc::clone(&sinks), Zone::JAPAN).map_err(FollowError::Thread)?;
        let followers = Self { forwarder };
        for sink in &config.sinks {
            followers.start_sink(sink, &sinks, booted, clock)?;
        }
        Ok(followers)
    }

    fn start_sink(
        &self,
        config: &SinkConfig,
        sinks: &Sinks,
        booted: &Booted,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), FollowError> {
        let attachment = Attachment {
            kind: "ndjson",
            utility: config.utility,
        };
        let begin = match config.from {
            FollowFrom::Now => Begin::Now,
            FollowFrom::Start => Begin::Start,
            FollowFrom::Position(position) => Begin::At(position),
        };
        let attached = sinks.attach(&config.name, attachment, begin);
        let sink = attached.map_err(|cause| FollowError::Sink {
            name: config.name.clone(),
            cause,
        })?;
        let rotation = Rotation {
            octets: u64::from(config.rotate_mib) << 20,
            age_ms: u64::from(config.rotate_s).saturating_mul(1_000),
        };
        for lane in [Lane::Alarm, Lane::Bulk] {
            let files = NdjsonFiles::new(
                Arc::clone(&booted.fs),
                config.dir.clone(),
                lane,
                rotation,
                Arc::clone(clock),
            );
            self.forwarder
                .run(&sink, lane, Box::new(files))
                .map_err(FollowError::Thread)?;
        }
        Ok(())
    }

    /// Ends what is being delivered and makes the cursors durable.
    pub fn stop(self) {
        self.forwarder.stop();
    }
}
