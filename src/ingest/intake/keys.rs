//! Whose frame it is: registrations of the hot table, keys of the ring.

use std::cell::Cell;

use crate::keyring::{KeyError, OpeningKey};
use crate::model::TerminalId;
use crate::session::otl::open::OpeningKeys;
use crate::store::state::State;
use crate::wire::otl::ident::Mode;

use super::super::live::Found;
use super::Parts;

/// How to open a frame: its terminal's registration from the hot table, its key from the ring.
pub(super) struct Keys<'a> {
    state: &'a State,
    allow_mode0: bool,
    pub(super) found: Cell<Option<Found>>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(parts: &'a Parts) -> Self {
        Self {
            state: &parts.state,
            allow_mode0: parts.allow_mode0,
            found: Cell::new(None),
        }
    }
}

impl OpeningKeys for Keys<'_> {
    fn opening_key(
        &self,
        identity: &[u8; 8],
        mode: Mode,
        key_version: u8,
    ) -> Result<OpeningKey, KeyError> {
        let terminal = TerminalId::new(*identity);
        let entry = self
            .state
            .table
            .with(terminal, |entry| (entry.slot, *entry.hot));
        let Some((slot, hot)) = entry.filter(|(_, hot)| hot.pinned.registered) else {
            return Err(KeyError::UnknownTerminal);
        };
        let (utility, allow_mode0, commands_stopped) = {
            let directory = self.state.directory();
            let utility = directory.utility(hot.utility);
            let utility = utility.ok_or(KeyError::UnknownTerminal)?;
            (utility.id, utility.allow_mode0, utility.commands_stopped)
        };
        self.found.set(Some(Found {
            slot,
            terminal,
            utility,
            commands_stopped,
        }));
        // spec: SEC-3
        let registration = hot.registration(utility, allow_mode0 && self.allow_mode0);
        let keys = self.state.keys();
        keys.opening_key_for(&registration, identity, mode, key_version)
    }
}

/// The key version in a header, for counting failures; 0 if it has none.
pub(super) fn key_version_of(frame: &[u8]) -> u8 {
    use crate::wire::otl::header::{Direction, Header};
    match Header::parse(frame, Direction::FromTerminal) {
        Ok(Header::Uplink(header)) => header.key_version().map_or(0, |version| version.get()),
        Ok(Header::Resync(header)) => header.key_version().get(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::{LinkKeyring, UtilityId};
    use crate::model::event::{TerminalEntry, UtilityEntry};
    use crate::model::{Event, Lsn};
    use crate::store::state::fold::{FoldFrame, KIND_EVENT};

    fn fold(state: &State, lsn: u64, event: &Event) {
        let payload = event.encode().unwrap();
        let frame = FoldFrame {
            lsn: Lsn::new(lsn),
            kind: KIND_EVENT,
            terminal: event.terminal(),
            payload: &payload,
            raises_version: false,
        };
        state.fold(&frame).unwrap();
    }

    // spec: SEC-3
    #[test]
    fn a_terminal_in_mode_0_is_served_only_if_its_utility_and_the_server_allow_it() {
        let id = [0, 7, 0, 0, 0, 0, 0, 1];
        let utility = UtilityId::new(*b"gasworks");
        for (by_utility, by_server) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let state = State::new(LinkKeyring::new());
            let put = UtilityEntry {
                id: utility.to_string(),
                name: "gas".to_owned(),
                allow_mode0: by_utility,
            };
            fold(&state, 1, &Event::UtilityPut(put));
            let terminal = TerminalEntry {
                id: TerminalId::new(id),
                mode: 0,
                customer: None,
            };
            let put = Event::TerminalsPut {
                utility: utility.to_string(),
                terminals: vec![terminal],
            };
            fold(&state, 2, &put);
            let keys = Keys {
                state: &state,
                allow_mode0: by_server,
                found: Cell::new(None),
            };
            let opening = keys.opening_key(&id, Mode::Clear, 0);
            if by_utility && by_server {
                assert_eq!(opening.unwrap().mode, Mode::Clear);
            } else {
                assert_eq!(opening.unwrap_err(), KeyError::Mode0Forbidden);
            }
        }
    }
}
