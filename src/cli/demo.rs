//! `kenshin demo`: the server, a fleet of simulated terminals, and M-Bus meters with gateways that
//! hear them, in one process, over real loopback sockets, and an independent comparison of what
//! terminals and gateways were told with what the sink holds.
//!
//! Fleet, meters and gateways come from the package `simulator`, which knows nothing of this one.
//! Keys are made from a seed and fit for nothing else. They lie in the folder of the demonstration
//! with tokens and a configuration, so that a server can be started on its data afterwards.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use simulator::custody::{AllCustody, Ledger, check_all};
use simulator::fleet::{self, Counters, FleetPlan, FleetSettings};
use simulator::mbus::{self, MbusCounters, MbusLedger, MbusPlan, MbusSettings};

use crate::app::boot::Rings;
use crate::app::{Addresses, Server};
use crate::config::Config;
use crate::model::TerminalId;
use crate::shutdown::Shutdown;
use crate::time::{Clock, SystemClock};

mod provision;
mod report;
mod summary;
mod tally;

use provision::Folder;
use tally::Tally;

/// What `--help` says of the command.
pub const LONG_ABOUT: &str = "\
Show it all at work: a server, a fleet of simulated terminals, M-Bus meters with gateways, and a
custody report of both protocols.

Starts the embedded server on free loopback ports and a fleet of simulated terminals, which call it
over UDP and TCP in all security modes, with alarms, backlog, lost and repeated frames and power
cuts. Beside it wireless M-Bus meters send telegrams of security modes 0, 5, 7 and 10; two gateways
that hear some of them both hand them over by TCP, over connections that break, and a third by UDP.
At the end an independent checker compares what terminals and gateways were told is safe with what
the sink holds: a telegram is safe when a gateway was told OK, and then is there once. Datagrams are
answered by nobody: theirs may be there or not, but never twice. The data stays where the report
says, with a configuration to start a server on it.

Exit status:
  0  records of both protocols were told safe, and none was lost, duplicated, altered or invented
  1  one was, or no terminal was told anything, or no gateway though there are meters, or a gateway
     was answered what a good telegram is never answered
  2  the demonstration could not run";

/// The arguments of `kenshin demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many terminals call.
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=20_000))]
    terminals: u32,

    /// How many M-Bus meters send telegrams; with 0 there is no gateway either.
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    meters: u32,

    /// How long things happen, such as 20s or 2m. Then frames that were lost and lines that were
    /// not answered are waited for, a minute at most.
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

/// Who takes part.
#[derive(Clone, Copy)]
struct Plans {
    fleet: FleetPlan,
    /// Its utility is the first of the fleet.
    mbus: MbusPlan,
}

impl Plans {
    fn of(args: &DemoArgs) -> Result<Self, Failure> {
        let fleet = FleetPlan {
            seed: args.seed,
            terminals: args.terminals,
            utilities: 3,
        };
        let first = fleet.utilities()?.swap_remove(0);
        let mbus = MbusPlan {
            seed: args.seed,
            meters: args.meters,
            utility: first.id,
        };
        Ok(Self { fleet, mbus })
    }

    /// Whether there are gateways.
    const fn has_meters(&self) -> bool {
        self.mbus.meters > 0
    }
}

/// What goes on, to be read meanwhile.
#[derive(Clone, Default)]
struct AllCounters {
    fleet: Arc<Counters>,
    mbus: Arc<MbusCounters>,
}

/// What happened to terminals and meters.
struct Ledgers {
    fleet: Ledger,
    mbus: MbusLedger,
}

/// What a run leaves.
struct Outcome {
    plans: Plans,
    custody: AllCustody,
    counters: AllCounters,
    tally: Tally,
    /// The terminal that was told most.
    teller: Option<TerminalId>,
    /// The meter of which most is safe.
    meter: Option<TerminalId>,
    folder: Folder,
    http: Option<SocketAddr>,
    took_s: f64,
}

impl Outcome {
    /// What there is to find fault with, in words; nothing after a good run.
    fn faults(&self) -> Vec<&'static str> {
        let AllCounters { fleet, mbus } = &self.counters;
        let failed = fleet.terminals_failed() + mbus.gateways_failed();
        faults(
            &self.custody,
            self.plans.has_meters(),
            failed,
            mbus.wrong_answers(),
        )
    }
}

/// Something was told safe of each protocol that there is, all of it is where it belongs, and every
/// terminal and gateway lived to its end.
fn faults(
    custody: &AllCustody,
    has_meters: bool,
    failed: u64,
    wrong_answers: u64,
) -> Vec<&'static str> {
    let all = [
        (!custody.total().is_clean(), "BROKEN"),
        (
            custody.otl.told_safe == 0,
            "NOTHING was told safe to terminals",
        ),
        (
            has_meters && custody.mbus.custody.told_safe == 0,
            "NOTHING was told safe to gateways",
        ),
        (failed > 0, "TERMINALS OR GATEWAYS FAILED"),
        (wrong_answers > 0, "GATEWAYS WERE REFUSED"),
    ];
    let all = all.into_iter().filter(|(is_so, _)| *is_so);
    all.map(|(_, fault)| fault).collect()
}

fn demonstrate(args: &DemoArgs) -> Result<bool, Failure> {
    let folder = match &args.data {
        Some(dir) => Folder::open(dir)?,
        None => Folder::open(&provision::new_folder()?)?,
    };
    let plans = Plans::of(args)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    folder.write_secrets(&plans)?;
    let config = Config::parse(&folder.config_text(&plans, None)?, [])?;
    provision::register(&config, &plans)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    eprintln!(
        "{} terminals of {} utilities and {} M-Bus meters for {} s; data in {}",
        args.terminals,
        plans.fleet.utilities,
        args.meters,
        args.run.as_secs(),
        folder.dir.display()
    );
    let began_ms = clock.monotonic_ms();
    let counters = AllCounters::default();
    let operating = operate(args, &config, &plans, &folder, &clock, &counters);
    let (ledgers, http) = runtime.block_on(operating)?;
    let took_ms = clock.monotonic_ms().saturating_sub(began_ms);
    let outcome = Outcome {
        plans,
        custody: check(&ledgers, &folder.records())?,
        counters,
        tally: Tally::of(&plans.fleet, &ledgers),
        teller: teller_of(&ledgers.fleet),
        meter: ledgers.mbus.teller().map(TerminalId::new),
        folder,
        http,
        took_s: Duration::from_millis(took_ms).as_secs_f64(),
    };
    report::show(&outcome, args.json)?;
    Ok(outcome.faults().is_empty())
}

async fn operate(
    args: &DemoArgs,
    config: &Config,
    plans: &Plans,
    folder: &Folder,
    clock: &Arc<dyn Clock>,
    counters: &AllCounters,
) -> Result<(Ledgers, Option<SocketAddr>), Failure> {
    let shutdown = Shutdown::new();
    let keys = Rings {
        link: super::link_ring::load(&config.keys)?,
        meters: Arc::new(super::link_ring::load_meters(&config.keys)?),
    };
    let server = Server::start(config, keys, clock, &tokio::runtime::Handle::current())?;
    let addresses = server.addresses();
    std::fs::write(
        folder.config(),
        folder.config_text(plans, Some(&addresses))?,
    )?;
    if let Some(http) = addresses.http {
        let curl = report::curl(folder, http);
        eprintln!("while it runs:\n  curl http://{http}/metrics\n  {curl}");
    }
    // Nothing is answered in the second of a start.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let progress = tokio::spawn(report::progress(counters.clone(), plans.has_meters()));
    let ledgers = run_all(args, plans, &addresses, clock, counters).await;
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
    Ok((ledgers?, addresses.http))
}

/// Runs terminals, meters and gateways side by side to the end.
async fn run_all(
    args: &DemoArgs,
    plans: &Plans,
    addresses: &Addresses,
    clock: &Arc<dyn Clock>,
    counters: &AllCounters,
) -> Result<Ledgers, Failure> {
    let ports = [addresses.reading, addresses.alarm, addresses.stream];
    let [Some(udp), Some(alarm), Some(tcp)] = ports else {
        return Err("a port of the server is off".into());
    };
    let now_utc_s = clock.utc_seconds().get();
    let settings = FleetSettings::new([udp, alarm, tcp], now_utc_s, args.run);
    let fleet = fleet::run(&plans.fleet, settings, Arc::clone(&counters.fleet));
    if !plans.has_meters() {
        return Ok(Ledgers {
            fleet: fleet.await?,
            mbus: MbusLedger::new(plans.mbus),
        });
    }
    let (Some(lines), Some(datagrams)) = (addresses.mbus.tcp, addresses.mbus.udp) else {
        return Err("a port of the server for gateways is off".into());
    };
    let settings = MbusSettings::new(lines, datagrams, now_utc_s, args.run);
    let meters = mbus::run(plans.mbus, settings, Arc::clone(&counters.mbus));
    let (fleet, mbus) = tokio::join!(fleet, meters);
    Ok(Ledgers {
        fleet: fleet?,
        mbus: mbus?,
    })
}

/// The terminal of which most is safe.
fn teller_of(ledger: &Ledger) -> Option<TerminalId> {
    let told = ledger.terminals.iter();
    let most = told.max_by_key(|one| one.facts_told_safe())?;
    (most.facts_told_safe() > 0).then(|| TerminalId::new(most.identity()))
}

/// Compares what terminals and gateways were told with the files of the sink.
fn check(ledgers: &Ledgers, records_dir: &Path) -> Result<AllCustody, Failure> {
    std::fs::create_dir_all(records_dir)?;
    Ok(check_all(&ledgers.fleet, &ledgers.mbus, records_dir)?)
}

#[cfg(test)]
mod tests {
    use simulator::custody::Custody;

    use super::*;

    fn told(otl: u64, mbus: u64) -> AllCustody {
        let custody = |told_safe| Custody {
            told_safe,
            ..Custody::default()
        };
        let mut all = AllCustody {
            otl: custody(otl),
            ..AllCustody::default()
        };
        all.mbus.custody = custody(mbus);
        all
    }

    #[test]
    fn a_run_in_which_nothing_was_told_safe_or_somebody_failed_is_no_success() {
        let is_good = |custody: &AllCustody, has_meters, failed, wrong| {
            faults(custody, has_meters, failed, wrong).is_empty()
        };
        assert!(is_good(&told(1, 1), true, 0, 0));
        assert!(is_good(&told(1, 0), false, 0, 0));
        assert!(!is_good(&told(1, 0), true, 0, 0));
        assert!(!is_good(&told(0, 1), true, 0, 0));
        assert!(!is_good(&told(0, 0), false, 0, 0));
        assert!(!is_good(&told(1, 1), true, 1, 0));
        assert!(!is_good(&told(1, 1), true, 0, 1));
    }

    #[test]
    fn a_run_that_broke_the_custody_of_either_protocol_is_no_success() {
        let mut lost = told(1, 1);
        lost.mbus.custody.lost = 1;
        assert_eq!(faults(&lost, true, 0, 0), ["BROKEN"]);
        let mut altered = told(1, 1);
        altered.otl.altered = 1;
        assert_eq!(faults(&altered, true, 0, 0), ["BROKEN"]);
        let mut unreadable = told(1, 1);
        unreadable.others.unreadable = 1;
        assert_eq!(faults(&unreadable, true, 0, 0), ["BROKEN"]);
    }
}
