//! Datagrams over loopback sockets.

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

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use kenshin::net::admission::AdmissionLimits;
use kenshin::net::contract::{Outgoing, PathId};
use kenshin::net::{BindError, ListenerOptions, bind};

use listeners::{
    ECHO, FORGED, HOLD, PATIENCE, Rig, answer, assert_silent, datagrams_to, options, wait_until,
};

// spec: UDP-1, UDP-3
#[test]
fn every_datagram_is_one_frame_and_is_answered_where_it_came_from() {
    let rig = Rig::new(&options());
    let terminals: Vec<_> = (0..8).map(|_| rig.datagrams()).collect();
    for round in 0..50 {
        for (terminal, socket) in (0..).zip(&terminals) {
            socket.send(&[ECHO, terminal, round]).unwrap();
        }
    }
    for (terminal, socket) in (0..).zip(&terminals) {
        let answers: BTreeSet<_> = (0..50).map(|_| answer(socket)).collect();
        let expected = (0..50).map(|round| vec![ECHO, terminal, round]).collect();
        assert_eq!(answers, expected);
    }
    let counters = rig.listeners().counters();
    assert_eq!(counters.datagrams_in.get(), 400);
    assert_eq!(counters.datagrams_out.get(), 400);
}

// spec: UDP-4
#[test]
fn both_ports_take_every_frame_and_the_alarm_port_has_an_owner_of_its_own() {
    let rig = Rig::new(&options());
    let ports = rig.listeners().local_addrs();
    for (address, is_alarm) in [(ports.reading, false), (ports.alarm, true)] {
        let terminal = datagrams_to(address.unwrap());
        for frame in [[ECHO, 0x10], [ECHO, 0x00]] {
            terminal.send(&frame).unwrap();
            assert_eq!(answer(&terminal), frame);
        }
        let owners = std::mem::take(&mut *rig.handler.owners.lock());
        assert!(owners.iter().all(|owner| (*owner == 2) == is_alarm));
    }
}

// spec: UDP-1, FRM-4
#[test]
fn a_datagram_of_a_length_that_no_frame_has_is_dropped() {
    let rig = Rig::new(&options());
    let terminal = rig.datagrams();
    for len in [1_201, 1_202, 9_000, 0] {
        terminal.send(&vec![ECHO; len]).unwrap();
    }
    assert_silent(&terminal);
    assert_eq!(rig.listeners().counters().length_refused.get(), 4);
    terminal.send(&[ECHO; 1_200]).unwrap();
    assert_eq!(answer(&terminal), [ECHO; 1_200]);
}

// spec: SES-10
#[test]
fn every_failure_before_authentication_is_silence() {
    let rig = Rig::new(&ListenerOptions {
        admission: AdmissionLimits {
            failure_burst: 4,
            trials_per_s: 1,
            ..AdmissionLimits::default()
        },
        ..options()
    });
    let terminal = rig.datagrams();
    for frame in [&[FORGED][..], b"?", &[], &[ECHO; 1_201]] {
        terminal.send(frame).unwrap();
    }
    assert_silent(&terminal);
    // By now the address is suspect; its port has one trial.
    terminal.send(&[FORGED]).unwrap();
    terminal.send(&[FORGED]).unwrap();
    assert_silent(&terminal);
    let counters = rig.listeners().counters();
    assert_eq!(counters.failed_authentication.get(), 2);
    assert_eq!(counters.malformed.get(), 1);
    assert_eq!(counters.length_refused.get(), 2);
    assert_eq!(counters.admission_refused.get(), 1);
}

#[test]
fn a_flood_from_one_address_leaves_others_and_most_of_its_own_terminals_alone() {
    let rig = Rig::new(&ListenerOptions {
        admission: AdmissionLimits {
            failure_burst: 10,
            trials_per_s: 64,
            ..AdmissionLimits::default()
        },
        ..options()
    });
    let flood = rig.datagrams();
    for _ in 0..500 {
        flood.send(&[FORGED]).unwrap();
    }
    let counters = rig.listeners().counters();
    wait_until("the flood is read", || counters.datagrams_in.get() == 500);
    assert!(counters.failed_authentication.get() <= 11);
    let elsewhere = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).unwrap();
    elsewhere
        .connect(rig.listeners().local_addrs().reading.unwrap())
        .unwrap();
    elsewhere.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..100 {
        elsewhere.send(&[ECHO]).unwrap();
        assert_eq!(answer(&elsewhere), [ECHO]);
    }
    let lane = |socket: &UdpSocket| socket.local_addr().unwrap().port() % 64;
    let sockets = std::iter::repeat_with(|| rig.datagrams());
    let neighbour = sockets
        .take(20)
        .find(|socket| lane(socket) != lane(&flood))
        .unwrap();
    for _ in 0..100 {
        neighbour.send(&[ECHO]).unwrap();
        assert_eq!(answer(&neighbour), [ECHO]);
    }
}

#[test]
fn a_flood_on_one_port_leaves_the_budgets_of_the_others_alone() {
    let rig = Rig::new(&ListenerOptions {
        admission: AdmissionLimits {
            failures_per_s_port: 100,
            ..AdmissionLimits::default()
        },
        ..options()
    });
    let counters = rig.listeners().counters();
    let flood = rig.datagrams();
    for n in 1..=50 {
        flood.send(&[FORGED]).unwrap();
        wait_until("it is read", || counters.datagrams_in.get() == n);
    }
    // Both workers may have tried one beyond the budget.
    assert!((11..=12).contains(&counters.failed_authentication.get()));
    assert!(counters.budget_refused.get() >= 38);
    flood.send(&[ECHO]).unwrap();
    assert_silent(&flood);
    let alarm = datagrams_to(rig.listeners().local_addrs().alarm.unwrap());
    alarm.send(&[ECHO]).unwrap();
    assert_eq!(answer(&alarm), [ECHO]);
    let mut stream = rig.connect();
    stream.send(&[ECHO]);
    assert_eq!(stream.frame(), [ECHO]);
    rig.clock.advance_s(1);
    flood.send(&[ECHO]).unwrap();
    assert_eq!(answer(&flood), [ECHO]);
}

#[test]
fn a_held_frame_is_answered_by_its_owner_once_it_is_released() {
    let rig = Rig::new(&options());
    let terminals: Vec<_> = (0..6).map(|_| rig.datagrams()).collect();
    for (terminal, socket) in (0..).zip(&terminals) {
        socket.send(&[HOLD, terminal]).unwrap();
    }
    wait_until("all are held", || rig.handler.held() == 6);
    assert_silent(&terminals[0]);
    rig.handler.release();
    for (terminal, socket) in (0..).zip(&terminals) {
        assert_eq!(answer(socket), [HOLD, terminal]);
    }
}

#[test]
fn answers_that_come_back_together_all_leave_however_many_they_are() {
    let rig = Rig::new(&ListenerOptions {
        reading_workers: 1,
        ..options()
    });
    let terminal = rig.datagrams();
    let all = 6_000;
    for n in 1..=all {
        terminal.send(&[HOLD]).unwrap();
        if n % 50 == 0 {
            wait_until("the kernel's queue is empty", || rig.handler.held() == n);
        }
    }
    rig.handler.release_at_once();
    let counters = rig.listeners().counters();
    wait_until("all have left or are lost", || {
        counters.datagrams_out.get() + counters.send_failures.get() == 6_000
    });
    assert_eq!(counters.send_failures.get(), 0);
}

#[test]
fn a_frame_that_nobody_asked_for_leaves_from_the_port_that_is_named() {
    let rig = Rig::new(&options());
    let terminal = datagrams_to(rig.listeners().local_addrs().alarm.unwrap());
    let path = PathId::Udp {
        worker: 2,
        peer: terminal.local_addr().unwrap(),
    };
    let octets = vec![0x1B];
    rig.listeners()
        .outbound()
        .send(Outgoing::Send { path, octets }, 0);
    assert_eq!(answer(&terminal), [0x1B]);
}

#[test]
fn a_stop_reads_nothing_new_and_answers_what_was_begun() {
    let mut rig = Rig::new(&options());
    let terminal = rig.datagrams();
    terminal.send(&[HOLD, 1]).unwrap();
    wait_until("it is held", || rig.handler.held() == 1);
    rig.listeners().stop_accepting();
    std::thread::sleep(listeners::SILENCE);
    terminal.send(&[ECHO]).unwrap();
    assert_silent(&terminal);
    let handler = std::sync::Arc::clone(&rig.handler);
    let later = std::thread::spawn(move || {
        std::thread::sleep(listeners::SILENCE);
        handler.release();
    });
    assert!(rig.drain(PATIENCE).is_complete);
    later.join().unwrap();
    assert_eq!(answer(&terminal), [HOLD, 1]);
}

#[test]
fn both_families_are_served_on_one_socket() {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let options = ListenerOptions {
        reading: Some(any),
        ..options()
    };
    if bind(&options).is_err() {
        return; // A host without IPv6.
    }
    let rig = Rig::new(&options);
    let port = rig.listeners().local_addrs().reading.unwrap().port();
    let terminal = datagrams_to((Ipv4Addr::LOCALHOST, port).into());
    terminal.send(&[ECHO, 4]).unwrap();
    assert_eq!(answer(&terminal), [ECHO, 4]);
    let terminal = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    terminal.connect((Ipv6Addr::LOCALHOST, port)).unwrap();
    terminal.set_read_timeout(Some(PATIENCE)).unwrap();
    terminal.send(&[ECHO, 6]).unwrap();
    assert_eq!(answer(&terminal), [ECHO, 6]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let alarm = taken.local_addr().unwrap();
    let error = bind(&ListenerOptions {
        alarm: Some(alarm),
        ..options()
    })
    .unwrap_err();
    assert!(matches!(&error, BindError::Socket { address, .. } if *address == alarm));
    assert!(error.to_string().contains(&alarm.to_string()));
    let none = ListenerOptions {
        reading_workers: 0,
        ..options()
    };
    assert!(matches!(bind(&none), Err(BindError::Workers(0))));
}
