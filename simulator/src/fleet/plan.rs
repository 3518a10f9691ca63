//! Who is in a fleet: the same plan gives the same terminals and keys, so that a server can
//! register them without asking.

use crate::crypto::{CryptoError, SecretKey};
use crate::keys::{Identity, KeyRing, Mode, Owner, Pair, Purpose, Utility, base_key};
use crate::random::{Random as _, Seeded};

/// The key version of all masters and base keys of a fleet.
pub const KEY_VERSION: u8 = 1;

/// The maker number in the identities of a fleet.
const MAKER: u64 = 7;
/// The first serial number.
const FIRST_SERIAL: u64 = 4_996_000_000;
/// Terminals of mode 0; each needs a socket of its own.
const CLEAR_MAX: u32 = 64;
/// Terminals that hold their connection.
const HELD_MAX: u32 = 128;

/// How a terminal calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection for each call.
    Tcp,
    /// A connection that is held, with keep-alives.
    TcpHeld,
}

/// A fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetPlan {
    /// Everything random follows from it, keys included: not fit for use outside of a test.
    pub seed: u64,
    /// Terminals.
    pub terminals: u32,
    /// Utilities among whom they are spread, 1 or more.
    pub utilities: u16,
}

/// A utility and its masters, all of version [`KEY_VERSION`] and of 32 octets.
#[derive(Debug, Clone)]
pub struct UtilityPlan {
    /// Its number.
    pub id: [u8; 8],
    /// A name for people.
    pub name: String,
    /// Master of link keys.
    pub link_master: SecretKey,
    /// Master of command keys.
    pub command_master: SecretKey,
    /// Master of key encryption keys.
    pub key_encryption_master: SecretKey,
}

/// A terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalPlan {
    /// 0 to the number of terminals less 1.
    pub index: u32,
    /// Which utility, 0 to the number of utilities less 1.
    pub utility_index: u16,
    /// The utility's number.
    pub utility: [u8; 8],
    /// Its identity.
    pub identity: [u8; 8],
    /// Its pinned mode; one of mode 0 needs the server's permission.
    pub mode: Mode,
    /// How it calls.
    pub transport: Transport,
}

impl FleetPlan {
    /// The utilities in order.
    ///
    /// # Errors
    /// None in practice: the masters have a length that keys have.
    pub fn utilities(&self) -> Result<Vec<UtilityPlan>, CryptoError> {
        (0..self.utilities.max(1))
            .map(|i| self.utility(i))
            .collect()
    }

    fn utility(&self, index: u16) -> Result<UtilityPlan, CryptoError> {
        Ok(UtilityPlan {
            id: utility_id(index),
            name: format!("Demonstration utility {}", u32::from(index) + 1),
            link_master: self.master(index, Purpose::Link)?,
            command_master: self.master(index, Purpose::Command)?,
            key_encryption_master: self.master(index, Purpose::KeyEncryption)?,
        })
    }

    fn master(&self, utility: u16, purpose: Purpose) -> Result<SecretKey, CryptoError> {
        let stream = u64::from(utility) * 4 + u64::from(purpose.code());
        let mut octets = [0; 32];
        Seeded::new(self.seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93)).fill(&mut octets);
        SecretKey::new(&octets)
    }

    /// The terminals in order.
    pub fn terminals(&self) -> impl Iterator<Item = TerminalPlan> {
        let utilities = u32::from(self.utilities.max(1));
        (0..self.terminals).map(move |index| {
            let utility_index = u16::try_from((index / 8 + index % 8) % utilities).unwrap_or(0);
            TerminalPlan {
                index,
                utility_index,
                utility: utility_id(utility_index),
                identity: (MAKER << 48 | (FIRST_SERIAL + u64::from(index))).to_be_bytes(),
                mode: mode_of(index),
                transport: transport_of(index),
            }
        })
    }

    /// The base keys of a terminal.
    ///
    /// # Errors
    /// None in practice.
    pub fn keys(&self, terminal: &TerminalPlan) -> Result<KeyRing, CryptoError> {
        let owner = terminal.owner();
        let base = |purpose: Purpose| {
            let master = self.master(terminal.utility_index, purpose)?;
            base_key(&master, &owner, purpose, KEY_VERSION).map(Pair::of)
        };
        Ok(KeyRing {
            link: base(Purpose::Link)?,
            command: base(Purpose::Command)?,
            key_encryption: base(Purpose::KeyEncryption)?,
        })
    }
}

impl TerminalPlan {
    /// Utility and identity.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner {
            utility: Utility(self.utility),
            identity: Identity(self.identity),
        }
    }
}

fn utility_id(index: u16) -> [u8; 8] {
    let [high, low] = index.to_be_bytes();
    [b'd', b'e', b'm', b'o', 0, 0, high, low]
}

/// Half of mode 1, a quarter of mode 2, an eighth each of modes 3 and 0, as long as mode 0 is few.
fn mode_of(index: u32) -> Mode {
    match index % 8 {
        3 if index / 8 < CLEAR_MAX => Mode::Clear,
        2 | 6 => Mode::CcmSession,
        3 | 7 => Mode::GcmSession,
        _ => Mode::CcmStatic,
    }
}

/// Five of eight on UDP, two with a connection for each call, one that holds it. Moves against the
/// modes, so that all pairs occur.
fn transport_of(index: u32) -> Transport {
    match (index + index / 8) % 8 {
        5 if index / 8 < HELD_MAX => Transport::TcpHeld,
        2 | 5 | 7 => Transport::Tcp,
        _ => Transport::Udp,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PLAN: FleetPlan = FleetPlan {
        seed: 1,
        terminals: 2_000,
        utilities: 3,
    };

    #[test]
    fn the_same_plan_gives_the_same_terminals_and_keys() {
        let all: Vec<_> = PLAN.terminals().collect();
        assert_eq!(all, PLAN.terminals().collect::<Vec<_>>());
        assert_eq!(PLAN.keys(&all[5]).unwrap(), PLAN.keys(&all[5]).unwrap());
        let ids: HashSet<_> = all.iter().map(|t| t.identity).collect();
        assert_eq!(ids.len(), all.len());
    }

    #[test]
    fn every_mode_meets_every_transport_and_every_utility() {
        let pairs: HashSet<_> = PLAN.terminals().map(|t| (t.mode, t.transport)).collect();
        assert_eq!(pairs.len(), 12);
        let pairs: HashSet<_> = PLAN.terminals().map(|t| (t.mode, t.utility)).collect();
        assert_eq!(pairs.len(), 12);
    }

    #[test]
    fn what_needs_a_socket_of_its_own_is_bounded() {
        let plan = FleetPlan {
            terminals: 100_000,
            ..PLAN
        };
        let clear = plan.terminals().filter(|t| t.mode == Mode::Clear);
        assert_eq!(clear.count(), 64);
        let held = plan
            .terminals()
            .filter(|t| t.transport == Transport::TcpHeld);
        assert!(held.count() <= 128);
    }

    #[test]
    fn masters_differ_by_utility_and_purpose_and_are_not_shown() {
        let utilities = PLAN.utilities().unwrap();
        let mut masters = HashSet::new();
        for utility in &utilities {
            for key in [
                &utility.link_master,
                &utility.command_master,
                &utility.key_encryption_master,
            ] {
                masters.insert(key.expose().to_vec());
            }
        }
        assert_eq!(masters.len(), 9);
        assert!(format!("{utilities:?}").contains("redacted"));
    }
}
