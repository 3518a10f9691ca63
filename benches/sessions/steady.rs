//! A minute at the rate that is asked for on UDP: answers, memory, lags, and octets written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::args::{Args, Part};
use crate::contender::{Contender, Home};
use crate::frames::Frames;
use crate::logged::{self, Logged};
use crate::metrics::Metrics;
use crate::outcome::{Outcome, Pace};
use crate::report::{Bar, Report};
use crate::sink_files::Lengths;
use crate::turns::{UDP, drive, line, settle, shown};

/// The rate on UDP that is asked for.
const REQUIRED_RATE: f64 = 50_000.0;
/// What is sent: two of a thousand more, so that answers that get lost are not all missing.
const SENT_RATE: f64 = 50_100.0;
const RESIDENT_MAX: f64 = 400e6;
const ADDED_MAX: f64 = 200.0;
const WRITTEN_MAX: f64 = 1.3;
/// How long the sinks may take to catch up, and how long they must be still to have done so.
const DRAIN_MAX: Duration = Duration::from_secs(180);
const STILL: Duration = Duration::from_secs(2);

/// What a minute of load did.
struct Minute {
    outcome: Outcome,
    resident: u64,
    most_resident: u64,
}

fn minute(who: &Contender, frames: &mut Frames, args: &Args) -> Minute {
    let time = Duration::from_secs(args.steady_s);
    println!("  {SENT_RATE:.0}/s for {time:?}");
    let outcome = drive(UDP, who, frames, Pace::Rate(SENT_RATE), time);
    line(who.name, &outcome);
    Minute {
        resident: who.process.resident(),
        most_resident: who.process.most_resident(),
        outcome,
    }
}

/// How far behind the log others are.
struct Lag {
    sink_octets: Option<u64>,
    sqlite_octets: Option<u64>,
    sink: Lengths,
}

/// Where octets went in the run.
struct Written {
    process: u64,
    threads: BTreeMap<String, u64>,
}

impl Written {
    fn now(who: &Contender) -> Self {
        Self {
            process: who.process.written(),
            threads: who.process.written_by_thread(),
        }
    }

    fn since(&self, before: &Self) -> Self {
        let of = |name: &String| before.threads.get(name).copied().unwrap_or(0);
        let threads = self.threads.iter();
        Self {
            process: self.process - before.process,
            threads: threads
                .map(|(name, octets)| (name.clone(), octets.saturating_sub(of(name))))
                .filter(|(_, octets)| *octets > 0)
                .collect(),
        }
    }

    /// What the threads of the log wrote.
    fn by_log(&self) -> u64 {
        let of = |name: &str| self.threads.get(name).copied().unwrap_or(0);
        of("log-commit") + of("log-index")
    }
}

fn lag(home: &Home) -> Lag {
    let metrics = Metrics::of(home.site.http);
    Lag {
        sink_octets: metrics.sum("kenshin_sink_lag_bytes"),
        sqlite_octets: metrics.sum("kenshin_sqlite_lag_bytes"),
        sink: Lengths::now(&home.records()),
    }
}

/// Waits until the sink's files and SQLite are still. Gives the time until the last change, none if
/// they did not come to rest.
fn drain(home: &Home) -> Option<Duration> {
    let begun = Instant::now();
    let mut last = Lengths::now(&home.records());
    let mut changed = begun;
    while begun.elapsed() < DRAIN_MAX {
        std::thread::sleep(Duration::from_millis(200));
        let now = lag(home);
        if now.sink != last || now.sqlite_octets.unwrap_or(0) > 0 {
            last = now.sink;
            changed = Instant::now();
        }
        if changed.elapsed() >= STILL {
            return Some(changed - begun);
        }
    }
    None
}

/// Files of SQLite anywhere in the server's data.
fn has_sqlite(data: &Path) -> bool {
    let mut folders: Vec<PathBuf> = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = path.extension().and_then(|kind| kind.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if matches!(kind, Some("sqlite" | "sqlite3" | "db")) {
                return true;
            }
        }
    }
    false
}

/// The minute at the number of terminals that is asked for, and at more of them.
pub(crate) fn measure(frames: &mut Frames, args: &Args, report: &mut Report) {
    println!("\nsteady: a minute of UDP at the rate that is asked for");
    let home = Home::register(&args.dir, "steady", args.terminals);
    let contender = home.start(&[]);
    settle(&contender);
    let from = logged::end(&home.log());
    let before = Written::now(&contender);
    let minute = minute(&contender, frames, args);
    let lag = lag(&home);
    let drained = drain(&home);
    settle(&contender);
    let written = Written::now(&contender).since(&before);
    let logged = logged::since(&home.log(), from);
    if args.has(Part::Steady) {
        tell_steady(&minute, (&lag, drained, &logged), &home, report);
    }
    if args.has(Part::Written) {
        tell_written(&written, &logged, report);
    }
    drop(contender);
    drop(home);
    if args.has(Part::Memory) {
        memory(&minute, frames, args, report);
    }
}

fn tell_steady(
    minute: &Minute,
    (lag, drained, logged): (&Lag, Option<Duration>, &Logged),
    home: &Home,
    report: &mut Report,
) {
    let outcome = &minute.outcome;
    let note = format!(
        "answered {} of {} in {:.1} s; p50 {} µs, p99 {} µs",
        outcome.answered,
        outcome.sent,
        outcome.seconds,
        outcome.p50_us(),
        outcome.p99_us()
    );
    let requirement = "UDP: one secured uplink, durable ack, for 60 s: ≥ 50,000/s";
    let bar = Bar::AtLeast(REQUIRED_RATE);
    report.row((requirement, "/s"), bar, &[outcome.rate()], note);

    let folder = home.records();
    let delivered = lag.sink.lines(&folder);
    let in_the_end = Lengths::now(&folder).lines(&folder);
    let behind = logged.sessions.saturating_sub(delivered);
    let drained_s = drained.map(|time| time.as_secs_f64());
    let note = format!(
        "{delivered} of {} records delivered at the end of the load; all {in_the_end} {}",
        logged.sessions,
        drained_s.map_or_else(
            || "not in 180 s".to_owned(),
            |s| format!("after {s:.1} s more")
        )
    );
    let requirement = "NDJSON sink: records behind at the end of that run";
    report.row(
        (requirement, "records"),
        Bar::Reported,
        &[behind as f64],
        note,
    );

    let has_sqlite = has_sqlite(&home.data());
    let note = if has_sqlite {
        "as /metrics tells".to_owned()
    } else {
        "this build keeps no SQLite file".to_owned()
    };
    let octets = lag.sqlite_octets.filter(|_| has_sqlite);
    let figures: Vec<f64> = octets.into_iter().map(|octets| octets as f64).collect();
    let requirement = "SQLite: octets of log behind at the end of that run";
    report.row((requirement, "B"), Bar::Reported, &figures, note);
    report.detail(
        "steady",
        json!({
            "ack": shown(outcome), "sessions_logged": logged.sessions,
            "delivered_at_end": delivered, "delivered": in_the_end, "drained_s": drained_s,
            "sink_lag_bytes": lag.sink_octets, "sqlite_lag_bytes": octets,
            "sink_octets_at_end": lag.sink.octets(),
        }),
    );
}

fn tell_written(written: &Written, logged: &Logged, report: &mut Report) {
    let sessions = logged.sessions.max(1) as f64;
    let each = |octets: u64| octets as f64 / sessions;
    let shares: Vec<String> = written
        .threads
        .iter()
        .map(|(name, octets)| format!("{name} {:.0}", each(*octets)))
        .collect();
    let requirement = "storage written per session, whole process, sinks and snapshots included";
    let note = format!("by thread: {}", shares.join(", "));
    let figure = each(written.process);
    report.row((requirement, "B"), Bar::Reported, &[figure], note);

    let logical = logged.payload_octets.max(1) as f64;
    let files = (logged.octets + logged.index_octets) as f64 / logical;
    let pages = written.by_log() as f64 / logical;
    let note = format!(
        "a session: payload {:.0} B, log {:.0} B, index {:.0} B",
        each(logged.payload_octets),
        each(logged.octets),
        each(logged.index_octets)
    );
    let bar = Bar::AtMost(WRITTEN_MAX);
    let requirement = "log alone, octets of its files and indexes / logical: ≤ 1.3";
    report.row((requirement, "×"), bar, &[files], note);
    let requirement = "log alone, pages that its threads gave to storage / logical: ≤ 1.3";
    let note = "each sync writes its last page whole, and the next batch writes it again";
    report.row((requirement, "×"), bar, &[pages], note.to_owned());
    let threads: Value = json!(written.threads);
    report.detail(
        "written",
        json!({
            "process": written.process, "threads": threads, "sessions": logged.sessions,
            "log_payload_octets": logged.payload_octets, "log_octets": logged.octets,
            "log_index_octets": logged.index_octets, "log_air_octets": logged.air_octets,
        }),
    );
}

fn memory(fewer: &Minute, frames: &mut Frames, args: &Args, report: &mut Report) {
    println!("\nmemory: the same minute with more terminals");
    let note = format!("most at once {:.0} MB", fewer.most_resident as f64 / 1e6);
    let requirement = "resident at 1,000,000 terminals after 60 s of load: ≤ 400 MB";
    let figure = fewer.resident as f64 / 1e6;
    let bar = Bar::AtMost(RESIDENT_MAX / 1e6);
    report.row((requirement, "MB"), bar, &[figure], note);

    let home = Home::register(&args.dir, "memory", args.more_terminals);
    let contender = home.start(&[]);
    settle(&contender);
    let at_start = contender.process.resident();
    let more = minute(&contender, frames, args);
    let added = f64::from(args.more_terminals - args.terminals);
    let each = (more.resident as f64 - fewer.resident as f64) / added;
    let note = format!(
        "{:.0} MB at {}, most at once {:.0} MB, before the load {:.0} MB",
        more.resident as f64 / 1e6,
        args.more_terminals,
        more.most_resident as f64 / 1e6,
        at_start as f64 / 1e6
    );
    let requirement = "1,000,000 → 4,000,000 terminals under the same load add: ≤ 200 B each";
    report.row((requirement, "B"), Bar::AtMost(ADDED_MAX), &[each], note);
    report.detail(
        "memory",
        json!({
            "resident": fewer.resident, "most_resident": fewer.most_resident,
            "resident_more": more.resident, "most_resident_more": more.most_resident,
            "resident_more_at_start": at_start, "ack_more": shown(&more.outcome),
        }),
    );
}
