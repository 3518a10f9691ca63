//! Ours and the bare peer in turns, and the report.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::args::Args;
use crate::contender::{Contender, start_server};
use crate::frames::{FRAME, Frames};
use crate::outcome::{Outcome, Pace};
use crate::{group_commit, peers, tcp_load, udp_load};

/// How long the window probe runs.
const PROBE: Duration = Duration::from_secs(1);
/// Parts of the probed rate that are tried as open loops, from above.
const STEPS: [f64; 8] = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3];
/// The part of the capacity at which latency is looked at.
const LOAD_PART: f64 = 0.8;
/// The rate on UDP that is asked for.
const REQUIRED_RATE: f64 = 50_000.0;

/// Sends frames, the first of which has this counter, and takes their answers.
type Load = fn(SocketAddr, (u32, &[[u8; FRAME]]), Pace, Duration) -> Outcome;

/// A load generator on one transport.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    address: fn(&Contender) -> SocketAddr,
    run: Load,
    /// Unanswered at once in the probe.
    window: usize,
    /// Frames that the probe may use.
    probe_frames: usize,
}

const WAYS: [Way; 2] = [
    Way {
        name: "udp",
        address: |contender| contender.udp,
        run: udp_load::run,
        window: 1_024,
        probe_frames: 600_000,
    },
    Way {
        name: "tcp",
        address: |contender| contender.tcp,
        run: tcp_load::run,
        window: 128,
        probe_frames: 100_000,
    },
];

fn drive(way: Way, who: &Contender, frames: &mut Frames, pace: Pace, time: Duration) -> Outcome {
    let count = match pace {
        Pace::Rate(rate) => (rate * time.as_secs_f64()) as usize,
        Pace::Window(_) => way.probe_frames,
    };
    let first = frames.next_counter();
    let load = frames.take(count);
    (way.run)((way.address)(who), (first, &load), pace, time)
}

/// The highest open-loop rate that the contender keeps up with, as a part of what a window gives.
fn capacity(way: Way, who: &Contender, frames: &mut Frames, step: Duration) -> Option<Outcome> {
    let probe = drive(way, who, frames, Pace::Window(way.window), PROBE);
    STEPS.into_iter().find_map(|part| {
        let rate = Pace::Rate(probe.rate() * part);
        let outcome = drive(way, who, frames, rate, step);
        outcome.is_sustained().then_some(outcome)
    })
}

fn shown(outcome: &Outcome) -> Value {
    json!({
        "rate": outcome.rate().round(), "sent": outcome.sent, "answered": outcome.answered,
        "p50_us": outcome.p50_us(), "p99_us": outcome.p99_us(),
    })
}

fn row(name: &str, outcome: &Outcome) {
    println!(
        "{name:34} {:>9.0}/s  p50 {:>8} us  p99 {:>8} us  answered {}/{}",
        outcome.rate(),
        outcome.p50_us(),
        outcome.p99_us(),
        outcome.answered,
        outcome.sent
    );
}

/// Best, median and worst of rates: the worst is the lowest.
fn summary(mut rates: Vec<f64>) -> [f64; 3] {
    rates.sort_by(f64::total_cmp);
    match rates.as_slice() {
        [] => [0.0; 3],
        all => [all[all.len() - 1], all[(all.len() - 1) / 2], all[0]],
    }
}

/// Measures and prints a table and, as the last line, JSON.
pub(crate) fn run(args: &Args) {
    let begun = Instant::now();
    let mut frames = Frames::new(args.terminals);
    println!(
        "keys of {} terminals in {:.1?}",
        args.terminals,
        begun.elapsed()
    );
    let begun = Instant::now();
    let count = 200_000;
    frames.take(count);
    let sealed = count as f64 / begun.elapsed().as_secs_f64();
    println!("frames sealed before each run at {sealed:.0}/s");
    let mut contenders = vec![peers::start()];
    if !args.peers_only {
        let begun = Instant::now();
        contenders.insert(0, start_server(&args.dir, args.terminals));
        println!("server with its registry in {:.1?}", begun.elapsed());
    }
    let ways: Vec<Value> = WAYS
        .iter()
        .map(|way| measure(*way, &contenders, &mut frames, args))
        .collect();
    let memory: Vec<Value> = contenders.iter().map(footprint).collect();
    let line = json!({
        "footprint": memory,
        "bench": "sessions", "terminals": args.terminals, "mode": 1, "frame_octets": FRAME,
        "rounds": args.rounds, "sealed_per_s": sealed.round(), "ways": ways,
    });
    println!("{line}");
}

/// What a contender holds and has written after all its runs.
fn footprint(who: &Contender) -> Value {
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    let (resident, written, log) = (who.resident(), who.written(), who.log_octets());
    println!(
        "{:34} resident {:.0} MiB, written {:.0} MiB, log {:.0} MiB",
        who.name,
        mib(resident),
        mib(written),
        mib(log)
    );
    json!({"name": who.name, "resident": resident, "written": written, "log": log})
}

fn measure(way: Way, contenders: &[Contender], frames: &mut Frames, args: &Args) -> Value {
    println!("\n{}: one secured uplink and its answer", way.name);
    let step = Duration::from_secs(args.step_s);
    let mut rates = vec![Vec::new(); contenders.len()];
    for round in 1..=args.rounds {
        for (who, rates) in contenders.iter().zip(&mut rates) {
            let name = format!("round {round}, {}", who.name);
            match capacity(way, who, frames, step) {
                Some(outcome) => {
                    row(&name, &outcome);
                    rates.push(outcome.rate());
                }
                None => println!("{name:34} kept up with no rate that was tried"),
            }
        }
    }
    let mut shown_contenders = Vec::new();
    for (who, rates) in contenders.iter().zip(&rates) {
        let [best, median, worst] = summary(rates.clone());
        println!(
            "{:34} best {best:.0}/s, median {median:.0}/s, worst {worst:.0}/s",
            who.name
        );
        let mut value = json!({
            "name": who.name, "best": best.round(), "median": median.round(),
            "worst": worst.round(),
        });
        value["at_load"] = at_load(way, who, frames, median * LOAD_PART, args);
        shown_contenders.push(value);
    }
    let mut ratio = Value::Null;
    if let [ours, bare] = rates.as_slice() {
        let pairs = ours.iter().zip(bare).map(|(ours, bare)| ours / bare);
        let [best, median, worst] = summary(pairs.collect());
        println!("ratio: best {best:.2}, median {median:.2}, worst {worst:.2}");
        ratio = json!({"best": best, "median": median, "worst": worst});
    }
    json!({"way": way.name, "contenders": shown_contenders, "ratio": ratio})
}

/// A steady run below capacity, and on UDP one at the rate that is asked for, with the bare
/// group-commit loop at the same rate right after.
fn at_load(way: Way, who: &Contender, frames: &mut Frames, rate: f64, args: &Args) -> Value {
    if rate <= 0.0 {
        return Value::Null;
    }
    let step = Duration::from_secs(args.step_s);
    let outcome = drive(way, who, frames, Pace::Rate(rate), step);
    row(&format!("{} at 80 %", who.name), &outcome);
    let bare = group_commit::run(&args.dir, rate, step);
    row("bare group commit, same rate", &bare);
    let steady = (way.name == "udp").then(|| {
        let time = Duration::from_secs(args.steady_s);
        let outcome = drive(way, who, frames, Pace::Rate(REQUIRED_RATE), time);
        row(&format!("{}, {} s", who.name, args.steady_s), &outcome);
        shown(&outcome)
    });
    json!({"ack": shown(&outcome), "group_commit": shown(&bare), "steady": steady})
}
