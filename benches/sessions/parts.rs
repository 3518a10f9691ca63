//! All parts, in order.

use std::time::Instant;

use serde_json::{Value, json};

use crate::args::{Args, Part};
use crate::contender::{Contender, Home};
use crate::frames::{FRAME, Frames};
use crate::report::Report;
use crate::turns::{TCP, UDP, Way, capacity, measure, settle};
use crate::{idle, latency, peers, recovery, steady};

/// Measures what is asked for, and prints tables and, as the last line, JSON.
pub(crate) fn run(args: &Args) {
    let all = Instant::now();
    idle::raise_open_files();
    std::fs::create_dir_all(&args.dir).unwrap();
    let mut frames = Frames::new(args.terminals);
    println!(
        "keys of {} terminals in {:.1?}",
        args.terminals,
        all.elapsed()
    );
    let begun = Instant::now();
    let count = 100_000;
    frames.take(count);
    let sealed = count as f64 / begun.elapsed().as_secs_f64();
    println!("frames sealed before each run at {sealed:.0}/s");

    let mut report = Report::default();
    if args.peers_only {
        let bare = peers::start();
        for way in [UDP, TCP] {
            measure(way, &[&bare], &mut frames, args, &mut report);
        }
    } else {
        under_load(args, &mut frames, &mut report);
        if [Part::Steady, Part::Memory, Part::Written]
            .iter()
            .any(|part| args.has(*part))
        {
            steady::measure(&mut frames, args, &mut report);
        }
        if args.has(Part::Recovery) {
            recovery::measure(&mut frames, args, &mut report);
        }
        if args.has(Part::Idle) {
            idle::measure(&mut frames, args, &mut report);
        }
    }
    println!("\nin {:.0?}", all.elapsed());
    let about = json!({
        "mode": 1, "frame_octets": FRAME, "sealed_per_s": sealed.round(),
        "sizes": args.shown(), "machine": machine(), "commit": commit(),
        "seconds": all.elapsed().as_secs(),
    });
    report.print(about, args.is_short());
}

/// Capacity and latency, on one server.
fn under_load(args: &Args, frames: &mut Frames, report: &mut Report) {
    let is_wanted = |part| args.has(part) || args.has(Part::Latency);
    if !is_wanted(Part::Udp) && !is_wanted(Part::Tcp) {
        return;
    }
    let home = Home::register(&args.dir, "load", args.terminals);
    let ours = home.start(&[]);
    let bare = peers::start();
    settle(&ours);
    for (part, way) in [(Part::Udp, UDP), (Part::Tcp, TCP)] {
        let rate = if args.has(part) {
            measure(way, &[&ours, &bare], frames, args, report)
        } else {
            looked_up(way, &ours, frames, args)
        };
        if args.has(Part::Latency) {
            latency::measure(way, (&ours, rate), frames, args, report);
        }
    }
}

/// Our capacity, if only latency is measured.
fn looked_up(way: Way, ours: &Contender, frames: &mut Frames, args: &Args) -> f64 {
    if !args.has(Part::Latency) {
        return 0.0;
    }
    let found = capacity(way, ours, frames, args);
    settle(ours);
    found.map_or(0.0, |outcome| outcome.rate())
}

fn machine() -> Value {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: String, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split(':').nth(1));
        value.unwrap_or_default().trim().to_owned()
    };
    let cores = std::thread::available_parallelism();
    json!({
        "cpu": value(read("/proc/cpuinfo"), "model name"),
        "cores": cores.map_or(0, |cores| cores.get()),
        "memory": value(read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

/// The commit of the folder that this was built in, with a mark if it was changed; empty without
/// git.
fn commit() -> String {
    let mut git = std::process::Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=10"]);
    git.current_dir(env!("CARGO_MANIFEST_DIR"));
    let told = git.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&told).trim().to_owned()
}
