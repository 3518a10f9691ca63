//! Outward records of M-Bus telegrams, compared with what meters sent and gateways were told.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use super::ledger::{MbusLedger, Sent};
use super::plan::MeterPlan;
use super::said;
use crate::custody::{Custody, NAMED_PROBLEMS, instant};
use crate::json::hex;

/// What is read of a line at first.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    revision: u32,
    #[serde(borrow)]
    terminal: Cow<'a, str>,
    access_number: Option<u8>,
    #[serde(borrow)]
    lane: Cow<'a, str>,
    #[serde(borrow)]
    carriage: Cow<'a, str>,
    #[serde(borrow)]
    received_at: Cow<'a, str>,
    #[serde(borrow)]
    heard_at: Option<Cow<'a, str>>,
}

/// What there is of a telegram in the sink.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    ids: u32,
    by_datagram: bool,
}

/// Reads outward records against a ledger.
///
/// A telegram is known by its meter and its access number. A line with another one, or of another
/// meter, is a phantom; one that says anything else than the telegram did is altered.
#[derive(Debug)]
pub struct MbusChecker<'a> {
    ledger: &'a MbusLedger,
    /// Telegrams by what they are known by.
    known: HashMap<(String, u8), usize>,
    found: Vec<Found>,
    /// Ids and revisions that came.
    seen: HashSet<(String, u32)>,
    /// Ids that were counted with their telegram.
    ids: HashSet<String>,
    /// Of each meter and lane, when the latest telegram that came was made.
    latest: HashMap<(usize, &'static str), u64>,
    custody: Custody,
}

/// What the comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MbusCustody {
    /// In the words of [`crate::custody`], with a telegram for a fact and OK for told safe.
    pub custody: Custody,
    /// Telegrams in the sink whose first copy came by a datagram.
    pub by_datagram: u64,
}

impl<'a> MbusChecker<'a> {
    /// A checker that has read nothing yet.
    #[must_use]
    pub fn new(ledger: &'a MbusLedger) -> Self {
        let each = ledger.sent.iter().enumerate();
        let known = each.filter_map(|(number, sent)| {
            let meter = ledger.meters.get(sent.meter)?;
            let address = hex(&meter.address.link_order());
            Some(((address, sent.access_number), number))
        });
        Self {
            ledger,
            known: known.collect(),
            found: vec![Found::default(); ledger.sent.len()],
            seen: HashSet::new(),
            ids: HashSet::new(),
            latest: HashMap::new(),
            custody: Custody::default(),
        }
    }

    fn problem(&mut self, text: impl FnOnce() -> String) {
        if self.custody.problems.len() < NAMED_PROBLEMS {
            self.custody.problems.push(text());
        }
    }

    /// Takes one line, without its end.
    pub fn line(&mut self, octets: &[u8]) {
        self.custody.lines += 1;
        let line: Option<Line<'_>> = serde_json::from_slice(octets).ok();
        let all: Option<Value> = serde_json::from_slice(octets).ok();
        let (Some(line), Some(all)) = (line, all) else {
            self.custody.unreadable += 1;
            let number = self.custody.lines;
            self.problem(|| format!("line {number} is no outward record of a telegram"));
            return;
        };
        let id = line.id.clone().into_owned();
        if !self.seen.insert((id.clone(), line.revision)) {
            self.custody.redelivered += 1;
        }
        let Some((number, sent, meter)) = self.telegram_of(&line) else {
            self.custody.phantom += 1;
            self.problem(|| format!("phantom: {id}"));
            return;
        };
        let what = if is_id(&line, &hex(&self.ledger.plan.utility)) {
            said::difference(self.ledger, meter, sent, &all)
        } else {
            Some("id")
        };
        if let Some(what) = what {
            self.custody.altered += 1;
            self.problem(|| format!("altered: {what} of {id}"));
            return;
        }
        let lane = said::lane_of(sent);
        if line.lane != lane {
            self.custody.misplaced += 1;
            self.problem(|| format!("misplaced: {id}"));
        }
        if self.ids.insert(id.clone()) {
            self.came(number, sent, lane, &line);
        }
    }

    fn telegram_of(&self, line: &Line<'_>) -> Option<(usize, &'a Sent, &'a MeterPlan)> {
        let key = (line.terminal.clone().into_owned(), line.access_number?);
        let number = *self.known.get(&key)?;
        let sent = self.ledger.sent.get(number)?;
        Some((number, sent, self.ledger.meters.get(sent.meter)?))
    }

    /// An id came for the first time.
    fn came(&mut self, number: usize, sent: &Sent, lane: &'static str, line: &Line<'_>) {
        let Some(found) = self.found.get_mut(number) else {
            return;
        };
        found.ids += 1;
        let is_duplicate = found.ids > 1;
        if !is_duplicate {
            found.by_datagram = line.carriage == "udp";
        }
        let latest = self.latest.entry((sent.meter, lane)).or_default();
        let is_late = sent.safe.is_some_and(|safe| safe < *latest);
        *latest = (*latest).max(sent.made);
        if is_duplicate {
            self.custody.duplicated += 1;
            self.problem(|| format!("duplicated: {}", line.id));
        } else if is_late {
            self.custody.disordered += 1;
            self.problem(|| format!("disordered: {}", line.id));
        }
    }

    /// The outcome.
    #[must_use]
    pub fn finish(mut self) -> MbusCustody {
        let mut by_datagram = 0;
        for (sent, found) in self.ledger.sent.iter().zip(std::mem::take(&mut self.found)) {
            let is_there = found.ids > 0;
            self.custody.created += 1;
            self.custody.told_safe += u64::from(sent.safe.is_some());
            self.custody.delivered += u64::from(is_there);
            by_datagram += u64::from(found.by_datagram);
            if sent.safe.is_some() && !is_there {
                self.custody.lost += 1;
                let meter = self.ledger.meters.get(sent.meter);
                let name = meter.map(|meter| meter.address.name()).unwrap_or_default();
                let number = sent.access_number;
                self.problem(|| format!("lost: access number {number} of {name}"));
            }
        }
        MbusCustody {
            custody: self.custody,
            by_datagram,
        }
    }
}

/// Whether the id of a line has the form of a telegram's, and names its utility, its meter and the
/// second in which it was heard, or else received.
fn is_id(line: &Line<'_>, utility: &str) -> bool {
    let number = |digits: &str, len: usize| {
        let is_digit = |one: u8| one.is_ascii_digit() || (b'a'..=b'f').contains(&one);
        let is_hex = digits.len() == len && digits.bytes().all(is_digit);
        u64::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    };
    let parts: Vec<&str> = line.id.split('-').collect();
    let [of, by, heard, digest, "0"] = *parts else {
        return false;
    };
    let heard_s = number(heard, 12).and_then(|ms| i64::try_from(ms / 1_000).ok());
    let told = line.heard_at.as_ref().unwrap_or(&line.received_at);
    of == utility
        && by == line.terminal
        && heard_s.is_some_and(|at| instant(told) == Some(at))
        && number(digest, 16).is_some()
}
