//! `kenshin serve`: the server, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use crate::app::Server;
use crate::config::Config;
use crate::shutdown::Shutdown;
use crate::telemetry::init_logs;
use crate::time::{Clock, SystemClock};

use super::link_ring;

/// The arguments of `kenshin serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration; without it every setting has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The exit code of a server that cannot start, or whose log can no longer be written.
const FAILED: u8 = 2;

/// Runs the server.
#[must_use]
pub fn run(args: &ServeArgs) -> ExitCode {
    let config = match super::config::load(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(FAILED);
        }
    };
    if let Err(error) = init_logs(config.log) {
        eprintln!("{error}");
        return ExitCode::from(FAILED);
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    match serve(&config) {
        Ok(code) => code,
        Err(error) => {
            tell(&*error);
            ExitCode::from(FAILED)
        }
    }
}

/// Writes an error with all its causes in one line.
pub(super) fn tell(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    eprintln!("kenshin: {text}");
}

fn serve(config: &Config) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let keys = link_ring::load(&config.keys)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        // From before anybody can see the server: a signal during the start stops it in order too.
        let watched = shutdown.clone();
        let signals = tokio::spawn(async move { watched.watch_signals().await });
        let server = Server::start(config, keys, &clock, runtime.handle())?;
        let (stop, broken) = (shutdown.token(), server.broken());
        tokio::select! {
            () = stop.cancelled() => {}
            () = broken.cancelled() => shutdown.request("the log cannot be written"),
        }
        let failed = broken.is_cancelled();
        server.stop(config, &shutdown).await;
        signals.abort();
        Ok(if failed {
            ExitCode::from(FAILED)
        } else {
            ExitCode::from(shutdown.exit_code())
        })
    })
}
