//! Whoever follows the log of a running server: the sinks of its configuration.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use crate::api::pull::{self, Consumer};
use crate::api::token::{NoToken, Token};
use crate::config::{Config, Consumer as ConsumerConfig, FollowFrom, Sink as SinkConfig};
use crate::forward::{Attachment, Begin, Forwarder, SinkError, Sinks};
use crate::model::record::Zone;
use crate::model::{Lane, Lsn};
use crate::store::fs::{Fs, real_path};
use crate::store::log::DIRECTORY;
use crate::store::ndjson::{NdjsonFiles, NdjsonFolder, Rotation, delivered_to};
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
    /// Two consumers have one token: it would be chance whose records it gives.
    #[error("the consumers {name} and {other} have the same token: give each its own")]
    SameToken {
        /// The later of the two.
        name: String,
        /// The earlier.
        other: String,
    },
    /// Two sinks have one folder, perhaps under two names.
    #[error("the sinks {name} and {other} write in the same folder: give each its own")]
    SameFolder {
        /// The later of the two.
        name: String,
        /// The earlier.
        other: String,
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
        check_folders(&config.sinks)?;
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
        let begin = begin_of(config.from);
        let attached = self
            .sinks
            .attach(&config.name, attachment_of(config), begin);
        let sink = attached.map_err(|cause| FollowError::Sink {
            name: config.name.clone(),
            cause,
        })?;
        let rotation = Rotation {
            octets: u64::from(config.rotate_mib) << 20,
            age_ms: u64::from(config.rotate_s).saturating_mul(1_000),
        };
        let folder = NdjsonFolder::new(Arc::clone(&booted.fs), config.dir.clone());
        for lane in [Lane::Alarm, Lane::Bulk] {
            let files = NdjsonFiles::new(&folder, lane, rotation, Arc::clone(clock));
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
        let mut tokens: Vec<(&str, Token)> = Vec::new();
        for consumer in &config.consumers {
            let begin = begin_of(consumer.from);
            let attachment = attachment_of_consumer(consumer);
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
            let same = tokens.iter().find(|(_, other)| other.is(&token).into());
            if let Some((other, _)) = same {
                return Err(FollowError::SameToken {
                    name: consumer.name.clone(),
                    other: (*other).to_owned(),
                });
            }
            tokens.push((&consumer.name, token.clone()));
            consumers.push(Consumer::new(token, consumer.utility, sink));
        }
        Ok(pull::router(
            Arc::clone(&self.sinks),
            Zone::JAPAN,
            consumers,
        ))
    }

    /// The sinks, for operators.
    #[must_use]
    pub const fn sinks(&self) -> &Arc<Sinks> {
        &self.sinks
    }

    /// Delivers to the end of the log, ends the lanes and makes the cursors durable, all within a
    /// time.
    pub fn stop(self, within: Duration) {
        self.forwarder.stop(within);
    }
}

/// A position that the log of a data folder has reached, since the sinks of files hold records from
/// there; the beginning if there is no log yet.
#[must_use]
pub fn known_durable(config: &Config, fs: &dyn Fs) -> Lsn {
    let log = fs.list(&config.data_dir.join(DIRECTORY));
    if !log.is_ok_and(|names| !names.is_empty()) {
        return Lsn::ZERO;
    }
    // A folder that cannot be read tells nothing.
    let folders = config.sinks.iter().map(|sink| &sink.dir);
    let told = folders.filter_map(|dir| delivered_to(fs, dir).ok().flatten());
    told.max().unwrap_or(Lsn::ZERO)
}

/// Sinks whose folders are one in truth would write into each other's files.
fn check_folders(sinks: &[SinkConfig]) -> Result<(), FollowError> {
    let mut taken: Vec<(&str, PathBuf)> = Vec::new();
    for sink in sinks {
        // One that cannot be looked at fails later, and for itself alone.
        let Ok(folder) = real_path(&sink.dir) else {
            continue;
        };
        if let Some((other, _)) = taken.iter().find(|(_, other)| *other == folder) {
            return Err(FollowError::SameFolder {
                name: sink.name.clone(),
                other: (*other).to_owned(),
            });
        }
        taken.push((&sink.name, folder));
    }
    Ok(())
}

const fn begin_of(from: FollowFrom) -> Begin {
    match from {
        FollowFrom::Now => Begin::Now,
        FollowFrom::Start => Begin::Start,
        FollowFrom::Position(position) => Begin::At(position),
    }
}

const fn attachment_of(sink: &SinkConfig) -> Attachment {
    Attachment {
        kind: "ndjson",
        utility: sink.utility,
    }
}

const fn attachment_of_consumer(consumer: &ConsumerConfig) -> Attachment {
    Attachment {
        kind: "pull",
        utility: Some(consumer.utility),
    }
}

/// Names to sinks that the log knows what a configuration does with them, so that none that will
/// be delivered to can be removed while no server runs. Nothing is delivered and nothing appended.
///
/// # Errors
///
/// [`SinkError`], of which none is of what this does.
pub(super) fn attach_known(config: &Config, booted: &Booted) -> Result<Arc<Sinks>, SinkError> {
    let known = booted.state.directory().sinks.clone();
    let sinks = Arc::new(Sinks::new(Arc::clone(&booted.log), &known));
    let of_sinks = config.sinks.iter();
    let of_sinks = of_sinks.map(|sink| (&sink.name, attachment_of(sink)));
    let of_consumers = config.consumers.iter();
    let of_consumers = of_consumers.map(|one| (&one.name, attachment_of_consumer(one)));
    let configured = of_sinks.chain(of_consumers);
    for (name, attachment) in configured.filter(|(name, _)| known.contains_key(*name)) {
        sinks.attach(name, attachment, Begin::Now)?;
    }
    Ok(sinks)
}
