//! The command line of the `kenshin` program.
//!
//! The one layer that opens files and standard streams; it holds no protocol rules of its own.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod alarms;
pub mod audit;
pub mod config;
pub mod decode;
pub mod demo;
pub mod gateway;
pub mod key;
pub mod link_ring;
pub mod log;
pub mod operator;
pub mod output;
pub mod serve;
pub mod sink;
pub mod terminal;
pub mod utility;

/// The arguments of the program.
#[derive(Debug, Parser)]
#[command(
    name = "kenshin",
    version,
    about = "Open LPWA head-end for utility meters"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a commented configuration, or tell every mistake of one.
    Config(config::ConfigArgs),
    /// Show what is in frames, one frame in hexadecimal a line on standard input.
    #[command(long_about = decode::LONG_ABOUT)]
    Decode(decode::DecodeArgs),
    /// Show it all at work: a server, a fleet of simulated terminals, and a custody report.
    #[command(long_about = demo::LONG_ABOUT)]
    Demo(demo::DemoArgs),
    /// Check the custody log, or show its frames, without changing it.
    Log(log::LogArgs),
    /// Serve terminals until told to stop.
    Serve(serve::ServeArgs),
    /// Make master keys, seal key rings under them, show what a sealed ring holds; say which key
    /// versions are in use.
    Key(key::KeyArgs),
    /// Add, change and show the companies whose terminals are served.
    Utility(utility::UtilityArgs),
    /// Register, change, remove and show terminals; import tables of them.
    Terminal(terminal::TerminalArgs),
    /// Register, change, remove and show the gateways that hand over telegrams of meters.
    Gateway(gateway::GatewayArgs),
    /// Show the alarms that go on.
    Alarms(alarms::AlarmsArgs),
    /// Show what people, keys and sinks did, and what the server noticed.
    Audit(audit::AuditArgs),
    /// Show how far sinks and consumers are; let one skip what it was not given; forget one.
    Sink(sink::SinkArgs),
}

/// Runs the subcommand that the arguments name.
///
/// The exit code is 0 on success, 1 where the input was not all valid, and 2 where the command
/// could not run at all, which is also what wrong arguments give.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Config(args) => config::run(&args),
        Command::Decode(args) => decode::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Log(args) => log::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Utility(args) => utility::run(&args),
        Command::Terminal(args) => terminal::run(&args),
        Command::Gateway(args) => gateway::run(&args),
        Command::Alarms(args) => alarms::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Sink(args) => sink::run(&args),
    }
}
