//! Folding a frame of the log into state.

use core::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};

use crate::keyring::{KeyState, LinkKeyring, UtilityId};
use crate::model::event::{EventError, TerminalEntry};
use crate::model::ids::octets_of_hex;
use crate::model::step::{StepEntry, StepError, command_of};
use crate::model::telegram::{Telegram, TelegramError};
use crate::model::{Event, Lanes, Lsn, SessionStep, StepFlags, TerminalId};
use crate::session::mbus::Verified;
use crate::session::otl::ns_mark::NsMark;
use crate::session::otl::step::LinkChange;
use crate::session::otl::window::Kept;
use crate::wire::mbus::app::Body;
use crate::wire::otl::ident::{FrameCounter, Mode};
use crate::wire::otl::report::Report;

use super::directory::{Directory, DirectoryFull, SinkCursors};
use super::formats::UtilityFormats;
use super::gateways::Gateway;
use super::hot::HotEntry;
use super::meters::MeterTable;
use super::table::{EntryMut, HotTable, TableFull};
use crate::store::log::{Append, FrameRef};

/// The kind of a log frame that holds a session step.
pub const KIND_STEP: u8 = 1;
/// The kind of a log frame that holds an event.
pub const KIND_EVENT: u8 = 2;
/// The kind of a log frame that holds a telegram of an M-Bus meter. Its `terminal` is the meter's
/// address in the order of the link, and says nothing of a terminal of the hot table.
pub const KIND_TELEGRAM: u8 = 3;

impl Append {
    /// The frame of an event that nobody's mailbox waits for. Urgent ones go before all else, and
    /// have the last room on the disk.
    #[must_use]
    pub const fn event(terminal: Option<TerminalId>, payload: Vec<u8>, urgent: bool) -> Self {
        Self {
            kind: KIND_EVENT,
            lanes: Lanes::NONE,
            urgent,
            terminal,
            payload,
            guard: None,
            ticket: None,
        }
    }
}

/// A frame as it is folded.
#[derive(Clone, Copy, Debug)]
pub struct FoldFrame<'a> {
    /// Its position.
    pub lsn: Lsn,
    /// Its kind.
    pub kind: u8,
    /// The terminal that it is about.
    pub terminal: Option<TerminalId>,
    /// Its payload.
    pub payload: &'a [u8],
    /// Whether the log raised the terminal's version with it; never when it is read again.
    pub raises_version: bool,
}

impl<'a> From<FrameRef<'a>> for FoldFrame<'a> {
    /// A frame that is read again.
    fn from(frame: FrameRef<'a>) -> Self {
        Self {
            lsn: frame.lsn,
            kind: frame.kind,
            terminal: frame.terminal,
            payload: frame.payload,
            raises_version: false,
        }
    }
}

/// A frame that this server cannot fold: another server's log, or a bug.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// A step that cannot be read.
    #[error("the frame at {lsn} cannot be folded")]
    Step {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: StepError,
    },
    /// An event that cannot be read.
    #[error("the frame at {lsn} cannot be folded")]
    Event {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: EventError,
    },
    /// A telegram that cannot be read.
    #[error("the frame at {lsn} cannot be folded")]
    Telegram {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: TelegramError,
    },
    /// A kind that is not known.
    #[error("the frame at {lsn} has kind {kind}: a later server wrote this log")]
    Kind {
        /// Where.
        lsn: Lsn,
        /// The kind.
        kind: u8,
    },
    /// A value of an event that no server writes.
    #[error("the event at {lsn} holds a value that has no meaning: {what}")]
    Value {
        /// Where.
        lsn: Lsn,
        /// Which.
        what: &'static str,
    },
    /// No place for another terminal.
    #[error(transparent)]
    Table(#[from] TableFull),
    /// No place for another utility.
    #[error(transparent)]
    Directory(#[from] DirectoryFull),
}

/// All state that is kept in memory.
#[derive(Debug, Default)]
pub struct State {
    /// The terminals.
    pub table: HotTable,
    /// The M-Bus meters.
    pub meters: MeterTable,
    /// The formats of their compact frames.
    pub formats: RwLock<UtilityFormats>,
    directory: RwLock<Directory>,
    keys: RwLock<LinkKeyring>,
    mark: RwLock<Arc<NsMark>>,
    folded: AtomicU64,
}

impl State {
    /// State without terminals, with the link keys of a key file.
    #[must_use]
    pub fn new(keys: LinkKeyring) -> Self {
        Self::restored(HotTable::default(), Directory::default(), keys)
    }

    /// State as a snapshot has it, with the link keys of a key file.
    #[must_use]
    pub fn restored(table: HotTable, directory: Directory, mut keys: LinkKeyring) -> Self {
        for (utility, version, state) in &directory.key_states {
            set_key_state(&mut keys, utility, *version, state);
        }
        Self {
            table,
            meters: MeterTable::default(),
            formats: RwLock::default(),
            mark: RwLock::new(Arc::new(directory.mark())),
            directory: RwLock::new(directory),
            keys: RwLock::new(keys),
            folded: AtomicU64::new(0),
        }
    }

    /// This state, with M-Bus meters as a snapshot has them.
    #[must_use]
    pub fn with_meters(mut self, meters: MeterTable, formats: UtilityFormats) -> Self {
        self.meters = meters;
        self.formats = RwLock::new(formats);
        self
    }

    /// Notes that all frames before a position are folded in.
    pub fn note_folded(&self, position: Lsn) {
        self.folded.fetch_max(position.get(), Ordering::AcqRel);
    }

    /// The position before which all frames are folded in: where a snapshot that is begun now goes
    /// on.
    #[must_use]
    pub fn folded(&self) -> Lsn {
        Lsn::new(self.folded.load(Ordering::Acquire))
    }

    /// The directory, to be looked at for a moment.
    pub fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read()
    }

    /// The link keys, to be looked at for a moment.
    pub fn keys(&self) -> RwLockReadGuard<'_, LinkKeyring> {
        self.keys.read()
    }

    /// Folds a frame in. Frames come in the order of the log; what has seen a frame skips it.
    ///
    /// # Errors
    ///
    /// [`FoldError`].
    pub fn fold(&self, frame: &FoldFrame<'_>) -> Result<(), FoldError> {
        let lsn = frame.lsn;
        match frame.kind {
            KIND_STEP => {
                if let Some(utility) = self.fold_step(frame)? {
                    self.stop_commands(lsn, utility);
                }
                Ok(())
            }
            KIND_EVENT => {
                let event = Event::decode(frame.payload)
                    .map_err(|cause| FoldError::Event { lsn, cause })?;
                self.fold_event(frame, &event)
            }
            KIND_TELEGRAM => {
                let telegram = Telegram::decode(frame.payload)
                    .map_err(|cause| FoldError::Telegram { lsn, cause })?;
                self.meters.fold(lsn, &telegram);
                self.learn(&telegram);
                Ok(())
            }
            kind => Err(FoldError::Kind { lsn, kind }),
        }
    }

    /// Folds a step into its terminal's entry. What remains is to stop the commands of the utility
    /// that it returns, in the order of the log.
    pub(super) fn fold_step(&self, frame: &FoldFrame<'_>) -> Result<Option<UtilityId>, FoldError> {
        let lsn = frame.lsn;
        let step = SessionStep::decode(frame.payload);
        let step = step.map_err(|cause| FoldError::Step { lsn, cause })?;
        let mode = Mode::from_number(step.mode);
        let mode = mode.ok_or(FoldError::Value { lsn, what: "mode" })?;
        let kept = kept_of(step.kept).ok_or(FoldError::Value { lsn, what: "kept" })?;
        let counter = FrameCounter::new(step.counter);
        let counter = counter.ok_or(FoldError::Value {
            lsn,
            what: "counter",
        })?;
        let Some(terminal) = frame.terminal else {
            let what = "a step without a terminal";
            return Err(FoldError::Value { lsn, what });
        };
        self.table.with(terminal, |mut entry| {
            if entry.hot.applied >= lsn {
                return;
            }
            take_step(&mut entry, &step, mode, kept, counter);
            entry.hot.applied = lsn;
            if frame.raises_version {
                entry.hot.version = entry.hot.version.wrapping_add(1);
            }
        });
        // Whether the entry has seen the step or not: in a snapshot, the directory may be behind.
        let stops = step.flags.has(StepFlags::ROLLBACK_SUSPECTED);
        Ok(stops.then_some(step.utility))
    }

    /// Stops a utility's commands, if the directory has not seen the step that says so.
    // spec: ROL-1
    pub(super) fn stop_commands(&self, lsn: Lsn, utility: UtilityId) {
        let mut directory = self.directory.write();
        if directory.applied >= lsn {
            return;
        }
        directory.applied = lsn;
        for utility in directory
            .utilities
            .iter_mut()
            .filter(|one| one.id == utility)
        {
            utility.commands_stopped = true;
        }
    }

    fn fold_event(&self, frame: &FoldFrame<'_>, event: &Event) -> Result<(), FoldError> {
        match event {
            Event::TerminalsPut { utility, terminals } => {
                self.put_terminals(frame.lsn, utility, terminals)?;
            }
            _ => match event.terminal() {
                Some(terminal) => self.fold_terminal_event(frame, terminal, event)?,
                None => self.fold_directory_event(frame.lsn, event)?,
            },
        }
        if let Some(terminal) = frame.terminal.filter(|_| frame.raises_version) {
            self.table.with(terminal, |entry| {
                entry.hot.version = entry.hot.version.wrapping_add(1);
            });
        }
        Ok(())
    }

    fn put_terminals(
        &self,
        lsn: Lsn,
        utility: &str,
        terminals: &[TerminalEntry],
    ) -> Result<(), FoldError> {
        let id = octets_of_hex(utility).map(UtilityId::new);
        let index = id.and_then(|id| self.directory.read().index_of(id));
        let what = "a terminal of an unknown utility";
        let index = index.ok_or(FoldError::Value { lsn, what })?;
        // The log cannot name the terminal of all zeros: its steps would be about nobody.
        let named = |terminal: &&TerminalEntry| terminal.id != TerminalId::default();
        for terminal in terminals.iter().filter(named) {
            let mode = Mode::from_number(terminal.mode);
            let mode = mode.ok_or(FoldError::Value { lsn, what: "mode" })?;
            let new = HotEntry::new(terminal.id, index, mode);
            self.table.with_or_insert(&new, |mut entry| {
                if entry.hot.applied >= lsn {
                    return;
                }
                entry.set_customer(terminal.customer.as_deref());
                entry.hot.applied = lsn;
                entry.hot.utility = index;
                entry.hot.pinned.registered = true;
                if entry.hot.pinned.mode != mode {
                    entry.hot.pinned.mode = mode;
                    entry.hot.pinned.pending_mode = None;
                }
            })?;
        }
        Ok(())
    }

    fn fold_terminal_event(
        &self,
        frame: &FoldFrame<'_>,
        terminal: TerminalId,
        event: &Event,
    ) -> Result<(), FoldError> {
        let lsn = frame.lsn;
        let folded = self.table.with(terminal, |mut entry| {
            if entry.hot.applied >= lsn {
                return true;
            }
            if matches!(event, Event::TerminalRemoved { .. }) {
                entry.set_customer(None);
            }
            let hot = entry.hot;
            hot.applied = lsn;
            match event {
                Event::TerminalRemoved { .. } => hot.pinned.registered = false,
                Event::KeyReadmitted { version, .. } => hot.pinned.readmitted = *version,
                Event::CounterCloned { counter, .. } => hot.window.note_clone(*counter),
                Event::Promoted { version, mode, .. } => {
                    let mode = mode.map(Mode::from_number);
                    if mode == Some(None) {
                        return false;
                    }
                    promote(hot, *version, mode.flatten());
                }
                Event::Called { counter, .. } => hot.last_call = hot.last_call.max(*counter),
                _ => {}
            }
            true
        });
        match folded {
            Some(false) => Err(FoldError::Value { lsn, what: "mode" }),
            Some(true) | None => Ok(()),
        }
    }

    fn fold_directory_event(&self, lsn: Lsn, event: &Event) -> Result<(), FoldError> {
        let mut directory = self.directory.write();
        if directory.applied >= lsn {
            return Ok(());
        }
        directory.applied = lsn;
        match event {
            Event::UtilityPut(utility) => {
                let id = octets_of_hex(&utility.id).map(UtilityId::new);
                let what = "utility";
                let id = id.ok_or(FoldError::Value { lsn, what })?;
                directory.put_utility(id, &utility.name, utility.allow_mode0)?;
            }
            Event::KeyState {
                utility,
                version,
                state,
            } => {
                directory.put_key_state(utility, *version, state);
                set_key_state(&mut self.keys.write(), utility, *version, state);
            }
            Event::NonceMark { mark_utc_s, gaps } => {
                directory.nonce_mark = (*mark_utc_s, gaps.clone());
                *self.mark.write() = Arc::new(directory.mark());
            }
            Event::CommandsReleased { utility } => {
                let id = octets_of_hex(utility).map(UtilityId::new);
                let of = directory.utilities.iter_mut();
                for one in of.filter(|one| Some(one.id) == id) {
                    one.commands_stopped = false;
                }
            }
            Event::GatewayPut(entry) => directory.gateways.put(Gateway {
                version: lsn,
                entry: entry.clone(),
            }),
            Event::GatewayRemoved { gateway } => directory.gateways.remove(gateway),
            Event::MeterCounterReserved {
                meter,
                key_id,
                key_version,
                up_to,
            } => {
                let counters = &mut directory.meter_counters;
                counters.note(*meter, *key_id, *key_version, *up_to);
            }
            _ => fold_sink_event(&mut directory, event),
        }
        Ok(())
    }

    /// Learns the format that a telegram teaches, if it was verified and has one. Formats that are
    /// known stay as they are, so that learning one again changes nothing.
    fn learn(&self, telegram: &Telegram<'_>) {
        if telegram.security.verified == Verified::None || telegram.is_wired {
            return;
        }
        let Ok(body) = Body::read(telegram.ci, telegram.is_wired, telegram.payload) else {
            return;
        };
        // Most teach nothing new, and those who expand frames meanwhile must not wait for that.
        let (utility, kind) = (telegram.utility, telegram.meter.into());
        if self.formats.read().would_learn_from(utility, kind, &body) {
            self.formats.write().learn_from(utility, kind, &body);
        }
    }

    /// The mark of server nonces as it is durable.
    // spec: FRS-4
    #[must_use]
    pub fn nonce_mark(&self) -> Arc<NsMark> {
        Arc::clone(&self.mark.read())
    }
}

fn fold_sink_event(directory: &mut Directory, event: &Event) {
    match event {
        Event::SinkCreated { sink, from } => {
            let cursors = SinkCursors {
                alarm: *from,
                bulk: *from,
            };
            directory.sinks.insert(sink.clone(), cursors);
        }
        Event::SinkAdvanced { sink, alarm, bulk } => {
            let cursors = SinkCursors {
                alarm: *alarm,
                bulk: *bulk,
            };
            directory.sinks.insert(sink.clone(), cursors);
        }
        Event::SinkSkipped { sink, to, .. } => {
            if let Some(cursors) = directory.sinks.get_mut(sink) {
                cursors.alarm = cursors.alarm.max(*to);
                cursors.bulk = cursors.bulk.max(*to);
            }
        }
        Event::SinkRemoved { sink } => {
            directory.sinks.remove(sink);
        }
        _ => {}
    }
}

fn set_key_state(keys: &mut LinkKeyring, utility: &str, version: u8, state: &str) {
    let utility = octets_of_hex(utility).map(UtilityId::new);
    let (Some(utility), Some(state)) = (utility, KeyState::from_id(state)) else {
        return;
    };
    // A key file may withdraw a version, and no older frame of the log may take that back.
    let is_withdrawn = keys
        .masters(utility)
        .any(|one| one.version == version && one.state == KeyState::Withdrawn);
    if !is_withdrawn {
        keys.set_master_state(utility, version, state);
    }
}

/// What a number of a step says became of its records.
const fn kept_of(number: u8) -> Option<Kept> {
    match number {
        0 => Some(Kept::Safe),
        1 => Some(Kept::Conflict),
        2 => Some(Kept::Seen),
        _ => None,
    }
}

/// The number of a step for what became of its records.
#[must_use]
pub const fn kept_number(kept: Kept) -> u8 {
    match kept {
        Kept::Safe => 0,
        Kept::Conflict => 1,
        Kept::Seen => 2,
    }
}

fn take_step(
    entry: &mut EntryMut<'_>,
    step: &SessionStep<'_>,
    mode: Mode,
    kept: Kept,
    counter: FrameCounter,
) {
    let takes_report = step.flags.has(StepFlags::TAKES_REPORT);
    let command = command_of(step.command);
    let report = if takes_report && mode != Mode::Clear {
        Report::at_head_of(step.plaintext)
    } else {
        None
    };
    let hot = &mut *entry.hot;
    let mut link = hot.link();
    link.apply(&LinkChange {
        counter,
        digest: step.digest,
        kept,
        mode,
        wants_answer: step.flags.has(StepFlags::WANTS_ANSWER),
        report,
        handed_over: command.map(|command| command.handed_over),
    });
    hot.set_link(&link);
    let promoted_mode = step.promoted_mode.and_then(Mode::from_number);
    promote(hot, step.promoted_version, promoted_mode);
    if let Some(offered) = command.and_then(|command| command.offers_mode) {
        hot.pinned.pending_mode = Some(offered);
    }
    hot.last_contact_utc_s = hot.last_contact_utc_s.max(step.received_utc_s);
    if let Some(epoch) = step.epoch {
        note_records(hot, step, epoch, takes_report);
    }
    for seen in &step.observations {
        entry.meter_mut(seen.meter).take(seen);
    }
}

/// Notes which records are durable now. Those that cannot be decoded count: the same octets must
/// not come twice.
// spec: REC-8
fn note_records(hot: &mut HotEntry, step: &SessionStep<'_>, epoch: NonZeroU32, takes_report: bool) {
    let is_kept = |entry: &&StepEntry| entry.flags.is_new() && entry.sequence != 0;
    let mut kept = step.entries.iter().filter(is_kept).peekable();
    if kept.peek().is_none() && !step.begins_epoch_without_records() {
        return;
    }
    let mut track = hot.sequences();
    // A late frame may be the first that has a record.
    if takes_report || track.epoch == 0 {
        track.begin(epoch, step.flags.has(StepFlags::NEW_EPOCH));
    }
    for entry in kept {
        track.note(epoch, entry.sequence);
    }
    hot.set_sequences(&track);
}

// spec: ROT-5, ROT-7, ROT-11
fn promote(hot: &mut HotEntry, version: Option<u8>, mode: Option<Mode>) {
    if let Some(version) = version.filter(|version| *version > hot.pinned.promoted) {
        hot.pinned.promoted = version;
        hot.pinned.readmitted = 0;
    }
    if let Some(mode) = mode.filter(|mode| hot.pinned.pending_mode == Some(*mode)) {
        hot.pinned.mode = mode;
        hot.pinned.pending_mode = None;
    }
}
