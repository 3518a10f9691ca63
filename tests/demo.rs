//! `kenshin demo` as a program: what it says, and that the commands it names work.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and reads clocks"
)]

#[path = "support/running.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod running;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use running::Running;
use serde_json::Value;

fn demo(more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    command.args(["demo", "--terminals", "30", "--for", "3s"]);
    command.args(more).output().unwrap()
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

/// The one object of a report, of a run that had to end with this exit code.
fn report(more: &[&str], code: i32) -> Value {
    let out = demo(&[&["--json"], more].concat());
    assert_eq!(
        out.status.code(),
        Some(code),
        "{}{}",
        text(&out.stderr),
        text(&out.stdout)
    );
    let lines: Vec<&str> = text(&out.stdout).lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    serde_json::from_str(lines[0]).unwrap()
}

fn number(object: &Value, key: &str) -> u64 {
    let number = object[key].as_u64();
    number.unwrap_or_else(|| panic!("no {key}: {object}"))
}

/// The sum of a field over all entries of an object.
fn sum(object: &Value, key: &str) -> u64 {
    let entries = object.as_object().unwrap().values();
    entries.map(|entry| number(entry, key)).sum()
}

/// The counts that each protocol has, and both together.
const COUNTS: [&str; 9] = [
    "records_acked",
    "records_delivered",
    "lost",
    "duplicated",
    "redelivered",
    "phantom",
    "altered",
    "misplaced",
    "disordered",
];

#[test]
fn the_json_report_is_one_line_with_every_field_and_all_modes_and_transports_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let report = report(&["--data", data.to_str().unwrap()], 0);
    for key in ["sessions", "records_acked", "records_delivered"] {
        assert!(number(&report, key) > 0, "{key}");
    }
    assert!(number(&report, "records_delivered") >= number(&report, "records_acked"));
    for key in ["lost", "duplicated", "phantom", "altered"] {
        assert_eq!(number(&report, key), 0, "{key}");
    }
    assert!(report["redelivered"].is_u64());
    assert_eq!(report["problems"], serde_json::json!([]));
    let quantile = |of: &str, key: &str| report[of][key].as_f64().unwrap();
    for of in ["ack_ms", "ack_with_losses_ms"] {
        assert!(0.0 < quantile(of, "p50") && quantile(of, "p50") <= quantile(of, "p99"));
    }
    // A terminal waits for seconds before it sends again.
    assert!(
        quantile("ack_ms", "p99") < quantile("ack_with_losses_ms", "p99"),
        "{report}"
    );
    let otl_acked = number(&report["protocols"]["otl"], "records_acked");
    for (kind, names) in [
        ("modes", &["0", "1", "2", "3"][..]),
        ("transports", &["udp", "tcp", "tcp_held"]),
    ] {
        let counts = &report[kind];
        assert_eq!(counts.as_object().unwrap().len(), names.len());
        for name in names {
            let count = number(&counts[*name], "records_acked");
            assert!(count > 0, "{kind} {name}");
        }
        assert_eq!(sum(counts, "records_acked"), otl_acked, "{kind}");
    }
    // 30 terminals with a backlog of days in a run of 3 s: alarms and mishaps by their chances.
    assert!(otl_acked > 30 * 3);
    for key in [
        "alarms_acked",
        "delays_injected",
        "duplicates_injected",
        "losses_injected",
    ] {
        assert!(number(&report, key) > 0, "{key}: {report}");
    }
}

#[test]
fn gateways_and_terminals_meet_in_one_custody_report_whose_counts_are_the_sums_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let report = report(&["--data", data.to_str().unwrap()], 0);
    let (otl, mbus) = (&report["protocols"]["otl"], &report["protocols"]["mbus"]);
    for key in COUNTS {
        let both = number(otl, key) + number(mbus, key);
        assert_eq!(number(&report, key), both, "{key}");
    }
    assert_eq!((number(mbus, "gateways"), number(mbus, "meters")), (3, 60));
    assert_eq!(number(mbus, "telegrams_sent"), 600);
    assert_eq!(number(mbus, "wrong_answers"), 0);
    let modes = &mbus["modes"];
    assert_eq!(sum(modes, "telegrams_sent"), 600);
    assert_eq!(sum(modes, "records_acked"), number(mbus, "records_acked"));
    for mode in ["0", "5", "7", "10"] {
        assert!(number(&modes[mode], "records_acked") > 0, "{mode}");
    }
    // Two gateways hear three of five meters both, so that hundreds of lines are copies.
    assert!(number(mbus, "copies") > 100);
    let (tcp, udp) = (&mbus["transports"]["tcp"], &mbus["transports"]["udp"]);
    assert_eq!(number(tcp, "records_acked"), number(mbus, "records_acked"));
    assert_eq!(number(tcp, "lines_left"), 0);
    assert!(number(udp, "records_received") > 0);
    // Every fifth meter is heard by datagrams alone, and nobody is told of those.
    assert!(number(mbus, "records_acked") <= 480);
    assert!(number(mbus, "records_delivered") > number(mbus, "records_acked"));
    for key in ["cuts_injected", "duplicates_injected", "delays_injected"] {
        assert!(number(mbus, key) > 0, "{key}: {mbus}");
    }
    // Each telegram is in the sink under one id, whoever brought it.
    let mut ids = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(data.join("records")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let records = std::fs::read_to_string(path).unwrap();
            let records = records.lines();
            let records = records.map(|line| serde_json::from_str::<Value>(line).unwrap());
            let telegrams = records.filter(|record| record["protocol"] == "mbus");
            ids.extend(telegrams.map(|record| record["id"].to_string()));
        }
    }
    let delivered = usize::try_from(number(mbus, "records_delivered")).unwrap();
    assert_eq!(ids.len(), delivered);
}

#[test]
fn without_meters_there_are_no_gateways_and_terminals_alone_decide() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let report = report(&["--meters", "0", "--data", data.to_str().unwrap()], 0);
    let (otl, mbus) = (&report["protocols"]["otl"], &report["protocols"]["mbus"]);
    for key in COUNTS {
        assert_eq!(number(&report, key), number(otl, key), "{key}");
        assert_eq!(number(mbus, key), 0, "{key}");
    }
    assert_eq!((number(mbus, "gateways"), number(mbus, "meters")), (0, 0));
    assert!(!data.join("meters.csv").exists());
    let config = std::fs::read_to_string(data.join("kenshin.toml")).unwrap();
    assert!(!config.contains("[mbus]"), "{config}");
}

/// Runs a line of the report as a person would.
fn shell(line: &str) -> Output {
    Command::new("sh").args(["-c", line]).output().unwrap()
}

fn is_private(path: &Path) -> bool {
    path.metadata().unwrap().permissions().mode() & 0o077 == 0
}

/// The first line of a report's list that has this part.
fn line<'a>(report: &'a str, part: &str) -> &'a str {
    let mut lines = report.lines().filter(|line| line.starts_with("  "));
    let line = lines.find(|line| line.contains(part));
    line.unwrap_or_else(|| panic!("no {part}: {report}")).trim()
}

#[test]
fn progress_can_be_read_and_the_commands_at_the_end_show_a_reading() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a demo");
    let out = demo(&["--data", data.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let progress: Vec<&str> = text(&out.stderr)
        .lines()
        .filter(|line| line.contains(" sessions ("))
        .collect();
    assert!(progress.len() >= 2, "{progress:?}");
    assert!(
        progress
            .iter()
            .all(|line| line.contains("told safe") && !line.contains('\r'))
    );
    let report = text(&out.stdout);
    assert!(line(report, "custody").contains("clean"));
    for part in [
        "mode 0",
        "mode 3",
        "over tcp_held",
        "alarms",
        "mishaps",
        "mbus mode 0",
        "mbus mode 5",
        "mbus mode 7",
        "mbus mode 10",
        "over mbus tcp",
        "over mbus udp",
        "copies",
    ] {
        line(report, part);
    }
    for secret in [
        "token",
        "keys.toml",
        "meters.csv",
        "demo-roof.token",
        "demo-hill.token",
        "demo-mast.token",
    ] {
        assert!(is_private(&data.join(secret)), "{secret}");
    }
    assert_data_can_be_looked_at(report);
    let serve = format!("exec {}", line(report, " serve "));
    let mut server = Command::new("sh");
    let server = server.args(["-c", &serve]).stderr(Stdio::null());
    let _server = Running(server.spawn().unwrap());
    assert_records_can_be_pulled(line(report, "curl "));
    assert_gateway_is_known(&data);
}

/// The commands of a report that need no server.
fn assert_data_can_be_looked_at(report: &str) {
    for part in ["bulk-", "alarm-"] {
        let shown = shell(line(report, part));
        let record: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(record["schema"], "kenshin.record/1");
    }
    for part in ["log verify", "log inspect"] {
        let shown = shell(line(report, part));
        assert!(shown.status.success(), "{}", text(&shown.stderr));
        assert!(!shown.stdout.is_empty());
    }
    // Of a terminal first, then of a meter.
    let readings = report
        .lines()
        .filter(|line| line.contains("terminal readings"));
    let readings: Vec<&str> = readings.collect();
    for (command, kind) in readings.iter().zip(["register", "meter_data"]) {
        let shown = shell(command);
        assert!(shown.status.success(), "{}", text(&shown.stderr));
        assert!(text(&shown.stdout).contains(kind), "{shown:?}");
        assert_eq!(text(&shown.stderr), "");
    }
    assert_eq!(readings.len(), 2);
}

/// A server that starts answers this command soon.
fn assert_records_can_be_pulled(pull: &str) {
    let pulled = (0..300).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        let shown = shell(pull);
        shown.status.success().then_some(shown.stdout)
    });
    let pulled = pulled.expect("the server that was started again answers curl");
    let mut lines = text(&pulled).lines();
    let record: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(record["schema"], "kenshin.record/1");
    // The first frame's records come whole, and the cursor last.
    let cursor: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(cursor["schema"], "kenshin.cursor/1");
}

/// The server that was started again listens where the configuration says, knows the gateways, and
/// has the keys of their meters: a telegram is refused by what is wrong with it.
fn assert_gateway_is_known(data: &Path) {
    let config = std::fs::read_to_string(data.join("kenshin.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let address = config["mbus"]["tcp"].as_str().unwrap();
    let token = std::fs::read_to_string(data.join("demo-roof.token")).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).unwrap();
    // Of an encrypted meter of the demonstration, and of one that nobody has a key of.
    let of = |identification: &str| {
        format!("1E44AF11{identification}01037A5A0010250CEC9EB23A132D756D672540063FE084")
    };
    let lines = [of("00000020"), of("99999999")].join("\n");
    let greeting = format!("TOKEN {}\n{lines}\n", token.trim());
    stream.write_all(greeting.as_bytes()).unwrap();
    let mut answers = BufReader::new(stream).lines();
    for expected in ["OK 0", "ERR 1 wrong_key ", "ERR 2 no_key "] {
        let answer = answers.next().unwrap().unwrap();
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[test]
fn a_folder_that_holds_data_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("keys.toml");
    std::fs::write(&kept, "mine").unwrap();
    let out = demo(&["--data", dir.path().to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(2));
    let told = text(&out.stderr);
    assert!(told.contains("is not empty: name a new folder"), "{told}");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
