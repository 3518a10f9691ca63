//! No key and nonce ever seal two different answers, whatever happens to the server in between.

use std::collections::HashMap;

use kenshin::wire::otl::ident::Mode;
use proptest::prelude::*;

use super::world::World;

/// What can happen to a server between two answers to the same uplink.
#[derive(Clone, Debug)]
enum Happening {
    /// The clock goes on, or is stepped: seconds.
    Clock(i32),
    /// The process is killed and comes up again.
    Restart,
    /// The disk is set back to the state before the uplink.
    Restore,
    /// The state changes: a later frame of the same terminal arrives.
    LaterFrame,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (-5i32..30).prop_map(Happening::Clock),
        1 => (-100_000i32..100_000).prop_map(Happening::Clock),
        1 => Just(Happening::Restart),
        1 => Just(Happening::Restore),
        1 => Just(Happening::LaterFrame),
    ]
}

/// Takes the next uplink out of a settled terminal, without delivering it.
fn take_uplink(world: &mut World) -> Vec<u8> {
    world.push_day();
    let now = world.now_ms;
    world.terminal().wake(now);
    world.terminal().run(now).unwrap().0.remove(0)
}

/// Key and nonce of an answer: the key belongs to the uplink (its counter, its nonces), the nonce
/// is Ns and counter.
fn key_and_nonce(uplink: &[u8], answer: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let header = if uplink[1] >> 5 == 1 { 23 } else { 31 };
    // In modes 2 and 3 ticket and Nt make the key; in mode 1 the key is one for all.
    let key = if header == 31 {
        uplink[15..31].to_vec()
    } else {
        Vec::new()
    };
    (key, answer[2..14].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    // spec: NON-1, NON-7, NON-8, NON-9
    #[test]
    fn a_thousand_answers_to_one_uplink_never_repeat_a_nonce_with_other_octets(
        happenings in proptest::collection::vec(happening(), 1_000),
        mode in prop_oneof![
            Just(Mode::CcmStatic),
            Just(Mode::CcmSession),
            Just(Mode::GcmSession)
        ],
    ) {
        let mut world = World::new(mode);
        world.settle();
        let backup = world.server.backup();
        let uplink = take_uplink(&mut world);
        let later = {
            // A second uplink of the same terminal, from a copy of its memory.
            world.power_cycle(None);
            let now = world.now_ms;
            world.terminal().set_clock(now, super::world::START_UTC_S).unwrap();
            take_uplink(&mut world)
        };
        let mut seen: HashMap<(Vec<u8>, Vec<u8>), Vec<u8>> = HashMap::new();
        let mut answered = 0;
        // One process seals at most once for a counter in a second, repeats apart.
        let mut sealed: HashMap<(usize, Vec<u8>), Vec<u8>> = HashMap::new();
        let mut process = 0;
        world.set_server_time(world.utc_s());
        for happening in happenings {
            match happening {
                Happening::Clock(by) => {
                    let now = world.server.now_utc_s;
                    world.server.now_utc_s = now.saturating_add_signed(by);
                }
                Happening::Restart => {
                    process += 1;
                    world.server.restart();
                }
                Happening::Restore => {
                    process += 1;
                    world.server.restore(backup.clone());
                }
                Happening::LaterFrame => {
                    if let Some(answer) = world.server.receive(&later) {
                        let octets = seen
                            .entry(key_and_nonce(&later, &answer))
                            .or_insert_with(|| answer.clone());
                        prop_assert_eq!(&*octets, &answer);
                    }
                }
            }
            if let Some(answer) = world.server.receive(&uplink) {
                answered += 1;
                // Octets 6 to 9 are the second in which it was sealed.
                let second = (process, answer[6..10].to_vec());
                let octets = sealed.entry(second).or_insert_with(|| answer.clone());
                prop_assert_eq!(&*octets, &answer, "two seals in one second");
                let octets = seen
                    .entry(key_and_nonce(&uplink, &answer))
                    .or_insert_with(|| answer.clone());
                prop_assert_eq!(&*octets, &answer);
            }
        }
        prop_assert!(answered > 300, "{} answers", answered);
    }
}

// spec: NON-2, NON-3, NON-5
#[test]
fn a_terminal_never_sends_two_frames_under_one_counter_through_power_cuts() {
    let mut world = World::new(Mode::CcmStatic);
    world.settle();
    world.down = |i| {
        if i % 3 == 0 {
            super::world::Fate::Lose
        } else {
            super::world::Fate::Deliver
        }
    };
    for round in 0..60u64 {
        world.push_day_or_alarm(round);
        world.run_for(1_000 + round * 700);
        world.power_cycle(None);
        let (now, utc_s) = (world.now_ms, world.utc_s());
        world.terminal().set_clock(now, utc_s).unwrap();
        // What may be sent in a day is bounded, restarts included.
        world.run_for(6 * 3_600_000);
    }
    world.mend_link();
    world.settle();
    world.check_all_in();
    let mut by_counter: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for uplink in world.uplinks.iter().filter(|uplink| uplink[0] == 0x11) {
        let octets = by_counter
            .entry(uplink[11..15].to_vec())
            .or_insert_with(|| uplink.clone());
        assert_eq!(octets, uplink);
    }
    assert!(by_counter.len() > 30, "only {} counters", by_counter.len());
    assert_eq!(world.server.clones, 0);
}
