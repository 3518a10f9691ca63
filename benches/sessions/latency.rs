//! The latency of an acknowledgement at a part of capacity, in turns with the bare group-commit
//! loop at the same rate.

use std::time::Duration;

use serde_json::{Value, json};

use crate::args::Args;
use crate::contender::Contender;
use crate::frames::Frames;
use crate::group_commit;
use crate::outcome::Pace;
use crate::report::{Bar, Report};
use crate::turns::{Way, drive, line, settle, shown};

/// The part of the capacity.
const LOAD_PART: f64 = 0.8;
/// How many times the bare loop's 99th percentile ours may be.
const RATIO_MAX: f64 = 5.0;

pub(crate) fn measure(
    way: Way,
    (who, capacity): (&Contender, f64),
    frames: &mut Frames,
    args: &Args,
    report: &mut Report,
) {
    let rate = capacity * LOAD_PART;
    println!(
        "\n{}: latency at {rate:.0}/s, in turns with a bare group-commit loop",
        way.name
    );
    let mut ratios = Vec::new();
    let mut rounds: Vec<Value> = Vec::new();
    let mut not_answered = 0;
    let step = Duration::from_secs(args.step_s);
    // Without a capacity there is nothing to measure, and the row says so.
    let count = if rate > 0.0 { args.rounds } else { 0 };
    for round in 1..=count {
        let ours = drive(way, who, frames, Pace::Rate(rate), step);
        line(&format!("round {round}, {}", who.name), &ours);
        settle(who);
        let bare = group_commit::run(&args.dir, rate, step);
        line(&format!("round {round}, bare group commit"), &bare);
        ratios.push(ours.p99_us() as f64 / bare.p99_us().max(1) as f64);
        not_answered += ours.sent - ours.answered;
        rounds.push(json!({"ours": shown(&ours), "group_commit": shown(&bare)}));
    }
    report.detail(&format!("{}_latency", way.name), json!(rounds));
    let requirement = format!(
        "{}: p99 of the ack at 80 % of capacity, to that of the bare group-commit loop: ≤ 5",
        way.name.to_uppercase()
    );
    let note = format!("at {rate:.0}/s; {not_answered} not answered");
    report.row((&requirement, "×"), Bar::AtMost(RATIO_MAX), &ratios, note);
}
