//! One lane of a sink that is pushed: read the log, make records, deliver, move the cursor.

use std::sync::Arc;
use std::time::Duration;

use crate::keyring::UtilityId;
use crate::model::record::RecordError;
use crate::model::step::StepError;
use crate::model::{Lane, Lanes, Lsn, SessionStep, Zone, records_of};
use crate::store::log::{CommitLog, FrameRef, LogReader, ReadError};
use crate::store::state::fold::KIND_STEP;

use super::sinks::Sink;
use super::stop::Stop;

/// Octets of frames that are read at once.
const READ_OCTETS: usize = 1 << 20;
/// Octets of text after which a batch is delivered. A batch may exceed it by what one read gives.
const BATCH_OCTETS: usize = 4 << 20;
/// How long a lane sleeps at the end of the log before it looks whether it shall end.
const IDLE: Duration = Duration::from_millis(250);
/// Time between two small batches of readings: each costs the disk a sync.
const BULK_PACE: Duration = Duration::from_millis(100);
/// The first and the longest wait after a failure.
const BACK_OFF_MS: (u64, u64) = (200, 30_000);

/// Records of one lane, in order, as lines of JSON.
#[derive(Debug, Default)]
pub struct LaneBatch {
    /// The position of the first record's step.
    pub first: Lsn,
    /// How many lines there are.
    pub records: u64,
    /// The lines, each with its line feed.
    pub lines: Vec<u8>,
}

/// Why a batch was not delivered. It is delivered again later.
#[derive(Debug, thiserror::Error)]
#[error("not delivered: {0}")]
pub struct DeliveryError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Whoever takes one lane's batches.
pub trait Delivery: Send {
    /// Takes a batch. When it returns without an error, all of it is durable.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`]; a part of the batch may be durable.
    fn deliver(&mut self, batch: &LaneBatch) -> Result<(), DeliveryError>;

    /// Nothing is to be delivered now; called some times a second.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`].
    fn idle(&mut self) -> Result<(), DeliveryError>;

    /// Nothing more comes in this process.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`].
    fn finish(&mut self) -> Result<(), DeliveryError>;
}

/// Why a frame gives no records.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The step cannot be read.
    #[error("the frame at {lsn} cannot be delivered")]
    Step {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: StepError,
    },
    /// Its records cannot be made.
    #[error(transparent)]
    Record(#[from] RecordError),
}

#[derive(Debug, thiserror::Error)]
enum LaneError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

/// Which records of a frame are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Of these lanes.
    pub lanes: Lanes,
    /// Of this utility; none for all.
    pub utility: Option<UtilityId>,
    /// The zone of terminals that do not tell theirs.
    pub zone: Zone,
}

/// Records by lane.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LaneCounts {
    /// Alarm notices.
    pub alarm: u64,
    /// Everything else.
    pub bulk: u64,
}

impl LaneCounts {
    /// Of both lanes.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.alarm.saturating_add(self.bulk)
    }

    /// These and those.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            alarm: self.alarm.saturating_add(other.alarm),
            bulk: self.bulk.saturating_add(other.bulk),
        }
    }
}

/// Appends the records of a frame as lines. Returns how many there were.
///
/// # Errors
///
/// [`FrameError`].
pub fn lines_of(
    frame: &FrameRef<'_>,
    wanted: Wanted,
    out: &mut Vec<u8>,
) -> Result<LaneCounts, FrameError> {
    let Some(terminal) = frame.terminal.filter(|_| frame.kind == KIND_STEP) else {
        return Ok(LaneCounts::default());
    };
    if !frame.lanes.meets(wanted.lanes) {
        return Ok(LaneCounts::default());
    }
    let lsn = frame.lsn;
    let decoded = SessionStep::decode(frame.payload);
    let step = decoded.map_err(|cause| FrameError::Step { lsn, cause })?;
    if wanted
        .utility
        .is_some_and(|utility| utility != step.utility)
    {
        return Ok(LaneCounts::default());
    }
    let mut records = LaneCounts::default();
    records_of(lsn, terminal, &step, wanted.lanes, wanted.zone, |record| {
        record.write_json(out);
        out.push(b'\n');
        let count = match record.lane {
            Lane::Alarm => &mut records.alarm,
            Lane::Bulk => &mut records.bulk,
        };
        *count = count.saturating_add(1);
    })?;
    Ok(records)
}

/// One lane of one sink.
pub(super) struct LaneTask {
    pub(super) log: Arc<CommitLog>,
    pub(super) sink: Arc<Sink>,
    pub(super) lane: Lane,
    pub(super) zone: Zone,
    pub(super) delivery: Box<dyn Delivery>,
    pub(super) stop: Arc<Stop>,
}

impl LaneTask {
    /// Delivers until it is told to stop.
    pub(super) fn run(mut self) {
        let mut failures = 0_u32;
        while !self.stop.is_told() {
            let Err(error) = self.follow(&mut failures) else {
                break;
            };
            let (sink, lane) = (self.sink.name(), self.lane);
            if self.sink.note_failure(lane, &chain(&error)) {
                tracing::warn!(
                    sink,
                    ?lane,
                    error = chain(&error),
                    "Sink fails; it is retried."
                );
            }
            failures = failures.saturating_add(1);
            self.stop.wait(back_off(failures));
        }
        if let Err(error) = self.delivery.finish() {
            let (sink, lane) = (self.sink.name(), self.lane);
            tracing::warn!(
                sink,
                ?lane,
                error = chain(&error),
                "Sink not ended in order."
            );
        }
    }

    /// Follows the log from the sink's cursor until it is told to stop, or until an error.
    fn follow(&mut self, failures: &mut u32) -> Result<(), LaneError> {
        let mut reader = self.reader();
        let mut batch = LaneBatch::default();
        while !self.stop.is_told() {
            // Somebody may have let the sink skip.
            if self.sink.position(self.lane) > reader.position() {
                reader = self.reader();
            }
            let at_end = self.gather(&mut reader, &mut batch)?;
            if batch.records > 0 {
                self.delivery.deliver(&batch)?;
            } else if at_end {
                self.delivery.idle()?;
            }
            *failures = 0;
            self.sink
                .advance(self.lane, reader.position(), batch.records);
            if at_end && batch.records > 0 && self.lane == Lane::Bulk {
                self.stop.wait(BULK_PACE);
            } else if at_end {
                // Whatever it says, the log is read next.
                let _is_more = reader.wait(IDLE);
            }
        }
        Ok(())
    }

    fn reader(&self) -> LogReader {
        let from = self.sink.position(self.lane);
        self.log.reader(from).lane(self.lane.into())
    }

    /// Reads into a batch until that is full or the log ends. Returns whether it ended.
    fn gather(&self, reader: &mut LogReader, batch: &mut LaneBatch) -> Result<bool, LaneError> {
        let wanted = Wanted {
            lanes: self.lane.into(),
            utility: self.sink.utility(),
            zone: self.zone,
        };
        batch.records = 0;
        batch.lines.clear();
        while batch.lines.len() < BATCH_OCTETS && !self.stop.is_told() {
            let frames = reader.next_batch(READ_OCTETS)?;
            if frames.is_empty() {
                return Ok(true);
            }
            for frame in frames.iter() {
                let records = lines_of(&frame, wanted, &mut batch.lines)?.total();
                if batch.records == 0 && records > 0 {
                    batch.first = frame.lsn;
                }
                batch.records = batch.records.saturating_add(records);
            }
        }
        Ok(false)
    }
}

/// Twice as long after each failure, and by chance up to half of that less, so that many sinks of
/// one dead disk do not return together.
fn back_off(failures: u32) -> Duration {
    let (first_ms, most_ms) = BACK_OFF_MS;
    let doubled = first_ms.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let longest_ms = doubled.min(most_ms);
    let chance = u64::from(getrandom::u32().unwrap_or(0));
    let less_ms = chance.checked_rem(longest_ms / 2).unwrap_or(0);
    Duration::from_millis(longest_ms.saturating_sub(less_ms))
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let shown = error.to_string();
        if !text.ends_with(&shown) {
            text.push_str(": ");
            text.push_str(&shown);
        }
        cause = error.source();
    }
    text
}
