//! Utilities with their terminals: of a fleet's plan or a test's own, as key rings and servers
//! know them.

use kenshin::app::boot::Booted;
use kenshin::crypto::key::{KeyOctets, Link, Master};
use kenshin::keyring::{KeyState, LinkKeyring, UtilityId};
use kenshin::model::event::{TerminalEntry, UtilityEntry};
use kenshin::model::{Event, TerminalId};
use simulator::fleet::{FleetPlan, KEY_VERSION};

/// A utility with its terminals: identities and modes.
pub(crate) struct Registered {
    pub(crate) id: [u8; 8],
    pub(crate) name: String,
    pub(crate) link_master: Vec<u8>,
    pub(crate) terminals: Vec<([u8; 8], u8)>,
}

/// A plan's utilities and terminals.
pub(crate) fn registered(plan: &FleetPlan) -> Vec<Registered> {
    let of_plan = |id: [u8; 8]| plan.terminals().filter(move |one| one.utility == id);
    let utilities = plan.utilities().unwrap().into_iter();
    utilities
        .map(|utility| Registered {
            id: utility.id,
            name: utility.name,
            link_master: utility.link_master.expose().to_vec(),
            terminals: of_plan(utility.id)
                .map(|one| (one.identity, one.mode.code()))
                .collect(),
        })
        .collect()
}

/// The link keys of utilities, all of one version.
pub(crate) fn link_keys(utilities: &[Registered]) -> LinkKeyring {
    let mut keys = LinkKeyring::new();
    for utility in utilities {
        let id = UtilityId::new(utility.id);
        keys.add_utility(id, &utility.name);
        let octets = KeyOctets::from_slice(&utility.link_master).unwrap();
        let master = Master::<Link>::new(octets);
        keys.add_master(id, KEY_VERSION, KeyState::Active, true, master)
            .unwrap();
    }
    keys
}

/// Registers utilities in the log of a disk that no operator's command reaches.
pub(crate) fn enrol(booted: &Booted, utilities: &[Registered], allow_mode0: bool) {
    for utility in utilities {
        let id = UtilityId::new(utility.id).to_string();
        let put = Event::UtilityPut(UtilityEntry {
            id: id.clone(),
            name: utility.name.clone(),
            allow_mode0,
        });
        let entry = |(id, mode): &([u8; 8], u8)| TerminalEntry {
            id: TerminalId::new(*id),
            mode: *mode,
            customer: None,
        };
        let terminals = Event::TerminalsPut {
            utility: id,
            terminals: utility.terminals.iter().map(entry).collect(),
        };
        for event in [put, terminals] {
            booted.append(&event).unwrap();
        }
    }
}
