//! The sinks, how far each has come, and how that is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};
use serde::{Deserialize, Serialize};

use crate::keyring::UtilityId;
use crate::model::event::EventError;
use crate::model::{Event, Lane, Lanes, Lsn};
use crate::store::log::{Append, AppendError, CommitLog, ReadError};
use crate::store::state::directory::SinkCursors;

use super::lane::LaneCounts;

/// Sinks at most: those of a configuration, and some that it no longer names.
pub const SINKS_MAX: usize = 256;
/// The kind of a sink that nothing delivers to.
pub const UNUSED: &str = "unused";

/// Octets of log without records for a sink after which its cursor is kept all the same.
const IDLE_OCTETS: u64 = 16 << 20;

/// Where a new sink begins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Begin {
    /// At the end of the log.
    #[default]
    Now,
    /// At the oldest frame that is kept.
    Start,
    /// At the beginning of a frame.
    At(Lsn),
}

/// What makes use of a sink's cursors in this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attachment {
    /// What it is, for people: `ndjson` or `pull`.
    pub kind: &'static str,
    /// The one utility whose records it gets; none for all.
    pub utility: Option<UtilityId>,
}

/// Why something cannot be done to a sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// No sink has the name.
    #[error("no sink or consumer is named {0}: `kenshin sink list` shows them")]
    Unknown(String),
    /// It is in use.
    #[error(
        "{0} is in use: take it out of the configuration and restart the server, then remove it"
    )]
    InUse(String),
    /// There are too many.
    #[error("{SINKS_MAX} sinks and consumers are known: remove some that are not used any more")]
    TooMany,
    /// A position where no sink can go on.
    #[error("no sink can go on at position {position}: give the position of a record, or `end`")]
    Position {
        /// The position.
        position: Lsn,
        /// What reading there says.
        #[source]
        cause: ReadError,
    },
    /// A position that the log has not come to.
    #[error("position {position} is beyond the end of the log, {end}: give one up to it, or `now`")]
    Beyond {
        /// The position.
        position: Lsn,
        /// The end of the log.
        end: Lsn,
    },
    /// A position that is not after the sink's, or beyond the end of the log.
    #[error("a skip goes forward: from {from} at least one octet, up to {end} at most")]
    Backward {
        /// Where the sink stands.
        from: Lsn,
        /// The end of the log.
        end: Lsn,
    },
    /// The log did not take the event: the cursor is not kept.
    #[error("{outcome}: {0}", outcome = .0.outcome())]
    Append(#[from] AppendError),
    /// The event has no form.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// What goes on in a lane, for people.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LaneStatus {
    /// Records that were delivered since the server started; redelivered ones count again.
    pub records: u64,
    /// Attempts that failed since the server started.
    pub errors: u64,
    /// Why the last attempt failed; none if it did not.
    pub failing: Option<String>,
}

/// How a sink stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// `ndjson`, `pull`, or `unused`: nothing in this server delivers to it, and it pins the log.
    pub kind: String,
    /// The one utility whose records it gets, 16 hexadecimal digits; none for all.
    pub utility: Option<String>,
    /// Up to where each lane was delivered.
    pub reached: SinkCursors,
    /// Up to where the log may forget, as far as this sink goes.
    pub kept: Lsn,
    /// Octets of log from the slower lane's cursor to the end.
    pub lag_octets: u64,
    /// The alarm lane.
    pub alarm: LaneStatus,
    /// The bulk lane.
    pub bulk: LaneStatus,
}

#[derive(Debug)]
struct Progress {
    reached: SinkCursors,
    saved: SinkCursors,
    /// Behind the last record that was given in each lane, as far as this process knows.
    records_to: SinkCursors,
    /// Up to where answers to this consumer's polls went in this process.
    handed: SinkCursors,
    alarm: LaneStatus,
    bulk: LaneStatus,
}

impl Progress {
    const fn lane(&mut self, lane: Lane) -> (&mut Lsn, &mut LaneStatus) {
        match lane {
            Lane::Alarm => (&mut self.reached.alarm, &mut self.alarm),
            Lane::Bulk => (&mut self.reached.bulk, &mut self.bulk),
        }
    }

    /// Whether records were given whose cursor is not durable, or the log went far without any.
    fn is_due(&self) -> bool {
        let owed = |reached: Lsn, records_to: Lsn| reached.min(records_to);
        let idle = self.reached.lowest().saturating_since(self.saved.lowest());
        owed(self.reached.alarm, self.records_to.alarm) > self.saved.alarm
            || owed(self.reached.bulk, self.records_to.bulk) > self.saved.bulk
            || idle >= IDLE_OCTETS
    }
}

const fn lane_of(cursors: &mut SinkCursors, lane: Lane) -> &mut Lsn {
    match lane {
        Lane::Alarm => &mut cursors.alarm,
        Lane::Bulk => &mut cursors.bulk,
    }
}

fn raise(cursors: &mut SinkCursors, lane: Lane, to: Lsn) {
    let cursor = lane_of(cursors, lane);
    *cursor = to.max(*cursor);
}

/// A sink: its name and its cursors.
#[derive(Debug)]
pub struct Sink {
    name: String,
    attachment: Mutex<Option<Attachment>>,
    progress: Mutex<Progress>,
    /// Held while cursors are written, so that they never go back.
    saving: Mutex<()>,
}

impl Sink {
    fn new(name: &str, cursors: SinkCursors) -> Self {
        Self {
            name: name.to_owned(),
            attachment: Mutex::new(None),
            progress: Mutex::new(Progress {
                reached: cursors,
                saved: cursors,
                records_to: cursors,
                handed: cursors,
                alarm: LaneStatus::default(),
                bulk: LaneStatus::default(),
            }),
            saving: Mutex::new(()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The one utility whose records it gets; none for all.
    #[must_use]
    pub fn utility(&self) -> Option<UtilityId> {
        self.attachment.lock().and_then(|attached| attached.utility)
    }

    /// Where a lane goes on.
    #[must_use]
    pub fn position(&self, lane: Lane) -> Lsn {
        *self.progress.lock().lane(lane).0
    }

    /// Where both lanes go on.
    #[must_use]
    pub fn reached(&self) -> SinkCursors {
        self.progress.lock().reached
    }

    /// All of a lane below a position is durable at the sink, `records` more than before. A lane
    /// never goes back.
    pub fn advance(&self, lane: Lane, to: Lsn, records: u64) {
        let mut progress = self.progress.lock();
        if records > 0 {
            raise(&mut progress.records_to, lane, to);
        }
        let (reached, status) = progress.lane(lane);
        *reached = to.max(*reached);
        status.records = status.records.saturating_add(records);
    }

    /// An attempt did not fail.
    pub(super) fn note_well(&self, lane: Lane) {
        self.progress.lock().lane(lane).1.failing = None;
    }

    /// So many records were given to a consumer, which has not acknowledged them.
    pub fn note_given(&self, records: LaneCounts) {
        let mut progress = self.progress.lock();
        for (lane, records) in [(Lane::Alarm, records.alarm), (Lane::Bulk, records.bulk)] {
            let (_, status) = progress.lane(lane);
            status.records = status.records.saturating_add(records);
        }
    }

    /// An attempt to deliver failed. Returns whether the one before did not.
    pub(super) fn note_failure(&self, lane: Lane, why: &dyn std::fmt::Display) -> bool {
        let mut progress = self.progress.lock();
        let (_, status) = progress.lane(lane);
        status.errors = status.errors.saturating_add(1);
        status.failing.replace(why.to_string()).is_none()
    }

    /// An answer to a consumer's poll goes up to cursors; the last record of each lane that it
    /// holds ends before `records_to`.
    pub fn note_handed(&self, to: SinkCursors, records_to: SinkCursors) {
        let mut progress = self.progress.lock();
        for (lane, to, records_to) in [
            (Lane::Alarm, to.alarm, records_to.alarm),
            (Lane::Bulk, to.bulk, records_to.bulk),
        ] {
            raise(&mut progress.handed, lane, to);
            raise(&mut progress.records_to, lane, records_to);
        }
    }

    /// The cursors among these that this process did not give out, and that are beyond what was
    /// acknowledged.
    fn unknown_of(&self, lanes: Lanes, cursors: SinkCursors) -> impl Iterator<Item = Lsn> {
        let progress = self.progress.lock();
        let (reached, handed) = (progress.reached, progress.handed);
        let asked = [
            (Lane::Alarm, cursors.alarm, reached.alarm.max(handed.alarm)),
            (Lane::Bulk, cursors.bulk, reached.bulk.max(handed.bulk)),
        ];
        let unknown = asked.into_iter();
        let unknown =
            unknown.filter(move |(lane, to, known)| lanes.meets((*lane).into()) && to > known);
        unknown.map(|(_, to, _)| to)
    }

    /// Takes what a consumer acknowledges: everything of the lanes below their cursors.
    fn acknowledge(&self, lanes: Lanes, cursors: SinkCursors) {
        let mut progress = self.progress.lock();
        for (lane, to) in [(Lane::Alarm, cursors.alarm), (Lane::Bulk, cursors.bulk)] {
            if !lanes.meets(lane.into()) {
                continue;
            }
            if to > *lane_of(&mut progress.handed, lane) {
                // Of an earlier process: nobody knows whether there were records.
                raise(&mut progress.records_to, lane, to);
            }
            raise(&mut progress.reached, lane, to);
        }
    }

    fn is_due(&self) -> bool {
        self.progress.lock().is_due()
    }
}

/// All sinks of a log.
#[derive(Debug)]
pub struct Sinks {
    log: Arc<CommitLog>,
    sinks: RwLock<BTreeMap<String, Arc<Sink>>>,
}

impl Sinks {
    /// The sinks that the log knows, with their durable cursors.
    #[must_use]
    pub fn new(log: Arc<CommitLog>, known: &BTreeMap<String, SinkCursors>) -> Self {
        let sink = |(name, cursors): (&String, &SinkCursors)| {
            (name.clone(), Arc::new(Sink::new(name, *cursors)))
        };
        Self {
            log,
            sinks: RwLock::new(known.iter().map(sink).collect()),
        }
    }

    /// The log that the cursors go over.
    #[must_use]
    pub const fn log(&self) -> &Arc<CommitLog> {
        &self.log
    }

    /// The sink of a name, to be delivered to from now on. A new one begins at `begin`, and is
    /// durable when this returns. Waits for the log.
    ///
    /// # Errors
    ///
    /// [`SinkError`] if a new one has no place, begins where nobody can, or is not taken by the
    /// log.
    pub fn attach(
        &self,
        name: &str,
        attachment: Attachment,
        begin: Begin,
    ) -> Result<Arc<Sink>, SinkError> {
        let mut sinks = self.sinks.write();
        let sink = if let Some(known) = sinks.get(name) {
            Arc::clone(known)
        } else {
            if sinks.len() >= SINKS_MAX {
                return Err(SinkError::TooMany);
            }
            let from = match begin {
                Begin::Now => self.log.durable_end(),
                Begin::Start => self.log.first(),
                Begin::At(position) => self.checked(position)?,
            };
            self.append(&Event::SinkCreated {
                sink: name.to_owned(),
                from,
            })?;
            let cursors = SinkCursors {
                alarm: from,
                bulk: from,
            };
            let sink = Arc::new(Sink::new(name, cursors));
            sinks.insert(name.to_owned(), Arc::clone(&sink));
            sink
        };
        *sink.attachment.lock() = Some(attachment);
        Ok(sink)
    }

    /// Makes the cursors durable that have moved over records, or far. Waits for the log.
    ///
    /// # Errors
    ///
    /// [`SinkError`]; the cursors are kept with a later call.
    pub fn save_due(&self) -> Result<(), SinkError> {
        let due: Vec<Arc<Sink>> = {
            let sinks = self.sinks.read();
            sinks
                .values()
                .filter(|sink| sink.is_due())
                .cloned()
                .collect()
        };
        due.iter().try_for_each(|sink| self.save(sink))
    }

    /// Makes the cursors of a sink durable, if they have moved. Waits for the log.
    ///
    /// # Errors
    ///
    /// [`SinkError`]; the cursors are kept with a later call.
    pub fn save(&self, sink: &Sink) -> Result<(), SinkError> {
        let saving = sink.saving.lock();
        self.save_held(sink, &saving)
    }

    fn save_held(&self, sink: &Sink, _saving: &MutexGuard<'_, ()>) -> Result<(), SinkError> {
        let reached = {
            let progress = sink.progress.lock();
            if progress.reached == progress.saved {
                return Ok(());
            }
            progress.reached
        };
        self.append(&Event::SinkAdvanced {
            sink: sink.name.clone(),
            alarm: reached.alarm,
            bulk: reached.bulk,
        })?;
        sink.progress.lock().saved = reached;
        Ok(())
    }

    /// Takes what a consumer acknowledges. When this returns without an error, no record that it
    /// covers is given again, whatever happens.
    ///
    /// # Errors
    ///
    /// [`SinkError`]; [`SinkError::Position`] or [`SinkError::Beyond`] if no frame begins at a
    /// cursor.
    pub fn acknowledge(
        &self,
        sink: &Sink,
        lanes: Lanes,
        cursors: SinkCursors,
    ) -> Result<(), SinkError> {
        for to in sink.unknown_of(lanes, cursors) {
            self.checked(to)?;
        }
        sink.acknowledge(lanes, cursors);
        // Whoever saves at this moment may save what was acknowledged before this, or fail.
        let saving = sink.saving.lock();
        if sink.is_due() {
            self.save_held(sink, &saving)
        } else {
            Ok(())
        }
    }

    /// Lets a sink skip what it was not given, up to a position: the only way to drop records.
    /// Returns the range, which is in the log then.
    ///
    /// # Errors
    ///
    /// [`SinkError`].
    pub fn skip(&self, name: &str, to: Option<Lsn>) -> Result<(Lsn, Lsn), SinkError> {
        let sink = self.get(name)?;
        let _saving = sink.saving.lock();
        let (from, end) = (sink.reached().lowest(), self.log.durable_end());
        let to = to.unwrap_or(end);
        if to <= from || to > end {
            return Err(SinkError::Backward { from, end });
        }
        let to = self.checked(to)?;
        self.append(&Event::SinkSkipped {
            sink: name.to_owned(),
            from,
            to,
        })?;
        let mut progress = sink.progress.lock();
        for lane in [Lane::Alarm, Lane::Bulk] {
            let (reached, status) = progress.lane(lane);
            *reached = to.max(*reached);
            status.failing = None;
        }
        progress.saved.alarm = progress.saved.alarm.max(to);
        progress.saved.bulk = progress.saved.bulk.max(to);
        Ok((from, to))
    }

    /// Forgets a sink that nothing delivers to, so that it holds the log no longer.
    ///
    /// # Errors
    ///
    /// [`SinkError`].
    pub fn remove(&self, name: &str) -> Result<(), SinkError> {
        let sink = self.get(name)?;
        // Nobody saves, skips or attaches it meanwhile; whoever looks at the others does not wait.
        let _saving = sink.saving.lock();
        self.get(name)?;
        if sink.attachment.lock().is_some() {
            return Err(SinkError::InUse(name.to_owned()));
        }
        self.append(&Event::SinkRemoved {
            sink: name.to_owned(),
        })?;
        self.sinks.write().remove(name);
        Ok(())
    }

    /// Refuses a name that no sink has.
    ///
    /// # Errors
    ///
    /// [`SinkError::Unknown`].
    pub fn check_known(&self, name: &str) -> Result<(), SinkError> {
        self.get(name).map(|_| ())
    }

    /// Refuses a name that no sink has, and a sink that is in use.
    ///
    /// # Errors
    ///
    /// [`SinkError::Unknown`], [`SinkError::InUse`].
    pub fn check_unused(&self, name: &str) -> Result<(), SinkError> {
        let sink = self.get(name)?;
        if sink.attachment.lock().is_some() {
            return Err(SinkError::InUse(name.to_owned()));
        }
        Ok(())
    }

    /// How all sinks stand, by name.
    #[must_use]
    pub fn list(&self) -> Vec<SinkStatus> {
        let end = self.log.durable_end();
        let sinks = self.sinks.read();
        sinks.values().map(|sink| status(sink, end)).collect()
    }

    fn get(&self, name: &str) -> Result<Arc<Sink>, SinkError> {
        let sinks = self.sinks.read();
        let sink = sinks.get(name).cloned();
        sink.ok_or_else(|| SinkError::Unknown(name.to_owned()))
    }

    /// A position, if a frame begins there or the log ends there.
    fn checked(&self, position: Lsn) -> Result<Lsn, SinkError> {
        let end = self.log.durable_end();
        if position > end {
            return Err(SinkError::Beyond { position, end });
        }
        match self.log.reader(position).next_batch(1) {
            Ok(_) => Ok(position),
            Err(cause) => Err(SinkError::Position { position, cause }),
        }
    }

    fn append(&self, event: &Event) -> Result<Lsn, SinkError> {
        // A full disk must not keep cursors where they are, or the log could never be dropped.
        let append = Append::event(None, event.encode()?, false);
        Ok(self.log.append_upkeep_and_wait(append)?)
    }
}

fn status(sink: &Sink, end: Lsn) -> SinkStatus {
    let attachment = *sink.attachment.lock();
    let progress = sink.progress.lock();
    let utility = attachment.and_then(|attached| attached.utility);
    SinkStatus {
        name: sink.name.clone(),
        kind: attachment
            .map_or(UNUSED, |attached| attached.kind)
            .to_owned(),
        utility: utility.map(|utility| utility.to_string()),
        reached: progress.reached,
        kept: progress.saved.lowest(),
        lag_octets: end.saturating_since(progress.reached.lowest()),
        alarm: progress.alarm.clone(),
        bulk: progress.bulk.clone(),
    }
}
