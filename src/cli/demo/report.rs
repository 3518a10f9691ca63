//! Progress while it runs, and what came of it.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use simulator::custody::Custody;
use simulator::fleet::Counters;

use super::Outcome;

/// Shows the rates on standard error, once a second, in place.
pub(super) async fn progress(counters: Arc<Counters>) {
    let mut before = counters.sessions();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sessions = counters.sessions();
        let rate = sessions.saturating_sub(before);
        before = sessions;
        eprint!(
            "\r{sessions} sessions ({rate}/s), {} records and {} alarms told safe, {} retries, \
             {} losses, {} in flight   ",
            counters.records_acked(),
            counters.alarms_acked(),
            counters.retries(),
            counters.losses_injected(),
            counters.in_flight(),
        );
    }
}

/// Milliseconds with three digits, from microseconds.
fn ms(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64() * 1_000.0
}

/// Shows what came of it on standard output.
pub(super) fn show(outcome: &Outcome, as_json: bool) -> io::Result<()> {
    let Outcome {
        custody,
        counters,
        data_dir,
        took_s,
    } = outcome;
    let latency = &counters.ack;
    let (p50, p99) = (ms(latency.quantile_us(500)), ms(latency.quantile_us(990)));
    let mut out = io::stdout().lock();
    if as_json {
        let object = json!({
            "sessions": counters.sessions(),
            "records_acked": custody.told_safe,
            "records_delivered": custody.delivered,
            "lost": custody.lost,
            "duplicated": custody.duplicated,
            "redelivered": custody.redelivered,
            "phantom": custody.phantom,
            "altered": custody.altered,
            "misplaced": custody.misplaced,
            "disordered": custody.disordered,
            "ack_ms": { "p50": p50, "p99": p99 },
            "seconds": took_s,
            "data": data_dir.display().to_string(),
        });
        return writeln!(out, "{object}");
    }
    writeln!(out, "Custody report")?;
    for (name, count, meaning) in rows(custody, counters.sessions()) {
        writeln!(out, "  {name:<12} {count:>9}  {meaning}")?;
    }
    writeln!(
        out,
        "  ack latency  p50 {p50:.1} ms, p99 {p99:.1} ms, losses included"
    )?;
    let verdict = if custody.is_clean() {
        "clean"
    } else {
        "BROKEN"
    };
    writeln!(out, "  custody      {verdict}, after {took_s:.1} s")?;
    let dir = data_dir.display();
    writeln!(
        out,
        "\nThe data lies in {dir}. Look at a reading and at an alarm:"
    )?;
    writeln!(out, "  head -n 1 {dir}/records/bulk-*.ndjson")?;
    writeln!(out, "  head -n 1 {dir}/records/alarm-*.ndjson")?;
    writeln!(out, "  kenshin log verify --data {dir}/data")
}

/// What is counted, with its name and its meaning.
const fn rows(custody: &Custody, sessions: u64) -> [(&'static str, u64, &'static str); 10] {
    [
        ("sessions", sessions, "calls that were answered"),
        (
            "told safe",
            custody.told_safe,
            "facts that a terminal may forget",
        ),
        ("delivered", custody.delivered, "facts that the sink holds"),
        ("lost", custody.lost, "told safe, and not in the sink"),
        ("duplicated", custody.duplicated, "one fact under two ids"),
        (
            "altered",
            custody.altered,
            "an id with other content, value or time",
        ),
        (
            "misplaced",
            custody.misplaced,
            "in the lane of alarms and none, or the reverse",
        ),
        (
            "disordered",
            custody.disordered,
            "after what came later of the same terminal and lane",
        ),
        ("phantom", custody.phantom, "in the sink, and never sent"),
        (
            "redelivered",
            custody.redelivered,
            "the same id again, which is allowed",
        ),
    ]
}
