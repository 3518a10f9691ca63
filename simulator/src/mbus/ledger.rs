//! What meters sent, and what gateways were told of it.

use super::line::Told;
use super::meter::Made;
use super::plan::{MbusPlan, MeterPlan};
use super::reading::Reading;
use super::telegram::Mode;

/// A gateway that heard a telegram, by its place in the plan, and what it tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hearing {
    pub(super) gateway: usize,
    pub(super) told: Told,
}

/// One telegram.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) meter: usize,
    pub(super) reading: Reading,
    pub(super) access_number: u8,
    pub(super) status: u8,
    pub(super) counter: Option<u32>,
    /// When it was made and when a gateway was first told OK, in happenings of all.
    pub(super) made: u64,
    pub(super) safe: Option<u64>,
    pub(super) heard: Vec<Hearing>,
}

/// Telegrams of one mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModeCount {
    /// Meters.
    pub meters: u64,
    /// Telegrams that they sent.
    pub telegrams_sent: u64,
    /// Those of them that a gateway was told OK for.
    pub records_acked: u64,
}

/// The truth about all meters.
#[derive(Debug, Clone)]
pub struct MbusLedger {
    pub(super) plan: MbusPlan,
    pub(super) meters: Vec<MeterPlan>,
    pub(super) sent: Vec<Sent>,
}

impl MbusLedger {
    /// One in which nothing happened yet.
    #[must_use]
    pub fn new(plan: MbusPlan) -> Self {
        Self {
            plan,
            meters: plan.meters().collect(),
            sent: Vec::new(),
        }
    }

    /// A meter sent a telegram; gives its number. A meter of the plan may send 256 at most, since
    /// its telegrams are told apart by their access numbers.
    pub fn made(&mut self, meter: &MeterPlan, made: &Made, at: u64) -> usize {
        self.sent.push(Sent {
            meter: usize::try_from(meter.index).unwrap_or(usize::MAX),
            reading: made.reading,
            access_number: made.access_number,
            status: made.status,
            counter: made.counter,
            made: at,
            safe: None,
            heard: Vec::new(),
        });
        self.sent.len() - 1
    }

    /// A gateway, by its place in the plan, heard a telegram, and tells this of it.
    pub fn heard(&mut self, telegram: usize, gateway: usize, told: Told) {
        if let Some(sent) = self.sent.get_mut(telegram) {
            sent.heard.push(Hearing { gateway, told });
        }
    }

    /// A gateway was told OK.
    pub fn told_safe(&mut self, telegram: usize, at: u64) {
        if let Some(sent) = self.sent.get_mut(telegram) {
            sent.safe = Some(sent.safe.map_or(at, |before| before.min(at)));
        }
    }

    /// Telegrams that a gateway was told OK for.
    #[must_use]
    pub fn told(&self) -> usize {
        self.sent.iter().filter(|sent| sent.safe.is_some()).count()
    }

    /// The address of the meter of which most is safe, in the order of the link.
    #[must_use]
    pub fn teller(&self) -> Option<[u8; 8]> {
        let mut told = vec![0_u32; self.meters.len()];
        for sent in self.sent.iter().filter(|sent| sent.safe.is_some()) {
            if let Some(count) = told.get_mut(sent.meter) {
                *count += 1;
            }
        }
        let most = self.meters.iter().zip(told).filter(|(_, count)| *count > 0);
        let most = most.max_by_key(|(_, count)| *count);
        most.map(|(meter, _)| meter.address.link_order())
    }

    /// What there is of a mode.
    #[must_use]
    pub fn count(&self, mode: Mode) -> ModeCount {
        let is_it = |meter: &MeterPlan| meter.mode == mode;
        let mut count = ModeCount::default();
        for _ in self.meters.iter().filter(|meter| is_it(meter)) {
            count.meters += 1;
        }
        for sent in &self.sent {
            if self.meters.get(sent.meter).is_some_and(is_it) {
                count.telegrams_sent += 1;
                count.records_acked += u64::from(sent.safe.is_some());
            }
        }
        count
    }
}
