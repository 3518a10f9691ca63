//! What the log may forget.
//!
//! It keeps everything unless a size or an age is set. Beyond those it forgets whole segments, and
//! never what somebody needs: a sink that is behind, the oldest snapshot that is kept, and what is
//! folded for queries. Folded state holds things that only the log has told, so that a copy of it
//! has to be durable before they are forgotten; a copy costs as much as the state is large, and so
//! it is made for many segments at a time.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use super::boot::{Booted, STATE_DIRECTORY};
use super::folder::Folding;
use crate::model::telegram::Telegram;
use crate::model::{Event, Lsn, SessionStep};
use crate::store::fs::Fs;
use crate::store::log::{CommitLog, RetainError};
use crate::store::state::fold::{KIND_EVENT, KIND_STEP, KIND_TELEGRAM};
use crate::store::state::{State, snapshot, sqlite};
use crate::time::Clock;

const DAY_S: u32 = 86_400;
/// How often it is tried, in milliseconds.
const EVERY_MS: u64 = 60_000;
/// Octets after a segment that are looked at for the time at which it ended.
const DATED_OCTETS: usize = 64 << 10;

/// Up to how much of the log is kept, beside what somebody needs. Whole segments are forgotten once
/// they are beyond one of both; what nobody set does not count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RetentionOptions {
    /// Octets.
    pub octets: Option<u64>,
    /// Days.
    pub days: Option<u32>,
}

impl RetentionOptions {
    /// Whether anything is ever forgotten.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.octets.is_some() || self.days.is_some()
    }
}

/// Lets the log forget.
#[derive(Debug)]
pub struct Retention {
    options: RetentionOptions,
    fs: Arc<dyn Fs>,
    state_dir: PathBuf,
    state: Arc<State>,
    log: Arc<CommitLog>,
    folding: Option<Arc<Folding>>,
    clock: Arc<dyn Clock>,
    next_ms: u64,
    /// When segments ended, UTC seconds, by where they end.
    ended: BTreeMap<Lsn, u32>,
}

impl Retention {
    /// Retention of a server's log; `folding` is what is folded for queries, if that is on.
    #[must_use]
    pub fn new(
        options: RetentionOptions,
        booted: &Booted,
        folding: Option<Arc<Folding>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            options,
            fs: Arc::clone(&booted.fs),
            state_dir: booted.data_dir.join(STATE_DIRECTORY),
            state: Arc::clone(&booted.state),
            log: Arc::clone(&booted.log),
            folding,
            clock,
            next_ms: 0,
            ended: BTreeMap::new(),
        }
    }

    /// To be called often; does something once a minute, and if `is_due`.
    ///
    /// # Errors
    ///
    /// [`RetainError`]. It is tried again later.
    pub fn round(&mut self, is_due: bool) -> Result<(), RetainError> {
        let now_ms = self.clock.monotonic_ms();
        if !is_due && now_ms < self.next_ms {
            return Ok(());
        }
        self.next_ms = now_ms.saturating_add(EVERY_MS);
        self.forget()
    }

    /// Forgets what may be forgotten now, and asks for a copy of folded state where that is all
    /// that is missing.
    ///
    /// # Errors
    ///
    /// [`RetainError`].
    pub fn forget(&mut self) -> Result<(), RetainError> {
        let ends = self.log.sealed_ends();
        let (by_size, by_age) = (self.beyond_size(&ends), self.beyond_age(&ends));
        let unwanted = by_size.max(by_age);
        let goal = last_up_to(&ends, unwanted.min(self.needed()));
        if self.folding.is_none() {
            return self.log.retain_from(goal).map(|_| ());
        }
        let copied = self.copied();
        let free = last_up_to(&ends, goal.min(copied));
        self.log.retain_from(free)?;
        if goal > copied && self.is_worth_a_copy(free, goal, by_age) {
            // Whoever folds writes the copy, and the next round forgets.
            if let Some(folding) = &self.folding {
                folding.want_copy(goal);
            }
        }
        Ok(())
    }

    /// Up to where the log is larger than it has to be.
    fn beyond_size(&self, ends: &[Lsn]) -> Lsn {
        let Some(kept) = self.options.octets else {
            return Lsn::ZERO;
        };
        let end = self.log.durable_end().get();
        last_up_to(ends, Lsn::new(end.saturating_sub(kept)))
    }

    /// Up to where the log is older than it has to be. A segment whose age is not known is kept,
    /// and with it all that follow.
    fn beyond_age(&mut self, ends: &[Lsn]) -> Lsn {
        let Some(days) = self.options.days else {
            return Lsn::ZERO;
        };
        let oldest = ends.first().copied().unwrap_or_default();
        self.ended = self.ended.split_off(&oldest);
        let now_utc_s = self.clock.utc_seconds().get();
        let kept_s = days.saturating_mul(DAY_S);
        let mut last = Lsn::ZERO;
        for end in ends {
            let Some(ended) = self.ended_at(*end) else {
                break;
            };
            self.ended.insert(*end, ended);
            if now_utc_s.saturating_sub(ended) <= kept_s {
                break;
            }
            last = *end;
        }
        last
    }

    /// When the segment before a position ended: by the latest time that the first frames after it
    /// tell, for whatever is before them came before. None if they tell none.
    fn ended_at(&self, end: Lsn) -> Option<u32> {
        if let Some(known) = self.ended.get(&end) {
            return Some(*known);
        }
        let batch = self.log.reader(end).next_batch(DATED_OCTETS).ok()?;
        let times = batch.iter().filter_map(|frame| match frame.kind {
            KIND_STEP => {
                let step = SessionStep::decode(frame.payload).ok()?;
                Some(step.received_utc_s)
            }
            KIND_TELEGRAM => {
                let telegram = Telegram::decode(frame.payload).ok()?;
                u32::try_from(telegram.received_utc_ms / 1_000).ok()
            }
            KIND_EVENT => match Event::decode(frame.payload).ok()? {
                Event::NonceMark { mark_utc_s, .. } => Some(mark_utc_s),
                _ => None,
            },
            _ => None,
        });
        times.max()
    }

    /// From where the log is needed by sinks and snapshots. Without a snapshot, or without knowing,
    /// everything is.
    fn needed(&self) -> Lsn {
        let snapshot = snapshot::oldest_kept(&self.state_dir, &*self.fs);
        let mut needed = snapshot.ok().flatten().unwrap_or(Lsn::ZERO);
        for cursors in self.state.directory().sinks.values() {
            needed = needed.min(cursors.lowest());
        }
        needed
    }

    /// Up to where folded state has a copy that is durable.
    fn copied(&self) -> Lsn {
        let copy = sqlite::latest_copy(&self.state_dir, &*self.fs);
        copy.ok().flatten().unwrap_or(Lsn::ZERO)
    }

    /// Whether so much would be forgotten that a copy is worth its while: an eighth of what is
    /// kept, or what has been too old for a day.
    fn is_worth_a_copy(&self, from: Lsn, goal: Lsn, by_age: Lsn) -> bool {
        let first = self.log.first();
        let all = self.log.durable_end().saturating_since(first);
        let kept = self.options.octets.unwrap_or(all);
        if goal.saturating_since(from.max(first)) >= kept / 8 {
            return true;
        }
        let overdue_s = self.options.days.unwrap_or(0).saturating_add(1);
        let overdue_s = overdue_s.saturating_mul(DAY_S);
        let left = (Bound::Excluded(from), Bound::Included(by_age.max(from)));
        let oldest = self.ended.range(left).next();
        let now_utc_s = self.clock.utc_seconds().get();
        oldest.is_some_and(|(_, ended)| now_utc_s.saturating_sub(*ended) > overdue_s)
    }
}

/// The last end that is not after a position; the log's beginning if there is none.
fn last_up_to(ends: &[Lsn], position: Lsn) -> Lsn {
    let after = ends.partition_point(|end| *end <= position);
    let last = after.checked_sub(1).and_then(|at| ends.get(at));
    last.copied().unwrap_or(Lsn::ZERO)
}
