//! The keys that both sides share, and the terminal's household.

use kenshin::crypto::key::{KeyOctets, Link as LinkPurpose, Master};
use kenshin::keyring::{KeyState, LinkKeyring, Registration, UtilityId};
use kenshin::wire::otl::ident::Mode;
use simulator::crypto::SecretKey;
use simulator::keys::{self, KeyRing, Owner, Pair, Purpose};
use simulator::meter::SimMeter;
use simulator::nvm::MemoryNvm;
use simulator::random::Seeded;
use simulator::terminal::{Config, Mounted, Terminal};

pub(crate) type SimTerminal = Terminal<MemoryNvm, Seeded, SimMeter>;

pub(crate) const UTILITY: [u8; 8] = *b"gasworks";
pub(crate) const IDENTITY: [u8; 8] = [0x00, 0x07, 0, 0, 0x49, 0x96, 0x02, 0xD2];

/// Masters of three purposes, all of 32 octets, so that every mode works.
fn master(purpose: u8) -> [u8; 32] {
    core::array::from_fn(|i| purpose * 16 + 1 + i as u8)
}

/// The server's keys; the registration is kept elsewhere.
pub(crate) fn link_keys() -> LinkKeyring {
    let mut keys = LinkKeyring::new();
    let utility = UtilityId::new(UTILITY);
    keys.add_utility(utility, "test");
    let octets = KeyOctets::from_slice(&master(1)).unwrap();
    let key = Master::<LinkPurpose>::new(octets);
    keys.add_master(utility, 1, KeyState::Active, true, key)
        .unwrap();
    keys
}

pub(crate) fn registration(mode: Mode) -> Registration {
    let mut registration = Registration::new(UtilityId::new(UTILITY), mode);
    registration.allow_mode0 = mode == Mode::Clear;
    registration
}

fn owner() -> Owner {
    Owner {
        utility: keys::Utility(UTILITY),
        identity: keys::Identity(IDENTITY),
    }
}

fn sim_keys() -> KeyRing {
    let base = |purpose: Purpose| {
        let master = SecretKey::new(&master(purpose.code())).unwrap();
        Pair::of(keys::base_key(&master, &owner(), purpose, 1).unwrap())
    };
    KeyRing {
        link: base(Purpose::Link),
        command: base(Purpose::Command),
        key_encryption: base(Purpose::KeyEncryption),
    }
}

/// A terminal fresh from its maker.
pub(crate) fn new_terminal(mode: Mode, seed: u64) -> SimTerminal {
    let mode = keys::Mode::from_code(mode.number()).unwrap();
    let nvm = MemoryNvm::provisioned(sim_keys(), mode);
    boot(
        nvm,
        Seeded::new(seed),
        vec![Mounted::gas(b"12345678901", 123_456)],
        0,
    )
}

/// Power comes back.
pub(crate) fn boot(
    nvm: MemoryNvm,
    random: Seeded,
    meters: Vec<Mounted<SimMeter>>,
    now_ms: u64,
) -> SimTerminal {
    Terminal::new(Config::new(owner()), nvm, random, meters, now_ms).unwrap()
}
