//! Utilities: added, changed, shown, released.

use std::collections::HashMap;

use crate::keyring::UtilityId;
use crate::model::Event;
use crate::model::event::UtilityEntry;
use crate::store::state::directory::Utility;
use crate::store::state::table::SHARDS;

use super::apply::Registry;
use super::refusal::Refusal;
use super::reply::{Change, Reply, UtilityView};

/// Characters of a utility's name at most.
const NAME_MAX: usize = 128;

impl Registry {
    pub(super) fn put_utility(
        &self,
        id: UtilityId,
        name: Option<String>,
        allow_mode0: Option<bool>,
    ) -> Result<Reply, Refusal> {
        let known = self.utility(id);
        let name = name.or_else(|| known.as_ref().map(|known| known.name.clone()));
        let name = name.ok_or(Refusal::NoName(id))?;
        let len = name.chars().count();
        if !(1..=NAME_MAX).contains(&len) || name.chars().any(char::is_control) {
            return Err(Refusal::Name);
        }
        let was_allowed = known.as_ref().is_some_and(|known| known.allow_mode0);
        let allow_mode0 = allow_mode0.unwrap_or(was_allowed);
        let change = match &known {
            None => Change::Added,
            Some(known) if known.name == name && was_allowed == allow_mode0 => Change::Unchanged,
            Some(_) => Change::Changed,
        };
        if change != Change::Unchanged {
            self.append(&Event::UtilityPut(UtilityEntry {
                id: id.to_string(),
                name,
                allow_mode0,
            }))?;
        }
        let utility = self.view_of_utility(id)?;
        Ok(Reply::UtilityPut { change, utility })
    }

    // spec: ROL-1
    pub(super) fn release_commands(&self, id: UtilityId) -> Result<Reply, Refusal> {
        let known = self.utility(id).ok_or(Refusal::UnknownUtility(id))?;
        let change = if known.commands_stopped {
            self.append(&Event::CommandsReleased {
                utility: id.to_string(),
            })?;
            Change::Changed
        } else {
            Change::Unchanged
        };
        let utility = self.view_of_utility(id)?;
        Ok(Reply::UtilityPut { change, utility })
    }

    pub(super) fn show_utility(&self, id: UtilityId) -> Result<Reply, Refusal> {
        let utility = self.view_of_utility(id)?;
        Ok(Reply::Utility { utility })
    }

    pub(super) fn list_utilities(&self) -> Reply {
        let counts = self.terminals_by_utility();
        let directory = self.state.directory();
        let utilities = directory.utilities.iter();
        Reply::Utilities {
            utilities: utilities.map(|one| view(one, &counts)).collect(),
        }
    }

    fn view_of_utility(&self, id: UtilityId) -> Result<UtilityView, Refusal> {
        let utility = self.utility(id).ok_or(Refusal::UnknownUtility(id))?;
        Ok(view(&utility, &self.terminals_by_utility()))
    }

    pub(super) fn utility(&self, id: UtilityId) -> Option<Utility> {
        let directory = self.state.directory();
        let index = directory.index_of(id)?;
        directory.utility(index).cloned()
    }

    /// Registered terminals of each utility.
    fn terminals_by_utility(&self) -> HashMap<UtilityId, u64> {
        let mut by_index: HashMap<u16, u64> = HashMap::new();
        for shard in 0..SHARDS {
            self.state.table.show_shard(shard, |hot, _, _| {
                if hot.pinned.registered {
                    let count = by_index.entry(hot.utility.get()).or_default();
                    *count = count.saturating_add(1);
                }
            });
        }
        let directory = self.state.directory();
        let utilities = directory.utilities.iter().enumerate();
        utilities
            .map(|(index, utility)| {
                let index = u16::try_from(index).unwrap_or(u16::MAX);
                let count = by_index.get(&index).copied().unwrap_or(0);
                (utility.id, count)
            })
            .collect()
    }
}

fn view(utility: &Utility, counts: &HashMap<UtilityId, u64>) -> UtilityView {
    let id = utility.id;
    UtilityView {
        utility: id,
        name: utility.name.clone(),
        allow_mode0: utility.allow_mode0,
        commands_stopped: utility.commands_stopped,
        terminals: counts.get(&id).copied().unwrap_or(0),
    }
}
