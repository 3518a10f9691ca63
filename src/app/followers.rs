//! Whoever follows the log of a running server: the sinks of its configuration.

use std::io;
use std::sync::Arc;

use axum::Router;

use crate::api::pull::{self, Consumer};
use crate::api::token::{NoToken, Token};
use crate::config::{Config, FollowFrom, Sink as SinkConfig};
use crate::forward::{Attachment, Begin, Forwarder, SinkError, Sinks};
use crate::model::Lane;
use crate::model::record::Zone;
use crate::store::ndjson::{NdjsonFiles, Rotation};
use crate::store::secret;
use crate::time::Clock;

use super::boot::Booted;

/// The kind of sinks of files.
pub(super) const FILES: &str = "ndjson";

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
    /// The token file of a consumer cannot be read.
    #[error("the token file of the consumer {name} cannot be read")]
    TokenFile {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The token file of a consumer holds none.
    #[error("the token file of the consumer {name} holds no token")]
    Token {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: NoToken,
    },
    /// The system gives no thread.
    #[error("cannot start a thread for the sinks: raise the limit of threads")]
    Thread(#[source] io::Error),
}

/// The sinks at work.
#[derive(Debug)]
pub struct Followers {
    forwarder: Forwarder,
    sinks: Arc<Sinks>,
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
        let followers = Self { forwarder, sinks };
        for sink in &config.sinks {
            followers.start_sink(sink, booted, clock)?;
        }
        Ok(followers)
    }

    fn start_sink(
        &self,
        config: &SinkConfig,
        booted: &Booted,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), FollowError> {
        let attachment = Attachment {
            kind: FILES,
            utility: config.utility,
        };
        let begin = begin_of(config.from);
        let attached = self.sinks.attach(&config.name, attachment, begin);
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

    /// The HTTP interface of the consumers of a configuration; each is a sink of its own.
    ///
    /// # Errors
    ///
    /// [`FollowError`] for the first that cannot be set up.
    pub fn router(&self, config: &Config) -> Result<Router, FollowError> {
        let mut consumers = Vec::new();
        for consumer in &config.consumers {
            let attachment = Attachment {
                kind: "pull",
                utility: Some(consumer.utility),
            };
            let begin = begin_of(consumer.from);
            let attached = self.sinks.attach(&consumer.name, attachment, begin);
            let sink = attached.map_err(|cause| FollowError::Sink {
                name: consumer.name.clone(),
                cause,
            })?;
            let octets = secret::read(&consumer.token_file);
            let octets = octets.map_err(|cause| FollowError::TokenFile {
                name: consumer.name.clone(),
                cause,
            })?;
            let token = Token::parse(&octets).map_err(|cause| FollowError::Token {
                name: consumer.name.clone(),
                cause,
            })?;
            consumers.push(Consumer::new(token, consumer.utility, sink));
        }
        Ok(pull::router(
            Arc::clone(&self.sinks),
            Zone::JAPAN,
            consumers,
        ))
    }

    /// The sinks, for whoever tells how far they are.
    #[must_use]
    pub fn sinks(&self) -> Arc<Sinks> {
        Arc::clone(&self.sinks)
    }

    /// Ends what is being delivered and makes the cursors durable.
    pub fn stop(self) {
        self.forwarder.stop();
    }
}

const fn begin_of(from: FollowFrom) -> Begin {
    match from {
        FollowFrom::Now => Begin::Now,
        FollowFrom::Start => Begin::Start,
        FollowFrom::Position(position) => Begin::At(position),
    }
}
