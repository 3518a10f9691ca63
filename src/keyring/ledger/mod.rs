//! The signer's ledger of approvals: which command sequences may still be signed, and for which
//! uplink.
//!
//! The ledger is state in memory. Everything that changes it is a [`Transition`]: a rule in
//! [`Ledger::plan_approve`], [`Ledger::plan_cancel`] or [`Ledger::plan_sign`] decides, the caller
//! makes the transition durable, and [`Ledger::apply`] folds it in. A ledger is the fold of its
//! transitions, so a journal of them is enough to have it back.
//!
//! ```text
//! approve -> Approved --sign--> Signed{uplink} --end--> Ended
//!               |                   |
//!               +------cancel-------+-----------------> Cancelled
//! ```
//!
//! An entry that came out of an older copy is *held* besides: nothing is signed for it until a
//! person releases it.

mod refusals;
mod rules;
mod types;

use crate::wire::otl::registry::commands::{CommandClass, CommandKind};
use std::collections::{BTreeMap, HashMap};

pub use refusals::{ApproveRefusal, CancelRefusal, SignRefusal};
use serde::{Deserialize, Serialize};
pub use types::{Approval, CancelOutcome, SignRequest, Transition, UplinkRef};

/// How far an approval has come.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Status {
    /// Nothing was signed that binds it.
    Approved,
    /// Signed for this uplink, and not known to have ended.
    Signed(UplinkRef),
    /// Its end is known.
    Ended,
    /// Nothing is ever signed for it again.
    Cancelled {
        /// Whether it had been signed before, or may have been: then it may have been executed.
        was_signed: bool,
    },
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Entry {
    approval: Approval,
    status: Status,
    held: bool,
}

impl Entry {
    /// Whether it may be signed ahead, unbound, and so without a transition.
    // spec: CMD-3
    fn is_harmless(&self) -> bool {
        CommandKind::from_code(self.approval.kind).class() == CommandClass::Harmless
    }
}

/// The entries of one terminal.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Terminal {
    /// The highest sequence that was ever approved or reported. The next one lies above it.
    floor: u32,
    entries: BTreeMap<u32, Entry>,
}

/// The approvals of all terminals.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Ledger {
    terminals: HashMap<[u8; 8], Terminal>,
}

/// A copy of a ledger in a form that can be written down.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LedgerSnapshot {
    terminals: Vec<([u8; 8], Terminal)>,
}

impl Ledger {
    /// A ledger without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of the whole ledger, terminals in ascending order.
    #[must_use]
    pub fn snapshot(&self) -> LedgerSnapshot {
        let copies = self
            .terminals
            .iter()
            .map(|(identity, terminal)| (*identity, terminal.clone()));
        let mut terminals: Vec<_> = copies.collect();
        terminals.sort_by_key(|(identity, _)| *identity);
        LedgerSnapshot { terminals }
    }

    /// The ledger of a snapshot that is *complete*: every later transition is applied to it before
    /// anything is signed. This is how a signer starts again on its own storage.
    #[must_use]
    pub fn reopen(snapshot: LedgerSnapshot) -> Self {
        Self {
            terminals: snapshot.terminals.into_iter().collect(),
        }
    }

    /// The ledger of a snapshot that may be *older* than what was signed and cancelled since: a
    /// backup.
    ///
    /// Every entry that could be signed is held until a person releases it, so that a restored copy
    /// runs nothing twice and nothing that was cancelled. Sequences that were given after the copy
    /// was made are not known to it: they have to be named with [`Transition::FloorRaised`], from
    /// what terminals report.
    // spec: CMD-22, ROL-1, ROL-2
    #[must_use]
    pub fn restore(snapshot: LedgerSnapshot) -> Self {
        let mut ledger = Self::reopen(snapshot);
        for entry in ledger
            .terminals
            .values_mut()
            .flat_map(|terminal| terminal.entries.values_mut())
        {
            entry.held = matches!(entry.status, Status::Approved | Status::Signed(_));
        }
        ledger
    }

    /// Folds a transition in. One that does not fit what is known changes nothing.
    pub fn apply(&mut self, transition: &Transition) {
        let terminal = self.terminals.entry(transition.identity()).or_default();
        match transition {
            Transition::Approved {
                sequence, approval, ..
            } => {
                terminal.floor = terminal.floor.max(*sequence);
                terminal.entries.entry(*sequence).or_insert_with(|| Entry {
                    approval: approval.clone(),
                    status: Status::Approved,
                    held: false,
                });
            }
            Transition::Signed {
                sequence, uplink, ..
            } => terminal.change(*sequence, |entry| {
                if matches!(entry.status, Status::Approved | Status::Signed(_)) {
                    entry.status = Status::Signed(uplink.clone());
                }
            }),
            Transition::Cancelled { sequence, .. } => terminal.change(*sequence, |entry| {
                if !matches!(entry.status, Status::Ended | Status::Cancelled { .. }) {
                    let was_signed = entry.held || matches!(entry.status, Status::Signed(_));
                    entry.held = false;
                    entry.status = Status::Cancelled { was_signed };
                }
            }),
            Transition::Ended { sequence, .. } => terminal.change(*sequence, |entry| {
                if !matches!(entry.status, Status::Cancelled { .. }) {
                    entry.status = Status::Ended;
                }
            }),
            Transition::Released { sequence, .. } => {
                terminal.change(*sequence, |entry| entry.held = false)
            }
            Transition::FloorRaised { sequence, .. } => {
                terminal.floor = terminal.floor.max(*sequence);
            }
            Transition::Forgotten { sequence, .. } => {
                terminal.entries.remove(sequence);
            }
        }
    }

    /// Sequences of a terminal that are held, ascending: restored, and to be released or cancelled
    /// by a person.
    pub fn held(&self, identity: &[u8; 8]) -> impl Iterator<Item = u32> + '_ {
        let entries = self
            .terminals
            .get(identity)
            .map(|terminal| terminal.entries.iter());
        let held = entries
            .into_iter()
            .flatten()
            .filter(|(_, entry)| entry.held);
        held.map(|(sequence, _)| *sequence)
    }

    /// Transitions that forget entries which can never be signed again: ended, cancelled, or past
    /// their not_after without having been signed. Without them the ledger grows for ever; the
    /// floor that forbids the use of a sequence twice stays.
    // spec: CMD-17
    #[must_use]
    pub fn plan_forget(&self, before_utc_s: u32) -> Vec<Transition> {
        let all = self.terminals.iter().flat_map(|(identity, terminal)| {
            terminal
                .entries
                .iter()
                .map(move |(sequence, entry)| (*identity, *sequence, entry))
        });
        let dead = all.filter(|(_, _, entry)| {
            entry.approval.not_after_utc_s < before_utc_s
                && !matches!(entry.status, Status::Signed(_))
        });
        dead.map(|(identity, sequence, _)| Transition::Forgotten { identity, sequence })
            .collect()
    }
}

impl Terminal {
    fn change(&mut self, sequence: u32, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(&sequence) {
            change(entry);
        }
    }
}
