//! One lane of a sink that is pushed: read the log, make records, deliver, move the cursor.

use std::sync::Arc;
use std::time::Duration;

use crate::keyring::UtilityId;
use crate::model::record::RecordError;
use crate::model::step::StepError;
use crate::model::telegram::TelegramError;
use crate::model::telegram_record::write_telegram_json;
use crate::model::{Lane, Lanes, Lsn, SessionStep, Telegram, Zone, records_of};
use crate::store::log::{CommitLog, FrameRef, LogReader, ReadError};
use crate::store::state::fold::{KIND_STEP, KIND_TELEGRAM};
use crate::telemetry::chain;

use super::sinks::{Sink, Sinks};
use super::stop::{Phase, Stop};

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
    /// [`DeliveryError`]; all that was taken stays durable.
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
    /// The telegram cannot be read.
    #[error("the frame at {lsn} cannot be delivered")]
    Telegram {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: TelegramError,
    },
}

/// Why a lane does not go on. It is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A frame cannot be made into records.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The sink did not take a batch.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// The sink took all that there is, and failed at what it does besides.
    #[error(transparent)]
    Idle(DeliveryError),
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
    if !frame.lanes.meets(wanted.lanes) {
        return Ok(LaneCounts::default());
    }
    if frame.kind == KIND_TELEGRAM {
        return line_of_telegram(frame, wanted, out);
    }
    let Some(terminal) = frame.terminal.filter(|_| frame.kind == KIND_STEP) else {
        return Ok(LaneCounts::default());
    };
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

/// The one record of a telegram.
fn line_of_telegram(
    frame: &FrameRef<'_>,
    wanted: Wanted,
    out: &mut Vec<u8>,
) -> Result<LaneCounts, FrameError> {
    let lsn = frame.lsn;
    let decoded = Telegram::decode(frame.payload);
    let telegram = decoded.map_err(|cause| FrameError::Telegram { lsn, cause })?;
    let mut records = LaneCounts::default();
    let is_others = |utility| utility != telegram.utility;
    if wanted.utility.is_some_and(is_others) || !wanted.lanes.meets(telegram.lane().into()) {
        return Ok(records);
    }
    write_telegram_json(lsn, &telegram, out);
    out.push(b'\n');
    match telegram.lane() {
        Lane::Alarm => records.alarm = 1,
        Lane::Bulk => records.bulk = 1,
    }
    Ok(records)
}

/// What became of one turn of a lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Turn {
    /// Records that were delivered.
    pub records: u64,
    /// Whether the log was read to its end.
    pub is_at_end: bool,
}

impl Turn {
    /// Nothing was there.
    const AT_END: Self = Self {
        records: 0,
        is_at_end: true,
    };
}

/// One lane of one sink.
pub struct LaneTask {
    log: Arc<CommitLog>,
    sink: Arc<Sink>,
    lane: Lane,
    zone: Zone,
    delivery: Box<dyn Delivery>,
    /// None if it is to begin anew at the cursor.
    reader: Option<LogReader>,
    batch: LaneBatch,
}

impl LaneTask {
    /// A lane of a sink that nothing was delivered of yet in this process. `zone` is that of
    /// terminals that do not tell theirs.
    #[must_use]
    pub fn new(
        sinks: &Sinks,
        sink: &Arc<Sink>,
        lane: Lane,
        zone: Zone,
        delivery: Box<dyn Delivery>,
    ) -> Self {
        Self {
            log: Arc::clone(sinks.log()),
            sink: Arc::clone(sink),
            lane,
            zone,
            delivery,
            reader: None,
            batch: LaneBatch::default(),
        }
    }

    /// Delivers until it is told to stop.
    pub(super) fn run(mut self, stop: &Stop) {
        let mut failures = 0_u32;
        loop {
            let phase = stop.phase();
            if phase == Phase::Halt {
                break;
            }
            match self.turn_until(&|| stop.phase() == Phase::Halt) {
                Ok(turn) => {
                    failures = 0;
                    if turn.is_at_end && phase == Phase::Drain {
                        break;
                    }
                    self.pause(turn, stop);
                }
                // It takes records all the same.
                Err(error @ LaneError::Idle(_)) => {
                    failures = 0;
                    self.note(&error);
                    if phase == Phase::Drain {
                        break;
                    }
                    self.pause(Turn::AT_END, stop);
                }
                Err(error) => {
                    self.note(&error);
                    if phase == Phase::Drain {
                        break;
                    }
                    failures = failures.saturating_add(1);
                    stop.wait(back_off(failures));
                }
            }
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

    fn note(&self, error: &LaneError) {
        let (sink, lane) = (self.sink.name(), self.lane);
        if self.sink.note_failure(lane, &chain(error)) {
            tracing::warn!(
                sink,
                ?lane,
                error = chain(error),
                "Sink fails; it is retried."
            );
        }
    }

    fn pause(&self, turn: Turn, stop: &Stop) {
        if !turn.is_at_end {
            return;
        }
        if turn.records > 0 && self.lane == Lane::Bulk {
            stop.wait(BULK_PACE);
        } else if let Some(reader) = &self.reader {
            // Whatever it says, the log is read next.
            let _is_more = reader.wait(IDLE);
        }
    }

    /// Delivers one batch from the sink's cursor on, and moves the cursor.
    ///
    /// # Errors
    ///
    /// [`LaneError`]. What stands before a part of the log that cannot be read is delivered by the
    /// turns before.
    pub fn turn(&mut self) -> Result<Turn, LaneError> {
        self.turn_until(&|| false)
    }

    fn turn_until(&mut self, is_halted: &dyn Fn() -> bool) -> Result<Turn, LaneError> {
        let position = self.sink.position(self.lane);
        // Somebody may have let the sink skip.
        let reader = self.reader.take();
        let reader = reader.filter(|reader| reader.position() >= position);
        let mut reader = reader.unwrap_or_else(|| self.log.reader(position).lane(self.lane.into()));
        let mut batch = std::mem::take(&mut self.batch);
        let gathered = self.gather(&mut reader, &mut batch, is_halted);
        let records = batch.records;
        let delivered = match records {
            0 => Ok(()),
            _ => self.delivery.deliver(&batch),
        };
        self.batch = batch;
        delivered?;
        if gathered.to > position || gathered.error.is_none() {
            self.sink.advance(self.lane, gathered.to, records);
        }
        match gathered.error {
            // The next turn meets it alone.
            Some(_) if records > 0 => {}
            Some(error) => return Err(error),
            None => self.reader = Some(reader),
        }
        if records == 0 && gathered.is_at_end {
            self.delivery.idle().map_err(LaneError::Idle)?;
        }
        self.sink.note_well(self.lane);
        Ok(Turn {
            records,
            is_at_end: gathered.is_at_end,
        })
    }

    /// Reads into a batch until that is full, or the log ends or cannot be read.
    fn gather(
        &self,
        reader: &mut LogReader,
        batch: &mut LaneBatch,
        is_halted: &dyn Fn() -> bool,
    ) -> Gathered {
        let wanted = Wanted {
            lanes: self.lane.into(),
            utility: self.sink.utility(),
            zone: self.zone,
        };
        batch.records = 0;
        batch.lines.clear();
        let ended = |to: Lsn, is_at_end: bool, error: Option<LaneError>| Gathered {
            to,
            is_at_end,
            error,
        };
        while batch.lines.len() < BATCH_OCTETS && !is_halted() {
            let frames = match reader.next_batch(READ_OCTETS) {
                Ok(frames) => frames,
                Err(error) => return ended(reader.position(), false, Some(error.into())),
            };
            if frames.is_empty() {
                return ended(reader.position(), true, None);
            }
            for frame in frames.iter() {
                let records = match lines_of(&frame, wanted, &mut batch.lines) {
                    Ok(records) => records.total(),
                    Err(error) => return ended(frame.lsn, false, Some(error.into())),
                };
                if batch.records == 0 && records > 0 {
                    batch.first = frame.lsn;
                }
                batch.records = batch.records.saturating_add(records);
            }
        }
        ended(reader.position(), false, None)
    }
}

/// How far the log was read into a batch.
struct Gathered {
    to: Lsn,
    is_at_end: bool,
    /// Why it was read no further; none if that is no failure.
    error: Option<LaneError>,
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
