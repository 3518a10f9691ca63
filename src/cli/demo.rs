//! `kenshin demo`: the server and a fleet of simulated terminals in one process, over real loopback
//! sockets, and an independent comparison of what terminals were told with what the sink holds.
//!
//! The fleet comes from the package `simulator`, which knows nothing of this one. Keys are made
//! from a seed and fit for nothing else. They lie in the folder of the demonstration with a token
//! and a configuration, so that a server can be started on its data afterwards.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use simulator::custody::{Custody, Ledger, check_directory};
use simulator::fleet::{self, Counters, FleetPlan, FleetSettings};

use crate::app::Server;
use crate::config::Config;
use crate::model::TerminalId;
use crate::shutdown::Shutdown;
use crate::time::{Clock, SystemClock};

mod provision;
mod report;
mod tally;

use provision::Folder;
use tally::Tally;

/// What `--help` says of the command.
pub const LONG_ABOUT: &str = "\
Show it all at work: a server, a fleet of simulated terminals, and a custody report.

Starts the embedded server on free loopback ports and a fleet of simulated terminals, which call it
over UDP and TCP in all security modes, with alarms, backlog, lost and repeated frames and power
cuts. At the end an independent checker compares what terminals were told is safe with what the sink
holds. The data stays where the report says, with a configuration to start a server on it.

Exit status:
  0  records were told safe, and none was lost, duplicated, altered or invented
  1  one was, or no terminal was told anything
  2  the demonstration could not run";

/// The arguments of `kenshin demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many terminals call.
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=20_000))]
    terminals: u32,

    /// How long things happen, such as 20s or 2m. Then frames that were lost are waited for, a
    /// minute at most.
    #[arg(long = "for", value_name = "DURATION", default_value = "20s", value_parser = duration)]
    run: Duration,

    /// Where the data goes, a new or an empty folder; without it, a new one among the temporary
    /// files.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// What everything random follows from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Show the outcome as one JSON object, the last line of standard output.
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, factor) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "say a number of seconds or minutes, as in 20s or 2m".to_owned())?;
    match number.saturating_mul(factor) {
        seconds @ 1..=3_600 => Ok(Duration::from_secs(seconds)),
        _ => Err("say 1s to 60m".to_owned()),
    }
}

/// How often the sink is looked at until it has everything: a minute at most.
const SINK_WAITS: u32 = 1_200;

/// Why the demonstration could not run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the demonstration.
#[must_use]
pub fn run(args: &DemoArgs) -> ExitCode {
    match demonstrate(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => super::output::fail(&*error),
    }
}

/// What a run leaves.
struct Outcome {
    custody: Custody,
    counters: Arc<Counters>,
    tally: Tally,
    /// The terminal that was told most.
    teller: Option<TerminalId>,
    folder: Folder,
    http: Option<SocketAddr>,
    took_s: f64,
}

impl Outcome {
    /// Something was told safe, all of it is where it belongs, and every terminal lived to its end.
    fn is_good(&self) -> bool {
        is_good(&self.custody, self.counters.terminals_failed())
    }
}

fn is_good(custody: &Custody, terminals_failed: u64) -> bool {
    custody.is_clean() && custody.told_safe > 0 && terminals_failed == 0
}

fn demonstrate(args: &DemoArgs) -> Result<bool, Failure> {
    let folder = match &args.data {
        Some(dir) => Folder::open(dir)?,
        None => Folder::open(&provision::new_folder()?)?,
    };
    let plan = FleetPlan {
        seed: args.seed,
        terminals: args.terminals,
        utilities: 3,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    folder.write_secrets(&plan)?;
    let config = Config::parse(&folder.config_text(&plan, None)?, [])?;
    provision::register(&config, &plan)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    eprintln!(
        "{} terminals of {} utilities call for {} s; data in {}",
        args.terminals,
        plan.utilities,
        args.run.as_secs(),
        folder.dir.display()
    );
    let began_ms = clock.monotonic_ms();
    let counters = Arc::new(Counters::default());
    let operating = operate(args, &config, &plan, &folder, &clock, &counters);
    let (ledger, http) = runtime.block_on(operating)?;
    let took_ms = clock.monotonic_ms().saturating_sub(began_ms);
    let outcome = Outcome {
        custody: check(&ledger, &folder.records())?,
        counters,
        tally: Tally::of(&plan, &ledger),
        teller: teller_of(&ledger),
        folder,
        http,
        took_s: Duration::from_millis(took_ms).as_secs_f64(),
    };
    report::show(&outcome, args.json)?;
    Ok(outcome.is_good())
}

async fn operate(
    args: &DemoArgs,
    config: &Config,
    plan: &FleetPlan,
    folder: &Folder,
    clock: &Arc<dyn Clock>,
    counters: &Arc<Counters>,
) -> Result<(Ledger, Option<SocketAddr>), Failure> {
    let shutdown = Shutdown::new();
    let keys = super::link_ring::load(&config.keys)?;
    let server = Server::start(config, keys, clock, &tokio::runtime::Handle::current())?;
    let addresses = server.addresses();
    let ports = [addresses.reading, addresses.alarm, addresses.stream];
    let [Some(udp), Some(alarm), Some(tcp)] = ports else {
        return Err("a port of the server is off".into());
    };
    let ports: [SocketAddr; 3] = [udp, alarm, tcp];
    std::fs::write(folder.config(), folder.config_text(plan, Some(&addresses))?)?;
    if let Some(http) = addresses.http {
        let curl = report::curl(folder, http);
        eprintln!("while it runs:\n  curl http://{http}/metrics\n  {curl}");
    }
    let settings = FleetSettings::new(ports, clock.utc_seconds().get(), args.run);
    // Nothing is answered in the second of a start.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let progress = tokio::spawn(report::progress(Arc::clone(counters)));
    let ledger = fleet::run(plan, settings, Arc::clone(counters)).await;
    progress.abort();
    eprintln!();
    // The sink follows the log; only what it does not get at all is lost.
    for _ in 0..SINK_WAITS {
        if server.undelivered_octets() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop(config, &shutdown).await;
    Ok((ledger?, addresses.http))
}

/// The terminal of which most is safe.
fn teller_of(ledger: &Ledger) -> Option<TerminalId> {
    let told = ledger.terminals.iter();
    let most = told.max_by_key(|one| one.facts_told_safe())?;
    (most.facts_told_safe() > 0).then(|| TerminalId::new(most.identity()))
}

/// Compares what terminals were told with the files of the sink.
fn check(ledger: &Ledger, records_dir: &Path) -> Result<Custody, Failure> {
    std::fs::create_dir_all(records_dir)?;
    Ok(check_directory(ledger, records_dir)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_nothing_was_told_safe_or_a_terminal_failed_is_no_success() {
        let nothing = Custody::default();
        assert!(nothing.is_clean() && !is_good(&nothing, 0));
        let something = Custody {
            told_safe: 1,
            ..Custody::default()
        };
        assert!(is_good(&something, 0));
        assert!(!is_good(&something, 1));
        let lost = Custody {
            lost: 1,
            ..something
        };
        assert!(!is_good(&lost, 0));
    }
}
