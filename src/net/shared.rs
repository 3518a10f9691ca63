//! What all loops of the listeners hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::time::Clock;

use super::admission::{Admission, Pass};
use super::budget::Budget;
use super::contract::{FrameHandler, Outgoing, PathId, Verdict};
use super::counters::NetCounters;
use super::outbound::Outbound;

/// How far the listeners are.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    /// Frames are read.
    Serving,
    /// No frame is read any more; what was begun is answered.
    Draining,
    /// Every loop ends.
    Stopped,
}

/// What may fail on each port.
struct Budgets {
    /// The owner of the alarm port; TCP's has the number after it.
    alarm_owner: u16,
    reading: Budget,
    alarm: Budget,
    stream: Budget,
}

impl Budgets {
    fn of(&self, owner: u16) -> &Budget {
        match owner.cmp(&self.alarm_owner) {
            std::cmp::Ordering::Less => &self.reading,
            std::cmp::Ordering::Equal => &self.alarm,
            std::cmp::Ordering::Greater => &self.stream,
        }
    }
}

pub(super) struct Shared {
    pub(super) handler: Arc<dyn FrameHandler>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) admission: Admission,
    pub(super) counters: Arc<NetCounters>,
    pub(super) outbound: Arc<Outbound>,
    budgets: Budgets,
    stage: AtomicU8,
    /// Rounds that each owner has ended, so that a stop can tell that a round began after it.
    /// None for an owner without a loop, whose port is off.
    rounds: Vec<Option<AtomicU64>>,
}

impl Shared {
    pub(super) fn new(
        handler: Arc<dyn FrameHandler>,
        clock: Arc<dyn Clock>,
        admission: Admission,
        counters: Arc<NetCounters>,
        outbound: Arc<Outbound>,
        alarm_owner: u16,
        has_loop: impl Iterator<Item = bool>,
    ) -> Self {
        let per_s = admission.limits().failures_per_s_port;
        Self {
            budgets: Budgets {
                alarm_owner,
                reading: Budget::new(per_s),
                alarm: Budget::new(per_s),
                stream: Budget::new(per_s),
            },
            handler,
            clock,
            admission,
            counters,
            outbound,
            stage: AtomicU8::new(0),
            rounds: has_loop.map(|has| has.then(AtomicU64::default)).collect(),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Stopped,
        }
    }

    /// Moves on; never back.
    pub(super) fn enter(&self, stage: Stage) {
        let number = match stage {
            Stage::Serving => 0,
            Stage::Draining => 1,
            Stage::Stopped => 2,
        };
        self.stage.fetch_max(number, Ordering::AcqRel);
    }

    pub(super) fn end_round(&self, owner: u16) {
        if let Some(Some(rounds)) = self.rounds.get(usize::from(owner)) {
            rounds.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The rounds of the owners that have a loop.
    pub(super) fn rounds(&self) -> Vec<u64> {
        let rounds = self.rounds.iter().flatten();
        rounds.map(|round| round.load(Ordering::Acquire)).collect()
    }

    /// Takes one frame of 1 to 1,200 octets: first the limit of its address, then the budget of its
    /// port, then its tag.
    // spec: SES-9
    pub(super) fn take(
        &self,
        origin: Origin,
        frame: &[u8],
        now_ms: u64,
        out: &mut Vec<Outgoing>,
    ) -> Option<Verdict> {
        let pass = self.admission.admit(origin.peer, now_ms);
        if pass == Pass::Refused {
            self.counters.admission_refused.add(1);
            return None;
        }
        let budget = self.budgets.of(origin.owner);
        if !budget.has_room(pass == Pass::Trial, now_ms) {
            self.counters.budget_refused.add(1);
            return None;
        }
        let verdict = self.handler.receive(origin.owner, origin.path, frame, out);
        self.admission.settle(origin.peer, pass, verdict, now_ms);
        match verdict {
            Verdict::FailedAuthentication => {
                budget.charge(now_ms);
                self.counters.failed_authentication.add(1);
            }
            Verdict::Malformed => self.counters.malformed.add(1),
            Verdict::Verified => self.counters.verified.add(origin.owner, 1),
            Verdict::Shed => self.counters.shed.add(1),
        }
        Some(verdict)
    }

    /// Counts a length that no frame has against its address.
    pub(super) fn refuse_length(&self, peer: std::net::SocketAddr, now_ms: u64) {
        self.counters.length_refused.add(1);
        let verdict = Verdict::Malformed;
        self.admission.settle(peer, Pass::Open, verdict, now_ms);
    }

    /// Counts a connection that ended without a verified frame against its address.
    pub(super) fn blame_unverified(&self, peer: std::net::SocketAddr, now_ms: u64) {
        self.counters.ended_unverified.add(1);
        let verdict = Verdict::FailedAuthentication;
        self.admission.settle(peer, Pass::Open, verdict, now_ms);
    }
}

/// Where a frame comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) owner: u16,
    pub(super) path: PathId,
    pub(super) peer: std::net::SocketAddr,
}
