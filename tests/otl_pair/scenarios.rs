//! One story each, told by its log.

use kenshin::session::otl::machine::{Admission, Input, MachineEvent};
use kenshin::wire::otl::answer::ComeBack;
use kenshin::wire::otl::ident::Mode;
use simulator::codec::record::{CommandResult, MeterRef, Record};
use simulator::codec::report::Stamp;
use simulator::household::{Household, Profile};
use simulator::nvm::Wipe;

use super::journal::Journal;
use super::pair::{DAY_MS, PairWorld};
use super::parties::new_terminal;
use super::server::{Path, START_UTC_S};

/// A terminal that has called once, has its clock, and sleeps; its first calls are not told.
fn settled(mode: Mode) -> PairWorld {
    let mut world = PairWorld::new(mode, 1, Journal::default());
    world.run_for(DAY_MS);
    assert!(world.terminal().clock().is_set());
    world.journal = Journal::default();
    world.server.events.clear();
    world
}

/// The same with a terminal that uses TCP.
fn settled_on_tcp(holds: bool) -> PairWorld {
    let mut world = PairWorld::new(Mode::CcmSession, 1, Journal::default());
    (world.uses_tcp, world.holds_tcp) = (true, holds);
    world.run_for(DAY_MS);
    world.journal = Journal::default();
    world
}

fn snapshot(name: &str, mut world: PairWorld) {
    world.check_all_in();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, world.journal.take());
    });
}

// spec: REP-2, ANS-6, NON-2
#[test]
fn an_answer_that_is_lost_is_given_again_from_what_is_durable() {
    let mut world = settled(Mode::CcmSession);
    world.lose_down = 1;
    world.push_day_and_call();
    world.run_for(60_000);
    snapshot("lost_ack", world);
}

// spec: SES-2, GEN-4
#[test]
fn an_uplink_that_is_lost_is_sent_again() {
    let mut world = settled(Mode::CcmStatic);
    world.lose_up = 1;
    world.push_day_and_call();
    world.run_for(60_000);
    snapshot("lost_uplink", world);
}

// spec: UDP-3, REP-2
#[test]
fn a_terminal_behind_a_new_address_is_answered_there() {
    let mut world = settled(Mode::CcmSession);
    world.push_day_and_call();
    world.run_for(300);
    world
        .journal
        .heading("the network gives the terminal another address");
    world.port = 4002;
    world.run_for(60_000);
    snapshot("nat_rebinding", world);
}

// spec: ANS-7, UDP-3
#[test]
fn a_repeat_while_the_commit_is_pending_joins_it_and_both_addresses_are_answered() {
    let mut world = settled(Mode::GcmSession);
    world.server.commit_ms = 6_000;
    world.push_day_and_call();
    world.run_for(1_000);
    world.port = 4002;
    world.run_for(60_000);
    snapshot("repeat_while_pending", world);
}

// spec: REC-31, ANS-1, ANS-8
#[test]
fn a_backlog_of_ten_days_comes_in_batches() {
    let mut world = settled(Mode::CcmSession);
    world.journal = Journal::off();
    world.household = Household::new(1, Profile::Worst);
    world.weather.lost_percent = 100;
    for _ in 0..10 {
        world.day();
    }
    world.weather.lost_percent = 0;
    world.journal = Journal::default();
    world.push_day_and_call();
    world.run_for(60_000);
    snapshot("backlog_of_ten_days", world);
}

// spec: TCP-8, TCP-6, ANS-7
#[test]
fn a_terminal_that_reconnects_in_the_middle_is_answered_on_the_new_connection() {
    let mut world = settled_on_tcp(false);
    world.server.commit_ms = 8_000;
    world.push_day_and_call();
    world.run_for(1_000);
    world.lose_connection();
    world.run_for(60_000);
    snapshot("reconnect_in_the_middle", world);
}

// spec: TCP-6, ERR-4
#[test]
fn a_new_frame_on_a_second_connection_moves_the_terminal_and_a_repeat_does_not() {
    let mut world = settled_on_tcp(true);
    let replayed = world.uplinks.last().unwrap().clone();
    world
        .journal
        .heading("somebody repeats an old frame on a connection of his own");
    world.send_up(Path::Tcp(99), replayed);
    world.run_for(5_000);
    world
        .journal
        .heading("the terminal's connection dies, and the server does not know");
    world.lose_connection();
    world.push_day_and_call();
    world.run_for(60_000);
    let moves = world.server.events.iter();
    assert_eq!(moves.filter(|e| **e == MachineEvent::Moved).count(), 1);
    snapshot("two_connections", world);
}

// spec: TCP-6
#[test]
fn frames_that_somebody_recorded_keep_no_machine_alive_on_his_connection() {
    let mut world = settled_on_tcp(false);
    world.run_for(60_000);
    assert!(!world.server.has_machine(), "the terminal hung up");
    let recorded = world.uplinks.last().unwrap().clone();
    world.send_up(Path::Tcp(99), recorded);
    world.run_for(1_000);
    let mut events = world.server.events.iter();
    let is_repeat = |event: &MachineEvent| matches!(event, MachineEvent::Repeat { .. });
    assert!(events.any(is_repeat), "it is answered");
    assert!(!world.server.has_machine());
}

// spec: ANS-16, REC-5
#[test]
fn a_clock_that_is_years_off_is_set_right_and_the_readings_are_kept() {
    let mut world = PairWorld::new(Mode::CcmStatic, 1, Journal::default());
    let years = 3 * 365 * 86_400;
    world.terminal().set_clock(0, START_UTC_S - years).unwrap();
    world.push_day_and_call();
    world.run_for(60_000);
    snapshot("clock_years_off", world);
}

// spec: RSY-1, RSY-2, NON-4
#[test]
fn a_terminal_that_lost_its_counter_asks_for_it_and_goes_on() {
    let mut world = settled(Mode::CcmSession);
    world.power_cycle(Some(Wipe::Counters));
    world.run_for(60_000);
    snapshot("resync", world);
}

// spec: RSY-1, ROT-5
#[test]
fn a_key_that_a_resync_proves_is_durable_before_the_answer() {
    let mut world = PairWorld::new(Mode::GcmSession, 1, Journal::default());
    world.power_cycle(Some(Wipe::Counters));
    world.run_for(60_000);
    snapshot("resync_first_of_all", world);
}

// spec: SES-12, SES-13
#[test]
fn a_terminal_that_holds_tcp_is_told_to_call_now() {
    let mut world = settled_on_tcp(true);
    world.push_day();
    world.call_now();
    world.run_for(60_000);
    assert!(world.server.durable.link.last_call > START_UTC_S);
    snapshot("call_now_on_tcp", world);
}

// spec: SES-12, SES-13
#[test]
fn a_terminal_that_listens_on_udp_is_told_to_call_now() {
    let mut world = settled(Mode::GcmSession);
    world.push_day();
    world.call_now();
    world.run_for(700);
    world.journal.heading("again in the same second");
    world.push_day();
    world.call_now();
    world.run_for(60_000);
    snapshot("call_now_on_udp", world);
}

// spec: GEN-4
#[test]
fn a_commit_that_failed_is_never_answered_and_the_repeat_is_served() {
    let mut world = settled(Mode::CcmSession);
    world.server.failing = 1;
    world.push_day_and_call();
    world.run_for(60_000);
    snapshot("commit_failed", world);
}

// spec: OVL-1, OVL-2, OVL-3, OVL-4
#[test]
fn under_overload_a_reading_is_told_to_come_back_and_an_alarm_is_served() {
    let mut world = settled(Mode::CcmSession);
    world.server.admission = Admission::ComeBack(ComeBack::from_units(15).unwrap());
    world.push_day_and_call();
    world.run_for(200_000);
    world.alarm();
    world.run_for(30_000);
    world.journal.heading("there is room again");
    world.server.admission = Admission::Serve;
    world.push_day_and_call();
    world.run_for(2 * DAY_MS);
    snapshot("come_back", world);
}

fn result() -> Record {
    Record::CommandResult(CommandResult {
        stamp: Stamp::Unset {
            uptime_s: 1,
            boot: 1,
        },
        command: 1,
        kind: 2,
        meter: MeterRef {
            slot: 0,
            generation: 0,
        },
        valve: 1,
        outcome: 1,
        data: Vec::new(),
        proof: None,
    })
}

// spec: OVL-1, OVL-4
#[test]
fn short_of_room_a_bare_report_is_served_and_from_the_reserve_only_alarms_and_results_are() {
    let time = ComeBack::from_units(15).unwrap();
    for (admission, serves_bare) in [
        (Admission::ComeBack(time), true),
        (Admission::AlarmsOnly(time), false),
    ] {
        let mut world = settled(Mode::CcmSession);
        world.server.admission = admission;
        let version = world.server.durable.version;
        let now_ms = world.now_ms;
        world.terminal().wake(now_ms);
        world.run_for(2_000);
        let is_taken = world.server.durable.version > version;
        assert_eq!(is_taken, serves_bare, "{admission:?}");
        let is_come_back = |event: &MachineEvent| matches!(event, MachineEvent::CameBack { .. });
        let came_back = world.server.events.iter().any(is_come_back);
        assert_eq!(came_back, !serves_bare, "{admission:?}");

        let safe = world.safe.len();
        world.run_for(DAY_MS / 24);
        world.journal = Journal::default();
        world.terminal().push(result()).unwrap();
        let now_ms = world.now_ms;
        world.terminal().wake(now_ms);
        world.run_for(2_000);
        assert!(world.safe.len() > safe, "{admission:?}: no result is taken");
        let told = world.journal.take();
        assert!(told.contains(", urgent"), "not from the reserve: {told}");
    }
}

// spec: GEN-4, NON-8, REP-2
#[test]
fn a_server_that_dies_before_the_commit_takes_the_repeat_after_its_start() {
    let mut world = settled(Mode::GcmSession);
    world.server.commit_ms = 3_000;
    world.push_day_and_call();
    world.run_for(1_000);
    world.restart_server();
    world.run_for(60_000);
    snapshot("restart_in_between", world);
}

// spec: REP-3
#[test]
fn a_counter_of_two_terminals_is_marked_durably_and_not_answered_twice() {
    let mut world = PairWorld::new(Mode::CcmSession, 1, Journal::default());
    world.server.commit_ms = 1_000;
    world.run_for(500);
    world
        .journal
        .heading("a copy of the terminal calls with the same counter");
    let (frames, _) = new_terminal(Mode::CcmSession, 2).run(0).unwrap();
    world.send_up(Path::Udp(5_000), frames[0].clone());
    world.run_for(60_000);
    assert!(!world.server.durable.link.window.is_safe(1));
    snapshot("clone", world);
}

// spec: ERR-4
#[test]
fn a_server_that_stops_ends_what_is_under_way_and_then_the_connection() {
    let mut world = settled_on_tcp(true);
    world.server.commit_ms = 3_000;
    world.push_day_and_call();
    world.run_for(1_000);
    let now_ms = world.now_ms;
    world.journal.heading("the server is told to stop");
    world
        .server
        .handle(now_ms, Input::Drain, &mut world.journal);
    world.run_for(30_000);
    snapshot("drain", world);
}

// spec: NON-8
#[test]
fn a_machine_is_gone_with_its_answer_and_the_second_of_the_answer_is_known() {
    let mut world = settled(Mode::CcmSession);
    world.push_day_and_call();
    world.run_for(1_000);
    assert!(!world.server.has_machine(), "nothing is under way");
    assert!(world.server.knows_its_answers());
    world.run_for(3_000);
    assert!(!world.server.knows_its_answers());
    assert!(
        world.server.carries_a_listener(),
        "where to call it is kept"
    );
}
