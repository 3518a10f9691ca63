//! One system-call trace of the real binary: each acknowledgement leaves after the sync that covers
//! its frame. And a sync that fails under the real binary.
//!
//! Needs `strace`; without it these tests say so and check nothing. A server that hangs under it is
//! killed after a minute, and its test fails.

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
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use caller::{Caller, assert_delivered};
use calls::{acknowledgements, first_pid};
use nix::sys::signal::Signal;
use serve::plan::registered;
use serve::running::{Running, terminate};
use serve::{Site, utc_s};
use simulator::fleet::FleetPlan;
use simulator::keys::Mode;

const CALLS: &str =
    "trace=pwrite64,fdatasync,fsync,recvmmsg,sendmmsg,recvfrom,recvmsg,sendto,sendmsg";

/// Whether this machine can trace; says so on the terminal if it cannot.
fn can_trace() -> bool {
    let mut command = Command::new("strace");
    let command = command
        .args(["-f", "-o", "/dev/null", "true"])
        .stderr(Stdio::null());
    let can = command
        .spawn()
        .is_ok_and(|tried| Running(tried).ended() == Some(0));
    if !can {
        // Not by a macro, whose text a passing test does not show.
        let text = "\n*** SKIPPED: strace is not there or may not trace; install it ***\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    can
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

/// Starts the server under a tracer, which leads a group of its own with it.
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

/// Asks the traced server to stop, and gives the exit code, which the tracer passes on.
fn stop(mut server: Running, trace: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(trace).unwrap();
    server.signal_in_group(first_pid(&text), Signal::SIGTERM);
    server.ended()
}

/// A server in which a call of the system fails, and terminals that call it.
struct Failing {
    dir: tempfile::TempDir,
    site: Site,
    callers: Vec<Caller>,
    server: Running,
}

impl Failing {
    fn start(terminals: usize, fails: &str) -> Self {
        let (dir, site, callers) = world(terminals);
        let trace = dir.path().join("trace.txt");
        let messages = std::fs::File::create(dir.path().join("messages.txt")).unwrap();
        let server = start(&site, &trace, &["-e", fails], messages.into());
        Self {
            dir,
            site,
            callers,
            server,
        }
    }

    fn messages(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("messages.txt")).unwrap()
    }

    /// Each terminal calls once, up to so many that are not answered. Gives how many that were.
    fn unanswered(&mut self, at_most: usize) -> usize {
        let mut unanswered = 0;
        for caller in &mut self.callers {
            caller.patience = 1;
            unanswered += usize::from(caller.call(&self.site).answers == 0);
            if unanswered == at_most {
                break;
            }
        }
        unanswered
    }

    /// Starts the server again without a fault: all that was told safe is delivered.
    fn assert_recovers(&self) -> Running {
        let server = self.site.start_serving(&[]);
        let safe: BTreeSet<String> = self.callers.iter().flat_map(Caller::safe_ids).collect();
        assert!(!safe.is_empty());
        assert_delivered(&self.site, &[], &safe);
        server
    }
}

#[test]
fn each_acknowledgement_leaves_after_the_sync_that_covers_its_frame() {
    if !can_trace() {
        return;
    }
    let (dir, site, mut callers) = world(30);
    let trace = dir.path().join("trace.txt");
    let server = start(&site, &trace, &[], Stdio::null());
    let calls = callers.iter_mut().map(|caller| caller.call(&site));
    let mut answers: usize = calls.map(|call| call.answers).sum();
    for caller in callers.iter_mut().take(10) {
        answers += caller.reading(&site).answers;
        assert!(caller.told_safe() > 0);
    }
    assert_eq!(stop(server, &trace), Some(0));
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
    // Of each thread, so that the log's is met, and a sink's is harmless.
    let mut failing = Failing::start(30, "inject=fdatasync:error=EIO:when=15");
    assert!(failing.unanswered(30) > 0, "no sync failed");
    assert_eq!(failing.server.ended(), Some(2));
    let text = failing.messages();
    assert!(text.contains("The log has stopped"), "{text}");
    let server = failing.assert_recovers();
    for caller in &mut failing.callers {
        caller.patience = 3;
    }
    let last = failing.callers.last_mut().unwrap();
    assert!(last.call(&failing.site).told_safe > 0, "it goes on");
    assert_eq!(terminate(server), Some(0));
}

#[test]
fn a_write_that_a_full_disk_refuses_ends_the_server_only_when_a_start_finds_room() {
    if !can_trace() {
        return;
    }
    // Of each thread: the one that tries whether there is room has written nothing yet.
    let mut failing = Failing::start(30, "inject=pwrite64:error=ENOSPC:when=15");
    assert!(failing.unanswered(1) > 0, "no write failed");
    assert_eq!(failing.server.try_wait().unwrap(), None, "it stays up");
    let (status, text) = failing.site.get("/readyz");
    assert_eq!(status, 503);
    assert!(text.contains("read-only: the disk is full"), "{text}");
    assert_eq!(failing.server.ended(), Some(2));
    assert_eq!(terminate(failing.assert_recovers()), Some(0));
}

#[test]
fn a_start_that_a_full_disk_refuses_is_tried_again_and_not_given_up() {
    if !can_trace() {
        return;
    }
    // The first of the thread that starts the server: that of the log's folder.
    let mut failing = Failing::start(1, "inject=fsync:error=ENOSPC:when=1");
    let text = failing.messages();
    assert!(text.contains("The disk is full: make room"), "{text}");
    assert!(failing.callers[0].call(&failing.site).told_safe > 0);
    let trace = failing.dir.path().join("trace.txt");
    assert_eq!(stop(failing.server, &trace), Some(0));
}

/// Whether a process is there and not only its exit code.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap().trim_start().chars().next();
    state.is_some_and(|state| !"ZX".contains(state))
}

#[test]
fn a_process_that_hangs_fails_its_test_and_goes_with_its_group_and_no_other() {
    let shell = |leads: bool| {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 30 & echo $!; wait"]);
        if leads {
            command.process_group(0);
        }
        let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        let stdout = running.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        (running, line.trim().to_owned())
    };
    let (mut hangs, inner) = shell(true);
    let wait = move || hangs.ended_within(Duration::from_millis(100));
    let panic = catch_unwind(AssertUnwindSafe(wait)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("hangs"), "{text}");
    let began = Instant::now();
    while is_alive(&inner) {
        assert!(began.elapsed() < Duration::from_secs(10), "it was left");
        std::thread::sleep(Duration::from_millis(5));
    }
    // In the group of the test, which goes on, nothing but the child itself ends.
    let (in_ours, inner) = shell(false);
    drop(in_ours);
    assert!(is_alive(&inner));
    let pid = nix::unistd::Pid::from_raw(inner.parse().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
}
