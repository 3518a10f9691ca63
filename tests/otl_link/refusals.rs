//! Bad input: each has its own local error, and all look alike on the air before authentication.

use kenshin::session::otl::refusal::{FaultGroup, OnAir, Reason, Refusal};
use kenshin::session::otl::window::Kept;
use kenshin::wire::otl::ident::Mode;

use super::world::{IDENTITY, Server, World};

/// A valid uplink of a settled terminal, and the server that would take it.
fn routine(mode: Mode) -> (World, Vec<u8>) {
    let mut world = World::new(mode);
    if mode == Mode::Clear {
        let now = world.now_ms;
        world
            .terminal()
            .set_clock(now, super::world::START_UTC_S)
            .unwrap();
    }
    world.run_for(86_400_000);
    world.push_day();
    let now = world.now_ms;
    world.terminal().wake(now);
    let uplink = world.terminal().run(now).unwrap().0.remove(0);
    world.set_server_time(world.utc_s());
    (world, uplink)
}

/// Gives a frame to a server and returns why it was refused. Nothing was answered, and nothing that
/// is kept has changed.
fn refused(server: &mut Server, frame: &[u8]) -> Refusal {
    let kept = |server: &Server| {
        let durable = &server.durable;
        (
            durable.link,
            durable.records.len(),
            durable.registration.clone(),
        )
    };
    let before = kept(server);
    assert_eq!(server.receive(frame), None, "nothing goes on the air");
    assert_eq!(before, kept(server), "nothing changes");
    let refusal = server
        .last
        .take()
        .expect("a verdict")
        .expect_err("a refusal");
    assert!(!refusal.verified);
    assert_eq!(
        refusal.reason.on_air(),
        OnAir::Generic,
        "{}",
        refusal.reason.id()
    );
    refusal
}

fn is(server: &mut Server, frame: &[u8], reason: Reason, offset: usize) {
    let refusal = refused(server, frame);
    assert_eq!(
        (refusal.reason, refusal.offset),
        (reason, offset),
        "{}",
        refusal.reason.id()
    );
}

// spec: ERR-1, ERR-2, SES-9, SES-10, EXT-5
#[test]
fn every_bad_input_has_its_own_error_and_none_is_heard_on_the_air() {
    let (mut world, uplink) = routine(Mode::CcmStatic);
    let server = &mut world.server;
    let changed = |at: usize, value: u8| {
        let mut frame = uplink.clone();
        frame[at] = value;
        frame
    };
    is(server, &[], Reason::Truncated, 0);
    is(server, &vec![0x11; 1_201], Reason::Oversize, 1_200);
    is(server, &changed(0, 0x21), Reason::UnsupportedVersion, 0);
    is(server, &changed(0, 0x13), Reason::UnknownFrameType, 0);
    is(server, &changed(0, 0x19), Reason::WrongDirection, 0);
    is(server, &changed(1, 0x88), Reason::UnknownMode, 1);
    is(server, &changed(1, uplink[1] | 1), Reason::ReservedBits, 1);
    is(
        server,
        &changed(1, uplink[1] | 4),
        Reason::IdentityFormUnsupported,
        1,
    );
    is(server, &changed(1, 0x48), Reason::ModeMismatch, 1);
    is(server, &changed(1, 0x68), Reason::ModeMismatch, 1);
    is(server, &changed(2, 0), Reason::BadValue, 2);
    is(server, &changed(2, 9), Reason::UnknownKeyVersion, 2);
    is(
        server,
        &changed(10, uplink[10] ^ 1),
        Reason::UnknownTerminal,
        3,
    );
    is(
        server,
        &changed(60, uplink[60] ^ 1),
        Reason::TagMismatch,
        120,
    );
    is(server, &uplink[..30], Reason::Truncated, 30);
    let mut resync = vec![0x12, 0x28, 1];
    resync.extend_from_slice(&IDENTITY);
    resync.resize(65, 0);
    is(server, &resync, Reason::TrailingBytes, 64);
    resync[1] = 0x08;
    is(server, &resync, Reason::ModeForbidsFrame, 1);
}

// spec: SEC-1, SEC-2, SEC-3
#[test]
fn a_pinned_mode_is_exact_for_higher_and_lower_ones() {
    for pinned in Mode::ALL {
        let (mut world, uplink) = routine(pinned);
        for other in Mode::ALL.into_iter().filter(|mode| *mode != pinned) {
            let mut frame = uplink.clone();
            frame[1] = (frame[1] & 0x1F) | other.number() << 5;
            frame[2] = u8::from(other != Mode::Clear);
            is(&mut world.server, &frame, Reason::ModeMismatch, 1);
        }
        assert!(world.server.receive(&uplink).is_some());
    }
    let (mut world, uplink) = routine(Mode::Clear);
    let mut registration = world.server.durable.registration.clone();
    registration.allow_mode0 = false;
    world.server.keys = super::world::link_keys(registration.clone());
    world.server.durable.registration = registration;
    is(&mut world.server, &uplink, Reason::Mode0Forbidden, 1);
}

// spec: KEY-8, KEY-5, ROT-7
#[test]
fn withdrawn_retired_and_short_keys_are_told_apart() {
    use kenshin::crypto::key::{KeyOctets, Master};
    use kenshin::keyring::{KeyState, LinkKeyring, UtilityId};
    let utility = UtilityId::new(super::world::UTILITY);
    let ring = |octets: usize, state: KeyState, mode: Mode| {
        let mut keys = LinkKeyring::new();
        keys.add_utility(utility, "test");
        let key = Master::new(KeyOctets::from_slice(&vec![7; octets]).unwrap());
        keys.add_master(utility, 1, state, true, key).unwrap();
        let registration = kenshin::keyring::Registration::new(utility, mode);
        keys.register(IDENTITY, registration).unwrap();
        keys
    };
    let (mut world, uplink) = routine(Mode::GcmSession);
    world.server.keys = ring(32, KeyState::Withdrawn, Mode::GcmSession);
    let reason = refused_with_other_keys(&mut world.server, &uplink);
    assert_eq!(reason, Reason::KeyWithdrawn);
    world.server.keys = ring(16, KeyState::Active, Mode::GcmSession);
    assert_eq!(
        refused_with_other_keys(&mut world.server, &uplink),
        Reason::KeyTooShort
    );
    world.server.keys = ring(32, KeyState::Active, Mode::GcmSession);
    assert_eq!(
        refused_with_other_keys(&mut world.server, &uplink),
        Reason::TagMismatch
    );
    world.server.keys.promote(&IDENTITY, 2).unwrap();
    assert_eq!(
        refused_with_other_keys(&mut world.server, &uplink),
        Reason::KeyRetired
    );
}

fn refused_with_other_keys(server: &mut Server, frame: &[u8]) -> Reason {
    assert_eq!(server.receive(frame), None);
    server.last.take().unwrap().unwrap_err().reason
}

// spec: REP-2, REP-5
#[test]
fn a_stale_counter_is_told_apart_from_a_repeat() {
    let (mut world, uplink) = routine(Mode::CcmStatic);
    assert!(world.server.receive(&uplink).is_some());
    world.server.now_utc_s += 2;
    assert!(
        world.server.receive(&uplink).is_some(),
        "a repeat is answered"
    );
    assert_eq!(world.server.clones, 0);
    let mut window = world.server.durable.link.window;
    let counter = u32::from_be_bytes(uplink[11..15].try_into().unwrap());
    window.note(counter + 100, [1; 4], Kept::Safe);
    world.server.durable.link.window = window;
    world.server.restart();
    world.server.now_utc_s += 2;
    let answer = world.server.receive(&uplink).expect("told the floor");
    // Header 14, flags and map 3, FLOOR item 6, tag 8.
    assert_eq!(answer.len(), 14 + 3 + 6 + 8);
}

// spec: ERR-1
#[test]
fn every_reason_of_the_registry_has_a_label_and_texts_in_two_languages() {
    let mut labels: Vec<&str> = Reason::ALL.iter().map(|reason| reason.id()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        let (en, ja) = reason.texts();
        assert!(
            !en.is_empty() && !ja.is_empty() && !ja.is_ascii(),
            "{}",
            reason.id()
        );
        if reason.group() == FaultGroup::Authentication {
            assert_eq!(reason.on_air(), OnAir::Generic);
        }
    }
}
