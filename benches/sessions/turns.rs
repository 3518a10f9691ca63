//! Capacity: ours and the bare peer in turns.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::args::Args;
use crate::contender::Contender;
use crate::frames::{FRAME, Frames};
use crate::outcome::{Outcome, Pace};
use crate::report::{Bar, Report, median_and_worst};
use crate::{tcp_load, udp_load};

/// Parts of the probed rate that are tried as open loops, from above.
const STEPS: [f64; 10] = [1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];
/// How long a contender may take to come to rest before the other has its turn.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Sends frames, the first of which has this counter, and takes their answers.
type Load = fn(SocketAddr, (u32, &[[u8; FRAME]]), Pace, Duration) -> Outcome;

/// A load generator on one transport.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    address: fn(&Contender) -> SocketAddr,
    run: Load,
    /// Unanswered at once in the probe.
    window: usize,
    /// Frames that the probe may use in a second.
    probe_frames: f64,
    requirement: &'static str,
    /// What ours has to be of the bare peer's rate.
    ratio: Bar,
}

pub(crate) const UDP: Way = Way {
    name: "udp",
    address: |contender| contender.udp,
    run: udp_load::run,
    window: 1_024,
    probe_frames: 600_000.0,
    requirement: "UDP: rate of one secured uplink, durable ack, to a bare UDP echo",
    ratio: Bar::Reported,
};

pub(crate) const TCP: Way = Way {
    name: "tcp",
    address: |contender| contender.tcp,
    run: tcp_load::run,
    window: 128,
    probe_frames: 100_000.0,
    requirement: "TCP: rate of connect, one secured uplink, durable ack, close, to a bare tokio \
                  server: ≥ 0.7",
    ratio: Bar::AtLeast(0.7),
};

pub(crate) fn drive(
    way: Way,
    who: &Contender,
    frames: &mut Frames,
    pace: Pace,
    time: Duration,
) -> Outcome {
    let rate = match pace {
        Pace::Rate(rate) => rate,
        Pace::Window(_) => way.probe_frames,
    };
    let first = frames.next_counter();
    let load = frames.take((rate * time.as_secs_f64()) as usize);
    (way.run)((way.address)(who), (first, &load), pace, time)
}

/// The highest open-loop rate that the contender keeps up with, as a part of what a window gives.
pub(crate) fn capacity(
    way: Way,
    who: &Contender,
    frames: &mut Frames,
    args: &Args,
) -> Option<Outcome> {
    let probe = drive(way, who, frames, Pace::Window(way.window), args.probe);
    STEPS.into_iter().find_map(|part| {
        let rate = Pace::Rate(probe.rate() * part);
        let outcome = drive(way, who, frames, rate, Duration::from_secs(args.step_s));
        outcome.is_sustained().then_some(outcome)
    })
}

pub(crate) fn shown(outcome: &Outcome) -> Value {
    json!({
        "rate": outcome.rate().round(), "sent": outcome.sent, "answered": outcome.answered,
        "p50_us": outcome.p50_us(), "p99_us": outcome.p99_us(),
    })
}

pub(crate) fn line(name: &str, outcome: &Outcome) {
    println!(
        "  {name:32} {:>9.0}/s  p50 {:>8} us  p99 {:>8} us  answered {}/{}",
        outcome.rate(),
        outcome.p50_us(),
        outcome.p99_us(),
        outcome.answered,
        outcome.sent
    );
}

/// Waits until a contender is at rest, and says so if it does not come to rest.
pub(crate) fn settle(who: &Contender) {
    if !who.process.settle(SETTLE_MAX) {
        println!("  {} is still at work after {SETTLE_MAX:?}", who.name);
    }
}

/// Measures all contenders in turns; ours is the first of two. Gives our median rate, or that of
/// the only one.
pub(crate) fn measure(
    way: Way,
    contenders: &[&Contender],
    frames: &mut Frames,
    args: &Args,
    report: &mut Report,
) -> f64 {
    println!("\n{}: capacity, in turns", way.name);
    let mut outcomes: Vec<Vec<Value>> = vec![Vec::new(); contenders.len()];
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for round in 1..=args.rounds {
        for (number, who) in contenders.iter().enumerate() {
            let name = format!("round {round}, {}", who.name);
            let found = capacity(way, who, frames, args);
            match &found {
                Some(outcome) => line(&name, outcome),
                None => println!("  {name:32} kept up with no rate that was tried"),
            }
            rates[number].push(found.as_ref().map_or(0.0, Outcome::rate));
            outcomes[number].push(found.as_ref().map_or(Value::Null, shown));
            settle(who);
        }
    }
    let all = contenders.iter().zip(&outcomes);
    let all: Vec<Value> = all
        .map(|(who, rounds)| json!({"name": who.name, "rounds": rounds}))
        .collect();
    report.detail(&format!("{}_capacity", way.name), json!(all));
    let (median, _) = median_and_worst(Bar::AtLeast(0.0), &rates[0]);
    if let [ours, bare] = rates.as_slice() {
        let rounds = ours.iter().zip(bare);
        // Where the bare peer kept up with nothing, there is no ratio.
        let rounds = rounds.filter(|(_, bare)| **bare > 0.0);
        let ratios: Vec<f64> = rounds.map(|(ours, bare)| ours / bare).collect();
        let note = format!(
            "ours {}, bare {}, {} rounds without a rate of the bare peer",
            per_second(ours.as_slice()),
            per_second(bare.as_slice()),
            bare.len() - ratios.len()
        );
        report.row((way.requirement, "×"), way.ratio, &ratios, note);
    }
    median
}

fn per_second(rates: &[f64]) -> String {
    let (median, worst) = median_and_worst(Bar::AtLeast(0.0), rates);
    format!("median {median:.0}/s, worst {worst:.0}/s")
}
