//! Terminals: registered, changed, removed, shown, imported.

use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};

use crate::keyring::UtilityId;
use crate::model::event::{TERMINALS_PER_EVENT, TerminalEntry};
use crate::model::{Event, TerminalId};
use crate::store::log::{Append, AppendError, Underway};
use crate::store::state::directory::UtilityIndex;
use crate::store::state::table::SHARDS;
use crate::store::state::{HotEntry, MeterTrack};
use crate::wire::otl::ident::Mode;

use super::apply::{Registry, append_of};
use super::command::{LIST_MAX, ROWS_PER_IMPORT, Row, is_customer};
use super::ident::maker_and_serial;
use super::refusal::{ROWS_NAMED_MAX, Refusal, RowProblem, RowRefusal};
use super::reply::{Change, ImportCounts, MeterView, Reply, TerminalLine, TerminalView};

/// Events of an import that are under way to the disk at once: those of one request.
const UNDERWAY_MAX: usize = ROWS_PER_IMPORT.div_ceil(TERMINALS_PER_EVENT);

/// How a terminal is wanted; what is none stays as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) terminal: TerminalId,
    pub(super) utility: Option<UtilityId>,
    pub(super) mode: Option<u8>,
    /// Empty for none.
    pub(super) customer: Option<&'a str>,
}

/// How a terminal is registered.
struct Known {
    registered: bool,
    utility: UtilityId,
    mode: Mode,
    customer: Option<String>,
}

/// What a row comes to.
struct Planned {
    change: Change,
    utility: UtilityId,
    entry: TerminalEntry,
}

/// What the directory says, looked up once for many rows.
struct Utilities {
    /// Whether each allows mode 0.
    by_id: HashMap<UtilityId, bool>,
    by_index: Vec<UtilityId>,
}

impl Registry {
    pub(super) fn add_terminal(&self, row: &Row, moves: bool) -> Result<Reply, Refusal> {
        let utilities = self.utilities();
        let id = row.terminal;
        let planned = self.plan(&utilities, wanted(row), moves)?;
        if planned.change == Change::Changed {
            return Err(Refusal::Registered(id));
        }
        self.put_one(id, planned)
    }

    pub(super) fn set_terminal(&self, wanted: Wanted<'_>, moves: bool) -> Result<Reply, Refusal> {
        let utilities = self.utilities();
        let id = wanted.terminal;
        let known = self.known(&utilities, id);
        let known = known.ok_or_else(|| self.unknown(id))?;
        if !known.registered {
            return Err(Refusal::NotRegistered(id));
        }
        let planned = self.plan(&utilities, wanted, moves)?;
        self.put_one(id, planned)
    }

    fn put_one(&self, id: TerminalId, planned: Planned) -> Result<Reply, Refusal> {
        let change = planned.change;
        if change != Change::Unchanged {
            self.state.table.room_for(1)?;
            self.append(&Event::TerminalsPut {
                utility: planned.utility.to_string(),
                terminals: vec![planned.entry],
            })?;
        }
        let terminal = Box::new(self.view(id)?);
        Ok(Reply::TerminalPut { change, terminal })
    }

    pub(super) fn remove_terminal(&self, id: TerminalId) -> Result<Reply, Refusal> {
        let change = if self.view(id)?.registered {
            self.append(&Event::TerminalRemoved { terminal: id })?;
            Change::Removed
        } else {
            Change::Unchanged
        };
        let terminal = Box::new(self.view(id)?);
        Ok(Reply::TerminalPut { change, terminal })
    }

    pub(super) fn show_terminal(&self, id: TerminalId) -> Result<Reply, Refusal> {
        let terminal = Box::new(self.view(id)?);
        Ok(Reply::Terminal { terminal })
    }

    pub(super) fn list_terminals(
        &self,
        utility: Option<UtilityId>,
        after: Option<TerminalId>,
        limit: u32,
    ) -> Result<Reply, Refusal> {
        if !(1..=LIST_MAX).contains(&limit) {
            return Err(Refusal::Limit);
        }
        let utilities = self.utilities();
        let wanted = match utility {
            Some(id) if !utilities.by_id.contains_key(&id) => {
                return Err(Refusal::UnknownUtility(id));
            }
            wanted => wanted,
        };
        let limit = usize::try_from(limit).unwrap_or(0);
        // The lowest identities that come after, the highest of them on top.
        let mut lowest: BinaryHeap<TerminalId> = BinaryHeap::with_capacity(limit.saturating_add(2));
        for shard in 0..SHARDS {
            self.state.table.show_shard(shard, |hot, _, _| {
                let is_wanted = hot.pinned.registered
                    && after.is_none_or(|after| hot.id > after)
                    && wanted.is_none_or(|wanted| utilities.of(hot.utility) == Some(wanted));
                if is_wanted && (lowest.len() <= limit || lowest.peek() > Some(&hot.id)) {
                    lowest.push(hot.id);
                    if lowest.len() > limit.saturating_add(1) {
                        lowest.pop();
                    }
                }
            });
        }
        let mut found = lowest.into_sorted_vec();
        let is_last = found.len() <= limit;
        found.truncate(limit);
        let next = found.last().copied().filter(|_| !is_last);
        let lines = found.into_iter().filter_map(|id| self.line(&utilities, id));
        Ok(Reply::Terminals {
            terminals: lines.collect(),
            next,
        })
    }

    fn line(&self, utilities: &Utilities, id: TerminalId) -> Option<TerminalLine> {
        let hot = self.state.table.with(id, |entry| *entry.hot)?;
        Some(TerminalLine {
            terminal: id,
            utility: utilities.of(hot.utility)?,
            mode: hot.pinned.mode.number(),
            key_version: not_zero(hot.pinned.promoted),
            last_contact_utc_s: (hot.last_contact_utc_s != 0).then_some(hot.last_contact_utc_s),
        })
    }

    pub(super) fn import(
        &self,
        rows: &[Row],
        dry_run: bool,
        moves: bool,
    ) -> Result<Reply, Refusal> {
        if rows.len() > ROWS_PER_IMPORT {
            return Err(Refusal::TooManyRows(rows.len()));
        }
        let (planned, mut counts) = self.plan_all(rows, moves)?;
        let added = usize::try_from(counts.added).unwrap_or(usize::MAX);
        self.state.table.room_for(added)?;
        if !dry_run {
            counts = self.put_all(planned, counts)?;
        }
        Ok(Reply::Imported { dry_run, counts })
    }

    /// What rows come to, and how many of them change what: all are judged before one is done.
    fn plan_all(&self, rows: &[Row], moves: bool) -> Result<(Vec<Planned>, ImportCounts), Refusal> {
        let utilities = self.utilities();
        let mut seen: HashMap<TerminalId, u32> = HashMap::with_capacity(rows.len());
        let mut planned = Vec::new();
        let mut counts = ImportCounts::default();
        let (mut named, mut total) = (Vec::new(), 0_u64);
        for row in rows {
            let terminal = row.terminal;
            let judged = match seen.insert(terminal, row.line) {
                Some(first) => Err(RowProblem::Twice { terminal, first }),
                None => self.plan(&utilities, wanted(row), moves),
            };
            match judged {
                Ok(plan) => {
                    counts.count(plan.change);
                    if plan.change != Change::Unchanged {
                        planned.push(plan);
                    }
                }
                Err(problem) => {
                    total = total.saturating_add(1);
                    if named.len() < ROWS_NAMED_MAX {
                        named.push(RowRefusal::of(row.line, &problem));
                    }
                }
            }
        }
        if total == 0 {
            Ok((planned, counts))
        } else {
            Err(Refusal::Rows { named, total })
        }
    }

    fn put_all(
        &self,
        planned: Vec<Planned>,
        counts: ImportCounts,
    ) -> Result<ImportCounts, Refusal> {
        let mut by_utility: BTreeMap<UtilityId, Vec<Planned>> = BTreeMap::new();
        for plan in planned {
            by_utility.entry(plan.utility).or_default().push(plan);
        }
        let mut parts = Vec::new();
        for (utility, plans) in by_utility {
            for part in plans.chunks(TERMINALS_PER_EVENT) {
                let mut counts = ImportCounts::default();
                part.iter().for_each(|plan| counts.count(plan.change));
                let append = append_of(&Event::TerminalsPut {
                    utility: utility.to_string(),
                    terminals: part.iter().map(|plan| plan.entry.clone()).collect(),
                })?;
                parts.push((append, counts));
            }
        }
        let unchanged = ImportCounts {
            unchanged: counts.unchanged,
            ..ImportCounts::default()
        };
        self.append_parts(parts, unchanged)
    }

    /// Makes the parts of an import durable, some of them at once. After one that is refused no
    /// more are queued; those that were are waited for, so that what was done is known.
    fn append_parts(
        &self,
        parts: Vec<(Append, ImportCounts)>,
        mut done: ImportCounts,
    ) -> Result<ImportCounts, Refusal> {
        let mut queued: VecDeque<(Underway, ImportCounts)> = VecDeque::new();
        let mut failed = None;
        for (append, counts) in parts {
            if queued.len() >= UNDERWAY_MAX
                && let Some(first) = queued.pop_front()
            {
                settle(first, &mut done, &mut failed);
            }
            if failed.is_some() {
                break;
            }
            match self.append_later(append) {
                Ok(underway) => queued.push_back((underway, counts)),
                Err(cause) => failed = Some(cause),
            }
        }
        for one in queued {
            settle(one, &mut done, &mut failed);
        }
        failed.map_or(Ok(done), |cause| Err(broken_off(done, cause)))
    }

    /// Judges how a terminal is wanted, in view of what is known.
    fn plan(
        &self,
        utilities: &Utilities,
        wanted: Wanted<'_>,
        moves: bool,
    ) -> Result<Planned, RowProblem> {
        let id = wanted.terminal;
        if id == TerminalId::default() {
            return Err(RowProblem::Zero);
        }
        let known = self.known(utilities, id);
        let utility = wanted
            .utility
            .or_else(|| known.as_ref().map(|known| known.utility));
        let utility = utility.unwrap_or_else(|| UtilityId::new([0; 8]));
        let allows_mode0 = utilities.by_id.get(&utility);
        let allows_mode0 = *allows_mode0.ok_or(RowProblem::UnknownUtility(utility))?;
        if let Some(known) = known.as_ref().filter(|_| !moves)
            && known.utility != utility
        {
            return Err(RowProblem::OtherUtility {
                terminal: id,
                utility: known.utility,
            });
        }
        let mode = match wanted.mode {
            Some(number) => Mode::from_number(number),
            None => known.as_ref().map(|known| known.mode),
        };
        let mode = mode.ok_or(RowProblem::Mode)?;
        self.check_mode(mode, allows_mode0, utility, id)?;
        let kept = known.as_ref().and_then(|known| known.customer.clone());
        let customer = match wanted.customer {
            None => kept,
            Some("") => None,
            Some(number) if is_customer(number) => Some(number.to_owned()),
            Some(_) => return Err(RowProblem::Customer),
        };
        let change = match &known {
            Some(known) if known.registered => {
                let is_same =
                    known.utility == utility && known.mode == mode && known.customer == customer;
                if is_same {
                    Change::Unchanged
                } else {
                    Change::Changed
                }
            }
            _ => Change::Added,
        };
        let entry = TerminalEntry {
            id,
            mode: mode.number(),
            customer,
        };
        Ok(Planned {
            change,
            utility,
            entry,
        })
    }

    // spec: SEC-3, KEY-5
    fn check_mode(
        &self,
        mode: Mode,
        allows_mode0: bool,
        utility: UtilityId,
        id: TerminalId,
    ) -> Result<(), RowProblem> {
        match mode {
            Mode::Clear if !self.policy.allow_mode0 => Err(RowProblem::Mode0Server),
            Mode::Clear if !allows_mode0 => Err(RowProblem::Mode0Utility),
            Mode::GcmSession => {
                let keys = self.state.keys();
                if keys.may_be_in_mode3(utility, &id.octets()) {
                    Ok(())
                } else {
                    Err(RowProblem::KeyTooShort)
                }
            }
            Mode::Clear | Mode::CcmStatic | Mode::CcmSession => Ok(()),
        }
    }

    fn utilities(&self) -> Utilities {
        let directory = self.state.directory();
        let all = directory.utilities.iter();
        Utilities {
            by_id: all.clone().map(|one| (one.id, one.allow_mode0)).collect(),
            by_index: all.map(|one| one.id).collect(),
        }
    }

    fn known(&self, utilities: &Utilities, id: TerminalId) -> Option<Known> {
        self.state.table.with(id, |entry| {
            Some(Known {
                registered: entry.hot.pinned.registered,
                utility: utilities.of(entry.hot.utility)?,
                mode: entry.hot.pinned.mode,
                customer: entry.customer().map(str::to_owned),
            })
        })?
    }

    /// Why there is no terminal of an id.
    pub(super) fn unknown(&self, id: TerminalId) -> Refusal {
        match self.state.meters.applied(id) {
            Some(_) => Refusal::IsMeter(id),
            None => Refusal::UnknownTerminal(id),
        }
    }

    fn view(&self, id: TerminalId) -> Result<TerminalView, Refusal> {
        let found = self.state.table.with(id, |entry| {
            let customer = entry.customer().map(str::to_owned);
            (*entry.hot, customer, entry.all_meters())
        });
        let (hot, customer, meters) = found.ok_or_else(|| self.unknown(id))?;
        let directory = self.state.directory();
        let utility = directory.utility(hot.utility);
        let utility = utility.ok_or(Refusal::UnknownTerminal(id))?;
        let mut view = view(&hot);
        view.utility = utility.id;
        utility.name.clone_into(&mut view.utility_name);
        view.customer = customer;
        view.meters = meters.iter().map(meter_view).collect();
        Ok(view)
    }
}

impl Utilities {
    fn of(&self, index: UtilityIndex) -> Option<UtilityId> {
        self.by_index.get(usize::from(index.get())).copied()
    }
}

fn wanted(row: &Row) -> Wanted<'_> {
    Wanted {
        terminal: row.terminal,
        utility: Some(row.utility),
        mode: Some(row.mode),
        customer: row.customer.as_deref(),
    }
}

/// Waits for a part of an import. The first failure is the one that is told, unless a later one
/// leaves more in doubt.
fn settle(
    (underway, counts): (Underway, ImportCounts),
    done: &mut ImportCounts,
    failed: &mut Option<AppendError>,
) {
    match underway.wait() {
        Ok(_) => *done = done.plus(counts),
        Err(cause) => {
            let first = failed
                .take()
                .filter(|first| first.is_in_doubt() || !cause.is_in_doubt());
            *failed = first.or(Some(cause));
        }
    }
}

const fn broken_off(done: ImportCounts, cause: AppendError) -> Refusal {
    if done.added == 0 && done.changed == 0 {
        Refusal::Append(cause)
    } else {
        Refusal::BrokenOff { done, cause }
    }
}

fn not_zero(version: u8) -> Option<u8> {
    (version != 0).then_some(version)
}

/// A terminal without what lies beside its entry.
fn view(hot: &HotEntry) -> TerminalView {
    let (maker, serial) = maker_and_serial(hot.id);
    let epoch = hot.sequences().epoch;
    TerminalView {
        terminal: hot.id,
        maker,
        serial,
        registered: hot.pinned.registered,
        utility: UtilityId::new([0; 8]),
        utility_name: String::new(),
        customer: None,
        mode: hot.pinned.mode.number(),
        pending_mode: hot.pinned.pending_mode.map(Mode::number),
        key_version: not_zero(hot.pinned.promoted),
        readmitted_version: not_zero(hot.pinned.readmitted),
        last_contact_utc_s: (hot.last_contact_utc_s != 0).then_some(hot.last_contact_utc_s),
        frame_counter: hot.window.highest(),
        call_counter: hot.last_call,
        command_sequence: hot.commands.highest,
        epoch: (epoch != 0).then(|| format!("{epoch:08x}")),
        record_sequence: hot.sequences().highest,
        wake_slot: hot
            .wake_slot()
            .map(|slot| (slot.second_of_day(), slot.version())),
        meters: Vec::new(),
    }
}

fn meter_view(track: &MeterTrack) -> MeterView {
    let latest = (track.register, track.unit);
    MeterView::new(track.meter, track.bound, latest, track.at_utc_s)
}
