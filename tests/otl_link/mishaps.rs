//! What goes wrong in the field: lost answers, lost memory, restored servers. Everybody gets in,
//! and nothing is told safe that is not kept.

use kenshin::session::otl::refusal::Reason;
use kenshin::session::otl::window::Kept;
use kenshin::wire::otl::ident::Mode;
use simulator::nvm::Wipe;
use simulator::terminal::Event;

use super::world::{Fate, World};

const MODES: [Mode; 3] = [Mode::CcmStatic, Mode::CcmSession, Mode::GcmSession];

// spec: GEN-4, REC-1, FRM-10
#[test]
fn a_routine_day_costs_one_uplink_and_one_answer_in_every_mode() {
    for mode in MODES {
        let mut world = World::new(mode);
        world.settle();
        let (uplinks, answers) = (world.uplinks.len(), world.answers.len());
        world.day();
        assert_eq!(world.uplinks.len() - uplinks, 1, "{mode}");
        assert_eq!(world.answers.len() - answers, 1, "{mode}");
        assert_eq!(world.uplinks.last().unwrap().len(), 128, "{mode}");
        assert!(world.answers.last().unwrap().1.len() <= 40, "{mode}");
        world.check_all_in();
    }
}

// spec: SEC-3, SEC-4, ANS-13, REP-8
#[test]
fn a_laboratory_terminal_in_mode_0_delivers_and_is_told_neither_time_nor_command() {
    let mut world = World::new(Mode::Clear);
    let now = world.now_ms;
    world
        .terminal()
        .set_clock(now, super::world::START_UTC_S)
        .unwrap();
    world.server.approve(
        1,
        kenshin::wire::otl::registry::commands::CommandKind::VALVE_CLOSE,
        &[1],
    );
    for _ in 0..3 {
        world.day();
    }
    assert!(world.answers.iter().all(|(_, answer)| answer.len() == 9));
    assert_eq!(world.terminal().command_mark(), None);
    world.check_all_in();
}

// spec: REP-2, REC-8, ANS-6, NON-2
#[test]
fn a_lost_answer_costs_a_repeat_and_never_a_second_record() {
    for mode in MODES {
        let mut world = World::new(mode);
        world.settle();
        let before = world.server.durable.records.len();
        world.down = |i| {
            if i % 2 == 0 {
                Fate::Lose
            } else {
                Fate::Deliver
            }
        };
        for _ in 0..5 {
            world.day();
        }
        world.mend_link();
        world.day();
        world.check_all_in();
        assert_eq!(world.server.clones, 0, "a repeat is the same octets");
        let clock_changes = world
            .server
            .durable
            .records
            .values()
            .filter(|r| r[0] == 0x0C)
            .count();
        let days = world
            .server
            .durable
            .records
            .values()
            .filter(|r| r[0] == 0x01)
            .count();
        assert_eq!(
            days, 6,
            "{mode}: {} records, {clock_changes} clock changes",
            before
        );
    }
}

// spec: NON-7
#[test]
fn a_server_without_random_numbers_keeps_what_comes_and_seals_nothing() {
    for mode in MODES {
        let mut world = World::new(mode);
        world.settle();
        let (answers, records) = (world.answers.len(), world.server.durable.records.len());
        world.server.draws = false;
        world.day();
        assert_eq!(world.answers.len(), answers, "{mode}");
        assert!(world.server.durable.records.len() > records, "{mode}");
        world.server.draws = true;
        world.settle();
        world.check_all_in();
    }
}

// spec: SES-1, SES-5
#[test]
fn of_two_answers_to_one_uplink_the_second_changes_nothing() {
    for mode in MODES {
        let mut world = World::new(mode);
        world.settle();
        world.up = |_| Fate::Twice;
        world.down = |_| Fate::Twice;
        for _ in 0..3 {
            world.day();
        }
        world.check_all_in();
        assert_eq!(world.server.clones, 0);
    }
}

// spec: REC-31, ANS-1, ANS-8, REC-10
#[test]
fn ten_days_without_the_network_arrive_in_batches_and_all_of_them() {
    for mode in MODES {
        let mut world = World::new(mode);
        world.settle();
        world.up = |_| Fate::Lose;
        for _ in 0..10 {
            world.day();
        }
        world.mend_link();
        world.day();
        world.check_all_in();
        let days = world
            .server
            .durable
            .records
            .values()
            .filter(|r| r[0] == 0x01)
            .count();
        assert_eq!(days, 11, "{mode}");
    }
}

// spec: NON-4, RSY-1, RSY-2, RSY-3, REC-2, REP-6, SES-15
#[test]
fn a_terminal_that_lost_its_memory_resyncs_under_a_new_epoch_and_loses_nothing_told_safe() {
    for mode in MODES {
        for wipe in [Wipe::All, Wipe::Counters, Wipe::CounterProof, Wipe::Records] {
            let mut world = World::new(mode);
            world.settle();
            world.day();
            let epoch = world.terminal().store().epoch();
            let highest = world.server.durable.link.window.highest();
            world.power_cycle(Some(wipe));
            if matches!(wipe, Wipe::All | Wipe::Records) {
                assert_ne!(world.terminal().store().epoch(), epoch);
            }
            world.settle();
            world.day();
            world.check_all_in();
            assert!(world.server.durable.link.window.highest() > highest);
            assert_eq!(
                world.server.clones, 0,
                "{mode} {wipe:?}: no counter was used twice"
            );
        }
    }
}

// spec: REP-6, RSY-2, NON-2
#[test]
fn a_restored_server_gives_a_terminal_that_lost_its_counter_no_counter_it_has_used() {
    for mode in MODES {
        let mut world = World::new(mode);
        world.settle();
        let backup = world.server.backup();
        for _ in 0..5 {
            world.day();
        }
        let used = world.terminal().next_counter();
        world.server.restore(backup);
        world.power_cycle(Some(Wipe::Counters));
        world.settle();
        let floors: Vec<u32> = world
            .terminal()
            .take_events()
            .iter()
            .filter_map(|event| match event {
                Event::Resynced { next } => Some(*next),
                _ => None,
            })
            .collect();
        assert!(
            !floors.is_empty() && floors.iter().all(|next| *next >= used),
            "{floors:?}"
        );
    }
}

// spec: REP-5, REP-7, ANS-14
#[test]
fn a_counter_below_the_window_is_told_the_floor_and_goes_on_from_it() {
    let mut world = World::new(Mode::CcmStatic);
    world.settle();
    world.day();
    // The server has seen a far higher counter, as after a change of the terminal's electronics.
    let mut state = world.server.durable.link;
    state.window.note(5_000_000, [9; 4], Kept::Safe);
    world.server.durable.link = state;
    world.server.restart();
    world.day();
    world.day();
    assert!(world.terminal().next_counter() > 5_000_000);
    world.check_all_in();
}

// spec: REC-9, REC-28, REC-8, REC-2
#[test]
fn a_contradicting_record_is_never_told_safe_and_a_new_epoch_brings_the_terminal_back() {
    let mut world = World::new(Mode::CcmStatic);
    world.settle();
    let epoch = world.terminal().store().epoch();
    world.push_day();
    let next = world
        .terminal()
        .store()
        .records()
        .map(|stored| stored.sequence)
        .max()
        .unwrap();
    // The server holds something else under the key of the record to come.
    world
        .server
        .durable
        .records
        .insert((epoch, next), vec![0x0D, 1, 2, 3]);
    world.run_for(86_400_000);
    assert!(world.server.durable.quarantined > 0);
    assert_ne!(
        world.terminal().store().epoch(),
        epoch,
        "NEW_EPOCH was obeyed"
    );
    world.day();
    assert!(
        world.terminal().store().is_empty(),
        "all was told safe in the end"
    );
    assert!(
        !world
            .safe
            .iter()
            .any(|(of, sequence, _)| (*of, *sequence) == (epoch, next))
    );
}

// spec: REP-3
#[test]
fn a_copy_of_a_terminal_is_noticed_and_told_safe_nothing_that_is_not_kept() {
    let mut world = World::new(Mode::CcmStatic);
    world.settle();
    // Both go on from the same memory, block of counters included.
    let memory = world.terminal().nvm().clone();
    world.power_cycle(None);
    let (now, utc_s) = (world.now_ms, world.utc_s());
    world.terminal().set_clock(now, utc_s).unwrap();
    world.day();
    world.check_all_in();
    let (_, random, meters) = world.terminal.take().unwrap().power_off();
    world.boot(memory, random, meters);
    let (now, utc_s) = (world.now_ms, world.utc_s());
    world.terminal().set_clock(now, utc_s).unwrap();
    let uplinks = world.uplinks.len();
    world.push_day();
    world.run_for(2 * 86_400_000);
    assert!(world.uplinks.len() > uplinks);
    assert!(
        world.server.clones > 0,
        "the counter was seen with another tag"
    );
    world.check_custody();
}

// spec: FRS-4, ROL-1, ROL-2
#[test]
fn a_ticket_of_a_time_that_the_server_does_not_remember_stops_its_commands() {
    for mode in MODES {
        let mut world = World::new(mode);
        world.settle();
        let backup = world.server.backup();
        world.day();
        world.day();
        world.set_server_time(world.utc_s());
        world.server.restore(backup);
        assert!(!world.server.durable.commands_stopped);
        world.day();
        assert!(world.server.durable.commands_stopped, "{mode}");
        world.day();
        assert!(world.terminal().store().is_empty(), "records go on");
    }
}

// spec: FRS-4, REP-1
#[test]
fn an_ordinary_restart_of_the_server_is_no_sign_of_rollback_and_loses_nothing() {
    for mode in MODES {
        let mut world = World::new(mode);
        world.settle();
        for _ in 0..3 {
            world.day();
            world.set_server_time(world.utc_s());
            world.server.restart();
        }
        world.day();
        assert!(!world.server.durable.commands_stopped);
        assert_eq!(world.server.clones, 0);
        world.check_all_in();
    }
}

// spec: FRS-1, FRS-2
#[test]
fn without_a_ticket_records_are_taken_and_marked_unproven() {
    let mut world = World::new(Mode::CcmSession);
    world.run_for(10_000);
    let first = &world.answers.first().unwrap().0;
    assert_eq!(
        (first[0], &first[15..23]),
        (0x11, &[0; 8][..]),
        "an uplink without a ticket"
    );
    assert!(!world.server.durable.records.is_empty());
    world.settle();
    world.check_all_in();
    assert_ne!(world.terminal().ticket(), [0; 8]);
}

// spec: SES-10, ID-4
#[test]
fn a_terminal_of_another_utility_is_refused_as_a_wrong_key_and_never_answered() {
    let mut world = World::new(Mode::CcmStatic);
    world.settle();
    world.push_day();
    let now = world.now_ms;
    let uplink = {
        world.terminal().wake(now);
        world.terminal().run(now).unwrap().0.remove(0)
    };
    let mut stranger = super::world::Server::new(Mode::CcmStatic);
    stranger.keys = kenshin::keyring::LinkKeyring::new();
    let utility = kenshin::keyring::UtilityId::new(*b"watercoo");
    stranger.keys.add_utility(utility, "other");
    let octets = kenshin::crypto::key::KeyOctets::from_slice(&[0x77; 32]).unwrap();
    let master = kenshin::crypto::key::Master::new(octets);
    stranger
        .keys
        .add_master(utility, 1, kenshin::keyring::KeyState::Active, true, master)
        .unwrap();
    let registration = kenshin::keyring::Registration::new(utility, Mode::CcmStatic);
    stranger
        .keys
        .register(super::world::IDENTITY, registration)
        .unwrap();
    assert_eq!(stranger.receive(&uplink), None);
    let refusal = stranger.last.unwrap().unwrap_err();
    assert_eq!(refusal.reason, Reason::TagMismatch);
    assert!(!refusal.verified);
}
