//! What a held connection costs while nothing happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/listeners.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by several tests"
)]
mod listeners;

use std::alloc::System;

use kenshin::net::ListenerOptions;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use listeners::{ECHO, Rig, options, wait_until};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Octets that a held connection may take in user space.
const OCTETS_MAX: usize = 4_096;

fn held_octets() -> usize {
    let stats = ALLOCATOR.stats();
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

#[test]
fn a_held_connection_takes_little_memory() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(20_000), hard).unwrap();
    // Both ends are in this process.
    let connections = if hard >= 10_000 { 2_000 } else { soft / 4 };
    let rig = Rig::new(&ListenerOptions {
        connections_max: connections,
        unverified_max: connections,
        ..options()
    });
    let before = held_octets();
    let mut terminals = Vec::with_capacity(usize::try_from(connections).unwrap());
    for _ in 0..connections {
        let mut terminal = rig.connect();
        terminal.send(&[ECHO; 128]);
        assert_eq!(terminal.frame(), [ECHO; 128]);
        terminals.push(terminal);
    }
    let counters = rig.listeners().counters();
    wait_until("all are open", || {
        counters.connections_open.get() == connections
    });
    let taken = held_octets().saturating_sub(before);
    let each = taken / terminals.len();
    println!("{each} octets for each of {connections} held connections");
    assert!(each <= OCTETS_MAX, "{each} octets each");
}
