//! The states of link masters, and versions that are admitted again.

use std::collections::HashMap;

use crate::keyring::{KeyState, MasterVersion, UtilityId};
use crate::model::{Event, TerminalId};
use crate::store::state::table::SHARDS;

use super::apply::Registry;
use super::refusal::Refusal;
use super::reply::{Change, KeyView, Reply};

/// Registered terminals by utility and highest verified version.
type Promoted = HashMap<(UtilityId, u8), u64>;

impl Registry {
    // spec: KEY-8
    pub(super) fn set_key_state(
        &self,
        (utility, version): (UtilityId, u8),
        to: KeyState,
        confirmed: bool,
    ) -> Result<Reply, Refusal> {
        let master = self.master(utility, version)?;
        let from = master.state;
        let promoted = self.promoted();
        if from != to {
            if !from.may_become(to) {
                return Err(Refusal::Transition { version, from, to });
            }
            let shuts_out = matches!(to, KeyState::Withdrawn | KeyState::Expired);
            if shuts_out && !confirmed {
                self.check_shutting_out(utility, &master, to, &promoted)?;
            }
            self.append(&Event::KeyState {
                utility: utility.to_string(),
                version,
                state: to.id().to_owned(),
            })?;
        }
        let change = if from == to {
            Change::Unchanged
        } else {
            Change::Changed
        };
        let now = self.master(utility, version)?;
        Ok(Reply::KeyState {
            change,
            key: view(utility, &now, &promoted),
        })
    }

    /// Refuses what would shut terminals out, until somebody confirms it: those that call with the
    /// version, if it is withdrawn, and those that have called with none, if it was the last.
    fn check_shutting_out(
        &self,
        utility: UtilityId,
        master: &MasterVersion,
        to: KeyState,
        promoted: &Promoted,
    ) -> Result<(), Refusal> {
        let version = master.version;
        let terminals = promoted.get(&(utility, version)).copied().unwrap_or(0);
        let keys = self.state.keys();
        let is_other = |one: &MasterVersion| {
            one.version != version && one.state == KeyState::Active && one.escrowed
        };
        let others = keys.masters(utility).filter(is_other).count();
        let is_last = master.state == KeyState::Active && others == 0;
        if is_last || terminals > 0 && to == KeyState::Withdrawn {
            return Err(Refusal::Unconfirmed {
                version,
                terminals,
                others,
            });
        }
        Ok(())
    }

    // spec: ROT-7
    pub(super) fn readmit(&self, terminal: TerminalId, version: u8) -> Result<Reply, Refusal> {
        let entry = self.state.table.with(terminal, |entry| *entry.hot);
        let hot = entry.ok_or_else(|| self.unknown(terminal))?;
        if !hot.pinned.registered {
            return Err(Refusal::NotRegistered(terminal));
        }
        if version == 0 || version >= hot.pinned.promoted {
            let promoted = Some(hot.pinned.promoted).filter(|version| *version != 0);
            return Err(Refusal::NotRetired { promoted });
        }
        let utility = {
            let directory = self.state.directory();
            directory.utility(hot.utility).map(|one| one.id)
        };
        let utility = utility.ok_or(Refusal::UnknownTerminal(terminal))?;
        // An imported key has no master; the frame decides about it.
        if let Ok(master) = self.master(utility, version)
            && master.state == KeyState::Withdrawn
        {
            return Err(Refusal::Withdrawn(version));
        }
        let change = if hot.pinned.readmitted == version {
            Change::Unchanged
        } else {
            self.append(&Event::KeyReadmitted { terminal, version })?;
            Change::Changed
        };
        Ok(Reply::KeyReadmitted {
            change,
            terminal,
            version,
        })
    }

    pub(super) fn list_keys(&self, utility: Option<UtilityId>) -> Result<Reply, Refusal> {
        let utilities: Vec<UtilityId> = match utility {
            Some(id) => vec![self.utility(id).ok_or(Refusal::UnknownUtility(id))?.id],
            None => {
                let directory = self.state.directory();
                directory.utilities.iter().map(|one| one.id).collect()
            }
        };
        let promoted = self.promoted();
        let keys = self.state.keys();
        let of = |utility: UtilityId| keys.masters(utility).map(move |one| (utility, one));
        let all = utilities.into_iter().flat_map(of);
        Ok(Reply::Keys {
            keys: all.map(|(of, one)| view(of, &one, &promoted)).collect(),
        })
    }

    fn master(&self, utility: UtilityId, version: u8) -> Result<MasterVersion, Refusal> {
        let keys = self.state.keys();
        let found = keys.masters(utility).find(|one| one.version == version);
        found.ok_or(Refusal::UnknownKey { utility, version })
    }

    fn promoted(&self) -> Promoted {
        let utilities: Vec<UtilityId> = {
            let directory = self.state.directory();
            directory.utilities.iter().map(|one| one.id).collect()
        };
        let mut promoted = Promoted::new();
        for shard in 0..SHARDS {
            self.state.table.show_shard(shard, |hot, _, _| {
                let utility = utilities.get(usize::from(hot.utility.get()));
                if let Some(utility) = utility.filter(|_| hot.pinned.registered) {
                    let count = promoted.entry((*utility, hot.pinned.promoted)).or_default();
                    *count = count.saturating_add(1);
                }
            });
        }
        promoted
    }
}

fn view(utility: UtilityId, master: &MasterVersion, promoted: &Promoted) -> KeyView {
    KeyView {
        utility,
        version: master.version,
        state: master.state,
        bits: master.length.bits(),
        escrowed: master.escrowed,
        terminals: promoted
            .get(&(utility, master.version))
            .copied()
            .unwrap_or(0),
    }
}
