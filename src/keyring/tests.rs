//! The rings and the signer against their clauses.

mod link_ring;
mod signing;
mod wrapping;

use super::*;
use crate::crypto::key::{Command, KeyEncryption, KeyOctets, KeyPurpose, Link, Master};
use crate::wire::otl::ident::Mode;

const UTILITY: UtilityId = UtilityId::new([0xA1; 8]);
const OTHER_UTILITY: UtilityId = UtilityId::new([0xB2; 8]);
const IDENTITY: [u8; 8] = [0, 7, 0, 0, 0, 0, 0, 1];

fn octets(fill: u8, length: usize) -> KeyOctets {
    KeyOctets::from_slice(&vec![fill; length]).unwrap()
}

fn master<P: KeyPurpose>(fill: u8, length: usize) -> Master<P> {
    Master::new(octets(fill, length))
}

/// A link ring with versions 1 (EXPIRED), 2 (ACTIVE), 3 (NEW), 4 (WITHDRAWN), 5 (ACTIVE, not
/// escrowed) of 16 octets, a second utility with version 1 of 32 octets, and one terminal of the
/// first in mode 1.
fn link_ring() -> LinkKeyring {
    let mut ring = LinkKeyring::new();
    ring.add_utility(UTILITY, "A");
    ring.add_utility(OTHER_UTILITY, "B");
    for (version, state, escrowed) in [
        (1, KeyState::Expired, true),
        (2, KeyState::Active, true),
        (3, KeyState::New, true),
        (4, KeyState::Withdrawn, true),
        (5, KeyState::Active, false),
    ] {
        ring.add_master(UTILITY, version, state, escrowed, master(version, 16))
            .unwrap();
    }
    let long = master::<Link>(0x77, 32);
    ring.add_master(OTHER_UTILITY, 1, KeyState::Active, true, long)
        .unwrap();
    ring.register(IDENTITY, Registration::new(UTILITY, Mode::CcmStatic))
        .unwrap();
    ring
}

fn command_ring() -> CommandKeyring {
    let mut ring = CommandKeyring::new();
    ring.add_utility(UTILITY, "A");
    for (version, state) in [
        (1, KeyState::Active),
        (2, KeyState::New),
        (3, KeyState::Withdrawn),
        (4, KeyState::Expired),
    ] {
        let command = master::<Command>(0x40 | version, 16);
        ring.add_command_master(UTILITY, version, state, true, command)
            .unwrap();
        let kek = master::<KeyEncryption>(0x50 | version, 32);
        ring.add_kek_master(UTILITY, version, state, true, kek)
            .unwrap();
    }
    ring.register(IDENTITY, UTILITY).unwrap();
    ring
}

#[test]
fn rings_print_no_secret() {
    let texts = [
        format!("{:?}", link_ring()),
        format!("{:?}", command_ring()),
    ];
    for text in texts {
        assert!(text.contains("[redacted]"));
        for fill in [0x41_u8, 0x77, 2] {
            let run = format!("{fill}, {fill}, {fill}");
            assert!(!text.contains(&run), "{run} in {text}");
        }
    }
}

/// KEY-10, as far as types can show it: a link ring has masters of the link only. That it cannot
/// name the others is what this test's compiling shows.
// spec: KEY-10
#[test]
fn a_link_ring_takes_and_gives_link_keys_only() {
    fn takes_link_masters(_: impl Fn(&mut LinkKeyring, Master<Link>)) {}
    takes_link_masters(|ring, key| {
        assert!(
            ring.add_master(UTILITY, 9, KeyState::New, true, key)
                .is_ok()
        );
    });
}

#[test]
fn ids_of_key_errors_are_those_of_the_registry() {
    let registry = include_str!("../../protocol-spec/registries/close-codes.toml");
    for error in KeyError::ALL {
        assert!(
            registry.contains(&format!("id = \"{}\"", error.id())),
            "{}",
            error.id()
        );
        assert!(
            registry.contains(&format!("text_en = \"{error}\"")),
            "{error}"
        );
    }
}

#[test]
fn states_of_keys_have_one_name_and_one_code() {
    for state in [
        KeyState::New,
        KeyState::Active,
        KeyState::Expired,
        KeyState::Withdrawn,
    ] {
        assert_eq!(KeyState::from_id(state.id()), Some(state));
        assert_eq!(KeyState::from_code(state.code()), Some(state));
    }
    assert_eq!(
        (KeyState::from_code(0), KeyState::from_code(5)),
        (None, None)
    );
    assert_eq!(KeyState::from_id("active"), None);
    assert_eq!(UTILITY.to_string(), "a1a1a1a1a1a1a1a1");
}

#[test]
fn the_source_of_the_operating_system_gives_octets() {
    let (mut one, mut other) = ([0; 32], [0; 32]);
    OsRandom.fill(&mut one).unwrap();
    OsRandom.fill(&mut other).unwrap();
    assert_ne!(one, other);
}
