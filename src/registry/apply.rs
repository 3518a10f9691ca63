//! The registry at work.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::event::EventError;
use crate::model::{Event, Lsn};
use crate::store::log::{Append, AppendError, CommitLog, Underway};
use crate::store::state::State;

use super::command::Command;
use super::refusal::Refusal;
use super::reply::Reply;

/// What the configuration says of registrations.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// Whether terminals may be in mode 0, if their utility allows it too.
    // spec: SEC-3
    pub allow_mode0: bool,
}

/// The registry of one log.
#[derive(Debug)]
pub struct Registry {
    pub(super) state: Arc<State>,
    log: Arc<CommitLog>,
    pub(super) policy: Policy,
    /// Held from the check of a command to the end of its appends. All events of the registry pass
    /// here, and one process has the log, so no other operator can come in between. Sessions can,
    /// and may: what they change of a terminal (promotions, which only rise, and counters) makes
    /// no check of the registry wrong. The log's `commit_if` would make the commits of sessions
    /// fail instead, and knows no utilities and keys.
    applying: Mutex<()>,
}

impl Registry {
    /// The registry of a log that is folded into `state`.
    #[must_use]
    pub const fn new(state: Arc<State>, log: Arc<CommitLog>, policy: Policy) -> Self {
        Self {
            state,
            log,
            policy,
            applying: Mutex::new(()),
        }
    }

    /// Does what is asked. Blocks until what changed is durable and folded.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn apply(&self, command: Command) -> Result<Reply, Refusal> {
        let _one_at_a_time = (!command.only_reads()).then(|| self.applying.lock());
        match command {
            Command::UtilityPut {
                utility,
                name,
                allow_mode0,
            } => self.put_utility(utility, name, allow_mode0),
            Command::UtilityList => Ok(self.list_utilities()),
            Command::UtilityShow { utility } => self.show_utility(utility),
            Command::UtilityReleaseCommands { utility } => self.release_commands(utility),
            Command::TerminalAdd { row, move_utility } => self.add_terminal(&row, move_utility),
            Command::TerminalSet {
                terminal,
                utility,
                mode,
                customer,
                move_utility,
            } => {
                let wanted = super::terminals::Wanted {
                    terminal,
                    utility,
                    mode,
                    customer: customer.as_deref(),
                };
                self.set_terminal(wanted, move_utility)
            }
            Command::TerminalRemove { terminal } => self.remove_terminal(terminal),
            Command::TerminalShow { terminal } => self.show_terminal(terminal),
            Command::TerminalList {
                utility,
                after,
                limit,
            } => self.list_terminals(utility, after, limit),
            Command::TerminalImport {
                rows,
                dry_run,
                move_utility,
            } => self.import(&rows, dry_run, move_utility),
            Command::KeyState {
                utility,
                version,
                state,
                confirmed,
            } => self.set_key_state((utility, version), state, confirmed),
            Command::KeyReadmit { terminal, version } => self.readmit(terminal, version),
            Command::GatewayPut(change) => self.put_gateway(change),
            Command::GatewayRemove { gateway } => self.remove_gateway(&gateway),
            Command::GatewayShow { gateway } => self.show_gateway(&gateway),
            Command::GatewayList {
                utility,
                after,
                limit,
            } => self.list_gateways(utility, after.as_deref(), limit),
            Command::KeyList { utility } => self.list_keys(utility),
        }
    }

    /// Makes an event durable and folded.
    pub(super) fn append(&self, event: &Event) -> Result<Lsn, Refusal> {
        let append = append_of(event)?;
        let appended = self.log.append_and_wait(append);
        appended.map_err(Refusal::Append)
    }

    /// Queues an event that [`append_of`] made, to be waited for.
    pub(super) fn append_later(&self, append: Append) -> Result<Underway, AppendError> {
        Ok(self.log.append_later(append)?)
    }
}

/// The frame of an event. Alarms go before the work of operators, and have the last room on the
/// disk.
pub(super) fn append_of(event: &Event) -> Result<Append, EventError> {
    Ok(Append::event(event.terminal(), event.encode()?, false))
}
