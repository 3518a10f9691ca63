//! Progress while it runs, and what came of it.

use std::io::{self, IsTerminal as _, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use simulator::custody::Custody;
use simulator::fleet::Latency;

use super::provision::Folder;
use super::{AllCounters, Outcome, summary};

/// Shows the rates on standard error, once a second: in place on a terminal, and else a line each.
pub(super) async fn progress(counters: AllCounters, has_meters: bool) {
    let (before_line, after_line) = if io::stderr().is_terminal() {
        ("\r", "   ")
    } else {
        ("", "\n")
    };
    let AllCounters {
        fleet: counters,
        mbus,
    } = counters;
    let mut before = counters.sessions();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sessions = counters.sessions();
        let rate = sessions.saturating_sub(before);
        before = sessions;
        let telegrams = match has_meters {
            true => format!(", {} M-Bus telegrams answered OK", mbus.oks()),
            false => String::new(),
        };
        eprint!(
            "{before_line}{sessions} sessions ({rate}/s), {} records and {} alarms told safe, \
             {} retries, {} losses, {} in flight{telegrams}{after_line}",
            counters.records_acked(),
            counters.alarms_acked(),
            counters.retries(),
            counters.losses_injected(),
            counters.in_flight(),
        );
    }
}

/// Milliseconds that half and 99 of a hundred do not exceed.
pub(super) fn quantiles(latency: &Latency) -> (f64, f64) {
    let quantile = |thousandths| {
        let us = latency.quantile_us(thousandths);
        Duration::from_micros(us).as_secs_f64() * 1_000.0
    };
    (quantile(500), quantile(990))
}

/// Shows what came of it on standard output.
pub(super) fn show(outcome: &Outcome, as_json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if as_json {
        return writeln!(out, "{}", summary::object(outcome));
    }
    let counters = &outcome.counters.fleet;
    let total = outcome.custody.total();
    writeln!(out, "Custody report")?;
    for (name, count, meaning) in rows(&total, counters.sessions()) {
        writeln!(out, "  {name:<12} {count:>9}  {meaning}")?;
    }
    let (p50, p99) = quantiles(&counters.ack_undisturbed);
    let (lossy_p50, lossy_p99) = quantiles(&counters.ack);
    writeln!(
        out,
        "  ack latency  p50 {p50:.1} ms, p99 {p99:.1} ms; \
         with losses and repeats {lossy_p50:.1} and {lossy_p99:.1} ms"
    )?;
    show_tally(&mut out, outcome)?;
    if outcome.plans.has_meters() {
        show_meters(&mut out, outcome)?;
    }
    show_verdict(&mut out, outcome, &total)?;
    show_ways(&mut out, outcome)
}

/// What is wrong, if anything is.
fn show_verdict(out: &mut impl Write, outcome: &Outcome, total: &Custody) -> io::Result<()> {
    let AllCounters { fleet, mbus } = &outcome.counters;
    let failed = fleet.terminals_failed();
    if failed > 0 {
        writeln!(
            out,
            "  failed       {failed} terminals stopped on an error of their own"
        )?;
    }
    let failed = mbus.gateways_failed();
    if failed > 0 {
        writeln!(
            out,
            "  failed       {failed} gateways stopped on an error of their own"
        )?;
    }
    let refused = mbus.wrong_answers();
    if refused > 0 {
        writeln!(
            out,
            "  refused      {refused:>9}  answers that a good telegram is never given"
        )?;
    }
    for problem in total.problems.iter().chain(&mbus.wrong()) {
        writeln!(out, "    {problem}")?;
    }
    let faults = outcome.faults();
    let verdict = match faults.as_slice() {
        [] => "clean".to_owned(),
        faults => faults.join(", "),
    };
    writeln!(
        out,
        "  custody      {verdict}, after {:.1} s",
        outcome.took_s
    )
}

/// Who called how, and what happened to them.
fn show_tally(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let Outcome { tally, .. } = outcome;
    let counters = &outcome.counters.fleet;
    for (what, counts) in [("mode", &tally.modes), ("over", &tally.transports)] {
        for (name, count) in counts {
            let name = format!("{what} {name}");
            let (records, terminals) = (count.records_acked, count.terminals);
            writeln!(
                out,
                "  {name:<13} {records:>8}  told safe to {terminals} terminals"
            )?;
        }
    }
    writeln!(
        out,
        "  alarms       {:>9}  told safe; every terminal began with a backlog of 1 to 10 days",
        counters.alarms_acked(),
    )?;
    writeln!(
        out,
        "  mishaps      {:>9}  frames lost, {} doubled, {} late; {} sent again, {} power cuts",
        counters.losses_injected(),
        counters.duplicates_injected(),
        counters.delays_injected(),
        counters.retries(),
        counters.restarts(),
    )
}

/// What meters sent, and how gateways handed it over.
fn show_meters(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let (mbus, custody) = (&outcome.counters.mbus, &outcome.custody.mbus);
    for (mode, count) in &outcome.tally.meters {
        let name = format!("mbus mode {mode}");
        let (acked, sent, meters) = (count.records_acked, count.telegrams_sent, count.meters);
        writeln!(
            out,
            "  {name:<13} {acked:>8}  told safe of {sent} telegrams that {meters} meters sent"
        )?;
    }
    writeln!(
        out,
        "  over mbus tcp {:>8}  told safe; {} lines, {} of them again, over {} cut connections",
        custody.custody.told_safe,
        mbus.lines_sent(),
        mbus.lines_again(),
        mbus.cuts(),
    )?;
    writeln!(
        out,
        "  over mbus udp {:>8}  kept first by a datagram of {}, which nobody answers",
        custody.by_datagram,
        mbus.datagrams_sent(),
    )?;
    writeln!(
        out,
        "  copies       {:>9}  lines answered OK as copies of what was durable: one record for all",
        mbus.copies(),
    )?;
    writeln!(
        out,
        "  mbus mishaps {:>9}  datagrams lost, {} sent twice, {} late; {} lines never answered",
        mbus.datagrams_lost(),
        mbus.doubled(),
        mbus.delayed(),
        mbus.lines_left(),
    )
}

/// A word of the shell.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn path_word(path: &Path) -> String {
    word(&path.display().to_string())
}

/// How one record is pulled from a server.
pub(super) fn curl(folder: &Folder, http: SocketAddr) -> String {
    let token = path_word(&folder.token());
    format!("curl -sS -H \"Authorization: Bearer $(cat {token})\" 'http://{http}/v1/records?max=1'")
}

/// Where the data is, and commands to look at it.
fn show_ways(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let folder = &outcome.folder;
    let program = std::env::current_exe();
    let program = program.map_or_else(|_| "kenshin".to_owned(), |path| path_word(&path));
    let dir = path_word(&folder.dir);
    writeln!(out, "\nThe data lies in {dir}. A reading and an alarm:")?;
    writeln!(out, "  head -n 1 {dir}/records/bulk-*.ndjson")?;
    writeln!(out, "  head -n 1 {dir}/records/alarm-*.ndjson")?;
    let config = path_word(&folder.config());
    if let Some(teller) = outcome.teller {
        writeln!(out, "What one terminal said, its newest call first:")?;
        writeln!(
            out,
            "  {program} terminal readings {teller} --limit 5 --config {config}"
        )?;
    }
    if let Some(meter) = outcome.meter {
        writeln!(out, "What one meter sent, its newest telegram first:")?;
        writeln!(
            out,
            "  {program} terminal readings {meter} --limit 5 --config {config}"
        )?;
    }
    writeln!(out, "The log:")?;
    writeln!(out, "  {program} log verify --data {dir}/data")?;
    writeln!(out, "  {program} log inspect --data {dir}/data --limit 5")?;
    if let Some(http) = outcome.http {
        writeln!(out, "The server has ended. Start it again on this data:")?;
        writeln!(out, "  {program} serve --config {config}")?;
        writeln!(
            out,
            "and pull a reading from it, as the cloud of a utility does:"
        )?;
        writeln!(out, "  {}", curl(folder, http))?;
    }
    Ok(())
}

/// What is counted, with its name and its meaning.
const fn rows(custody: &Custody, sessions: u64) -> [(&'static str, u64, &'static str); 10] {
    [
        ("sessions", sessions, "calls that were answered"),
        (
            "told safe",
            custody.told_safe,
            "facts that a terminal or a gateway may forget",
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
            "after what came later of the same terminal or meter and lane",
        ),
        ("phantom", custody.phantom, "in the sink, and never sent"),
        (
            "redelivered",
            custody.redelivered,
            "the same id again, which is allowed",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(word("/srv/kenshin-demo-1/data"), "/srv/kenshin-demo-1/data");
        assert_eq!(word("/srv/it's a $x"), "'/srv/it'\\''s a $x'");
    }
}
