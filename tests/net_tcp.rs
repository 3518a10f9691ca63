//! Connections over loopback sockets. Time stands still but where a test moves it.

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

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use kenshin::net::ListenerOptions;
use kenshin::net::admission::AdmissionLimits;

use listeners::{
    ECHO, FORGED, HOLD, LARGE, PATIENCE, Rig, SHED, SILENCE, Stream, TAKE_OVER, options, wait_until,
};

/// A CLOSE with code 0 behind its length.
const GENERIC: [u8; 4] = [0, 2, 0x1F, 0];

// spec: TCP-1, TCP-2
#[test]
fn frames_are_cut_and_answered_in_order_and_keep_alives_are_not() {
    let rig = Rig::new(&options());
    let mut terminal = rig.connect();
    terminal.send_raw(&[0, 2, ECHO, 1, 0, 0, 0, 2, ECHO, 2, 0]);
    assert_eq!(terminal.frame(), [ECHO, 1]);
    assert_eq!(terminal.frame(), [ECHO, 2]);
    terminal.assert_silent();
    terminal.send_raw(&[2, ECHO]);
    terminal.send_raw(&[3]);
    assert_eq!(terminal.frame(), [ECHO, 3]);
    terminal.send(&[ECHO; 1_200]);
    assert_eq!(terminal.frame(), [ECHO; 1_200]);
    assert_eq!(rig.listeners().counters().stream_frames_in.get(), 4);
}

// spec: SES-10, TCP-3, TCP-4
#[test]
fn every_failure_before_authentication_looks_the_same() {
    let rig = Rig::new(&ListenerOptions {
        admission: AdmissionLimits {
            failure_burst: 3,
            trials_per_s: 1,
            ..AdmissionLimits::default()
        },
        ..options()
    });
    let mut slow = rig.connect();
    slow.send_raw(&[0]);
    let mut endings = Vec::new();
    // The last one finds its address suspect and its trial spent, or fails its trial.
    for octets in [
        &[0, 1, FORGED][..],
        &[0, 1, b'?'],
        &[0x04, 0xB1, ECHO],
        &[0, 1, FORGED],
        // What follows a failure is not looked at.
        &[0, 1, FORGED, 0, 1, ECHO],
    ] {
        let mut terminal = rig.connect();
        terminal.send_raw(octets);
        endings.push(terminal.rest());
    }
    wait_until("it is read", || {
        rig.listeners().counters().connections_accepted.get() == 6
    });
    rig.clock.advance_s(20);
    endings.push(slow.rest());
    assert!(
        endings.iter().all(|ending| *ending == GENERIC),
        "{endings:?}"
    );
}

// spec: TCP-4
#[test]
fn a_connection_without_a_verified_frame_is_closed_after_20_s() {
    let rig = Rig::new(&options());
    let mut idle = rig.connect();
    let mut alive = rig.connect();
    let mut dribbling = rig.connect();
    alive.send_raw(&[0, 0]);
    wait_until("all are open", || {
        rig.listeners().counters().connections_open.get() == 3
    });
    for octet in [0, 100, ECHO, 1, 2] {
        dribbling.send_raw(&[octet]);
        rig.clock.set_monotonic_ms(19_000);
    }
    idle.assert_silent();
    alive.send_raw(&[0, 0]);
    alive.assert_silent();
    rig.clock.set_monotonic_ms(20_000);
    for terminal in [&mut idle, &mut alive, &mut dribbling] {
        assert_eq!(terminal.rest(), GENERIC);
    }
    assert_eq!(rig.listeners().counters().timeouts_unverified.get(), 3);
}

// spec: TCP-4
#[test]
fn a_frame_that_dribbles_closes_even_a_verified_connection() {
    let rig = Rig::new(&options());
    let mut terminal = rig.connect();
    terminal.send(&[ECHO]);
    assert_eq!(terminal.frame(), [ECHO]);
    rig.clock.advance_s(60);
    terminal.send_raw(&[0, 9, ECHO]);
    terminal.assert_silent();
    rig.clock.advance_s(19);
    terminal.send_raw(&[1]);
    terminal.assert_silent();
    rig.clock.advance_s(1);
    assert_eq!(terminal.rest(), GENERIC);
    assert_eq!(rig.listeners().counters().timeouts_partial.get(), 1);
}

// spec: TCP-5
#[test]
fn a_held_connection_lives_by_its_keep_alives_and_is_closed_after_an_hour_of_silence() {
    let rig = Rig::new(&options());
    let mut terminal = rig.connect();
    terminal.send(&[SHED]);
    terminal.assert_silent();
    for _ in 0..4 {
        rig.clock.advance_s(25 * 60);
        terminal.assert_silent();
        terminal.send_raw(&[0, 0]);
        terminal.assert_silent();
    }
    rig.clock.advance_s(3_599);
    terminal.assert_silent();
    rig.clock.advance_s(1);
    assert_eq!(terminal.rest(), [0, 2, 0x1F, 1]);
    let counters = rig.listeners().counters();
    assert_eq!(counters.timeouts_idle.get(), 1);
    assert_eq!((counters.shed.get(), counters.verified.get()), (1, 0));
}

#[test]
fn a_held_frame_is_answered_when_it_is_released() {
    let rig = Rig::new(&options());
    let mut terminal = rig.connect();
    terminal.send(&[HOLD, 1]);
    terminal.send(&[HOLD, 2]);
    wait_until("both are held", || rig.handler.held() == 2);
    terminal.assert_silent();
    rig.handler.release();
    assert_eq!(terminal.frame(), [HOLD, 1]);
    assert_eq!(terminal.frame(), [HOLD, 2]);
}

// spec: ERR-4
#[test]
fn a_connection_that_the_handler_ends_hears_the_code_and_is_reported_once() {
    let rig = Rig::new(&options());
    let mut terminal = rig.connect();
    terminal.send_raw(&[0, 1, ECHO, 0, 1, TAKE_OVER]);
    assert_eq!(terminal.rest(), [0, 1, ECHO, 0, 2, 0x1F, 2]);
    drop(terminal);
    wait_until("it is reported", || !rig.handler.closed.lock().is_empty());
    drop(rig.connect());
    wait_until("another is reported", || {
        rig.handler.closed.lock().len() == 2
    });
    assert_eq!(rig.listeners().counters().connections_open.get(), 0);
}

#[test]
fn connections_above_the_cap_are_closed_at_once_and_room_is_used_again() {
    let rig = Rig::new(&ListenerOptions {
        connections_max: 2,
        ..options()
    });
    let mut first = rig.connect();
    first.send(&[ECHO]);
    assert_eq!(first.frame(), [ECHO]);
    let mut second = rig.connect();
    second.send(&[ECHO]);
    assert_eq!(second.frame(), [ECHO]);
    assert!(rig.connect().rest().is_empty());
    drop(second);
    let counters = rig.listeners().counters();
    wait_until("one has ended", || counters.connections_open.get() == 1);
    let mut third = rig.connect();
    third.send(&[ECHO]);
    assert_eq!(third.frame(), [ECHO]);
    assert_eq!(counters.connections_refused.get(), 1);
}

#[test]
fn whoever_only_holds_places_loses_them_to_a_terminal() {
    let rig = Rig::new(&ListenerOptions {
        unverified_max: 4,
        ..options()
    });
    let mut held = rig.connect();
    held.send(&[ECHO]);
    assert_eq!(held.frame(), [ECHO]);
    let mut silent: Vec<_> = (0..4).map(|_| rig.connect()).collect();
    let counters = rig.listeners().counters();
    wait_until("all are open", || counters.connections_open.get() == 5);
    let mut terminal = rig.connect();
    terminal.send(&[ECHO, 1]);
    assert_eq!(terminal.frame(), [ECHO, 1]);
    assert!(silent[0].rest().is_empty(), "the oldest is cut");
    silent[1].assert_silent();
    held.send(&[ECHO, 2]);
    assert_eq!(held.frame(), [ECHO, 2], "a verified one stays");
    assert_eq!(counters.connections_evicted.get(), 1);
    assert_eq!(counters.ended_unverified.get(), 0, "it is no failure");
}

#[test]
fn at_the_cap_an_unverified_connection_makes_room() {
    let rig = Rig::new(&ListenerOptions {
        connections_max: 2,
        ..options()
    });
    let mut silent = [rig.connect(), rig.connect()];
    let mut terminal = rig.connect();
    terminal.send(&[ECHO]);
    assert_eq!(terminal.frame(), [ECHO]);
    assert!(silent[0].rest().is_empty());
    assert_eq!(rig.listeners().counters().connections_refused.get(), 0);
}

#[test]
fn a_connection_that_was_told_its_end_gives_its_place_at_once_to_another() {
    let rig = Rig::new(&ListenerOptions {
        connections_max: 2,
        ..options()
    });
    let mut told = [rig.connect(), rig.connect()];
    for terminal in &mut told {
        terminal.send(&[FORGED]);
        assert_eq!(terminal.rest(), GENERIC);
    }
    // They stay, and time stands still.
    for number in 0..4 {
        let mut terminal = rig.connect();
        terminal.send(&[ECHO, number]);
        assert_eq!(terminal.frame(), [ECHO, number]);
        let counters = rig.listeners().counters();
        wait_until("no more are open than may be", || {
            counters.connections_open.get() <= 2
        });
        drop(terminal);
        wait_until("it has ended", || counters.connections_open.get() <= 1);
    }
    assert_eq!(rig.listeners().counters().connections_evicted.get(), 1);
}

#[test]
fn a_suspect_address_has_a_share_of_the_unverified_places() {
    let rig = Rig::new(&ListenerOptions {
        unverified_max: 8,
        admission: AdmissionLimits {
            failure_burst: 3,
            ..AdmissionLimits::default()
        },
        ..options()
    });
    let counters = rig.listeners().counters();
    for _ in 0..3 {
        drop(rig.connect());
    }
    wait_until("they have ended", || counters.ended_unverified.get() == 3);
    let mut silent: Vec<_> = (0..3).map(|_| rig.connect()).collect();
    assert!(silent[0].rest().is_empty(), "two of eight are its share");
    silent[2].assert_silent();
    let mut terminal = rig.connect();
    terminal.send(&[ECHO]);
    assert_eq!(terminal.frame(), [ECHO], "and its terminals are served");
}

// spec: TCP-4
#[test]
fn connections_that_time_out_unverified_count_against_their_address() {
    let rig = Rig::new(&ListenerOptions {
        unverified_max: 4,
        admission: AdmissionLimits {
            failure_burst: 1,
            failures_per_s: 1,
            ..AdmissionLimits::default()
        },
        ..options()
    });
    let mut silent = rig.connect();
    let counters = rig.listeners().counters();
    wait_until("it is open", || counters.connections_open.get() == 1);
    rig.clock.advance_s(20);
    assert!(!silent.rest().is_empty(), "a CLOSE");
    drop(silent);
    wait_until("it has ended", || counters.ended_unverified.get() == 1);
    let mut one = rig.connect();
    let _another = rig.connect();
    assert!(one.rest().is_empty(), "it has one place in four");
}

#[test]
fn an_answer_whose_connection_is_gone_is_counted_as_not_sent() {
    let rig = Rig::new(&options());
    let mut terminal = rig.connect();
    terminal.send(&[HOLD]);
    wait_until("it is held", || rig.handler.held() == 1);
    drop(terminal);
    let counters = rig.listeners().counters();
    wait_until("it has ended", || counters.connections_open.get() == 0);
    rig.handler.release();
    wait_until("it is counted", || counters.send_failures.get() == 1);
}

#[test]
fn who_does_not_read_is_not_read_from_and_is_closed_after_10_s() {
    let rig = Rig::new(&options());
    let mut terminal = rig.connect();
    let timeout = Some(Duration::from_millis(300));
    terminal.0.set_write_timeout(timeout).unwrap();
    let frame = [&1_200_u16.to_be_bytes()[..], &[LARGE; 1_200]].concat();
    // Until the queues of both sides are full.
    while terminal.0.write_all(&frame).is_ok() {}
    let counters = rig.listeners().counters();
    let taken = counters.stream_frames_in.get();
    std::thread::sleep(SILENCE);
    assert_eq!(counters.stream_frames_in.get(), taken);
    rig.clock.advance_s(9);
    std::thread::sleep(SILENCE);
    assert_eq!(counters.connections_open.get(), 1);
    rig.clock.advance_s(1);
    wait_until("it is closed", || counters.connections_open.get() == 0);
    assert_eq!(counters.timeouts_unread.get(), 1);
}

// spec: ERR-4
#[test]
fn a_stop_answers_what_was_begun_and_closes_every_connection() {
    let mut rig = Rig::new(&options());
    let address = rig.listeners().local_addrs().stream.unwrap();
    let mut begun = rig.connect();
    begun.send(&[HOLD, 1]);
    let mut unverified = rig.connect();
    unverified.send_raw(&[0]);
    wait_until("it is held", || rig.handler.held() == 1);
    wait_until("both are open", || {
        rig.listeners().counters().connections_open.get() == 2
    });
    rig.listeners().stop_accepting();
    wait_until("the port is closed", || {
        TcpStream::connect(address).is_err()
    });
    begun.send(&[ECHO]);
    begun.assert_silent();
    let handler = Arc::clone(&rig.handler);
    let later = std::thread::spawn(move || {
        std::thread::sleep(SILENCE);
        handler.release();
        let ends = (begun.rest(), unverified.rest());
        drop((begun, unverified));
        ends
    });
    let drained = rig.drain(PATIENCE);
    let (begun, unverified) = later.join().unwrap();
    assert_eq!(begun, [0, 2, HOLD, 1, 0, 2, 0x1F, 3]);
    assert_eq!(unverified, GENERIC);
    assert!(drained.is_complete);
    assert_eq!(drained.connections_cut, 0);
}

#[test]
fn a_stop_does_not_wait_for_ports_that_are_off() {
    let mut rig = Rig::new(&ListenerOptions {
        reading: None,
        alarm: None,
        ..options()
    });
    let mut terminal = rig.connect();
    terminal.send(&[ECHO]);
    assert_eq!(terminal.frame(), [ECHO]);
    drop(terminal);
    assert!(rig.drain(PATIENCE).is_complete);
}

#[test]
fn a_stop_does_not_wait_beyond_its_deadline() {
    let mut rig = Rig::new(&options());
    let mut terminal = rig.connect();
    terminal.send(&[HOLD]);
    wait_until("it is held", || rig.handler.held() == 1);
    let drained = rig.drain(Duration::from_millis(50));
    assert!(!drained.is_complete);
    assert_eq!(drained.connections_cut, 1);
    let mut octets = Vec::new();
    terminal.0.read_to_end(&mut octets).unwrap();
    assert!(octets.is_empty());
}

#[test]
fn many_short_connections_are_served_at_once() {
    let rig = Rig::new(&options());
    let address = rig.listeners().local_addrs().stream.unwrap();
    let terminals = (0..4).map(|_| {
        std::thread::spawn(move || {
            for number in 0..100 {
                let mut terminal = Stream::connect(address);
                terminal.send(&[ECHO, number]);
                assert_eq!(terminal.frame(), [ECHO, number]);
            }
        })
    });
    let terminals: Vec<_> = terminals.collect();
    terminals
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let counters = rig.listeners().counters();
    wait_until("all are closed", || counters.connections_open.get() == 0);
    assert_eq!(counters.connections_accepted.get(), 400);
    assert_eq!(rig.handler.closed.lock().len(), 400);
}
