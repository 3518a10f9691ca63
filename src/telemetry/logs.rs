//! Log lines on standard error.

use std::error::Error;
use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{fmt, prelude::*};

use crate::config::{Log, LogFormat, LogLevel};

/// An error with its causes, in one line. A cause that a text tells already is not told again.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let shown = error.to_string();
        if !text.contains(&shown) {
            text.push_str(": ");
            text.push_str(&shown);
        }
        cause = error.source();
    }
    text
}

/// Log lines go somewhere already.
#[derive(Debug, thiserror::Error)]
#[error("log lines were set up twice in one process; call init_logs once, at the start")]
pub struct InitLogsError(#[from] TryInitError);

/// Sends the log lines of this process to standard error from now on.
///
/// # Errors
///
/// [`InitLogsError`], where this was done before.
pub fn init_logs(log: Log) -> Result<(), InitLogsError> {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false);
    let registry = tracing_subscriber::registry();
    match log.format {
        LogFormat::Json => registry
            .with(lines.json().flatten_event(true).with_filter(level))
            .try_init()?,
        LogFormat::Text => registry.with(lines.with_filter(level)).try_init()?,
    }
    Ok(())
}
