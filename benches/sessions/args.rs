//! What is to be measured.

use std::path::PathBuf;
use std::str::FromStr;

/// The first argument of the process that is a bare peer.
pub(crate) const SERVE_PEER: &str = "--serve-peer";

const USAGE: &str = "\
usage: cargo bench --bench sessions -- [options]
  --peers-only       measure the bare peers and the load generator alone
  --terminals N      registered terminals [1000000]
  --rounds N         turns of each contender [5]
  --seconds N        seconds of each open-loop step [3]
  --steady N         seconds of the steady run [60]
  --dir DIR          where logs are written [the build's temporary directory]
  --test             everything once and short, to see that it works";

pub(crate) struct Args {
    pub(crate) peers_only: bool,
    pub(crate) terminals: u32,
    pub(crate) rounds: usize,
    pub(crate) step_s: u64,
    pub(crate) steady_s: u64,
    pub(crate) dir: PathBuf,
}

pub(crate) enum Role {
    Peer,
    Measure(Args),
}

fn number<T: FromStr>(flag: &str, value: Option<String>) -> Result<T, String> {
    let value = value.and_then(|value| value.parse().ok());
    value.ok_or_else(|| format!("{flag} needs a number\n{USAGE}"))
}

impl Args {
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Role, String> {
        let mut args = Self {
            peers_only: false,
            terminals: 1_000_000,
            rounds: 5,
            step_s: 3,
            steady_s: 60,
            dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        };
        while let Some(flag) = given.next() {
            match flag.as_str() {
                SERVE_PEER => return Ok(Role::Peer),
                "--bench" => {}
                "--peers-only" => args.peers_only = true,
                "--terminals" => args.terminals = number(&flag, given.next())?,
                "--rounds" => args.rounds = number(&flag, given.next())?,
                "--seconds" => args.step_s = number(&flag, given.next())?,
                "--steady" => args.steady_s = number(&flag, given.next())?,
                "--dir" => args.dir = given.next().ok_or(USAGE)?.into(),
                "--test" => {
                    args.peers_only = true;
                    (args.terminals, args.rounds) = (10_000, 1);
                    (args.step_s, args.steady_s) = (1, 1);
                }
                _ => return Err(format!("unknown: {flag}\n{USAGE}")),
            }
        }
        Ok(Role::Measure(args))
    }
}
