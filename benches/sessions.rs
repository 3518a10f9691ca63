//! What the server has to hold under load, measured: capacity and latency against bare peers in
//! turns, a steady minute, memory, the start after a kill, idle sessions, octets written.
//! `README.md` beside this file says how to read it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "a bench stops at the first surprise, and reads clocks"
)]

#[path = "sessions/args.rs"]
mod args;
#[path = "sessions/contender.rs"]
mod contender;
#[path = "sessions/frames.rs"]
mod frames;
#[path = "sessions/group_commit.rs"]
mod group_commit;
#[path = "sessions/idle.rs"]
mod idle;
#[path = "sessions/latency.rs"]
mod latency;
#[path = "sessions/logged.rs"]
mod logged;
#[path = "sessions/metrics.rs"]
mod metrics;
#[path = "sessions/outcome.rs"]
mod outcome;
#[path = "sessions/parts.rs"]
mod parts;
#[path = "sessions/peers.rs"]
mod peers;
#[path = "sessions/process.rs"]
mod process;
#[path = "sessions/recovery.rs"]
mod recovery;
#[path = "sessions/report.rs"]
mod report;
#[path = "../tests/support/serve.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of it")]
mod serve;
#[path = "sessions/sink_files.rs"]
mod sink_files;
#[path = "sessions/steady.rs"]
mod steady;
#[path = "sessions/tcp_load.rs"]
mod tcp_load;
#[path = "sessions/turns.rs"]
mod turns;
#[path = "sessions/udp_load.rs"]
mod udp_load;

use args::{Args, Role};

fn main() {
    match Args::read(std::env::args().skip(1)) {
        Ok(Role::Peer) => peers::serve(),
        Ok(Role::Measure(args)) => parts::run(&args),
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    }
}
