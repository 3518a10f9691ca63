//! `kenshin serve`: the server, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::app::Server;
use crate::app::boot::Rings;
use crate::config::Config;
use crate::shutdown::Shutdown;
use crate::telemetry::{chain, init_logs};
use crate::time::{Clock, SystemClock};

use super::link_ring;
use super::output::{FAILED, fail};

/// What `--help` says after the arguments.
const AFTER_HELP: &str = "\
TERM, INT and HUP stop it in stages; a second one ends it at once.

Exit status:
  0  it was stopped, and everything ended in order
  2  it could not start, or the log can no longer be written: start it again
  3  it was told twice to stop, and ended at once; nothing acknowledged is lost";

/// The arguments of `kenshin serve`.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct ServeArgs {
    /// The configuration; without it every setting has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the server.
#[must_use]
pub fn run(args: &ServeArgs) -> ExitCode {
    let config = match super::config::load(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    if let Err(error) = init_logs(config.log) {
        return fail(&error);
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    match serve(&config) {
        Ok(code) => code,
        Err(error) => fail(&*error),
    }
}

/// How long a server that found no room on the disk waits before it looks again.
const NO_ROOM_WAIT: Duration = Duration::from_secs(5);

fn serve(config: &Config) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run_until_stopped(config, runtime.handle()));
    // Whatever still hangs in the system must not keep the process.
    runtime.shutdown_background();
    ended
}

async fn run_until_stopped(
    config: &Config,
    runtime: &Handle,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let shutdown = Shutdown::new();
    // From before the start, which may take long: a signal ends that too.
    let watched = shutdown.clone();
    runtime.spawn(async move { watched.watch_signals().await });
    let stop = shutdown.token();
    let meters = Arc::new(link_ring::load_meters(&config.keys)?);
    if meters.key_count() > 0 {
        let (count, keys) = (meters.meter_count(), meters.key_count());
        tracing::info!(meters = count, keys, "Took up the keys of M-Bus meters.");
    }
    let server = loop {
        let keys = Rings {
            link: link_ring::load(&config.keys)?,
            meters: Arc::clone(&meters),
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (for_start, handle) = (config.clone(), runtime.clone());
        let start = move || Server::start(&for_start, keys, &clock, &handle);
        let started = tokio::select! {
            biased;
            started = tokio::task::spawn_blocking(start) => started?,
            // What a start changes on disk it may leave at any place, as at a power cut.
            () = stop.cancelled() => return Ok(ExitCode::from(shutdown.exit_code())),
        };
        match started {
            Ok(server) => break server,
            // To end here would only make whoever watches start it again and again.
            Err(error) if error.is_for_want_of_room() => {
                tracing::error!(
                    error = chain(&error),
                    "The disk is full: make room. The server starts when there is."
                );
                if timeout(NO_ROOM_WAIT, stop.cancelled()).await.is_ok() {
                    return Ok(ExitCode::from(shutdown.exit_code()));
                }
            }
            Err(error) => return Err(error.into()),
        }
    };
    let broken = server.broken();
    tokio::select! {
        () = stop.cancelled() => {}
        () = broken.cancelled() => shutdown.request("the log cannot be written"),
    }
    server.stop(config, &shutdown).await;
    // The log may have broken while it was stopped.
    Ok(if broken.is_cancelled() {
        ExitCode::from(FAILED)
    } else {
        ExitCode::from(shutdown.exit_code())
    })
}
