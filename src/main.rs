//! The `kenshin` program: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use kenshin::cli::{self, Cli};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
