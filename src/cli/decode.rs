//! `kenshin decode`: shows what is in frames.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

/// The arguments of `kenshin decode`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// The protocol of the frames.
    #[arg(long, value_enum)]
    pub protocol: Protocol,

    /// The key file (TOML). Without it, sealed parts are shown as they are.
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,

    /// Write indented output for reading by people.
    #[arg(long)]
    pub pretty: bool,
}

/// The protocols that `kenshin decode` knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Protocol {
    /// The Open Telemeter Link.
    Otl,
}

/// Decodes standard input to standard output.
#[must_use]
pub fn run(_args: &DecodeArgs) -> ExitCode {
    eprintln!("kenshin: decode is not there yet");
    ExitCode::from(2)
}
