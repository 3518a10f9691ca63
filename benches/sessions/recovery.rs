//! The start after a kill, with much log beyond the last snapshot.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kenshin::app::boot::{Booted, boot, lock};
use kenshin::keyring::LinkKeyring;
use kenshin::model::{Lanes, SessionStep, TerminalId};
use kenshin::store::fs::RealFs;
use kenshin::store::log::{Append, LogOptions, SubmitRefusal};
use kenshin::store::state::fold::KIND_STEP;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use serde_json::json;

use crate::args::Args;
use crate::contender::Home;
use crate::frames::{ANSWER, Clear, Frames};
use crate::logged;
use crate::outcome::Pace;
use crate::report::{Bar, Report};
use crate::turns::{UDP, drive, settle};

const START_MAX_S: f64 = 10.0;
/// Starts with the log in the page cache, and starts after it was dropped from there.
const WARM: usize = 3;
const COLD: usize = 2;
/// Sessions of the server itself that the others are made after.
const PATTERN_RATE: f64 = 2_000.0;
/// Sessions that are under way when the server is killed.
const KILL_RATE: f64 = 5_000.0;
/// Sessions that are made at a time.
const CHUNK: usize = 10_000;
/// How often the first uplink is sent again.
const AGAIN: Duration = Duration::from_millis(20);
const GIVE_UP: Duration = Duration::from_secs(300);
/// The greatest that the configuration takes: no snapshot comes between.
const NO_SNAPSHOT: [(&str, &str); 1] = [("KENSHIN_STORE__SNAPSHOT_EVERY_MIB", "65536")];

pub(crate) fn measure(frames: &mut Frames, args: &Args, report: &mut Report) {
    println!("\nrecovery: the start after a kill");
    let home = Home::register(&args.dir, "recovery", args.terminals);
    let first = home.start(&NO_SNAPSHOT);
    let second = Duration::from_secs(1);
    drive(UDP, &first, frames, Pace::Rate(PATTERN_RATE), second);
    settle(&first);
    // A stop in peace writes a snapshot, the last one of this part.
    first.process.terminate();
    let snapshot = logged::end(&home.log());
    let pattern = logged::last_session(&home.log());
    fill(&home, &pattern, frames, args.log_mib << 20);

    let mut seconds = Vec::new();
    let mut rounds = Vec::new();
    for round in 0..WARM + COLD {
        let is_cold = round >= WARM;
        kill_under_load(&home, frames);
        let beyond = logged::end(&home.log()).get() - snapshot.get();
        if is_cold {
            forget_pages(&home.data());
        }
        let took = start_to_first_ack(&home, frames).as_secs_f64();
        let cache = if is_cold { "dropped" } else { "kept" };
        println!(
            "  {took:.2} s to the first session, {} MiB of log beyond the snapshot, page cache \
             {cache}",
            beyond >> 20
        );
        seconds.push(took);
        rounds.push(json!({"seconds": took, "beyond_octets": beyond, "page_cache": cache}));
    }
    let requirement = format!(
        "start after a kill with {} MiB of log beyond the snapshot, to the first session: ≤ 10 s",
        args.log_mib
    );
    let note = format!(
        "page cache kept: worst {:.2} s; dropped: worst {:.2} s",
        seconds[..WARM].iter().copied().fold(0.0, f64::max),
        seconds[WARM..].iter().copied().fold(0.0, f64::max)
    );
    let bar = Bar::AtMost(START_MAX_S);
    report.row((&requirement, "s"), bar, &seconds, note);
    report.detail("recovery", json!(rounds));
}

/// Appends sessions to the log of a server that does not run, as that server would, until so many
/// octets were added.
fn fill(home: &Home, pattern: &[u8], frames: &mut Frames, octets: u64) {
    let begun = Instant::now();
    let fs = Arc::new(RealFs);
    let _lock = lock(&*fs, &home.data()).unwrap();
    let options = LogOptions::default();
    let booted = boot(fs, &home.data(), options, 1, LinkKeyring::new()).unwrap();
    let pattern = SessionStep::decode(pattern).unwrap();
    let from = booted.log.durable_end().get();
    let mut sessions = 0;
    while booted.log.durable_end().get() - from < octets {
        for clear in frames.take_clear(CHUNK) {
            append(&booted, &pattern, &clear);
            sessions += 1;
        }
    }
    let end = booted.log.close().unwrap().get();
    println!(
        "  {sessions} sessions, {} MiB of log, made in {:.1?}",
        (end - from) >> 20,
        begun.elapsed()
    );
}

fn append(booted: &Booted, pattern: &SessionStep<'_>, clear: &Clear) {
    let mut step = pattern.clone();
    step.counter = clear.counter;
    step.digest = clear.counter.to_be_bytes();
    step.epoch = clear.epoch.try_into().ok();
    for entry in &mut step.entries {
        entry.sequence = clear.sequence;
    }
    (step.header, step.plaintext) = (&clear.header, &clear.plaintext);
    let mut append = Append {
        kind: KIND_STEP,
        lanes: Lanes::BULK,
        urgent: false,
        terminal: Some(TerminalId::new(clear.terminal)),
        payload: step.encode().unwrap(),
        guard: None,
        // No mailbox: nobody waits for it.
        ticket: None,
    };
    while let Err(error) = booted.log.submit(append) {
        assert_eq!(error.why, SubmitRefusal::QueueFull);
        append = error.append;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Starts the server and kills it while sessions come.
fn kill_under_load(home: &Home, frames: &mut Frames) {
    let server = home.start(&NO_SNAPSHOT);
    let half = Duration::from_millis(500);
    let first = frames.next_counter();
    let load = frames.take((KILL_RATE * 2.0) as usize);
    let to = server.udp;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let time = half * 2;
            crate::udp_load::run(to, (first, &load), Pace::Rate(KILL_RATE), time)
        });
        std::thread::sleep(half);
        drop(server);
    });
}

/// From the start of the process to the first uplink that is acknowledged.
fn start_to_first_ack(home: &Home, frames: &mut Frames) -> Duration {
    let frame = frames.take(1);
    let begun = Instant::now();
    let server = home.spawn(&NO_SNAPSHOT);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.udp).unwrap();
    socket.set_read_timeout(Some(AGAIN)).unwrap();
    let mut answer = [0; 256];
    loop {
        // Refused while nobody listens.
        socket.send(&frame[0]).ok();
        match socket.recv(&mut answer) {
            Ok(ANSWER) => return begun.elapsed(),
            Ok(_) => {}
            Err(_) => std::thread::sleep(AGAIN / 4),
        }
        assert!(begun.elapsed() < GIVE_UP, "the server serves no session");
    }
}

/// Asks the system to drop the files of a folder from its page cache.
fn forget_pages(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            forget_pages(&path);
        } else if let Ok(file) = std::fs::File::open(&path) {
            file.sync_all().ok();
            let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
            posix_fadvise(&file, 0, 0, advice).unwrap();
        }
    }
}
