//! What there is little of: utilities, sinks, the mark of server nonces, the states of keys.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::keyring::UtilityId;
use crate::model::{Fingerprint, Lsn};
use crate::session::otl::ns_mark::NsMark;

use super::counters::MeterCounters;
use super::gateways::{Gateway, Gateways};

/// A utility by its place in the directory, which never changes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct UtilityIndex(u16);

impl UtilityIndex {
    /// The index of a place.
    #[must_use]
    pub const fn new(place: u16) -> Self {
        Self(place)
    }

    /// The place.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A utility.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Utility {
    /// Which.
    pub id: UtilityId,
    /// Its name, for people.
    pub name: String,
    /// Whether its terminals may be in mode 0.
    // spec: SEC-3
    pub allow_mode0: bool,
    /// Whether its guarded commands are stopped after a sign of rollback.
    // spec: ROL-1
    pub commands_stopped: bool,
}

/// How far a sink has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SinkCursors {
    /// Where its alarm lane goes on.
    pub alarm: Lsn,
    /// Where its bulk lane goes on.
    pub bulk: Lsn,
}

impl SinkCursors {
    /// The lower of both: what the log has to keep for the sink.
    #[must_use]
    pub fn lowest(&self) -> Lsn {
        self.alarm.min(self.bulk)
    }
}

/// The directory.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Directory {
    /// The position of the last frame that changed it.
    pub applied: Lsn,
    /// The utilities, by their index.
    pub utilities: Vec<Utility>,
    /// The sinks and consumers by name.
    pub sinks: BTreeMap<String, SinkCursors>,
    /// States of link masters that differ from the key file: utility, version, state.
    pub key_states: Vec<(String, u8, String)>,
    /// The mark of server nonces: the last second, and the gaps before it.
    // spec: FRS-4
    pub nonce_mark: (u32, Vec<(u32, u32)>),
    /// The gateways; none in snapshots before version 3.
    #[serde(default)]
    pub gateways: Gateways,
    /// Counters of downlinks that were set aside; none in snapshots before version 3.
    #[serde(default)]
    pub meter_counters: MeterCounters,
}

/// More utilities than an index has places.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("65,535 utilities are registered, and there is no place for another")]
pub struct DirectoryFull;

impl Directory {
    /// The utility of an index.
    #[must_use]
    pub fn utility(&self, index: UtilityIndex) -> Option<&Utility> {
        self.utilities.get(usize::from(index.0))
    }

    /// The index of a utility.
    #[must_use]
    pub fn index_of(&self, id: UtilityId) -> Option<UtilityIndex> {
        let place = self.utilities.iter().position(|utility| utility.id == id)?;
        u16::try_from(place).ok().map(UtilityIndex)
    }

    /// Adds a utility, or gives one another name and policy.
    ///
    /// # Errors
    ///
    /// [`DirectoryFull`].
    pub fn put_utility(
        &mut self,
        id: UtilityId,
        name: &str,
        allow_mode0: bool,
    ) -> Result<(), DirectoryFull> {
        if let Some(known) = self.utilities.iter_mut().find(|utility| utility.id == id) {
            name.clone_into(&mut known.name);
            known.allow_mode0 = allow_mode0;
            return Ok(());
        }
        if self.utilities.len() >= usize::from(u16::MAX) {
            return Err(DirectoryFull);
        }
        self.utilities.push(Utility {
            id,
            name: name.to_owned(),
            allow_mode0,
            commands_stopped: false,
        });
        Ok(())
    }

    /// The gateway of a token, as a line has it: white space around it is left out. The token is
    /// compared by its digest, in constant time.
    #[must_use]
    pub fn gateway_by_token(&self, token: &[u8]) -> Option<Arc<Gateway>> {
        self.gateways.by_token(token).cloned()
    }

    /// The gateway that sends from an address. No two gateways share one.
    #[must_use]
    pub fn gateway_by_address(&self, address: IpAddr) -> Option<Arc<Gateway>> {
        self.gateways.by_address(address).cloned()
    }

    /// The gateway of the SHA-256 digest of a certificate in DER.
    #[must_use]
    pub fn gateway_by_certificate(&self, sha256: [u8; 32]) -> Option<Arc<Gateway>> {
        let digest = Fingerprint::new(sha256);
        self.gateways.by_certificate(digest).cloned()
    }

    /// Notes the state of a link master.
    pub fn put_key_state(&mut self, utility: &str, version: u8, state: &str) {
        self.key_states
            .retain(|(of, known, _)| of != utility || *known != version);
        self.key_states
            .push((utility.to_owned(), version, state.to_owned()));
    }

    /// The mark of server nonces.
    // spec: FRS-4
    #[must_use]
    pub fn mark(&self) -> NsMark {
        let (mark, gaps) = &self.nonce_mark;
        NsMark::from_parts(*mark, gaps)
    }
}
