//! The real binary at its limits: few file descriptors, and a start that takes long.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and reads clocks"
)]

#[path = "support/serve.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod serve;

use std::io::Read as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serve::running::{Running, terminate};
use serve::{Registered, Site};

fn utility() -> Registered {
    Registered {
        id: [0xA1; 8],
        name: "water".to_owned(),
        link_master: vec![7; 32],
        terminals: Vec::new(),
    }
}

/// The server under a hard limit of open files.
fn limited(site: &Site, files: u32) -> Running {
    let binary = env!("CARGO_BIN_EXE_kenshin");
    let config = site.dir.join("kenshin.toml");
    let mut command = Command::new("sh");
    let command = command
        .arg("-c")
        .arg(format!(
            "ulimit -n {files} && exec \"$0\" serve --config \"$1\""
        ))
        .args([binary.as_ref(), config.as_os_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Running(command.spawn().unwrap())
}

fn wait_until_up(site: &Site) {
    let is_up = (0..3_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        [site.tcp, site.http]
            .iter()
            .all(|port| TcpStream::connect(port).is_ok())
    });
    assert!(is_up);
}

#[test]
fn a_limit_of_open_files_without_room_for_terminals_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &[utility()], "");
    let mut ended = limited(&site, 300);
    let mut told = String::new();
    ended
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(ended.ended(), Some(2));
    assert!(told.contains("the limit of open files is 300"), "{told}");
    assert!(told.contains("LimitNOFILE"), "{told}");
}

#[test]
fn silent_connections_leave_the_server_the_files_that_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &[utility()], "");
    let server = limited(&site, 700);
    wait_until_up(&site);
    let connect = || TcpStream::connect(site.tcp);
    let silent: Vec<_> = (0..800).filter_map(|_| connect().ok()).collect();
    assert!(silent.len() > 600);
    let files = format!("/proc/{}/fd", server.id());
    let open = std::fs::read_dir(files).unwrap().count();
    assert!(open < 600, "{open} of 700 are open");
    assert_eq!(terminate(server), Some(0));
}

fn accept_failures(site: &Site) -> u64 {
    let (status, text) = site.get("/metrics");
    assert_eq!(status, 200);
    let name = "kenshin_accept_failures_total ";
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
    value.parse().unwrap()
}

/// Allows a process so many open files more or less from now on.
fn allow_files(server: &Running, files: u64) {
    let pid = Pid::from_child(server);
    let before = prlimit(Some(pid), Resource::Nofile, limit(files)).unwrap();
    assert_eq!(before.maximum, Some(4_096));
}

const fn limit(files: u64) -> Rlimit {
    Rlimit {
        current: Some(files),
        maximum: Some(4_096),
    }
}

#[test]
fn connections_that_find_no_file_left_are_counted_and_taken_later() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &[utility()], "");
    let server = limited(&site, 4_096);
    wait_until_up(&site);
    assert_eq!(accept_failures(&site), 0);
    // Files that are open stay so.
    allow_files(&server, 3);
    let waiting = TcpStream::connect(site.tcp).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    allow_files(&server, 4_096);
    assert!(accept_failures(&site) > 0);
    drop(waiting);
    assert_eq!(terminate(server), Some(0));
}

/// Whether a process handles SIGTERM by now.
fn handles_term(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    caught & (1 << (15 - 1)) != 0
}

#[test]
fn a_server_that_is_told_to_stop_while_it_starts_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), &[utility()], "");
    // Nobody writes into it, so that whoever opens it waits for ever.
    let state = folder.path().join("data/state");
    let snapshot = state.join("hot-00000000000000000001.snap");
    nix::unistd::mkfifo(&snapshot, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let server = limited(&site, 4_096);
    let is_handled = (0..3_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        handles_term(server.id())
    });
    assert!(is_handled);
    assert!(TcpStream::connect(site.tcp).is_err(), "it is not up");
    assert_eq!(terminate(server), Some(0));
}
