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

#[test]
fn the_json_report_is_one_line_with_every_field_and_all_modes_and_transports_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let out = demo(&["--json", "--data", data.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let lines: Vec<&str> = text(&out.stdout).lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let report: Value = serde_json::from_str(lines[0]).unwrap();
    let number = |key: &str| {
        report[key]
            .as_u64()
            .unwrap_or_else(|| panic!("no {key}: {report}"))
    };
    for key in ["sessions", "records_acked", "records_delivered"] {
        assert!(number(key) > 0, "{key}");
    }
    assert!(number("records_delivered") >= number("records_acked"));
    for key in ["lost", "duplicated", "phantom", "altered"] {
        assert_eq!(number(key), 0, "{key}");
    }
    assert!(report["redelivered"].is_u64());
    let quantile = |of: &str, key: &str| report[of][key].as_f64().unwrap();
    for of in ["ack_ms", "ack_with_losses_ms"] {
        assert!(0.0 < quantile(of, "p50") && quantile(of, "p50") <= quantile(of, "p99"));
    }
    // A terminal waits for seconds before it sends again.
    assert!(
        quantile("ack_ms", "p99") < quantile("ack_with_losses_ms", "p99"),
        "{report}"
    );
    for (kind, names) in [
        ("modes", &["0", "1", "2", "3"][..]),
        ("transports", &["udp", "tcp", "tcp_held"]),
    ] {
        let counts = report[kind].as_object().unwrap();
        assert_eq!(counts.len(), names.len());
        for name in names {
            let count = &counts[*name];
            assert!(
                count["records_acked"].as_u64().unwrap() > 0,
                "{kind} {name}: {count}"
            );
        }
        let acked = counts
            .values()
            .map(|count| count["records_acked"].as_u64().unwrap());
        assert_eq!(acked.sum::<u64>(), number("records_acked"), "{kind}");
    }
    // 30 terminals with a backlog of days in a run of 3 s: alarms and mishaps by their chances.
    assert!(number("records_acked") > 30 * 3);
    for key in [
        "alarms_acked",
        "delays_injected",
        "duplicates_injected",
        "losses_injected",
    ] {
        assert!(number(key) > 0, "{key}: {report}");
    }
}

/// Runs a line of the report as a person would.
fn shell(line: &str) -> Output {
    Command::new("sh").args(["-c", line]).output().unwrap()
}

fn is_private(path: &Path) -> bool {
    path.metadata().unwrap().permissions().mode() & 0o077 == 0
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
    let line = |part: &str| {
        let mut lines = report.lines().filter(|line| line.starts_with("  "));
        let line = lines.find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("no {part}: {report}")).trim()
    };
    assert!(line("custody").contains("clean"));
    for part in ["mode 0", "mode 3", "over tcp_held", "alarms", "mishaps"] {
        line(part);
    }
    assert!(is_private(&data.join("token")) && is_private(&data.join("keys.toml")));
    for part in ["bulk-", "alarm-"] {
        let shown = shell(line(part));
        let record: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(record["schema"], "kenshin.record/1");
    }
    for part in ["log verify", "log inspect"] {
        let shown = shell(line(part));
        assert!(shown.status.success(), "{}", text(&shown.stderr));
        assert!(!shown.stdout.is_empty());
    }
    let shown = shell(line("terminal readings"));
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let readings = text(&shown.stdout);
    assert!(readings.contains("register"), "{readings}");
    assert_eq!(text(&shown.stderr), "");
    let serve = format!("exec {}", line(" serve "));
    let mut server = Command::new("sh");
    let server = server.args(["-c", &serve]).stderr(Stdio::null());
    let _server = Running(server.spawn().unwrap());
    let pull = line("curl ");
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
