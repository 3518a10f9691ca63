//! Commands, results and rotation.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use simulator::codec::record::Record;
use simulator::command::outcome;
use simulator::crypto::{cmac, wrap};
use simulator::keys::{Mode, Purpose, command_key, wrap_key};
use simulator::meter::{LEAK_CHECK_MS, Meter, valve};
use simulator::nvm::{Nvm, Write};
use simulator::terminal::{Event, Handled};
use support::*;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

fn ready(mode: u8) -> (Sim, Server) {
    let (mut t, mut server) = (terminal(mode), Server::of(mode));
    settle(&mut t, &mut server, 0);
    (t, server)
}

fn outcomes(t: &mut Sim) -> Vec<(u32, u8)> {
    let events = t.take_events().into_iter();
    events
        .filter_map(|e| match e {
            Event::Command { sequence, outcome } => Some((sequence, outcome)),
            _ => None,
        })
        .collect()
}

/// Hands a command over in the answer to a fresh uplink, 1 s after it; gives its outcome.
fn give(t: &mut Sim, server: &mut Server, now: u64, order: &Order) -> Option<u8> {
    t.take_events();
    t.wake(now);
    let f = frame(t, server, now);
    let answer = server.order(now + SECOND, &f.frame, ACK, order);
    assert_eq!(t.handle(now + SECOND, &answer).unwrap(), Handled::Accepted);
    outcomes(t).first().map(|o| o.1)
}

fn done(t: &mut Sim, server: &mut Server, now: u64) -> Opened {
    let f = frame(t, server, now);
    let answer = server.answer(now, &f.frame, ACK | FINAL, 0, &[]);
    t.handle(now, &answer).unwrap();
    f
}

fn state(t: &mut Sim, now: u64) -> u8 {
    t.meters_mut()[0].device.valve(now)
}

/// Whether a record's MAC is right under a command key version.
fn proven(f: &Opened, index: usize, version: u8, octets: usize) -> bool {
    let (kind, sequence, body) = f.records()[index].clone();
    let (content, mac) = body.split_at(body.len() - 16);
    let key = command_key(&base(Purpose::Command, version, octets), &OWNER, 1).unwrap();
    let parts: [&[u8]; 6] = [
        b"OTL1 res",
        &OWNER.identity.0,
        &f.epoch.to_be_bytes(),
        &sequence.to_be_bytes(),
        &[kind],
        content,
    ];
    cmac(&key, &parts).unwrap() == mac
}

// spec: CMD-1, CMD-6, CMD-7, CMD-13, CMD-14, CMD-25, SES-3, SES-7
#[test]
fn a_bound_valve_close_is_executed_once_and_its_result_follows_in_the_session() {
    for mode in 1..=3 {
        let (mut t, mut server) = ready(mode);
        t.wake(SECOND);
        let f = frame(&mut t, &server, SECOND);
        let answer = server.order(SECOND, &f.frame, ACK, &Order::close(41));
        t.handle(SECOND, &answer).unwrap();
        assert_eq!(outcomes(&mut t), [(41, outcome::DONE)]);
        assert_eq!(state(&mut t, SECOND), valve::CLOSED_BY_CENTRE);
        assert_eq!(t.meters()[0].device.motions(), 1);
        let result = frame(&mut t, &server, SECOND);
        assert_eq!((result.command, result.outcome), (41, 1));
        assert_eq!(result.types(), [0x0B]);
        assert!(!result.alarm, "a result is no alarm");
        assert!(proven(&result, 0, 1, if mode == 3 { 32 } else { 16 }));
        let repeat = frame(&mut t, &server, 14 * SECOND);
        assert_eq!(
            repeat.frame, result.frame,
            "a dangerous result is repeated like an alarm"
        );
        let again = server.order(14 * SECOND, &result.frame, ACK, &Order::close(41));
        t.handle(14 * SECOND, &again).unwrap();
        assert_eq!(outcomes(&mut t), [], "not executed twice");
        assert_eq!(t.meters()[0].device.motions(), 1);
        assert!(t.store().is_empty(), "no second result");
    }
}

// spec: CMD-6, CMD-16
#[test]
fn power_lost_while_acting_is_found_as_begun_and_the_valve_is_read() {
    let (mut t, mut server) = ready(1);
    t.wake(SECOND);
    let f = frame(&mut t, &server, SECOND);
    let answer = server.order(SECOND, &f.frame, ACK, &Order::close(5));
    t.nvm_mut().keep_log();
    // The ticket and the mark with outcome 9 are written, the result is not.
    t.nvm_mut().cut_after(2);
    assert!(t.handle(SECOND, &answer).is_err());
    let mark = t.nvm().working().command.unwrap();
    assert_eq!((mark.sequence, mark.outcome), (5, outcome::BEGUN));
    let (mut n, random, meters) = t.power_off();
    n.power_on();
    let config = simulator::terminal::Config::new(OWNER);
    let mut t = simulator::terminal::Terminal::new(config, n, random, meters, 0).unwrap();
    let f = frame(&mut t, &server, 0);
    assert_eq!((f.command, f.outcome), (5, outcome::BEGUN));
    assert_eq!(f.types(), [0x06, 0x0B]);
    assert!(proven(&f, 0, 1, 16) && proven(&f, 1, 1, 16));
    assert_eq!(t.meters()[0].device.motions(), 1, "it is not tried again");
}

// spec: CMD-6
#[test]
fn the_sequence_is_durable_before_the_valve_moves() {
    let (mut t, mut server) = ready(1);
    t.wake(SECOND);
    let f = frame(&mut t, &server, SECOND);
    let answer = server.order(SECOND, &f.frame, ACK, &Order::close(5));
    t.nvm_mut().cut_after(1);
    assert!(t.handle(SECOND, &answer).is_err());
    assert_eq!(t.meters()[0].device.motions(), 0);
    assert!(t.nvm().working().command.is_none());
}

// spec: CMD-1
#[test]
fn a_wrong_mac_or_unknown_key_version_is_ignored_without_recording() {
    let (mut t, mut server) = ready(1);
    t.wake(SECOND);
    let f = frame(&mut t, &server, SECOND);
    let ns = server.ns(SECOND);
    let mut bad = server.command(ns, &f.frame, &Order::close(9));
    *bad.last_mut().unwrap() ^= 1;
    let mut unheld = Order::close(10);
    unheld.key_version = 9;
    bad.extend(server.command(ns, &f.frame, &unheld));
    let answer = server.answer_with(ns, &f.frame, ACK | FINAL, 0, &bad);
    t.handle(SECOND, &answer).unwrap();
    assert!(t.command_mark().is_none());
    assert_eq!(t.meters()[0].device.motions(), 0);
    assert!(asleep(&mut t, SECOND));
}

// spec: CMD-1, CMD-4
#[test]
fn a_command_bound_to_another_uplink_or_ns_does_not_verify() {
    let (mut t, mut server) = ready(1);
    t.wake(SECOND);
    let old = done(&mut t, &mut server, SECOND);
    t.wake(2 * SECOND);
    let f = frame(&mut t, &server, 2 * SECOND);
    let ns = server.ns(2 * SECOND);
    let other_uplink = server.command(ns, &old.frame, &Order::close(9));
    let answer = server.answer_with(ns, &f.frame, ACK | FINAL, 0, &other_uplink);
    t.handle(2 * SECOND, &answer).unwrap();
    assert!(t.command_mark().is_none());
    t.wake(3 * SECOND);
    let f = frame(&mut t, &server, 3 * SECOND);
    let ns = server.ns(99 * SECOND);
    let other_ns = server.command(ns, &f.frame, &Order::close(9));
    let answer = server.answer(3 * SECOND, &f.frame, ACK | FINAL, 0, &other_ns);
    t.handle(3 * SECOND, &answer).unwrap();
    assert!(t.command_mark().is_none());
}

// spec: CMD-2, CMD-3
#[test]
fn dangerous_and_config_commands_must_be_bound_and_harmless_ones_need_not() {
    let (mut t, mut server) = ready(1);
    let unbound = |sequence, kind, parameters: &[u8]| Order {
        bound: false,
        ..Order::new(sequence, kind, parameters)
    };
    for (sequence, order, expected) in [
        (1_u32, unbound(1, 0x01, &[1]), outcome::UNBOUND),
        (2, unbound(2, 0x30, &[0; 9]), outcome::UNBOUND),
        (3, unbound(3, 0x20, &[]), outcome::DONE),
    ] {
        let now = u64::from(sequence) * MINUTE;
        assert_eq!(give(&mut t, &mut server, now, &order), Some(expected));
        done(&mut t, &mut server, now + 2 * SECOND);
    }
    assert_eq!(state(&mut t, 4 * MINUTE), valve::OPEN);
}

// spec: CMD-4
#[test]
fn a_bound_command_is_accepted_within_60_s_of_the_first_transmission_only() {
    for (late, expected) in [
        (60 * SECOND, outcome::DONE),
        (61 * SECOND, outcome::UNBOUND),
    ] {
        let (mut t, mut server) = ready(1);
        t.raise(
            SECOND,
            0,
            &[simulator::codec::record::Alarm {
                alarm: 1,
                state: 1,
                code: [0; 2],
            }],
            &simulator::terminal::NoticeDetail::default(),
        )
        .unwrap();
        let f = frame(&mut t, &server, SECOND);
        let at = SECOND + late;
        let answer = server.order(at, &f.frame, ACK, &Order::close(1));
        t.handle(at, &answer).unwrap();
        assert_eq!(outcomes(&mut t), [(1, expected)]);
    }
}

// spec: CMD-5, CMD-8
#[test]
fn not_after_is_judged_by_the_ns_and_never_by_the_own_clock() {
    let (mut t, mut server) = ready(1);
    t.set_clock(SECOND, UTC + 9_000_000).unwrap();
    let mut order = Order::close(1);
    order.not_after = UTC + 2;
    assert_eq!(
        give(&mut t, &mut server, SECOND, &order),
        Some(outcome::DONE)
    );
    done(&mut t, &mut server, 3 * SECOND);
    let mut order = Order::close(2);
    order.not_after = UTC + 60;
    assert_eq!(
        give(&mut t, &mut server, MINUTE, &order),
        Some(outcome::EXPIRED)
    );
}

// spec: CMD-7, CMD-13, CMD-23
#[test]
fn a_refused_sequence_is_recorded_and_a_lower_one_never_runs() {
    let (mut t, mut server) = ready(1);
    let strange = Order::new(20, 0x7A, &[]);
    assert_eq!(
        give(&mut t, &mut server, MINUTE, &strange),
        Some(outcome::UNKNOWN_KIND)
    );
    let f = done(&mut t, &mut server, MINUTE + 2 * SECOND);
    assert_eq!((f.command, f.outcome, f.types()), (20, 5, vec![0x0B]));
    assert_eq!(
        give(&mut t, &mut server, 2 * MINUTE, &Order::close(19)),
        None
    );
    assert_eq!(t.meters()[0].device.motions(), 0);
}

// spec: CMD-9
#[test]
fn a_precondition_is_asked_of_the_meter_right_before_the_act() {
    let (mut t, mut server) = ready(1);
    t.meters_mut()[0]
        .device
        .consume(10 * MINUTE - 30 * SECOND, 5);
    let with = |sequence, precondition| Order {
        precondition,
        ..Order::close(sequence)
    };
    for (sequence, precondition, expected) in [
        (1, 2, outcome::PRECONDITION),
        (2, 3, outcome::PRECONDITION),
        (3, 4, outcome::PRECONDITION),
        (4, 77, outcome::PRECONDITION),
        (5, 1, outcome::DONE),
        (6, 1, outcome::PRECONDITION),
        (7, 2, outcome::DONE),
        (8, 4, outcome::DONE),
    ] {
        let now = 10 * MINUTE + u64::from(sequence) * 10 * SECOND - 10 * SECOND;
        let got = give(&mut t, &mut server, now, &with(sequence, precondition));
        assert_eq!(got, Some(expected), "{sequence}");
        done(&mut t, &mut server, now + 2 * SECOND);
    }
}

// spec: CMD-10, CMD-26
#[test]
fn remote_opening_needs_the_switch_at_the_site_and_a_closed_valve() {
    let (mut t, mut server) = ready(1);
    t.meters_mut()[0].device.close_by_hand();
    let open = |sequence, precondition| Order {
        precondition,
        ..Order::new(sequence, 3, &[])
    };
    let got = give(&mut t, &mut server, MINUTE, &open(1, 3));
    assert_eq!(got, Some(outcome::NOT_CAPABLE));
    done(&mut t, &mut server, MINUTE + 2 * SECOND);
    t.switch_valve_open(2 * MINUTE, true).unwrap();
    let got = give(&mut t, &mut server, 2 * MINUTE, &open(2, 0));
    assert_eq!(got, Some(outcome::BAD_PARAMETERS));
    done(&mut t, &mut server, 2 * MINUTE + 2 * SECOND);
    let got = give(&mut t, &mut server, 3 * MINUTE, &open(3, 3));
    assert_eq!(got, Some(outcome::DONE));
    assert_eq!(state(&mut t, 3 * MINUTE), valve::OPEN);
}

// spec: CMD-23, CMD-25
#[test]
fn a_command_for_a_meter_that_is_not_mounted_is_refused() {
    let (mut t, mut server) = ready(1);
    for (sequence, meter) in [(1, 0x01), (2, 0x30)] {
        let order = Order {
            meter,
            ..Order::close(sequence)
        };
        let now = u64::from(sequence) * MINUTE;
        assert_eq!(
            give(&mut t, &mut server, now, &order),
            Some(outcome::OTHER_METER)
        );
        done(&mut t, &mut server, now + 2 * SECOND);
    }
    t.exchange_meter(3 * MINUTE, meter(0)).unwrap();
    let order = Order {
        meter: 0x01,
        ..Order::close(3)
    };
    assert_eq!(
        give(&mut t, &mut server, 3 * MINUTE, &order),
        Some(outcome::DONE)
    );
    assert_eq!(t.meters()[0].device.motions(), 0);
    assert_eq!(t.meters()[1].device.motions(), 1);
}

fn permit(sequence: u32, minutes: u16) -> Order {
    Order {
        precondition: 3,
        ..Order::new(sequence, 0x02, &minutes.to_be_bytes())
    }
}

fn closed_and_permitted() -> (Sim, Server) {
    let (mut t, mut server) = ready(1);
    give(&mut t, &mut server, MINUTE, &Order::close(1));
    done(&mut t, &mut server, MINUTE + 2 * SECOND);
    let got = give(&mut t, &mut server, 2 * MINUTE, &permit(2, 30));
    assert_eq!(got, Some(outcome::DONE));
    done(&mut t, &mut server, 2 * MINUTE + 2 * SECOND);
    assert_eq!(state(&mut t, 3 * MINUTE), valve::REOPEN_PERMITTED);
    (t, server)
}

// spec: CMD-11, CMD-12
#[test]
fn a_permission_opens_nothing_until_the_leak_check_has_passed() {
    let (mut t, _) = closed_and_permitted();
    let device = &mut t.meters_mut()[0].device;
    assert!(device.press_reopen(4 * MINUTE));
    assert_eq!(device.valve(5 * MINUTE), valve::LEAK_CHECK);
    assert_eq!(device.valve(4 * MINUTE + LEAK_CHECK_MS), valve::OPEN);
    device.close_by_hand();
    assert!(!device.press_reopen(9 * MINUTE), "one reopening");
}

// spec: CMD-11, CMD-12
#[test]
fn a_permission_ends_with_a_failed_check_its_time_a_closing_and_a_restart() {
    let (mut t, _) = closed_and_permitted();
    let device = &mut t.meters_mut()[0].device;
    device.set_leaking(true);
    assert!(device.press_reopen(4 * MINUTE));
    assert_eq!(device.valve(10 * MINUTE), valve::CLOSED_BY_METER);
    assert!(!device.press_reopen(11 * MINUTE));

    let (mut t, _) = closed_and_permitted();
    let device = &mut t.meters_mut()[0].device;
    assert_eq!(device.valve(33 * MINUTE), valve::CLOSED_BY_CENTRE);
    assert!(!device.press_reopen(33 * MINUTE));

    let (mut t, mut server) = closed_and_permitted();
    give(&mut t, &mut server, 4 * MINUTE, &Order::close(3));
    assert!(!t.meters_mut()[0].device.press_reopen(5 * MINUTE));

    let (t, _) = closed_and_permitted();
    let (n, random, meters) = t.power_off();
    let config = simulator::terminal::Config::new(OWNER);
    let mut t = simulator::terminal::Terminal::new(config, n, random, meters, 4 * MINUTE).unwrap();
    assert!(!t.meters_mut()[0].device.press_reopen(5 * MINUTE));
}

// spec: CMD-23
#[test]
fn parameters_outside_of_their_range_are_refused() {
    let (mut t, mut server) = ready(1);
    for (sequence, order) in [
        Order::new(1, 0x01, &[]),
        Order::new(2, 0x01, &[6]),
        permit(3, 0),
        permit(4, 1_441),
        Order::new(5, 0x20, &[1]),
        Order::new(6, 0x11, &[0]),
        Order::new(7, 0x11, &[3]),
        Order::new(8, 0x22, &[9; 10]),
    ]
    .into_iter()
    .enumerate()
    {
        let now = (u64::try_from(sequence).unwrap() + 1) * MINUTE;
        let got = give(&mut t, &mut server, now, &order);
        assert_eq!(got, Some(outcome::BAD_PARAMETERS), "{order:?}");
        done(&mut t, &mut server, now + 2 * SECOND);
    }
    assert_eq!(t.mode().latest().code(), 1);
}

// spec: CMD-3, CMD-14
#[test]
fn harmless_commands_bring_what_they_ask_for() {
    let (mut t, mut server) = ready(1);
    for (sequence, kind, expected) in [
        (1_u32, 0x20_u8, vec![0x0B, 0x02]),
        (2, 0x21, vec![0x06, 0x0B]),
        (3, 0x23, vec![0x0B, 0x0E, 0x0A]),
        (4, 0x24, vec![0x0B]),
    ] {
        let now = u64::from(sequence) * MINUTE;
        let order = Order {
            bound: false,
            ..Order::new(sequence, kind, &[])
        };
        assert_eq!(give(&mut t, &mut server, now, &order), Some(outcome::DONE));
        let f = done(&mut t, &mut server, now + 2 * SECOND);
        assert_eq!(f.types(), expected);
        if kind == 0x21 {
            assert!(proven(&f, 0, 1, 16));
        }
    }
    let epoch = t.store().epoch().to_be_bytes();
    let again = [&epoch[..], &1_u32.to_be_bytes(), &2_u16.to_be_bytes()].concat();
    let before = t
        .told_safe()
        .iter()
        .find(|s| s.sequence == 1)
        .unwrap()
        .body
        .clone();
    let order = Order {
        bound: false,
        ..Order::new(5, 0x22, &again)
    };
    assert_eq!(
        give(&mut t, &mut server, 9 * MINUTE, &order),
        Some(outcome::DONE)
    );
    let f = done(&mut t, &mut server, 9 * MINUTE + 2 * SECOND);
    let records = f.records();
    let one = records.iter().find(|r| r.1 == 1).unwrap();
    assert_eq!(*one.2, *before, "as they were");
    let result = t
        .told_safe()
        .iter()
        .rev()
        .find_map(|s| match s.record.as_ref() {
            Record::CommandResult(r) => Some(r.data.clone()),
            _ => None,
        });
    assert_eq!(result, Some(vec![0, 2]));
}

fn install(sequence: u32, purpose: Purpose, version: u8, octets: usize, kek: u8) -> Order {
    let wrapping = wrap_key(&base(Purpose::KeyEncryption, kek, 16), &OWNER).unwrap();
    let new = base(purpose, version, octets);
    let wrapped = wrap(&wrapping, &new.key).unwrap();
    let mut parameters = vec![purpose.code(), version, kek];
    parameters.extend_from_slice(&wrapped);
    Order::new(sequence, 0x10, &parameters)
}

// spec: ROT-1, ROT-2, ROT-3
#[test]
fn a_new_link_key_is_used_at_once_and_the_old_one_goes_after_a_verified_answer() {
    let (mut t, mut server) = ready(1);
    let got = give(
        &mut t,
        &mut server,
        MINUTE,
        &install(1, Purpose::Link, 2, 16, 1),
    );
    assert_eq!(got, Some(outcome::DONE));
    let f = frame(&mut t, &server, MINUTE + 2 * SECOND);
    assert_eq!(f.key_version, 2);
    assert_eq!(t.keys().link.current.version, 1, "kept until an answer");
    let answer = server.answer(MINUTE, &f.frame, ACK | FINAL, 0, &[]);
    t.handle(MINUTE + 2 * SECOND, &answer).unwrap();
    assert_eq!(t.keys().link.current.version, 2);
    assert!(t.keys().link.newer.is_none());
}

/// Sessions without an answer; what each used.
fn silent_sessions(t: &mut Sim, server: &Server, mut now: u64, count: usize) -> Vec<(u8, u8)> {
    let mut used = Vec::new();
    while used.len() < count {
        t.wake(now);
        let f = frames(t, server, now).remove(0);
        used.push((f.key_version, f.mode.code()));
        loop {
            now = match t.run(now).unwrap() {
                (_, simulator::terminal::Action::WaitUntil(at)) => at,
                _ => break,
            };
        }
        now += 3_600 * SECOND;
    }
    used
}

// spec: ROT-4
#[test]
fn unanswered_the_terminal_tries_the_old_key_every_fourth_session() {
    let (mut t, mut server) = ready(1);
    give(
        &mut t,
        &mut server,
        MINUTE,
        &install(1, Purpose::Link, 2, 16, 1),
    );
    let used = silent_sessions(&mut t, &server, MINUTE + 2 * SECOND, 9);
    let keys: Vec<u8> = used.iter().map(|u| u.0).collect();
    assert_eq!(keys, [2, 2, 2, 1, 2, 2, 2, 1, 2]);
}

// spec: ROT-4
#[test]
fn an_answer_under_the_old_key_neither_drops_the_new_one_nor_ends_the_turns() {
    let (mut t, mut server) = ready(1);
    give(
        &mut t,
        &mut server,
        MINUTE,
        &install(1, Purpose::Link, 2, 16, 1),
    );
    let now = 10 * 3_600 * SECOND;
    silent_sessions(&mut t, &server, MINUTE + 2 * SECOND, 3);
    t.wake(now);
    let f = done(&mut t, &mut server, now);
    assert_eq!(f.key_version, 1);
    assert!(t.keys().link.newer.is_some());
    t.wake(now + MINUTE);
    assert_eq!(frames(&mut t, &server, now + MINUTE)[0].key_version, 2);
}

// spec: ROT-9
#[test]
fn a_key_that_does_not_fit_is_not_stored() {
    let (mut t, mut server) = ready(1);
    let mut torn = install(1, Purpose::Link, 2, 16, 1);
    *torn.parameters.last_mut().unwrap() ^= 1;
    let mut nobody = install(2, Purpose::Link, 2, 16, 1);
    nobody.parameters[0] = 4;
    let mut unknown_kek = install(3, Purpose::Link, 2, 16, 1);
    unknown_kek.parameters[2] = 9;
    for (order, expected) in [
        (torn, outcome::KEY_UNWRAP),
        (nobody, outcome::BAD_PARAMETERS),
        (unknown_kek, outcome::KEY_UNWRAP),
        (install(4, Purpose::Link, 1, 16, 1), outcome::BAD_PARAMETERS),
    ] {
        let now = u64::from(order.sequence) * MINUTE;
        assert_eq!(give(&mut t, &mut server, now, &order), Some(expected));
        done(&mut t, &mut server, now + 2 * SECOND);
    }
    assert!(t.keys().link.newer.is_none());
}

// spec: ROT-9, ROT-12
#[test]
fn a_short_link_key_is_refused_in_mode_3() {
    let (mut t, mut server) = ready(3);
    let wrapping = wrap_key(&base(Purpose::KeyEncryption, 1, 32), &OWNER).unwrap();
    let mut parameters = vec![1, 2, 1];
    parameters.extend(wrap(&wrapping, &key(9, 16)).unwrap());
    let got = give(
        &mut t,
        &mut server,
        MINUTE,
        &Order::new(1, 0x10, &parameters),
    );
    assert_eq!(got, Some(outcome::BAD_PARAMETERS));
}

// spec: ROT-8
#[test]
fn the_old_command_key_goes_when_the_new_one_was_used_and_its_records_are_safe() {
    let (mut t, mut server) = ready(1);
    give(
        &mut t,
        &mut server,
        MINUTE,
        &install(1, Purpose::Command, 2, 16, 1),
    );
    let f = done(&mut t, &mut server, MINUTE + 2 * SECOND);
    assert!(
        proven(&f, 0, 1, 16),
        "the result names the command's own key"
    );
    assert_eq!(t.keys().command.current.version, 1);
    let mut order = Order::new(2, 0x20, &[]);
    order.key_version = 2;
    assert_eq!(
        give(&mut t, &mut server, 2 * MINUTE, &order),
        Some(outcome::DONE)
    );
    assert_eq!(t.keys().command.current.version, 2);
    assert!(t.keys().command.newer.is_none());
    let f = done(&mut t, &mut server, 2 * MINUTE + 2 * SECOND);
    assert!(proven(&f, 0, 2, 16));
}

// spec: ROT-10, ROT-4
#[test]
fn a_mode_change_is_used_at_once_kept_beside_the_old_one_and_proven_by_an_answer() {
    let (mut t, mut server) = ready(1);
    let got = give(&mut t, &mut server, MINUTE, &Order::new(1, 0x11, &[2]));
    assert_eq!(got, Some(outcome::DONE));
    let used = silent_sessions(&mut t, &server, MINUTE + 2 * SECOND, 5);
    let modes: Vec<u8> = used.iter().map(|u| u.1).collect();
    assert_eq!(modes, [2, 2, 2, 1, 2]);
    let now = 20 * 3_600 * SECOND;
    t.wake(now);
    let f = done(&mut t, &mut server, now);
    assert_eq!(f.mode.code(), 2);
    assert_eq!((t.mode().current.code(), t.mode().newer), (2, None));
}

// spec: ROT-13
#[test]
fn a_key_and_a_mode_are_not_changed_at_once() {
    let (mut t, mut server) = ready(1);
    t.wake(MINUTE);
    let f = frame(&mut t, &server, MINUTE);
    let ns = server.ns(MINUTE);
    let items = [
        server.command(ns, &f.frame, &install(1, Purpose::Link, 2, 16, 1)),
        server.command(ns, &f.frame, &Order::new(2, 0x11, &[2])),
    ]
    .concat();
    let answer = server.answer_with(ns, &f.frame, ACK, 0, &items);
    t.take_events();
    t.handle(MINUTE, &answer).unwrap();
    assert_eq!(
        outcomes(&mut t),
        [(1, outcome::DONE), (2, outcome::PRECONDITION)]
    );
    assert_eq!(t.mode().latest(), &Mode::CcmStatic);
}

// spec: KEY-9, ROT-2
#[test]
fn keys_and_pins_survive_the_loss_of_all_else() {
    let (mut t, mut server) = ready(1);
    give(
        &mut t,
        &mut server,
        MINUTE,
        &install(1, Purpose::Link, 2, 16, 1),
    );
    let (mut n, ..) = t.power_off();
    n.wipe(simulator::nvm::Wipe::All);
    let mut t = boot(n, 1, 0);
    let f = frame(&mut t, &server, 0);
    assert_eq!((f.frame[0], f.key_version), (0x12, 2));
}

// spec: CMD-6, ROT-2
#[test]
fn a_key_is_stored_before_the_outcome() {
    let (mut t, mut server) = ready(1);
    t.nvm_mut().keep_log();
    give(
        &mut t,
        &mut server,
        MINUTE,
        &install(1, Purpose::Link, 2, 16, 1),
    );
    let log = t.nvm().log();
    let at = |wanted: &dyn Fn(&Write) -> bool| log.iter().position(wanted).unwrap();
    let begun = at(&|w| matches!(w, Write::Command(m) if m.outcome == outcome::BEGUN));
    let keys = at(&|w| matches!(w, Write::Keys(_)));
    let ended = at(&|w| matches!(w, Write::Command(m) if m.outcome == outcome::DONE));
    assert!(begun < keys && keys < ended);
}
