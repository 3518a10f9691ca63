//! The comparison.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::said::{self, Origin};
use super::{Ledger, RecordId, TerminalLedger};
use crate::json::{Names, NamesError};

/// Problems that are named one by one; more are only counted.
pub(crate) const NAMED_PROBLEMS: usize = 20;

/// What the comparison found. The module's documentation defines the words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Custody {
    /// Facts that terminals made.
    pub created: u64,
    /// Facts that were told safe.
    pub told_safe: u64,
    /// Facts in the sink, told safe or not.
    pub delivered: u64,
    /// Told safe, not in the sink.
    pub lost: u64,
    /// Ids beyond the first of one fact.
    pub duplicated: u64,
    /// The same id and revision again.
    pub redelivered: u64,
    /// Alarm notices outside the alarm lane, and all else in it.
    pub misplaced: u64,
    /// Facts that came after one that was made when they had been told safe.
    pub disordered: u64,
    /// Ids that no terminal made.
    pub phantom: u64,
    /// Ids with other content than was made, or with a value or time that it does not say.
    pub altered: u64,
    /// Lines that are no outward record.
    pub unreadable: u64,
    /// Files whose last line has no end.
    pub torn: u64,
    /// Lines read.
    pub lines: u64,
    /// Told safe, but never made: a defect of the terminals' harness.
    pub unknown_told_safe: u64,
    /// The first of the problems, in words.
    pub problems: Vec<String>,
}

impl Custody {
    /// The counts of both, and the first of the problems of both.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        let Self {
            created,
            told_safe,
            delivered,
            lost,
            duplicated,
            redelivered,
            misplaced,
            disordered,
            phantom,
            altered,
            unreadable,
            torn,
            lines,
            unknown_told_safe,
            problems,
        } = other;
        self.created += created;
        self.told_safe += told_safe;
        self.delivered += delivered;
        self.lost += lost;
        self.duplicated += duplicated;
        self.redelivered += redelivered;
        self.misplaced += misplaced;
        self.disordered += disordered;
        self.phantom += phantom;
        self.altered += altered;
        self.unreadable += unreadable;
        self.torn += torn;
        self.lines += lines;
        self.unknown_told_safe += unknown_told_safe;
        let room = NAMED_PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(problems.iter().take(room).cloned());
        self
    }

    /// Whether nothing is lost, duplicated, invented, altered, unreadable, torn, in another lane or
    /// out of order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost == 0
            && self.duplicated == 0
            && self.phantom == 0
            && self.altered == 0
            && self.misplaced == 0
            && self.disordered == 0
            && self.unreadable == 0
            && self.torn == 0
            && self.unknown_told_safe == 0
    }
}

/// What is read of a line; all else is left alone.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: std::borrow::Cow<'a, str>,
    revision: u32,
    #[serde(borrow)]
    raw: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    lane: std::borrow::Cow<'a, str>,
}

/// The type octet of an alarm notice.
const ALARM_NOTICE: u8 = 5;

/// Why a line is not what a terminal made.
enum Fault {
    Phantom,
    Altered(&'static str),
}

/// The parts of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SinkId {
    utility: u64,
    terminal: u64,
    record: RecordId,
    index: u32,
}

impl SinkId {
    /// `<utility 16 hex>-<terminal 16 hex>-<epoch 8 hex>-<sequence>-<index>`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut hex = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            u64::from_str_radix(part, 16).ok()
        };
        let (utility, terminal) = (hex(16)?, hex(16)?);
        let epoch = u32::try_from(hex(8)?).ok()?;
        let sequence = parts.next()?.parse().ok()?;
        let index = parts.next()?.parse().ok()?;
        let record = RecordId { epoch, sequence };
        parts.next().is_none().then_some(Self {
            utility,
            terminal,
            record,
            index,
        })
    }
}

/// What a line is about.
#[derive(Clone, Copy)]
struct Place {
    fact: usize,
    is_alarm: bool,
}

/// Reads outward records against a ledger.
#[derive(Debug)]
pub struct Checker<'a> {
    terminals: HashMap<u64, (&'a TerminalLedger, Vec<u8>)>,
    /// Of each terminal and lane, when the latest fact that came was made.
    latest: HashMap<(u64, bool), u64>,
    /// What values are compared with; none if only octets are compared.
    names: Option<&'static Names>,
    /// Ids and revisions that came.
    seen: HashSet<(SinkId, u32)>,
    /// Ids that were counted with their fact.
    ids: HashSet<SinkId>,
    custody: Custody,
}

impl<'a> Checker<'a> {
    /// A checker that has read nothing yet.
    ///
    /// # Errors
    /// The registries that this program carries cannot be read.
    pub fn new(ledger: &'a Ledger) -> Result<Self, NamesError> {
        Ok(Self {
            names: Some(Names::load()?),
            ..Self::octets_only(ledger)
        })
    }

    /// A checker for a head-end that does not decode what it keeps.
    #[must_use]
    pub fn octets_only(ledger: &'a Ledger) -> Self {
        let each = ledger.terminals.iter();
        Self {
            terminals: each
                .map(|t| (u64::from_be_bytes(t.identity()), (t, vec![0; t.facts()])))
                .collect(),
            latest: HashMap::new(),
            names: None,
            seen: HashSet::new(),
            ids: HashSet::new(),
            custody: Custody::default(),
        }
    }

    fn problem(&mut self, text: impl FnOnce() -> String) {
        if self.custody.problems.len() < NAMED_PROBLEMS {
            self.custody.problems.push(text());
        }
    }

    /// A file ended in the middle of a line.
    pub(super) fn torn(&mut self) {
        self.custody.torn += 1;
    }

    /// Takes one line, without its end.
    pub fn line(&mut self, octets: &[u8]) {
        self.custody.lines += 1;
        let line: Option<Line<'_>> = serde_json::from_slice(octets).ok();
        let parsed = line.and_then(|line| Some((SinkId::parse(&line.id)?, line)));
        let Some((id, line)) = parsed else {
            self.custody.unreadable += 1;
            let number = self.custody.lines;
            self.problem(|| format!("line {number} is no outward record"));
            return;
        };
        let is_again = !self.seen.insert((id, line.revision));
        if is_again {
            self.custody.redelivered += 1;
        }
        match self.compare(id, &line, octets) {
            Err(Fault::Phantom) => {
                self.custody.phantom += 1;
                self.problem(|| format!("phantom: {}", line.id));
            }
            Err(Fault::Altered(what)) => {
                self.custody.altered += 1;
                self.problem(|| format!("altered: {what} of {}", line.id));
            }
            Ok(fact) => {
                self.check_lane(fact.is_alarm, &line);
                // Its place is where it came first, under whatever revision.
                if self.ids.insert(id) {
                    self.came(id, fact, &line);
                }
            }
        }
    }

    /// Compares a line with what its terminal made.
    fn compare(&self, id: SinkId, line: &Line<'_>, octets: &[u8]) -> Result<Place, Fault> {
        let terminal = self.terminals.get(&id.terminal);
        let terminal = terminal.filter(|(t, _)| u64::from_be_bytes(t.utility()) == id.utility);
        let (ledger, _) = terminal.ok_or(Fault::Phantom)?;
        let (fact, content) = ledger.fact(id.record).ok_or(Fault::Phantom)?;
        if !content.is_spelled(&line.raw) {
            return Err(Fault::Altered("raw"));
        }
        if let (Some(record), Some(names)) = (&content.record, self.names) {
            let all = serde_json::from_slice(octets).unwrap_or_default();
            let origin = Origin {
                utility: id.utility,
                terminal: id.terminal,
                record: id.record,
                zone_quarter_hours: ledger.zone_quarter_hours(),
            };
            if let Some(what) = said::difference(record, &origin, names, &all) {
                return Err(Fault::Altered(what));
            }
        }
        Ok(Place {
            fact,
            is_alarm: content.number == ALARM_NOTICE,
        })
    }

    fn check_lane(&mut self, is_alarm: bool, line: &Line<'_>) {
        if line.lane != if is_alarm { "alarm" } else { "bulk" } {
            self.custody.misplaced += 1;
            self.problem(|| format!("misplaced: {}", line.id));
        }
    }

    /// An id came for the first time.
    fn came(&mut self, id: SinkId, place: Place, line: &Line<'_>) {
        let Some((ledger, ids)) = self.terminals.get_mut(&id.terminal) else {
            return;
        };
        let Some(count) = ids.get_mut(place.fact) else {
            return;
        };
        *count = count.saturating_add(1);
        let is_duplicate = *count > 1;
        let latest = self.latest.entry((id.terminal, place.is_alarm));
        let latest = latest.or_default();
        let safe = ledger.told_safe_at(place.fact);
        let is_late = safe.is_some_and(|safe| safe < *latest);
        *latest = (*latest).max(ledger.made_at(place.fact).unwrap_or(0));
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
    pub fn finish(mut self) -> Custody {
        let mut lost_names = Vec::new();
        for (ledger, ids) in self.terminals.values() {
            self.custody.unknown_told_safe += ledger.unknown_told_safe();
            for (fact, count) in ids.iter().enumerate() {
                self.custody.created += 1;
                self.custody.told_safe += u64::from(ledger.is_safe(fact));
                self.custody.delivered += u64::from(*count > 0);
                if ledger.is_safe(fact) && *count == 0 {
                    self.custody.lost += 1;
                    if lost_names.len() < NAMED_PROBLEMS {
                        lost_names.push((ledger.identity(), ledger.name_of(fact)));
                    }
                }
            }
        }
        for (identity, id) in lost_names {
            let identity = u64::from_be_bytes(identity);
            let RecordId { epoch, sequence } = id.unwrap_or(RecordId {
                epoch: 0,
                sequence: 0,
            });
            self.problem(|| format!("lost: {identity:016x}-{epoch:08x}-{sequence}"));
        }
        self.custody
    }
}

#[cfg(test)]
mod tests {
    use super::super::Content;
    use super::*;

    const UTILITY: [u8; 8] = *b"gasworks";
    const IDENTITY: [u8; 8] = [0, 7, 0, 0, 0, 0, 0, 1];

    fn content(octet: u8) -> Content {
        Content {
            number: 1,
            body: [octet, 0xAB].as_slice().into(),
            record: None,
        }
    }

    fn id(epoch: u32, sequence: u32) -> RecordId {
        RecordId { epoch, sequence }
    }

    /// Records 1 to 3 of epoch 5, all told safe.
    fn ledger() -> TerminalLedger {
        let mut ledger = TerminalLedger::new(UTILITY, IDENTITY, 36);
        for sequence in 1..=3_u8 {
            ledger.created(id(5, sequence.into()), content(sequence));
            ledger.told_safe(id(5, sequence.into()));
        }
        ledger
    }

    fn line(epoch: u32, sequence: u32, index: u32, octet: u8) -> String {
        format!(
            "{{\"schema\":\"kenshin.record/1\",\"id\":\"{:016x}-{:016x}-{epoch:08x}-{sequence}-\
             {index}\",\"revision\":1,\"lane\":\"bulk\",\"raw\":\"01{octet:02x}ab\",\
             \"value\":{{}}}}",
            u64::from_be_bytes(UTILITY),
            u64::from_be_bytes(IDENTITY),
        )
    }

    fn check(ledger: TerminalLedger, lines: &[String]) -> Custody {
        let ledger = Ledger {
            terminals: vec![ledger],
        };
        let mut checker = Checker::new(&ledger).unwrap();
        for line in lines {
            checker.line(line.as_bytes());
        }
        checker.finish()
    }

    fn all() -> Vec<String> {
        vec![line(5, 1, 0, 1), line(5, 2, 0, 2), line(5, 3, 0, 3)]
    }

    #[test]
    fn a_complete_sink_is_clean() {
        let custody = check(ledger(), &all());
        assert!(custody.is_clean(), "{custody:?}");
        assert_eq!((custody.told_safe, custody.delivered), (3, 3));
    }

    #[test]
    fn told_safe_and_missing_is_lost() {
        let custody = check(ledger(), &all()[..2]);
        assert_eq!((custody.lost, custody.delivered), (1, 2));
        assert!(custody.problems[0].contains("00000005-3"), "{custody:?}");
    }

    #[test]
    fn what_was_not_told_safe_may_be_in_the_sink_or_not() {
        let mut ledger = ledger();
        ledger.created(id(5, 4), content(4));
        assert!(check(ledger.clone(), &all()).is_clean());
        let mut lines = all();
        lines.push(line(5, 4, 0, 4));
        let custody = check(ledger, &lines);
        assert!(custody.is_clean());
        assert_eq!((custody.told_safe, custody.delivered), (3, 4));
    }

    #[test]
    fn the_same_id_again_is_redelivered_and_a_new_revision_is_not() {
        let mut lines = all();
        lines.push(line(5, 1, 0, 1));
        lines.push(line(5, 1, 0, 1).replace("\"revision\":1", "\"revision\":2"));
        let custody = check(ledger(), &lines);
        assert!(custody.is_clean());
        assert_eq!(custody.redelivered, 1);
    }

    #[test]
    fn a_carried_over_record_under_both_epochs_is_duplicated() {
        let mut ledger = ledger();
        ledger.created(id(5, 4), content(4));
        ledger.renewed(5, id(6, 4), content(4));
        ledger.told_safe(id(6, 4));
        let mut lines = all();
        lines.push(line(6, 4, 0, 4));
        assert!(check(ledger.clone(), &lines).is_clean());
        lines.push(line(5, 4, 0, 4));
        let custody = check(ledger, &lines);
        assert_eq!((custody.duplicated, custody.lost), (1, 0));
        assert!(!custody.is_clean());
    }

    #[test]
    fn one_fact_under_two_indexes_is_duplicated() {
        let mut lines = all();
        lines.push(line(5, 1, 1, 1));
        assert_eq!(check(ledger(), &lines).duplicated, 1);
    }

    #[test]
    fn two_facts_that_say_the_same_are_not_duplicated() {
        let mut ledger = ledger();
        ledger.created(id(5, 4), content(1));
        let mut lines = all();
        lines.push(line(5, 4, 0, 1));
        assert!(check(ledger, &lines).is_clean());
    }

    #[test]
    fn what_no_terminal_made_is_phantom() {
        let mut lines = all();
        lines.push(line(5, 9, 0, 9));
        lines.push(line(5, 1, 0, 1).replace("0007000000000001", "0007000000000002"));
        assert_eq!(check(ledger(), &lines).phantom, 2);
        let of_other_utility = line(5, 1, 0, 1).replace("6761", "6762");
        assert_eq!(check(ledger(), &[of_other_utility]).phantom, 1);
    }

    #[test]
    fn other_content_is_altered_and_the_fact_is_lost() {
        let mut lines = all();
        lines[0] = line(5, 1, 0, 9);
        let custody = check(ledger(), &lines);
        assert_eq!((custody.altered, custody.lost), (1, 1));
    }

    #[test]
    fn a_redelivery_with_other_content_is_altered() {
        let mut lines = all();
        lines.push(line(5, 1, 0, 9));
        let custody = check(ledger(), &lines);
        assert_eq!((custody.redelivered, custody.altered), (1, 1));
        assert!(!custody.is_clean());
    }

    #[test]
    fn a_record_in_the_wrong_lane_is_misplaced() {
        let mut lines = all();
        lines[1] = lines[1].replace("bulk", "alarm");
        let custody = check(ledger(), &lines);
        assert_eq!((custody.misplaced, custody.lost), (1, 0));
        assert!(!custody.is_clean());
    }

    #[test]
    fn a_fact_after_one_that_was_made_when_it_was_safe_is_disordered() {
        let mut lines = all();
        lines.swap(0, 2);
        let custody = check(ledger(), &lines);
        assert_eq!(custody.disordered, 2, "{custody:?}");
        assert!(!custody.is_clean());
        // Facts that waited together may come in any order, and again.
        let mut ledger = TerminalLedger::new(UTILITY, IDENTITY, 36);
        for sequence in 1..=3_u8 {
            ledger.created(id(5, sequence.into()), content(sequence));
        }
        for sequence in 1..=3 {
            ledger.told_safe(id(5, sequence));
        }
        lines.push(line(5, 1, 0, 1));
        let custody = check(ledger, &lines);
        assert!(custody.is_clean(), "{custody:?}");
    }

    #[test]
    fn a_torn_file_is_not_clean() {
        let ledger = Ledger {
            terminals: vec![ledger()],
        };
        let mut checker = Checker::new(&ledger).unwrap();
        for line in all() {
            checker.line(line.as_bytes());
        }
        checker.torn();
        assert!(!checker.finish().is_clean());
    }

    #[test]
    fn what_is_no_record_is_unreadable() {
        for text in [
            "",
            "{}",
            "{\"id\":\"a\",\"revision\":1,\"raw\":\"\"}",
            "[1]",
        ] {
            let mut lines = all();
            lines.push(text.to_owned());
            let custody = check(ledger(), &lines);
            assert_eq!(custody.unreadable, 1, "{text}");
            assert!(!custody.is_clean());
        }
    }

    #[test]
    fn a_harness_that_tells_safe_what_was_not_made_is_caught() {
        let mut ledger = ledger();
        ledger.told_safe(id(7, 7));
        assert!(!check(ledger, &all()).is_clean());
    }
}
