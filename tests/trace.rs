//! One system-call trace of the real binary: each acknowledgement leaves after the sync that covers
//! its frame. And a sync that fails under the real binary.
//!
//! Needs `strace`; without it these tests say so and check nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and reads clocks"
)]

#[path = "support/caller.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod caller;
#[path = "trace/calls.rs"]
mod calls;
#[path = "support/serve.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod serve;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use caller::{Caller, assert_delivered, registered};
use calls::{acknowledgements, first_pid};
use nix::sys::signal::Signal;
use serve::Site;
use serve::running::{Running, signal, terminate};
use simulator::fleet::FleetPlan;
use simulator::keys::Mode;

const CALLS: &str =
    "trace=pwrite64,fdatasync,fsync,recvmmsg,sendmmsg,recvfrom,recvmsg,sendto,sendmsg";

/// Whether this machine can trace; says so on the terminal if it cannot.
fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        // Not by a macro, whose text a passing test does not show.
        let text = "\n*** SKIPPED: strace is not there or may not trace; install it ***\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    can
}

fn utc_s() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u32::try_from(since.unwrap().as_secs()).unwrap()
}

fn world(terminals: usize) -> (tempfile::TempDir, Site, Vec<Caller>) {
    let plan = FleetPlan {
        seed: 23,
        terminals: 60,
        utilities: 1,
    };
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), &registered(&plan), "");
    let of_plan = plan.terminals().filter(|one| one.mode != Mode::Clear);
    let callers = of_plan
        .take(terminals)
        .map(|of| Caller::new(&plan, &of, utc_s()))
        .collect();
    (dir, site, callers)
}

fn start(site: &Site, trace: &Path, more: &[&str], stderr: Stdio) -> Running {
    let mut command = Command::new("strace");
    let command = command
        .args(["-f", "-y", "-xx", "-s", "65536", "-e", CALLS, "-o"])
        .arg(trace)
        .args(more)
        .arg(env!("CARGO_BIN_EXE_kenshin"))
        .args(site.arguments())
        .process_group(0)
        .stderr(stderr);
    let child = site.start_by(command);
    // Nothing is answered in the second of a start.
    std::thread::sleep(Duration::from_millis(1_200));
    child
}

#[test]
fn each_acknowledgement_leaves_after_the_sync_that_covers_its_frame() {
    if !can_trace() {
        return;
    }
    let (dir, site, mut callers) = world(30);
    let trace = dir.path().join("trace.txt");
    let mut server = start(&site, &trace, &[], Stdio::null());
    let calls = callers.iter_mut().map(|caller| caller.call(&site));
    let mut answers: usize = calls.map(|call| call.answers).sum();
    for caller in callers.iter_mut().take(10) {
        answers += caller.reading(&site).answers;
        assert!(caller.told_safe() > 0);
    }
    let text = std::fs::read_to_string(&trace).unwrap();
    signal(first_pid(&text), Signal::SIGTERM);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    let ports: BTreeSet<u16> = callers.iter().map(Caller::port).collect();
    let text = std::fs::read_to_string(&trace).unwrap();
    let found = acknowledgements(&text, &ports);
    let early: Vec<_> = found.iter().filter_map(|one| one.as_ref().err()).collect();
    assert!(early.is_empty(), "before their sync: {early:?}");
    assert!(
        found.len() >= answers.max(30),
        "{} in the trace",
        found.len()
    );
}

#[test]
fn a_sync_that_fails_ends_the_server_with_a_message_and_nothing_acknowledged_is_lost() {
    if !can_trace() {
        return;
    }
    let (dir, site, mut callers) = world(30);
    let trace = dir.path().join("trace.txt");
    let messages = dir.path().join("messages.txt");
    let stderr = std::fs::File::create(&messages).unwrap();
    // Of each thread, so that the log's is met, and a sink's is harmless.
    let fails = ["-e", "inject=fdatasync:error=EIO:when=15"];
    let mut server = start(&site, &trace, &fails, stderr.into());
    let mut unanswered = 0;
    for caller in &mut callers {
        caller.patience = 1;
        unanswered += usize::from(caller.call(&site).answers == 0);
    }
    assert!(unanswered > 0, "no sync failed");
    assert_eq!(server.wait().unwrap().code(), Some(2));
    let text = std::fs::read_to_string(&messages).unwrap();
    assert!(text.contains("The log has stopped"), "{text}");
    let server = site.start(Stdio::null());
    std::thread::sleep(Duration::from_millis(1_200));
    let safe: BTreeSet<String> = callers.iter().flat_map(Caller::safe_ids).collect();
    assert!(!safe.is_empty());
    assert_delivered(&site, &[], &safe);
    for caller in &mut callers {
        caller.patience = 3;
    }
    let last = callers.last_mut().unwrap();
    assert!(last.call(&site).told_safe > 0, "it goes on");
    assert_eq!(terminate(server), Some(0));
}

#[test]
fn a_write_that_a_full_disk_refuses_ends_the_server_only_when_a_start_finds_room() {
    if !can_trace() {
        return;
    }
    let (dir, site, mut callers) = world(30);
    let trace = dir.path().join("trace.txt");
    let messages = dir.path().join("messages.txt");
    let stderr = std::fs::File::create(&messages).unwrap();
    // Of each thread: the one that tries whether there is room has written nothing yet.
    let fails = ["-e", "inject=pwrite64:error=ENOSPC:when=15"];
    let mut server = start(&site, &trace, &fails, stderr.into());
    let mut unanswered = 0;
    for caller in &mut callers {
        caller.patience = 1;
        unanswered += usize::from(caller.call(&site).answers == 0);
        if unanswered > 0 {
            break;
        }
    }
    assert!(unanswered > 0, "no write failed");
    assert_eq!(server.try_wait().unwrap(), None, "it stays up");
    let (status, text) = site.get("/readyz");
    assert_eq!(status, 503);
    assert!(text.contains("read-only: the disk is full"), "{text}");
    assert_eq!(server.wait().unwrap().code(), Some(2));
    let server = site.start(Stdio::null());
    std::thread::sleep(Duration::from_millis(1_200));
    let safe: BTreeSet<String> = callers.iter().flat_map(Caller::safe_ids).collect();
    assert!(!safe.is_empty());
    assert_delivered(&site, &[], &safe);
    assert_eq!(terminate(server), Some(0));
}

#[test]
fn a_start_that_a_full_disk_refuses_is_tried_again_and_not_given_up() {
    if !can_trace() {
        return;
    }
    let (dir, site, mut callers) = world(1);
    let trace = dir.path().join("trace.txt");
    let messages = dir.path().join("messages.txt");
    let stderr = std::fs::File::create(&messages).unwrap();
    // The first of the thread that starts the server: that of the log's folder.
    let fails = ["-e", "inject=fsync:error=ENOSPC:when=1"];
    let mut server = start(&site, &trace, &fails, stderr.into());
    let text = std::fs::read_to_string(&messages).unwrap();
    assert!(text.contains("The disk is full: make room"), "{text}");
    assert!(callers[0].call(&site).told_safe > 0);
    let text = std::fs::read_to_string(&trace).unwrap();
    signal(first_pid(&text), Signal::SIGTERM);
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
