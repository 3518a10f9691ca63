//! Real signals for the real binary, while a sink hangs in the system.

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
#[path = "support/serve.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod serve;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use caller::{Caller, assert_delivered, ids_in};
use nix::sys::signal::Signal;
use serve::plan::registered;
use serve::running::{Running, terminate};
use serve::{Site, utc_s};
use simulator::fleet::FleetPlan;
use simulator::keys::Mode;

/// Seconds of the stage in which sinks and log end.
const STORE_S: u64 = 4;

struct World {
    _dir: tempfile::TempDir,
    site: Site,
    caller: Caller,
}

fn start(site: &Site) -> Running {
    site.start_serving(&[
        ("KENSHIN_SHUTDOWN__SESSIONS_S", "1"),
        ("KENSHIN_SHUTDOWN__STORE_S", &STORE_S.to_string()),
    ])
}

/// The file that the sink's bulk lane writes, once there is one.
fn growing(site: &Site) -> PathBuf {
    for _ in 0..500 {
        let entries = std::fs::read_dir(site.records());
        let names = entries.into_iter().flatten().map(|one| one.unwrap().path());
        let is_growing = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("bulk-") && name.ends_with(".part")
        };
        if let Some(path) = { names }.find(is_growing) {
            return path;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the sink writes no file");
}

/// A server whose sink hangs: its file has become a pipe that nobody writes, which it opens to see
/// whether the file still has its name.
fn with_hung_sink() -> (World, Running, PathBuf) {
    let plan = FleetPlan {
        seed: 22,
        terminals: 10,
        utilities: 1,
    };
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), &registered(&plan), "");
    let of = plan.terminals().find(|one| one.mode != Mode::Clear);
    let mut caller = Caller::new(&plan, &of.unwrap(), utc_s());
    let server = start(&site);
    assert!(caller.call(&site).told_safe > 0);
    let path = growing(&site);
    std::fs::rename(&path, dir.path().join("taken-away")).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    let outcome = caller.reading(&site);
    assert!(outcome.told_safe > 0, "a hung sink keeps nobody waiting");
    // The sink takes what is new at once.
    std::thread::sleep(Duration::from_millis(1_000));
    let world = World {
        _dir: dir,
        site,
        caller,
    };
    (world, server, path)
}

/// The exit code of a server, and how long it took to its end.
fn wait(server: &mut Running) -> (Option<i32>, Duration) {
    let began = Instant::now();
    (server.ended(), began.elapsed())
}

#[test]
fn a_second_signal_ends_at_once_while_a_sink_hangs() {
    let (_world, mut server, _pipe) = with_hung_sink();
    server.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.try_wait().unwrap(), None, "it waits for the sink");
    server.signal(Signal::SIGTERM);
    let (code, took) = wait(&mut server);
    assert_eq!(code, Some(3));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn one_signal_ends_within_the_deadlines_while_a_sink_hangs_and_nothing_is_lost() {
    let (mut world, mut server, pipe) = with_hung_sink();
    server.signal(Signal::SIGTERM);
    let (code, took) = wait(&mut server);
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(STORE_S + 2), "{took:?}");
    // The next one begins with the log closed in order, and delivers what the sink has not got.
    std::fs::remove_file(&pipe).unwrap();
    let server = start(&world.site);
    assert!(world.caller.reading(&world.site).told_safe > 0);
    let taken_away = world.site.dir.join("taken-away");
    assert_delivered(&world.site, &[&taken_away], &world.caller.safe_ids());
    assert_eq!(terminate(server), Some(0));
}

#[test]
fn a_sink_that_hangs_gets_everything_once_it_goes_on() {
    let (mut world, server, pipe) = with_hung_sink();
    // Alarms have a lane of their own, which goes on.
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(world.caller.alarm(&world.site).told_safe > 0);
    let alarms = world.caller.safe_alarm_ids();
    assert!(!alarms.is_empty());
    let is_alarm = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("alarm")
    };
    let began = Instant::now();
    loop {
        let entries = std::fs::read_dir(world.site.records()).unwrap();
        let files = entries.map(|one| one.unwrap().path()).filter(is_alarm);
        if ids_in(files).is_superset(&alarms) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "alarms wait");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Somebody opens the other end: the sink goes on, and sees that the file is another.
    let other_end = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    std::fs::remove_file(&pipe).unwrap();
    drop(other_end);
    let taken_away = world.site.dir.join("taken-away");
    assert_delivered(&world.site, &[&taken_away], &world.caller.safe_ids());
    assert_eq!(terminate(server), Some(0));
}

#[test]
fn signals_that_come_together_are_one_wish() {
    let (_world, mut server, _pipe) = with_hung_sink();
    server.signal(Signal::SIGTERM);
    server.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.try_wait().unwrap(), None, "it waits for the sink");
    server.signal(Signal::SIGTERM);
    assert_eq!(wait(&mut server).0, Some(3));
}

#[test]
fn a_terminal_window_that_is_closed_stops_it_in_order() {
    let plan = FleetPlan {
        seed: 23,
        terminals: 1,
        utilities: 1,
    };
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), &registered(&plan), "");
    let mut server = start(&site);
    server.signal(Signal::SIGHUP);
    assert_eq!(wait(&mut server).0, Some(0));
    assert!(!site.dir.join("data/admin.sock").exists());
}
