//! What happens to a terminal, and when.

use std::collections::VecDeque;

use super::{CALLS_MAX, FleetSettings};
use crate::random::{Random as _, Seeded};

/// Of the run, the part in which terminals begin, and the part before its end in which nothing new
/// begins.
const BEGIN_PART: u64 = 5;
const QUIET_PART: u64 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A day is measured and the terminal calls.
    Call,
    /// The meter reports something.
    Alarm,
    /// Power goes and comes back.
    Restart,
}

#[derive(Debug)]
pub(super) struct Script {
    /// When the terminal is mounted.
    pub(super) begin_ms: u64,
    /// What happens after that, in order.
    pub(super) events: VecDeque<(u64, Event)>,
    /// Days in the store at the beginning.
    pub(super) backlog_days: u16,
}

impl Script {
    pub(super) fn new(settings: &FleetSettings, run_ms: u64, random: &mut Seeded) -> Self {
        let begin_ms = random.up_to(run_ms / BEGIN_PART);
        let last_ms = run_ms - run_ms / QUIET_PART;
        let span = last_ms.saturating_sub(begin_ms);
        let mut events = Vec::new();
        let mut add = |event, random: &mut Seeded| {
            events.push((begin_ms + random.up_to(span), event));
        };
        for _ in 0..settings.calls.min(CALLS_MAX) {
            add(Event::Call, random);
        }
        if random.up_to(999) < u64::from(settings.alarms_per_mille) {
            add(Event::Alarm, random);
        }
        if random.up_to(999) < u64::from(settings.restarts_per_mille) {
            add(Event::Restart, random);
        }
        events.sort_by_key(|(at_ms, _)| *at_ms);
        let most = u64::from(settings.backlog_days.max(1));
        Self {
            begin_ms,
            events: events.into(),
            backlog_days: u16::try_from(1 + random.up_to(most - 1)).unwrap_or(1),
        }
    }
}
