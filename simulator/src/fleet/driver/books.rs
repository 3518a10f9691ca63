//! The ledger of one terminal, kept in step with its machine.

use std::sync::Arc;

use super::Machine;
use crate::codec::record::Record;
use crate::custody::{Content, RecordId, TerminalLedger};
use crate::fleet::counters::Counters;
use crate::fleet::plan::TerminalPlan;
use crate::store::{Store, Stored};
use crate::terminal::{Config, Event};

pub(super) struct Books {
    ledger: TerminalLedger,
    counters: Arc<Counters>,
    /// The store epoch that the ledger knows, 0 before the first.
    epoch: u32,
    /// The first sequence that the ledger does not know.
    next_sequence: u32,
    /// Records of this machine's list that were entered as told safe.
    told: usize,
    not_before_ms: u64,
}

fn content(stored: &Stored) -> Content {
    Content {
        number: stored.record.number(),
        body: Arc::clone(&stored.body),
        record: Some(Arc::clone(&stored.record)),
    }
}

impl Books {
    pub(super) fn new(plan: &TerminalPlan, counters: Arc<Counters>) -> Self {
        Self {
            ledger: TerminalLedger::new(
                plan.utility,
                plan.identity,
                Config::new(plan.owner()).zone_quarter_hours,
            ),
            counters,
            epoch: 0,
            next_sequence: 1,
            told: 0,
            not_before_ms: 0,
        }
    }

    pub(super) fn into_ledger(self) -> TerminalLedger {
        self.ledger
    }

    /// Before this time the server does not want to be called.
    pub(super) fn not_before_ms(&self) -> u64 {
        self.not_before_ms
    }

    /// Another machine. If its store has an epoch that nobody asked for, the store was lost.
    pub(super) fn powered_on(&mut self, store: &Store) {
        self.told = 0;
        if store.epoch() != self.epoch {
            self.epoch = store.epoch();
            self.next_sequence = 1;
        }
        self.created(store);
    }

    /// Enters records that are new in the store.
    pub(super) fn created(&mut self, store: &Store) {
        for stored in store.records_from(self.next_sequence) {
            let id = RecordId {
                epoch: store.epoch(),
                sequence: stored.sequence,
            };
            self.ledger.created(id, content(stored));
        }
        self.next_sequence = store.next_sequence();
    }

    /// Enters what the machine did: answers first, since they speak of the epoch before.
    pub(super) fn settle(&mut self, events: &[Event], machine: &Machine) {
        for told in machine.told_safe().get(self.told..).unwrap_or_default() {
            let (epoch, sequence) = (told.epoch, told.sequence);
            self.ledger.told_safe(RecordId { epoch, sequence });
            let is_alarm = matches!(told.record.as_ref(), Record::AlarmNotice(_));
            self.counters.acked(is_alarm);
        }
        self.told = machine.told_safe().len();
        for event in events {
            match event {
                Event::NewEpoch(_) => self.renewed(machine.store()),
                Event::ComeBack { at_ms } => {
                    self.not_before_ms = *at_ms;
                    self.counters.told_to_come_back();
                }
                _ => {}
            }
        }
        self.created(machine.store());
    }

    /// The waiting records were carried over into a new epoch.
    fn renewed(&mut self, store: &Store) {
        for stored in store.records() {
            let id = RecordId {
                epoch: store.epoch(),
                sequence: stored.sequence,
            };
            self.ledger.renewed(self.epoch, id, content(stored));
        }
        self.epoch = store.epoch();
    }
}
