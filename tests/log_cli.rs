//! `kenshin log` as a program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/log.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use kenshin::model::Event;
use kenshin::store::fs::RealFs;
use kenshin::store::log::{CommitLog, DIRECTORY};
use serde_json::Value;
use support::{Told, append, options};

fn kenshin(action: &str, data: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    command.args(["log", action, "--data"]).arg(data).args(more);
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn open(data: &Path) -> CommitLog {
    let dir = data.join(DIRECTORY);
    let told = Box::new(Told::default());
    CommitLog::open(Arc::new(RealFs), &dir, options(), told).unwrap()
}

fn fill(log: &CommitLog) {
    for number in 0..200 {
        log.append_and_wait(append(number, 60)).unwrap();
    }
    let event = Event::CommandsReleased {
        utility: "6761737765726b65".to_owned(),
    };
    let mut frame = append(0, 8);
    frame.kind = 2;
    frame.terminal = None;
    frame.payload = event.encode().unwrap();
    log.append_and_wait(frame).unwrap();
}

fn segments(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join(DIRECTORY)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "klog"));
    paths.sort();
    paths
}

#[test]
fn a_good_log_is_told_good_while_its_writer_runs_and_nothing_is_changed() {
    let data = tempfile::tempdir().unwrap();
    let log = open(data.path());
    fill(&log);
    let content = || -> Vec<_> {
        segments(data.path())
            .iter()
            .map(|p| fs::read(p).unwrap())
            .collect()
    };
    let before = content();
    let verified = kenshin("verify", data.path(), &["--json"]);
    assert_eq!(verified.status.code(), Some(0));
    let outcome = json(&verified);
    assert_eq!(
        (&outcome["ok"], &outcome["frames"]),
        (&true.into(), &201.into())
    );
    assert_eq!(outcome["end"], log.durable_end().get());
    let plain = kenshin("verify", data.path(), &[]);
    assert!(String::from_utf8_lossy(&plain.stdout).contains("The log is good."));
    assert_eq!(content(), before);
    log.close().unwrap();
}

#[test]
fn each_damaged_range_is_named() {
    let data = tempfile::tempdir().unwrap();
    let log = open(data.path());
    fill(&log);
    log.close().unwrap();
    let paths = segments(data.path());
    assert!(paths.len() > 3);
    for path in &paths[..2] {
        let mut octets = fs::read(path).unwrap();
        octets[200] ^= 1;
        fs::write(path, octets).unwrap();
    }
    let verified = kenshin("verify", data.path(), &["--json"]);
    assert_eq!(verified.status.code(), Some(1));
    let damage = json(&verified)["damage"].as_array().unwrap().clone();
    // 64 octets of header, then frames of 84: the second one.
    assert_eq!(damage.len(), 2);
    assert_eq!(
        (&damage[0]["from"], &damage[0]["to"]),
        (&148.into(), &232.into())
    );
    for (found, path) in damage.iter().zip(&paths) {
        assert_eq!(found["file"], path.to_str().unwrap());
    }
    fs::remove_file(&paths[2]).unwrap();
    let verified = kenshin("verify", data.path(), &[]);
    assert_eq!(verified.status.code(), Some(1));
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    let name = paths[2].to_str().unwrap();
    assert!(
        text.contains(&format!("{name}: the file is missing")),
        "{text}"
    );
    assert_eq!(text.matches("damaged from position").count(), 3);
}

#[test]
fn a_torn_end_is_no_damage() {
    let data = tempfile::tempdir().unwrap();
    let log = open(data.path());
    fill(&log);
    log.close().unwrap();
    let last = segments(data.path()).pop().unwrap();
    let octets = fs::read(&last).unwrap();
    fs::write(&last, &octets[..octets.len() - 5]).unwrap();
    let verified = kenshin("verify", data.path(), &["--json"]);
    assert_eq!(verified.status.code(), Some(0));
    assert!(json(&verified)["torn_octets"].as_u64().unwrap() > 0);
}

#[test]
fn a_log_that_ends_before_what_a_snapshot_knows_is_damaged() {
    let data = tempfile::tempdir().unwrap();
    let log = open(data.path());
    fill(&log);
    let end = log.durable_end().get();
    log.close().unwrap();
    let state = data.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join(format!("hot-{end:020}.snap")), "").unwrap();
    assert_eq!(kenshin("verify", data.path(), &[]).status.code(), Some(0));
    let last = segments(data.path()).pop().unwrap();
    let octets = fs::read(&last).unwrap();
    fs::write(&last, &octets[..octets.len() - 5]).unwrap();
    let verified = kenshin("verify", data.path(), &["--json"]);
    assert_eq!(verified.status.code(), Some(1));
    assert_eq!(json(&verified)["damage"][0]["to"], end);
}

#[test]
fn what_is_no_log_cannot_be_read() {
    let data = tempfile::tempdir().unwrap();
    for action in ["verify", "inspect"] {
        let output = kenshin(action, data.path(), &[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("holds no log"));
    }
}

#[test]
fn frames_are_shown_from_a_position_on() {
    let data = tempfile::tempdir().unwrap();
    let log = open(data.path());
    fill(&log);
    log.close().unwrap();
    let shown = kenshin(
        "inspect",
        data.path(),
        &["--json", "--from", "65", "--limit", "2"],
    );
    assert_eq!(shown.status.code(), Some(0));
    let text = String::from_utf8(shown.stdout).unwrap();
    let frames: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(frames.len(), 2);
    assert_eq!(
        (&frames[0]["position"], &frames[0]["next"]),
        (&148.into(), &232.into())
    );
    assert_eq!(frames[0]["terminal"], "0000000000000002");
    let all = kenshin("inspect", data.path(), &[]);
    let text = String::from_utf8(all.stdout).unwrap();
    assert_eq!(text.lines().count(), 201);
    assert!(
        text.lines()
            .last()
            .unwrap()
            .contains(r#""event":"commands_released""#)
    );
}
