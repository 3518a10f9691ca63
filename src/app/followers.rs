//! Whoever follows the log of a running server: the sinks of its configuration.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use crate::api::pull::{self, Consumer};
use crate::api::token::{NoToken, Token};
use crate::config::{Config, Consumer as ConsumerConfig, FollowFrom, Sink as SinkConfig};
use crate::forward::{Attachment, Begin, Forwarder, Sink, SinkError, Sinks, UNUSED};
use crate::model::record::Zone;
use crate::model::{Lane, Lsn};
use crate::store::fs::{Fs, real_path};
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
    #[error("the token file of the consumer {name} holds no token: {cause}")]
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

/// The sinks of a configuration with their places in the log, before any of them works.
#[derive(Debug)]
pub struct Attached {
    sinks: Arc<Sinks>,
    /// Those of files, in the order of the configuration.
    files: Vec<Arc<Sink>>,
    records: Router,
}

impl Attached {
    /// Finds or makes the places of all sinks of a configuration, and looks at what they need.
    ///
    /// # Errors
    ///
    /// [`FollowError`] for the first that cannot be set up.
    pub fn new(config: &Config, booted: &Booted) -> Result<Self, FollowError> {
        check_folders(&config.sinks)?;
        let tokens = tokens_of(&config.consumers)?;
        let known = booted.state.directory().sinks.clone();
        let sinks = Arc::new(Sinks::new(Arc::clone(&booted.log), &known));
        let attach = |name: &str, attachment, from| {
            let attached = sinks.attach(name, attachment, begin_of(from));
            attached.map_err(|cause| FollowError::Sink {
                name: name.to_owned(),
                cause,
            })
        };
        let mut files = Vec::new();
        for sink in &config.sinks {
            files.push(attach(&sink.name, attachment_of(sink), sink.from)?);
        }
        let mut consumers = Vec::new();
        for (consumer, token) in config.consumers.iter().zip(tokens) {
            let attachment = attachment_of_consumer(consumer);
            let sink = attach(&consumer.name, attachment, consumer.from)?;
            consumers.push(Consumer::new(token, consumer.utility, sink));
        }
        tell_unused(&sinks);
        let records = pull::router(Arc::clone(&sinks), Zone::JAPAN, consumers);
        Ok(Self {
            sinks,
            files,
            records,
        })
    }

    /// Sets them to work. Gives the HTTP interface of the consumers, too.
    ///
    /// # Errors
    ///
    /// [`FollowError::Thread`]. The threads that were started end.
    pub fn start(
        self,
        config: &Config,
        booted: &Booted,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Followers, Router), FollowError> {
        let sinks = self.sinks;
        let forwarder =
            Forwarder::start(Arc::clone(&sinks), Zone::JAPAN).map_err(FollowError::Thread)?;
        let followers = Followers { forwarder, sinks };
        for (config, sink) in config.sinks.iter().zip(&self.files) {
            followers.start_sink(config, sink, booted, clock)?;
        }
        Ok((followers, self.records))
    }
}

impl Followers {
    fn start_sink(
        &self,
        config: &SinkConfig,
        sink: &Arc<Sink>,
        booted: &Booted,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), FollowError> {
        let rotation = Rotation {
            octets: u64::from(config.rotate_mib) << 20,
            age_ms: u64::from(config.rotate_s).saturating_mul(1_000),
        };
        let folder = NdjsonFolder::new(Arc::clone(&booted.fs), config.dir.clone());
        for lane in [Lane::Alarm, Lane::Bulk] {
            let files = NdjsonFiles::new(&folder, lane, rotation, Arc::clone(clock));
            self.forwarder
                .run(sink, lane, Box::new(files))
                .map_err(FollowError::Thread)?;
        }
        Ok(())
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

/// Says of which sinks nothing in the configuration speaks: the log is kept for them all the same.
fn tell_unused(sinks: &Sinks) {
    for unused in sinks.list().iter().filter(|sink| sink.kind == UNUSED) {
        tracing::warn!(
            sink = unused.name,
            lag_octets = unused.lag_octets,
            "The log keeps records for a sink that is not in the configuration: set it up again, \
             or let it go with `kenshin sink remove`."
        );
    }
}

/// A position that the log of a data folder has reached, since the sinks of files hold records from
/// there. A new log does not begin beside them: it would give their positions to other records.
#[must_use]
pub fn known_durable(config: &Config, fs: &dyn Fs) -> Lsn {
    // A folder that cannot be read tells nothing.
    let folders = config.sinks.iter().map(|sink| &sink.dir);
    let told = folders.filter_map(|dir| delivered_to(fs, dir).ok().flatten());
    told.max().unwrap_or(Lsn::ZERO)
}

/// The tokens of consumers, each its own.
///
/// # Errors
///
/// [`FollowError`]: the first file that cannot be read, holds no token or one that another has.
pub fn tokens_of(consumers: &[ConsumerConfig]) -> Result<Vec<Token>, FollowError> {
    let mut tokens: Vec<Token> = Vec::new();
    for consumer in consumers {
        let name = || consumer.name.clone();
        let octets = secret::read(&consumer.token_file);
        let octets = octets.map_err(|cause| FollowError::TokenFile {
            name: name(),
            cause,
        })?;
        let token = Token::parse(&octets);
        let token = token.map_err(|cause| FollowError::Token {
            name: name(),
            cause,
        })?;
        let mut before = consumers.iter().zip(&tokens);
        if let Some((other, _)) = before.find(|(_, other)| other.is(&token).into()) {
            return Err(FollowError::SameToken {
                name: name(),
                other: other.name.clone(),
            });
        }
        tokens.push(token);
    }
    Ok(tokens)
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
