//! What folding costs; run by hand.

use nix::sys::resource::{UsageWho, getrusage};

use super::*;

/// Processor time of this thread.
fn cpu_ns() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let of = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    (of(usage.user_time()) + of(usage.system_time())) * 1_000
}

/// Octets that this process has handed to the system.
fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.unwrap().parse().unwrap()
}

/// Everyday sessions of many terminals, in the order of chance.
#[allow(
    clippy::disallowed_methods,
    reason = "a measurement takes its size from the caller"
)]
#[test]
#[ignore = "a measurement: run it in release with --nocapture"]
fn cost_of_a_session() {
    let terminals: u64 = std::env::var("TERMINALS").map_or(1_000_000, |n| n.parse().unwrap());
    let sessions: u64 = std::env::var("SESSIONS").map_or(1_000_000, |n| n.parse().unwrap());
    let place = Home::new();
    let mut folded = place.take_up(&[], Lsn::ZERO).folded;
    let mut delta = Delta::new(folded.meta(), Zone::JAPAN);
    let mut lsn = Lsn::new(64);
    let mut step = |delta: &mut Delta, frame: &FoldFrame<'_>| {
        delta.fold(&FoldFrame { lsn, ..*frame });
        lsn = lsn.saturating_add(24 + frame.payload.len() as u64);
        delta.note_position(lsn);
    };
    for first in (0..terminals).step_by(500) {
        let event = world::put_many(first..(first + 500).min(terminals));
        let payload = event.encode().unwrap();
        let frame = FoldFrame {
            lsn: Lsn::ZERO,
            kind: 2,
            terminal: None,
            payload: &payload,
            raises_version: false,
        };
        step(&mut delta, &frame);
        if delta.is_full() {
            folded.apply(&mut delta).unwrap();
        }
    }
    folded.apply(&mut delta).unwrap();
    folded.check_point().unwrap();
    let payload = world::everyday_step();
    let (mut gather_ns, mut write_ns, mut move_ns) = (0, 0, 0);
    let before = written();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut done = 0;
    while done < sessions {
        let start = cpu_ns();
        while done < sessions && !delta.is_full() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let frame = FoldFrame {
                lsn: Lsn::ZERO,
                kind: 1,
                terminal: Some(TerminalId::new((random % terminals).to_be_bytes())),
                payload: &payload,
                raises_version: false,
            };
            step(&mut delta, &frame);
            done += 1;
        }
        gather_ns += cpu_ns() - start;
        let start = cpu_ns();
        folded.apply(&mut delta).unwrap();
        write_ns += cpu_ns() - start;
        let start = cpu_ns();
        folded.check_point().unwrap();
        move_ns += cpu_ns() - start;
    }
    let each = |ns: i64| ns / i64::try_from(sessions).unwrap();
    let len = std::fs::metadata(place.path()).unwrap().len();
    println!(
        "a session: gather {} ns, write {} ns, move pages {} ns; {} octets written; \
         {} octets a terminal",
        each(gather_ns),
        each(write_ns),
        each(move_ns),
        (written() - before) / sessions,
        len / terminals
    );
}
