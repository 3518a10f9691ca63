//! Rotation and mode change, broken off at every step: everybody gets in.

use kenshin::session::otl::refusal::Reason;
use kenshin::wire::otl::ident::Mode;
use kenshin::wire::otl::registry::commands::CommandKind;

use super::world::{Fate, World, sim_mode};

const MODES: [Mode; 3] = [Mode::CcmStatic, Mode::CcmSession, Mode::GcmSession];

fn settled(mode: Mode) -> World {
    let mut world = World::new(mode);
    world.settle();
    world.day();
    world.set_server_time(world.utc_s());
    world
}

// spec: ROT-1, ROT-2, ROT-3, ROT-5, ROT-7, NON-5
#[test]
fn a_new_link_key_is_installed_used_promoted_and_the_old_one_refused() {
    for mode in MODES {
        let mut world = settled(mode);
        let counter = world.terminal().next_counter();
        world.server.approve_link_key_2(1);
        world.day();
        world.day();
        assert_eq!(
            world.server.durable.registration.promoted_link_version,
            Some(2),
            "{mode}"
        );
        assert_eq!(world.terminal().keys().link.current.version, 2, "{mode}");
        assert!(world.terminal().keys().link.newer.is_none());
        assert!(
            world.terminal().next_counter() > counter,
            "counters are not reset"
        );
        assert!(world.server.proven.contains(&(1, 1)));
        let old = world
            .uplinks
            .iter()
            .rev()
            .find(|uplink| uplink[2] == 1)
            .unwrap()
            .clone();
        assert_eq!(world.server.receive(&old), None);
        assert_eq!(
            world.server.last.unwrap().unwrap_err().reason,
            Reason::KeyRetired
        );
        world.check_all_in();
    }
}

// spec: ROT-3, ROT-4, ROT-5, ROT-6
#[test]
fn a_rotation_broken_off_at_any_frame_locks_nobody_out() {
    for mode in [Mode::CcmStatic, Mode::GcmSession] {
        for broken in 0..8usize {
            let mut world = settled(mode);
            world.server.approve_link_key_2(1);
            break_at(&world, broken / 2);
            if broken.is_multiple_of(2) {
                world.up = |i| lose(i == BROKEN.with(std::cell::Cell::get).0);
            } else {
                world.down = |i| lose(i == BROKEN.with(std::cell::Cell::get).1);
            }
            world.day();
            world.mend_link();
            world.power_cycle(None);
            for _ in 0..6 {
                world.run_for(86_400_000);
            }
            world.day();
            world.check_all_in();
            let version = world.terminal().keys().link.latest().version;
            let promoted = world.server.durable.registration.promoted_link_version;
            assert_eq!(promoted, Some(version), "{mode}, broken at {broken}");
        }
    }
}

thread_local! {
    static BROKEN: std::cell::Cell<(usize, usize)> = const { std::cell::Cell::new((0, 0)) };
}

/// Marks the uplink and the answer, counted from now, that a test loses.
fn break_at(world: &World, later: usize) {
    let at = (world.uplinks.len() + later, world.answers.len() + later);
    BROKEN.with(|cell| cell.set(at));
}

fn lose(lost: bool) -> Fate {
    if lost { Fate::Lose } else { Fate::Deliver }
}

// spec: ROT-5, ROT-6, ROL-1
#[test]
fn a_server_restored_to_before_a_rotation_lets_the_terminal_in_and_promotes_again() {
    for mode in MODES {
        let mut world = settled(mode);
        let before = world.server.backup();
        world.server.approve_link_key_2(1);
        let approved = world.server.backup();
        world.day();
        world.day();
        assert_eq!(
            world.server.durable.registration.promoted_link_version,
            Some(2)
        );
        for backup in [before, approved] {
            world.set_server_time(world.utc_s());
            world.server.restore(backup);
            assert_ne!(
                world.server.durable.registration.promoted_link_version,
                Some(2)
            );
            world.day();
            world.day();
            let promoted = world.server.durable.registration.promoted_link_version;
            assert_eq!(promoted, Some(2), "{mode}");
            assert!(world.terminal().store().is_empty(), "{mode}");
            assert!(
                world.server.durable.commands_stopped,
                "a person has to look"
            );
        }
    }
}

// spec: ROT-4, ROT-7
#[test]
fn a_terminal_set_back_to_before_a_rotation_gets_in_once_an_operator_admits_the_old_key() {
    let mut world = settled(Mode::CcmStatic);
    let old_memory = world.terminal().nvm().clone();
    world.server.approve_link_key_2(1);
    world.day();
    world.day();
    let (_, random, meters) = world.terminal.take().unwrap().power_off();
    world.boot(old_memory, random, meters);
    world.settle_without_clock();
    assert_eq!(
        world.server.last.unwrap().unwrap_err().reason,
        Reason::KeyRetired
    );
    let identity = super::world::IDENTITY;
    world.server.keys.readmit(&identity, 1).unwrap();
    world.run_for(2 * 86_400_000);
    assert!(world.server.last.unwrap().is_ok());
}

// spec: ROT-10, ROT-11, ROT-12, SEC-1
#[test]
fn a_mode_change_is_used_promoted_and_the_old_mode_refused() {
    for (from, to) in [
        (Mode::CcmStatic, Mode::GcmSession),
        (Mode::CcmSession, Mode::CcmStatic),
    ] {
        let mut world = settled(from);
        world
            .server
            .approve(1, CommandKind::MODE_CHANGE, &[to.number()]);
        world.day();
        world.day();
        assert_eq!(world.server.durable.registration.mode, to);
        assert_eq!(world.server.durable.registration.pending_mode, None);
        assert_eq!(world.terminal().mode().current, sim_mode(to));
        let old = world
            .uplinks
            .iter()
            .find(|uplink| uplink[1] >> 5 == from.number())
            .unwrap();
        let old = old.clone();
        assert_eq!(world.server.receive(&old), None);
        assert_eq!(
            world.server.last.unwrap().unwrap_err().reason,
            Reason::ModeMismatch
        );
        world.check_all_in();
    }
}

// spec: ROT-4, ROT-10, ROT-11
#[test]
fn a_mode_change_broken_off_locks_nobody_out() {
    for broken in 0..6usize {
        let mut world = settled(Mode::CcmStatic);
        world.server.approve(1, CommandKind::MODE_CHANGE, &[3]);
        break_at(&world, broken / 2);
        if broken.is_multiple_of(2) {
            world.up = |i| lose(i == BROKEN.with(std::cell::Cell::get).0);
        } else {
            world.down = |i| lose(i == BROKEN.with(std::cell::Cell::get).1);
        }
        world.day();
        world.mend_link();
        for _ in 0..6 {
            world.run_for(86_400_000);
        }
        world.day();
        world.check_all_in();
        let mode = *world.terminal().mode().latest();
        assert_eq!(
            sim_mode(world.server.durable.registration.mode),
            mode,
            "broken at {broken}"
        );
    }
}
