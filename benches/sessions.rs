//! Sessions a second: the server and bare peers under the same load, in turns. `README.md` beside
//! this file says how to read it.

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
#[path = "sessions/outcome.rs"]
mod outcome;
#[path = "sessions/peers.rs"]
mod peers;
#[path = "../tests/support/serve.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of it")]
mod serve;
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
        Ok(Role::Measure(args)) => turns::run(&args),
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    }
}
