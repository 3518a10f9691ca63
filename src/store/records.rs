//! The records of a terminal over time, from the log by its indexes: readings or alarms, newest
//! first. The log is the only place that has them all.

use crate::model::record::RecordError;
use crate::model::step::StepError;
use crate::model::telegram::TelegramError;
use crate::model::{Lane, Lsn, OutwardRecord, SessionStep, Telegram, TerminalId, Zone, records_of};

use super::log::{CommitLog, ReadError, Walk};
use super::state::State;
use super::state::fold::{KIND_STEP, KIND_TELEGRAM};

/// Records in one answer at most. The last frame may add what it has.
pub const RECORDS_MAX: u32 = 1_000;
/// Frames that are read for one answer at most: years of daily calls.
const FRAMES_MAX: usize = 4_096;
/// Segments whose index is looked at for one answer at most, so that a terminal that says nothing
/// costs no more than one that does.
const SEGMENTS_MAX: usize = 32;
/// How far ahead of its receipt a record may be measured: the bound beyond which it is flagged.
const AHEAD_MAX_S: u32 = 86_400;
/// Frames in a row from before all that is asked for, after which nothing more is expected. One
/// alone may have been received while the server's clock was wrong.
const OLD_FRAMES: usize = 8;

/// Which records of a terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordQuery {
    /// The terminal.
    pub terminal: TerminalId,
    /// Alarm notices, or everything else.
    pub lane: Lane,
    /// Not measured before, UTC seconds.
    pub from_utc_s: u32,
    /// Measured before, UTC seconds.
    pub to_utc_s: u32,
    /// Only of steps before this position: where the last answer ended. None for the newest.
    pub before: Option<Lsn>,
    /// Records from which on no further frame is read, 1 to [`RECORDS_MAX`].
    pub limit: u32,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Page {
    /// The end of what was folded when it was asked: nothing after it is in the answer.
    pub end: Lsn,
    /// Where the next answer goes on, also if this one shows nothing; none if there is no more to
    /// look through.
    pub next: Option<Lsn>,
}

/// Why records are not shown.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A step cannot be read.
    #[error("the step at {lsn} cannot be read")]
    Step {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: StepError,
    },
    /// A telegram cannot be read.
    #[error("the telegram at {lsn} cannot be read")]
    Telegram {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: TelegramError,
    },
    /// A step gives no records.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What a frame came to in an answer.
struct Looked {
    /// When it was received, and how far ahead of that what it says may be measured: UTC seconds.
    latest_utc_s: u32,
    /// What it gave.
    shown: usize,
}

/// Walks the frames of one kind of a terminal or meter, the newest first, within the bounds of one
/// answer. `newest` is the last of them that is folded, and `look` shows what of one is asked for.
fn look_through(
    (log, state): (&CommitLog, &State),
    query: &RecordQuery,
    (kind, newest): (u8, impl FnOnce() -> Option<Lsn>),
    mut look: impl FnMut(Lsn, &[u8]) -> Result<Looked, RecordsError>,
) -> Result<Page, RecordsError> {
    // In this order: what is before the end is in the state.
    let end = log.durable_end().min(state.folded());
    let newest = newest();
    let before = query.before.unwrap_or(end).min(end);
    let walk = Walk {
        newest: newest.filter(|newest| *newest < before),
        segments_max: SEGMENTS_MAX,
        ..Walk::default()
    };
    let limit = usize::try_from(query.limit.clamp(1, RECORDS_MAX)).unwrap_or(1);
    let (mut shown, mut frames, mut old) = (0_usize, 0_usize, 0_usize);
    let mut history = log.walk(query.terminal, walk).before(before);
    for frame in history.by_ref() {
        let frame = frame?;
        if frame.kind != kind {
            continue;
        }
        if shown >= limit || frames >= FRAMES_MAX {
            let next = Some(frame.next);
            return Ok(Page { end, next });
        }
        frames = frames.saturating_add(1);
        let looked = look(frame.lsn, &frame.payload)?;
        shown = shown.saturating_add(looked.shown);
        let is_old = looked.latest_utc_s < query.from_utc_s;
        old = if is_old { old.saturating_add(1) } else { 0 };
        if old >= OLD_FRAMES {
            return Ok(Page { end, next: None });
        }
    }
    let next = history.cut_at();
    Ok(Page { end, next })
}

impl RecordQuery {
    const fn asks_for(&self, at_utc_s: u32) -> bool {
        at_utc_s >= self.from_utc_s && at_utc_s < self.to_utc_s
    }
}

/// Shows the records that a query asks for: steps newest first, the records of one step in the
/// order of their frame. What has no time of its own counts by its receipt. `state` is what the log
/// adds up to. `zone` is that of terminals whose frame does not tell theirs.
///
/// # Errors
///
/// [`RecordsError`]; what was shown before is good.
pub fn records_over_time(
    log: &CommitLog,
    state: &State,
    query: &RecordQuery,
    zone: Zone,
    mut show: impl FnMut(&OutwardRecord<'_>),
) -> Result<Page, RecordsError> {
    let newest = || state.table.with(query.terminal, |entry| entry.hot.applied);
    look_through((log, state), query, (KIND_STEP, newest), |lsn, payload| {
        let step = SessionStep::decode(payload);
        let step = step.map_err(|cause| RecordsError::Step { lsn, cause })?;
        let mut shown = 0_usize;
        let lanes = query.lane.into();
        records_of(lsn, query.terminal, &step, lanes, zone, |record| {
            let measured = record.measured.map(|measured| measured.utc_s);
            if query.asks_for(measured.unwrap_or(record.received_utc_s)) {
                show(record);
                shown = shown.saturating_add(1);
            }
        })?;
        Ok(Looked {
            latest_utc_s: step.received_utc_s.saturating_add(AHEAD_MAX_S),
            shown,
        })
    })
}

/// Shows the telegrams of an M-Bus meter that a query asks for, whose terminal is the meter's
/// address in the order of the link: the newest first. A telegram counts by when it was received.
///
/// # Errors
///
/// [`RecordsError`]; what was shown before is good.
pub fn telegrams_over_time(
    log: &CommitLog,
    state: &State,
    query: &RecordQuery,
    mut show: impl FnMut(Lsn, &Telegram<'_>),
) -> Result<Page, RecordsError> {
    let newest = || state.meters.applied(query.terminal);
    look_through(
        (log, state),
        query,
        (KIND_TELEGRAM, newest),
        |lsn, payload| {
            let telegram = Telegram::decode(payload);
            let telegram = telegram.map_err(|cause| RecordsError::Telegram { lsn, cause })?;
            let at = u32::try_from(telegram.received_utc_ms / 1_000).unwrap_or(u32::MAX);
            let is_wanted = telegram.lane() == query.lane && query.asks_for(at);
            if is_wanted {
                show(lsn, &telegram);
            }
            Ok(Looked {
                latest_utc_s: at,
                shown: usize::from(is_wanted),
            })
        },
    )
}
