//! One pass over the log: what many frames add up to, terminal by terminal, before it is written.

use std::collections::BTreeMap;

use super::rows::{
    AlarmKey, AlarmRow, Binding, HealthRow, MeterRow, Rank, Registered, TerminalRow, ValveRow,
};
use crate::keyring::UtilityId;
use crate::model::event::{EventError, TerminalEntry};
use crate::model::ids::octets_of_hex;
use crate::model::step::StepError;
use crate::model::{Event, Lsn, RecordFlags, SessionStep, StepFlags, TerminalId};
use crate::store::state::fold::{KIND_EVENT, KIND_STEP};
use crate::wire::otl::ident::Mode;
use crate::wire::otl::meter::Meter;
use crate::wire::otl::record::{AlarmNotice, AlarmState, Record, RecordBody};
use crate::wire::otl::registry::valve::ValveState;
use crate::wire::otl::report::Report;
use crate::wire::otl::stamp::Stamp;
use crate::wire::otl::uplink::Salvage;

/// Items of quarantine that one pass keeps; of more, the newest.
const QUARANTINE_PER_PASS: usize = 1_000;
const SECONDS_PER_DAY: u32 = 86_400;

/// Why an item is in quarantine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QuarantineKind {
    /// It contradicts a record of the same key.
    Conflict,
    /// Its body cannot be decoded.
    Undecodable,
    /// Nothing of its frame can be read.
    Unreadable,
}

impl QuarantineKind {
    /// Its name.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Undecodable => "undecodable",
            Self::Unreadable => "unreadable",
        }
    }
}

/// An item in quarantine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quarantined {
    /// The frame that it is in.
    pub position: Lsn,
    /// Its place in the frame.
    pub item: u16,
    /// Its terminal.
    pub terminal: TerminalId,
    /// When it was received, UTC seconds.
    pub received_utc_s: u32,
    /// The number of its type, 0 for a whole frame.
    pub number: u8,
    /// Its record sequence, 0 if that cannot be read.
    pub sequence: u32,
    /// Why it is here.
    pub kind: QuarantineKind,
    /// Why, in words.
    pub reason: String,
}

/// A frame that cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A step.
    #[error("the frame at {lsn} cannot be folded into the database")]
    Step {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: StepError,
    },
    /// An event.
    #[error("the frame at {lsn} cannot be folded into the database")]
    Event {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: EventError,
    },
}

/// What frames add up to.
#[derive(Debug, Default)]
pub struct Pass {
    /// The terminals.
    pub terminals: BTreeMap<TerminalId, TerminalRow>,
    /// Their meters.
    pub meters: BTreeMap<(TerminalId, u8), MeterRow>,
    /// Their alarms.
    pub alarms: BTreeMap<(TerminalId, AlarmKey), AlarmRow>,
    /// What is set aside.
    pub quarantine: Vec<Quarantined>,
    /// Frames that were taken in.
    pub frames: usize,
}

impl Pass {
    /// Takes a frame in. Frames of other kinds than steps and events have nothing for it.
    ///
    /// # Errors
    ///
    /// [`PassError`].
    pub fn take(
        &mut self,
        lsn: Lsn,
        kind: u8,
        terminal: Option<TerminalId>,
        payload: &[u8],
    ) -> Result<(), PassError> {
        self.frames = self.frames.saturating_add(1);
        match (kind, terminal) {
            (KIND_STEP, Some(terminal)) => {
                let step = SessionStep::decode(payload);
                let step = step.map_err(|cause| PassError::Step { lsn, cause })?;
                self.take_step(lsn, terminal, &step);
            }
            (KIND_EVENT, _) => {
                let event = Event::decode(payload);
                let event = event.map_err(|cause| PassError::Event { lsn, cause })?;
                self.take_event(lsn, &event);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_event(&mut self, lsn: Lsn, event: &Event) {
        match event {
            Event::TerminalsPut { utility, terminals } => {
                let utility = UtilityId::new(octets_of_hex(utility).unwrap_or_default());
                for entry in terminals {
                    self.put_terminal(lsn, utility, entry);
                }
            }
            Event::TerminalRemoved { terminal } => {
                let row = self.terminals.entry(*terminal).or_default();
                row.is_registered = Some(false);
                row.position = lsn;
            }
            Event::Promoted { terminal, mode, .. } => {
                let row = self.terminals.entry(*terminal).or_default();
                row.mode = mode.or(row.mode);
                row.position = lsn;
            }
            _ => {}
        }
    }

    fn put_terminal(&mut self, lsn: Lsn, utility: UtilityId, entry: &TerminalEntry) {
        self.terminals
            .entry(entry.id)
            .or_default()
            .join(TerminalRow {
                registered: Some(Box::new(Registered {
                    utility,
                    customer: entry.customer.clone(),
                })),
                mode: Some(entry.mode),
                is_registered: Some(true),
                position: lsn,
                ..TerminalRow::default()
            });
    }

    fn take_step(&mut self, lsn: Lsn, terminal: TerminalId, step: &SessionStep<'_>) {
        let row = self.terminals.entry(terminal).or_default();
        row.mode = step.promoted_mode.or(row.mode);
        row.last_contact_utc_s = row.last_contact_utc_s.max(step.received_utc_s);
        row.position = lsn;
        for seen in &step.observations {
            let meter = self.meters.entry((terminal, seen.meter)).or_default();
            meter.observe(seen);
        }
        let place = Place {
            lsn,
            terminal,
            received_utc_s: step.received_utc_s,
        };
        let mode = Mode::from_number(step.mode).unwrap_or(Mode::Clear);
        match Salvage::decode(step.plaintext, step.header.len(), mode) {
            Ok(salvage) => self.take_records(&place, step, &salvage),
            Err(error) => self.set_aside(
                &place,
                (0, 0, 0),
                QuarantineKind::Unreadable,
                error.to_string(),
            ),
        }
        if step.flags.has(StepFlags::UNREADABLE) && !self.has_aside(lsn) {
            let reason = "its content could not be read when it came".to_owned();
            self.set_aside(&place, (0, 0, 0), QuarantineKind::Unreadable, reason);
        }
    }

    fn has_aside(&self, lsn: Lsn) -> bool {
        self.quarantine
            .last()
            .is_some_and(|last| last.position == lsn)
    }

    fn take_records(&mut self, place: &Place, step: &SessionStep<'_>, salvage: &Salvage) {
        let dating = Dating {
            report: salvage.body.report,
            received_utc_s: place.received_utc_s,
        };
        for (item, record) in (0u16..).zip(&salvage.body.records) {
            let sequence = record.sequence.get();
            let number = record.body.number();
            let flags = flags_of(step, usize::from(item), sequence, number);
            if flags.has(RecordFlags::CONFLICT) {
                let reason = "another record of the same sequence is kept".to_owned();
                let kind = QuarantineKind::Conflict;
                self.set_aside(place, (item, number, sequence), kind, reason);
            } else if flags.is_new() {
                self.take_record(place.terminal, record, &dating);
            }
        }
        let first = salvage.body.records.len();
        for (place_in_frame, damaged) in salvage.damaged.iter().enumerate() {
            let item = u16::try_from(first.saturating_add(place_in_frame)).unwrap_or(u16::MAX);
            let sequence = damaged.sequence.map_or(0, core::num::NonZeroU32::get);
            let kind = QuarantineKind::Undecodable;
            let reason = damaged.error.to_string();
            self.set_aside(place, (item, damaged.number, sequence), kind, reason);
        }
    }

    fn set_aside(
        &mut self,
        place: &Place,
        (item, number, sequence): (u16, u8, u32),
        kind: QuarantineKind,
        reason: String,
    ) {
        if self.quarantine.len() >= QUARANTINE_PER_PASS {
            self.quarantine.remove(0);
        }
        self.quarantine.push(Quarantined {
            position: place.lsn,
            item,
            terminal: place.terminal,
            received_utc_s: place.received_utc_s,
            number,
            sequence,
            kind,
            reason,
        });
    }

    fn take_record(&mut self, terminal: TerminalId, record: &Record, dating: &Dating) {
        let sequence = record.sequence.get();
        let rank = |stamp: Stamp| Rank::new(dating.utc_s(stamp), sequence);
        match &record.body {
            RecordBody::Everyday(body) => {
                let parts = body.parts();
                let rank = Rank::new(dating.end_of_day(parts.day), sequence);
                self.see_valve(terminal, parts.meter, parts.valve, 0, rank);
                if let Some(health) = &parts.health {
                    self.see_health(terminal, HealthRow::of(health, rank));
                }
            }
            RecordBody::Health(body) => {
                let row = HealthRow::of(&body.health, rank(body.stamp));
                self.see_health(terminal, row);
            }
            RecordBody::ValveState(body) => {
                let cause = body.cause.code();
                self.see_valve(terminal, body.meter, body.valve, cause, rank(body.stamp));
            }
            RecordBody::CommandResult(body) => {
                self.see_valve(terminal, body.meter, body.valve, 0, rank(body.stamp));
            }
            RecordBody::AlarmNotice(body) => {
                let rank = rank(body.stamp);
                self.see_valve(terminal, body.meter, body.valve, 0, rank);
                self.see_alarms(terminal, body, rank);
            }
            RecordBody::MeterTable(body) => {
                let binding = Binding {
                    rank: rank(body.stamp),
                    serial: body.serial.as_str().to_owned(),
                    medium: body.medium,
                    unit: body.unit.code(),
                    digits: body.digits.get(),
                };
                let key = (terminal, body.meter.octet());
                self.meters.entry(key).or_default().bind(Box::new(binding));
            }
            _ => {}
        }
    }

    fn see_health(&mut self, terminal: TerminalId, health: HealthRow) {
        let row = self.terminals.entry(terminal).or_default();
        if health.rank > row.health.rank {
            row.health = health;
        }
    }

    fn see_valve(
        &mut self,
        terminal: TerminalId,
        meter: Meter,
        valve: ValveState,
        cause: u8,
        rank: Rank,
    ) {
        if valve == ValveState::Unknown {
            return;
        }
        let row = self.meters.entry((terminal, meter.octet())).or_default();
        row.see_valve(ValveRow {
            rank,
            state: valve.code(),
            cause,
        });
    }

    fn see_alarms(&mut self, terminal: TerminalId, notice: &AlarmNotice, rank: Rank) {
        for alarm in notice.alarms.as_slice() {
            let key = AlarmKey {
                meter: notice.meter.octet(),
                alarm: alarm.alarm.code(),
                code: alarm.code,
            };
            let none = Rank::default();
            let (raised, seen, cleared) = match alarm.state {
                AlarmState::Raised => (rank, rank, none),
                AlarmState::Present => (none, rank, none),
                AlarmState::Cleared => (none, none, rank),
            };
            self.alarms
                .entry((terminal, key))
                .or_default()
                .join(AlarmRow {
                    raised,
                    seen,
                    cleared,
                    panel: notice.panel.as_str().to_owned(),
                });
        }
    }
}

/// Where a record came from.
#[derive(Clone, Copy, Debug)]
struct Place {
    lsn: Lsn,
    terminal: TerminalId,
    received_utc_s: u32,
}

/// What instants of a frame are told by.
#[derive(Clone, Copy, Debug)]
struct Dating {
    report: Report,
    received_utc_s: u32,
}

impl Dating {
    /// The instant of a stamp; one of a clock that was not set is told from the time of receipt.
    // spec: REC-4
    fn utc_s(&self, stamp: Stamp) -> u32 {
        match (stamp, self.report.stamp) {
            (Stamp::Set { utc_s, .. }, _) => utc_s,
            (
                Stamp::Unset { uptime_s, boot },
                Stamp::Unset {
                    uptime_s: now_s,
                    boot: now_boot,
                },
            ) if boot == now_boot => {
                let age_s = now_s.saturating_sub(uptime_s);
                self.received_utc_s.saturating_sub(age_s)
            }
            (Stamp::Unset { .. }, _) => self.received_utc_s,
        }
    }

    /// The end of a day in the terminal's zone, which is not known here, but never later than now.
    fn end_of_day(&self, day: u16) -> u32 {
        let end = u32::from(day)
            .saturating_add(1)
            .saturating_mul(SECONDS_PER_DAY);
        end.min(self.received_utc_s)
    }
}

/// What ingest noted about a record: by its place if that is its own, and by its sequence if this
/// decoder reads more of the frame than the one that it came to.
fn flags_of(step: &SessionStep<'_>, place: usize, sequence: u32, number: u8) -> RecordFlags {
    let is_it = |sequence_of: u32, number_of: u8| sequence_of == sequence && number_of == number;
    let at_place = step.entries.get(place);
    let at_place = at_place.filter(|entry| is_it(entry.sequence, entry.number));
    let any = || {
        step.entries
            .iter()
            .find(|entry| is_it(entry.sequence, entry.number))
    };
    at_place
        .or_else(any)
        .map(|entry| entry.flags)
        .unwrap_or_default()
}
