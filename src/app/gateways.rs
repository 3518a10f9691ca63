//! The intake of M-Bus telegrams and its sockets, as a configuration wants them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;

use crate::config::Config;
use crate::ingest::load::Load;
use crate::ingest::mbus::{
    FoldedFormats, FoldedGateways, MbusIntake, MbusParts, RefusedTelegram, RingOpener, Verdict,
    Verdicts,
};
use crate::keyring::mbus::MeterKeyring;
use crate::model::telegram::Carriage;
use crate::net::mbus::contract::Gateway;
use crate::net::mbus::counters::MbusCounters;
use crate::net::mbus::tls::{self, TlsError, TlsFiles};
use crate::net::mbus::{MbusBindError, MbusBound, MbusListeners, MbusLocalAddrs};
use crate::store::log::ReadError;
use crate::store::secret;
use crate::telemetry::{Metrics, RefusedMeters, UnreadableFiles, events};
use crate::time::Clock;

use super::boot::Booted;
use super::options::mbus_net_options;

/// Why gateways cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum GatewaysError {
    /// A file of TLS cannot be read.
    #[error("cannot read mbus.{key}, {}: {cause}", path.display())]
    File {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The files of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A port cannot be opened.
    #[error(transparent)]
    Bind(#[from] MbusBindError),
    /// The system gives no thread, or the runtime takes no socket.
    #[error("cannot start to serve gateways: raise the limits of open files and of threads")]
    Start(#[source] io::Error),
}

/// Opens the sockets of a configuration; none if all are off.
pub(super) fn bind(config: &Config) -> Result<Option<MbusBound>, GatewaysError> {
    let mbus = &config.mbus;
    if !mbus.is_on() {
        return Ok(None);
    }
    let tls = mbus.tls.map(|address| Ok((address, acceptor(config)?)));
    let tls = tls.transpose().map_err(|error: GatewaysError| error)?;
    Ok(Some(MbusBound::new(mbus_net_options(config, tls))?))
}

fn acceptor(config: &Config) -> Result<TlsAcceptor, GatewaysError> {
    let mbus = &config.mbus;
    // A configuration with TLS names them.
    let read = |key, path: &Option<PathBuf>, most| {
        let path = path.as_deref().unwrap_or_else(|| Path::new(""));
        secret::read_at_most(path, most).map_err(|cause| GatewaysError::File {
            key,
            path: path.to_owned(),
            cause,
        })
    };
    const TEXTS_MAX: usize = 1 << 20;
    let certificates = read("tls_cert_file", &mbus.tls_cert_file, TEXTS_MAX)?;
    let key = read("tls_key_file", &mbus.tls_key_file, 65_536)?;
    let authorities = read("tls_client_ca_file", &mbus.tls_client_ca_file, TEXTS_MAX)?;
    let acceptor = tls::acceptor(TlsFiles {
        certificates: &certificates,
        key: &key,
        authorities: &authorities,
    });
    Ok(acceptor?)
}

/// Tells what is set up in part, and so would be refused or never heard.
fn tell_what_is_missing(config: &Config, booted: &Booted) {
    let directory = booted.state.directory();
    for (utility, meters) in booted.meter_keys.meters_by_utility() {
        if directory.index_of(utility).is_none() {
            tracing::warn!(
                %utility,
                meters,
                "keys.mbus_file: it has keys of meters of a utility that is not registered, so \
                 that no gateway can hand their telegrams over: `kenshin utility put` registers it."
            );
        }
    }
    let gateways = directory.gateways.len();
    if gateways > 0 && !config.mbus.is_on() {
        tracing::warn!(
            gateways,
            "mbus: gateways are registered, and every address is off, so that none can hand \
             anything over."
        );
    }
}

/// The intake and its sockets at work.
#[derive(Debug)]
pub(super) struct Gateways {
    intake: Arc<MbusIntake>,
    listeners: MbusListeners,
}

/// What the intake shares with the rest of the server.
pub(super) struct Around<'a> {
    booted: &'a Booted,
    load: &'a Arc<Load>,
    clock: &'a Arc<dyn Clock>,
    metrics: &'a Arc<Metrics>,
}

impl<'a> Around<'a> {
    pub(super) const fn new(
        booted: &'a Booted,
        load: &'a Arc<Load>,
        clock: &'a Arc<dyn Clock>,
        metrics: &'a Arc<Metrics>,
    ) -> Self {
        Self {
            booted,
            load,
            clock,
            metrics,
        }
    }
}

impl Gateways {
    /// Begins to serve gateways, where sockets are open.
    pub(super) fn start(
        bound: Option<MbusBound>,
        config: &Config,
        around: &Around<'_>,
        runtime: &Handle,
    ) -> Result<Option<Self>, GatewaysError> {
        tell_what_is_missing(config, around.booted);
        let Some(bound) = bound else {
            return Ok(None);
        };
        let Around {
            booted,
            load,
            clock,
            metrics,
        } = *around;
        let intake = MbusIntake::new(MbusParts {
            state: Arc::clone(&booted.state),
            log: Arc::clone(&booted.log),
            load: Arc::clone(load),
            clock: Arc::clone(clock),
            opener: Arc::new(RingOpener::new(
                Arc::clone(&booted.meter_keys),
                config.mbus.allow_clear_meters,
            )),
            gateways: Arc::new(FoldedGateways(Arc::clone(&booted.state))),
            formats: Arc::new(FoldedFormats(Arc::clone(&booted.state))),
            verdicts: Arc::new(Counted {
                metrics: Arc::clone(metrics),
                clock: Arc::clone(clock),
                told: RefusedMeters::default(),
                unreadable: UnreadableFiles::default(),
                meter_keys: Arc::clone(&booted.meter_keys),
            }),
            meters_max: usize::try_from(config.mbus.meters_max).unwrap_or(usize::MAX),
        });
        let intake = Arc::new(intake.map_err(GatewaysError::Start)?);
        let handler = Arc::<MbusIntake>::clone(&intake);
        let listeners = bound.start(handler, Arc::clone(clock), runtime);
        let listeners = listeners.map_err(GatewaysError::Start)?;
        Ok(Some(Self { intake, listeners }))
    }

    /// What the listeners count.
    pub(super) fn counters(&self) -> Arc<MbusCounters> {
        self.listeners.counters()
    }

    /// The addresses that were bound.
    pub(super) const fn local_addrs(&self) -> MbusLocalAddrs {
        self.listeners.local_addrs()
    }
}

impl Gateways {
    /// Reads nothing more, and waits until what was begun is answered: at the latest after
    /// `deadline`. What is looked for in the log is told to come again.
    pub(super) async fn drain(gateways: Option<Self>, deadline: Duration) {
        let Some(Self { intake, listeners }) = gateways else {
            return;
        };
        intake.end_searches();
        let complete = listeners.drain(deadline).await;
        let pending = intake.pending();
        tracing::info!(complete, pending, "Gateways were answered.");
        // Its threads wait for the disk, which may hang: the log is closed without them then.
        let ending = tokio::task::spawn_blocking(move || drop(intake));
        tokio::time::timeout(deadline, ending).await.ok();
    }
}

/// Counts in the metrics of the server, and tells of refusals.
struct Counted {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    told: RefusedMeters,
    unreadable: UnreadableFiles,
    meter_keys: Arc<MeterKeyring>,
}

impl Verdicts for Counted {
    fn came_to(&self, carriage: Carriage, verdict: Verdict) {
        self.metrics.telegram(carriage, verdict.id());
    }

    fn refused(&self, gateway: &Gateway, refused: &RefusedTelegram) {
        let RefusedTelegram { why, meter } = refused;
        let is_news = why.contradicts_key_file()
            && meter.is_some_and(|meter| {
                // By radio anybody can name any meter.
                let of = self.meter_keys.utility(meter);
                let now_ms = self.clock.monotonic_ms();
                let of_utility = (gateway.utility, why.id());
                of == Some(gateway.utility) && self.told.is_news(of_utility, meter, now_ms)
            });
        events::telegram_refused(&gateway.name, *meter, why, is_news);
    }

    fn unknown_gateway(&self, carriage: Carriage) {
        self.metrics.unknown_gateway(carriage);
    }

    fn unreadable(&self, error: &ReadError) {
        let now_ms = self.clock.monotonic_ms();
        let is_news = error
            .path()
            .is_some_and(|path| self.unreadable.is_news(path, now_ms));
        events::search_met_damage(error, is_news);
    }
}
