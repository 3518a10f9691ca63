//! What is to be measured.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};

/// The first argument of the process that is a bare peer.
pub(crate) const SERVE_PEER: &str = "--serve-peer";

const USAGE: &str = "\
usage: cargo bench --bench sessions -- [options]
  --only A,B,…         parts: udp tcp latency steady memory recovery idle written [all]
  --peers-only         measure the bare peers and the load generator alone
  --terminals N        registered terminals [1000000]
  --more-terminals N   registered terminals that memory is compared at [4000000]
  --rounds N           turns of each contender [5]
  --seconds N          seconds of each open-loop step [3]
  --steady N           seconds of the steady run [60]
  --held N             idle TCP sessions [15000]
  --log-mib N          log beyond the snapshot at the start after a kill [1024]
  --dir DIR            where logs are written [the build's temporary directory]
  --test               every part once and short, to see that it works";

/// A part of the bench.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Udp,
    Tcp,
    Latency,
    Steady,
    Memory,
    Recovery,
    Idle,
    Written,
}

impl Part {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Udp, "udp"),
        (Self::Tcp, "tcp"),
        (Self::Latency, "latency"),
        (Self::Steady, "steady"),
        (Self::Memory, "memory"),
        (Self::Recovery, "recovery"),
        (Self::Idle, "idle"),
        (Self::Written, "written"),
    ];

    fn named(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|(_, of)| *of == name);
        let found = found.ok_or_else(|| format!("no part is named {name}\n{USAGE}"))?;
        Ok(found.0)
    }
}

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) parts: Vec<Part>,
    pub(crate) peers_only: bool,
    pub(crate) terminals: u32,
    pub(crate) more_terminals: u32,
    pub(crate) rounds: usize,
    pub(crate) step_s: u64,
    pub(crate) steady_s: u64,
    pub(crate) held: usize,
    pub(crate) log_mib: u64,
    /// How long a window probe runs.
    pub(crate) probe: Duration,
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
    fn full() -> Self {
        Self {
            parts: Part::ALL.map(|(part, _)| part).to_vec(),
            peers_only: false,
            terminals: 1_000_000,
            more_terminals: 4_000_000,
            rounds: 5,
            step_s: 3,
            steady_s: 60,
            held: 15_000,
            log_mib: 1_024,
            probe: Duration::from_secs(1),
            dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        }
    }

    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Role, String> {
        let mut args = Self::full();
        while let Some(flag) = given.next() {
            match flag.as_str() {
                SERVE_PEER => return Ok(Role::Peer),
                "--bench" => {}
                "--peers-only" => args.peers_only = true,
                "--only" => {
                    let names = given.next().ok_or(USAGE)?;
                    let parts = names.split(',').map(Part::named);
                    args.parts = parts.collect::<Result<_, _>>()?;
                }
                "--terminals" => args.terminals = number(&flag, given.next())?,
                "--more-terminals" => args.more_terminals = number(&flag, given.next())?,
                "--rounds" => args.rounds = number(&flag, given.next())?,
                "--seconds" => args.step_s = number(&flag, given.next())?,
                "--steady" => args.steady_s = number(&flag, given.next())?,
                "--held" => args.held = number(&flag, given.next())?,
                "--log-mib" => args.log_mib = number(&flag, given.next())?,
                "--dir" => args.dir = given.next().ok_or(USAGE)?.into(),
                "--test" => {
                    (args.terminals, args.more_terminals) = (5_000, 20_000);
                    (args.rounds, args.step_s, args.steady_s) = (1, 1, 2);
                    (args.held, args.log_mib) = (300, 8);
                    args.probe = Duration::from_millis(100);
                }
                _ => return Err(format!("unknown: {flag}\n{USAGE}")),
            }
        }
        if args.terminals == 0 || args.more_terminals <= args.terminals || args.rounds == 0 {
            return Err(format!(
                "more terminals must be more, and rounds some\n{USAGE}"
            ));
        }
        Ok(Role::Measure(args))
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Whether any size is below what the requirements are about.
    pub(crate) fn is_short(&self) -> bool {
        let full = Self::full();
        self.terminals < full.terminals
            || self.more_terminals < full.more_terminals
            || self.rounds < full.rounds
            || self.step_s < full.step_s
            || self.steady_s < full.steady_s
            || self.held < full.held
            || self.log_mib < full.log_mib
    }

    pub(crate) fn shown(&self) -> Value {
        json!({
            "terminals": self.terminals, "more_terminals": self.more_terminals,
            "rounds": self.rounds, "step_s": self.step_s, "steady_s": self.steady_s,
            "held": self.held, "log_mib": self.log_mib,
        })
    }
}
