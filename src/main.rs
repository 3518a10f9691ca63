//! The `kenshin` program: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use kenshin::cli::{self, Cli};

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
