//! What happened at the terminals.

use std::collections::HashMap;
use std::sync::Arc;

use crate::codec::record::Record;

/// A record of one terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId {
    /// Store epoch.
    pub epoch: u32,
    /// Record sequence.
    pub sequence: u32,
}

/// What a record says, as its terminal sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Record type octet.
    pub number: u8,
    /// The body after the sequence, MAC included.
    pub body: Arc<[u8]>,
    /// What they say; none if nobody knows, and then only octets are compared.
    pub record: Option<Arc<Record>>,
}

impl Content {
    /// Whether lower-case or upper-case hexadecimal digits spell type octet and body.
    #[must_use]
    pub fn is_spelled(&self, hex: &str) -> bool {
        let digits = hex.as_bytes();
        let octets = std::iter::once(self.number).chain(self.body.iter().copied());
        digits.len() == (self.body.len() + 1) * 2
            && digits
                .chunks_exact(2)
                .zip(octets)
                .all(|(pair, octet)| octet_of(pair) == Some(octet))
    }
}

fn octet_of(pair: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[derive(Debug, Clone)]
struct Entry {
    fact: usize,
    content: Content,
}

/// When a fact was made and first told safe, in happenings of its terminal.
#[derive(Debug, Clone, Copy)]
struct Fact {
    made: u64,
    safe: Option<u64>,
}

/// The truth about one terminal.
#[derive(Debug, Clone)]
pub struct TerminalLedger {
    utility: [u8; 8],
    identity: [u8; 8],
    zone_quarter_hours: i8,
    entries: HashMap<RecordId, Entry>,
    facts: Vec<Fact>,
    /// Counts what happened.
    now: u64,
    /// Answers that called something safe that was never made: a defect of the harness.
    unknown: u64,
}

impl TerminalLedger {
    /// An empty one, of a terminal whose days are so many quarter hours ahead of UTC.
    #[must_use]
    pub fn new(utility: [u8; 8], identity: [u8; 8], zone_quarter_hours: i8) -> Self {
        Self {
            utility,
            identity,
            zone_quarter_hours,
            entries: HashMap::new(),
            facts: Vec::new(),
            now: 0,
            unknown: 0,
        }
    }

    /// The utility's number.
    #[must_use]
    pub fn utility(&self) -> [u8; 8] {
        self.utility
    }

    /// Quarter hours that the terminal's days are ahead of UTC.
    #[must_use]
    pub fn zone_quarter_hours(&self) -> i8 {
        self.zone_quarter_hours
    }

    /// The terminal's identity.
    #[must_use]
    pub fn identity(&self) -> [u8; 8] {
        self.identity
    }

    /// A record was made. One that is known already is left as it is.
    pub fn created(&mut self, id: RecordId, content: Content) {
        if !self.entries.contains_key(&id) {
            let fact = self.facts.len();
            self.now += 1;
            self.facts.push(Fact {
                made: self.now,
                safe: None,
            });
            self.entries.insert(id, Entry { fact, content });
        }
    }

    /// A waiting record was carried over from another epoch under the same sequence.
    pub fn renewed(&mut self, from_epoch: u32, id: RecordId, content: Content) {
        let old = RecordId {
            epoch: from_epoch,
            sequence: id.sequence,
        };
        match self.entries.get(&old).map(|entry| entry.fact) {
            Some(fact) => {
                self.entries.entry(id).or_insert(Entry { fact, content });
            }
            None => self.created(id, content),
        }
    }

    /// A record was told safe.
    pub fn told_safe(&mut self, id: RecordId) {
        let fact = self.entries.get(&id).map(|entry| entry.fact);
        self.now += 1;
        match fact.and_then(|fact| self.facts.get_mut(fact)) {
            Some(fact) => {
                fact.safe.get_or_insert(self.now);
            }
            None => self.unknown += 1,
        }
    }

    /// Facts: records that were made, each counted once.
    #[must_use]
    pub fn facts(&self) -> usize {
        self.facts.len()
    }

    /// Facts that were told safe.
    #[must_use]
    pub fn facts_told_safe(&self) -> usize {
        self.facts.iter().filter(|fact| fact.safe.is_some()).count()
    }

    /// Answers that called something safe that this ledger does not know.
    #[must_use]
    pub fn unknown_told_safe(&self) -> u64 {
        self.unknown
    }

    /// Whether a fact was told safe.
    pub(super) fn is_safe(&self, fact: usize) -> bool {
        self.told_safe_at(fact).is_some()
    }

    /// When a fact was told safe, in happenings of this terminal.
    pub(super) fn told_safe_at(&self, fact: usize) -> Option<u64> {
        self.facts.get(fact)?.safe
    }

    /// When a fact was made, in happenings of this terminal.
    pub(super) fn made_at(&self, fact: usize) -> Option<u64> {
        self.facts.get(fact).map(|fact| fact.made)
    }

    /// The fact behind an identity, and its content under it.
    pub(super) fn fact(&self, id: RecordId) -> Option<(usize, &Content)> {
        self.entries
            .get(&id)
            .map(|entry| (entry.fact, &entry.content))
    }

    /// An identity of a fact, for messages.
    pub(super) fn name_of(&self, fact: usize) -> Option<RecordId> {
        let ids = self.entries.iter().filter(|(_, entry)| entry.fact == fact);
        ids.map(|(id, _)| *id).min()
    }
}

/// The truth about all terminals.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// One for each terminal, in no order.
    pub terminals: Vec<TerminalLedger>,
}

impl Ledger {
    /// Facts of all terminals.
    #[must_use]
    pub fn facts(&self) -> usize {
        self.terminals.iter().map(TerminalLedger::facts).sum()
    }

    /// Facts of all terminals that were told safe.
    #[must_use]
    pub fn facts_told_safe(&self) -> usize {
        let each = self.terminals.iter();
        each.map(TerminalLedger::facts_told_safe).sum()
    }
}
