//! What a machine wants made durable, as a frame of the log.

use std::sync::atomic::Ordering;

use crate::model::step::StepTooLong;
use crate::model::{Event, Lanes, TerminalId};
use crate::session::otl::machine::{CommitOrder, StepOrder, Token};
use crate::store::log::{Append, Guard, Ticket};
use crate::store::state::fold::{KIND_EVENT, KIND_STEP};

use super::super::live::{Found, Live};
use super::super::plausibility::{KnownMeters, meter_of};
use super::super::step::{EncodedStep, Received, encode};
use super::Intake;
use super::drive::Turn;

/// An order on its way into the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) token: Token,
    pub(super) guard_version: u32,
    pub(super) urgent: bool,
}

fn event_of(terminal: TerminalId, order: &CommitOrder) -> Option<Event> {
    match order {
        CommitOrder::Step(_) => None,
        CommitOrder::CloneMark { counter } => Some(Event::CounterCloned {
            terminal,
            counter: *counter,
        }),
        CommitOrder::Promotion(promotion) => Some(Event::Promoted {
            terminal,
            version: promotion.version.map(|version| version.get()),
            mode: promotion.mode.map(|mode| mode.number()),
        }),
        CommitOrder::Call { call_counter } => Some(Event::Called {
            terminal,
            counter: *call_counter,
        }),
    }
}

impl Intake {
    /// Gives an order to the log. False if the log did not take it.
    pub(super) fn order(&self, turn: Turn, live: &Live, order: Order) -> bool {
        let found = live.found;
        let Some(what) = live.machine.commit_order(order.token) else {
            return false;
        };
        let (kind, payload, lanes) = match what {
            CommitOrder::Step(step) => match self.encode(found, step, turn.over_tcp) {
                Ok(encoded) => (KIND_STEP, encoded.payload, encoded.lanes),
                Err(StepTooLong) => return false,
            },
            other => match event_of(found.terminal, other).and_then(|event| event.encode().ok()) {
                Some(payload) => (KIND_EVENT, payload, Lanes::NONE),
                None => return false,
            },
        };
        let append = Append {
            kind,
            lanes,
            urgent: order.urgent,
            terminal: Some(found.terminal),
            payload,
            guard: Some(Guard {
                slot: found.slot.get(),
                expected: Some(order.guard_version),
            }),
            ticket: Some(Ticket {
                owner: turn.owner,
                slot: found.slot.get(),
                token: order.token.0,
                begun_us: turn.received_us,
            }),
        };
        // Counted before, since it may come back before `submit` does.
        self.pending.fetch_add(1, Ordering::AcqRel);
        let taken = self.parts.log.submit(append).is_ok();
        if !taken {
            self.pending.fetch_sub(1, Ordering::AcqRel);
        }
        taken
    }

    fn encode(
        &self,
        found: Found,
        step: &StepOrder,
        over_tcp: bool,
    ) -> Result<EncodedStep, StepTooLong> {
        let mut meters = KnownMeters::default();
        let named = step.commit.records.iter().filter_map(meter_of);
        for meter in named.map(|meter| meter.octet()) {
            if !meters.has(meter) {
                let table = &self.parts.state.table;
                let track = table.with_slot(found.slot, |entry| entry.meter(meter));
                if let Some(Some(track)) = track {
                    meters.know(track);
                }
            }
        }
        let received = Received {
            utility: found.utility,
            utc_s: self.parts.clock.utc_seconds().get(),
            over_tcp,
        };
        encode(step, &received, meters)
    }
}
