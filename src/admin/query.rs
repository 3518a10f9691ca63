//! What operators ask of records and of what is folded out of them.
//!
//! Records come from the log by its indexes, the rest from the file that is folded behind; each
//! answer says up to which position of the log it goes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::ids::Lane;
use crate::model::telegram_record::write_telegram_json;
use crate::model::{Lsn, TerminalId, Zone};
use crate::registry::MeterView;
use crate::store::log::CommitLog;
use crate::store::records::{self, RecordQuery, records_over_time, telegrams_over_time};
use crate::store::state::State;
use crate::store::state::sqlite::{
    AlarmKey, AlarmRow, AuditFilter, AuditKey, AuditRow, FoldedReader, HealthCells, HealthRow,
    MeterRow, ROWS_MAX,
};
use crate::wire::otl::health::ResetCause;
use crate::wire::otl::meter::Meter;
use crate::wire::otl::registry::alarms::AlarmCode;
use crate::wire::otl::registry::valve::ValveState;

use super::protocol::Trouble;

/// Alarms in one answer at most.
pub const ALARMS_MAX: u32 = ROWS_MAX;
/// Entries of the audit in one answer at most.
pub const AUDIT_MAX: u32 = ROWS_MAX;
/// Records from which on an answer ends.
pub const RECORDS_MAX: u32 = records::RECORDS_MAX;
/// Octets of records in one answer at most, so that it fits a line.
const RECORD_OCTETS: usize = 8 << 20;

/// What is asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "query", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// A terminal as it is folded: health, meters with valves, open alarms.
    Terminal {
        /// Which.
        terminal: TerminalId,
    },
    /// The records of a terminal or of an M-Bus meter, newest first.
    Records {
        /// Which; a meter by its address in the order of the link.
        terminal: TerminalId,
        /// Alarm notices, or everything else.
        lane: Lane,
        /// Not measured before, UTC seconds.
        from_utc_s: u32,
        /// Measured before, UTC seconds.
        to_utc_s: u32,
        /// Where the last answer ended.
        before: Option<Lsn>,
        /// How many, 1 to [`RECORDS_MAX`].
        limit: u32,
    },
    /// What people, keys and sinks did and what the server noticed, the newest first.
    Audit {
        /// Which of it.
        wanted: AuditFilter,
        /// Where the last answer ended.
        before: Option<String>,
        /// How many, 1 to [`AUDIT_MAX`].
        limit: u32,
    },
    /// The alarms that go on, by terminal.
    OpenAlarms {
        /// Where the last answer ended.
        after: Option<String>,
        /// How many, 1 to [`ALARMS_MAX`].
        limit: u32,
    },
}

/// What became of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Reply {
    /// A terminal.
    Terminal {
        /// Up to where the log is folded.
        position: Lsn,
        /// What is known.
        folded: Box<TerminalFolded>,
    },
    /// Records, each as `protocol-spec/record-json.md` has it.
    Records {
        /// Up to where the log goes.
        position: Lsn,
        /// The records.
        records: Vec<Value>,
        /// Where the next answer goes on.
        next: Option<Lsn>,
    },
    /// What was done.
    Audit {
        /// Up to where the log is folded.
        position: Lsn,
        /// The entries.
        entries: Vec<AuditView>,
        /// Where the next answer goes on.
        next: Option<String>,
    },
    /// Alarms.
    OpenAlarms {
        /// Up to where the log is folded.
        position: Lsn,
        /// The alarms.
        alarms: Vec<AlarmView>,
        /// Where the next answer goes on.
        next: Option<String>,
    },
}

/// What is folded of a terminal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TerminalFolded {
    /// When it last told its health, UTC seconds.
    pub health_at_utc_s: Option<u32>,
    /// Its health.
    pub health: HealthCells,
    /// Why it last began anew.
    pub reset_cause: Option<String>,
    /// Its meters.
    pub meters: Vec<MeterView>,
    /// Its alarms that go on.
    pub open_alarms: Vec<AlarmView>,
}

/// An alarm that goes on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AlarmView {
    /// The terminal.
    pub terminal: TerminalId,
    /// The slot of the meter.
    pub slot: u8,
    /// The generation of the slot.
    pub generation: u8,
    /// The alarm's id, or its number if the registry does not know it.
    pub alarm: String,
    /// The meter's own two characters in hexadecimal digits, where only they tell what it is.
    pub code: Option<String>,
    /// Since when, UTC seconds.
    pub since_utc_s: u32,
    /// The position of the last notice of it.
    pub position: Lsn,
}

/// Something that was done or noticed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditView {
    /// The position of its frame in the log.
    pub position: Lsn,
    /// UTC seconds that it is not older than: the receipt of the last frame of a terminal before
    /// it. 0 if there was none.
    pub after_utc_s: u32,
    /// What happened: the tag of an event, `rollback_suspected` or `not_folded`.
    pub kind: String,
    /// What it is about: a terminal, a utility, a sink.
    pub subject: Option<String>,
    /// The rest.
    pub detail: Value,
}

/// Where the answers are.
#[derive(Clone, Debug)]
pub struct Archive {
    log: Arc<CommitLog>,
    state: Arc<State>,
    folded: Option<FoldedReader>,
    zone: Zone,
}

impl Archive {
    /// The log with what it adds up to, and the file that is folded out of it unless that is
    /// switched off.
    #[must_use]
    pub const fn new(
        log: Arc<CommitLog>,
        state: Arc<State>,
        folded: Option<FoldedReader>,
        zone: Zone,
    ) -> Self {
        Self {
            log,
            state,
            folded,
            zone,
        }
    }

    /// Answers.
    ///
    /// # Errors
    ///
    /// [`Trouble`] of kind `refused` or `unavailable`.
    pub fn answer(&self, question: Question) -> Result<Reply, Trouble> {
        match question {
            Question::Terminal { terminal } => self.terminal(terminal),
            Question::Records {
                terminal,
                lane,
                from_utc_s,
                to_utc_s,
                before,
                limit,
            } => self.records(&RecordQuery {
                terminal,
                lane,
                from_utc_s,
                to_utc_s,
                before,
                limit,
            }),
            Question::Audit {
                wanted,
                before,
                limit,
            } => self.audit(&wanted, before.as_deref(), limit),
            Question::OpenAlarms { after, limit } => self.open_alarms(after.as_deref(), limit),
        }
    }

    fn folded(&self) -> Result<&FoldedReader, Trouble> {
        self.folded.as_ref().ok_or_else(|| {
            Trouble::new(
                "unavailable",
                "nothing is folded for queries: set store.sqlite to true and start again",
            )
        })
    }

    fn terminal(&self, id: TerminalId) -> Result<Reply, Trouble> {
        let reader = self.folded()?;
        let health = reader.health(id).map_err(unavailable)?;
        let position = health.position;
        let meters = reader.meters(id).map_err(unavailable)?.value;
        let alarms = reader.alarms_of(id).map_err(unavailable)?.value;
        let folded = Box::new(view(health.value.as_ref(), &meters, &alarms));
        Ok(Reply::Terminal { position, folded })
    }

    fn records(&self, query: &RecordQuery) -> Result<Reply, Trouble> {
        let mut records = Vec::new();
        let mut line = Vec::new();
        let mut octets = 0_usize;
        let mut take = |write: &dyn Fn(&mut Vec<u8>)| {
            line.clear();
            write(&mut line);
            octets = octets.saturating_add(line.len());
            // What this server writes it reads.
            records.push(serde_json::from_slice(&line).unwrap_or_default());
        };
        let (log, state) = (&self.log, &self.state);
        let is_terminal = state.table.with(query.terminal, |_| ()).is_some();
        let page = if is_terminal || state.meters.applied(query.terminal).is_none() {
            records_over_time(log, state, query, self.zone, |record| {
                take(&|line| record.write_json(line));
            })
        } else {
            telegrams_over_time(log, state, query, |position, telegram| {
                take(&|line| write_telegram_json(position, telegram, line));
            })
        };
        let page = page.map_err(unavailable)?;
        if octets > RECORD_OCTETS {
            let message = "so many records do not fit an answer: ask for fewer with --limit";
            return Err(Trouble::new("refused", message));
        }
        Ok(Reply::Records {
            position: page.end,
            records,
            next: page.next,
        })
    }

    fn audit(
        &self,
        wanted: &AuditFilter,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Reply, Trouble> {
        let before = before.map(|text| audit_key_of(text).ok_or_else(|| no_end(text)));
        let limit = limit.clamp(1, AUDIT_MAX);
        let seen = self
            .folded()?
            .audit(wanted, before.transpose()?, limit)
            .map_err(unavailable)?;
        Ok(Reply::Audit {
            position: seen.position,
            next: last_of_full(&seen.value, limit)
                .map(|last| format!("{}-{}", last.position, last.number)),
            entries: seen.value.into_iter().map(audit_view).collect(),
        })
    }

    fn open_alarms(&self, after: Option<&str>, limit: u32) -> Result<Reply, Trouble> {
        let after = after.map(|text| key_of(text).ok_or_else(|| no_end(text)));
        let limit = limit.clamp(1, ALARMS_MAX);
        let seen = self
            .folded()?
            .open_alarms(after.transpose()?, limit)
            .map_err(unavailable)?;
        Ok(Reply::OpenAlarms {
            position: seen.position,
            next: last_of_full(&seen.value, limit).map(key_text),
            alarms: seen.value.iter().map(alarm_view).collect(),
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a conversion of errors")]
fn unavailable(error: impl ToString) -> Trouble {
    Trouble::new(
        "unavailable",
        format!(
            "{}; if it is being built again, ask later",
            error.to_string()
        ),
    )
}

fn no_end(text: &str) -> Trouble {
    let message = format!("{text} is not where an answer ended: see \"next\" in it");
    Trouble::new("refused", message)
}

/// The last row of an answer that has as many as it may; there may be more then.
fn last_of_full<T>(rows: &[T], limit: u32) -> Option<&T> {
    let is_full = usize::try_from(limit).is_ok_and(|limit| rows.len() >= limit);
    rows.last().filter(|_| is_full)
}

fn audit_key_of(text: &str) -> Option<AuditKey> {
    let (position, number) = text.split_once('-')?;
    Some((Lsn::new(position.parse().ok()?), number.parse().ok()?))
}

fn audit_view(row: AuditRow) -> AuditView {
    AuditView {
        position: row.position,
        after_utc_s: row.after_utc_s,
        kind: row.kind,
        subject: row.subject,
        // What this server writes it reads.
        detail: serde_json::from_str(&row.detail).unwrap_or_default(),
    }
}

fn key_text(row: &AlarmRow) -> String {
    let AlarmRow {
        terminal,
        meter,
        alarm,
        code,
        ..
    } = row;
    format!("{terminal}-{meter:02x}-{alarm:02x}-{code:04x}")
}

fn key_of(text: &str) -> Option<AlarmKey> {
    let mut parts = text.split('-');
    let terminal = parts.next()?.parse().ok()?;
    let meter = u8::from_str_radix(parts.next()?, 16).ok()?;
    let alarm = u8::from_str_radix(parts.next()?, 16).ok()?;
    let code = u16::from_str_radix(parts.next()?, 16).ok()?;
    parts
        .next()
        .is_none()
        .then_some((terminal, meter, alarm, code))
}

fn alarm_view(row: &AlarmRow) -> AlarmView {
    let meter = Meter::from_octet(row.meter);
    AlarmView {
        terminal: row.terminal,
        slot: meter.slot(),
        generation: meter.generation(),
        alarm: AlarmCode::from_code(row.alarm).to_string(),
        code: (row.code != 0).then(|| format!("{:04x}", row.code)),
        since_utc_s: row.since_utc_s(),
        position: row.position,
    }
}

fn view(row: Option<&HealthRow>, meters: &[MeterRow], alarms: &[AlarmRow]) -> TerminalFolded {
    let health = row.map(|row| row.health).unwrap_or_default();
    let cause = health.reset_cause.and_then(ResetCause::from_code);
    TerminalFolded {
        health_at_utc_s: row.map(|row| row.at.at_utc_s),
        health,
        reset_cause: cause.map(|cause| cause.id().to_owned()),
        meters: meters.iter().map(meter_view).collect(),
        open_alarms: alarms.iter().map(alarm_view).collect(),
    }
}

fn meter_view(row: &MeterRow) -> MeterView {
    let latest = (row.latest.register, row.latest.unit);
    let valve = row.valve.and_then(ValveState::from_code);
    MeterView {
        serial: row.mounted.serial.clone(),
        medium: row.mounted.medium,
        valve: valve.map(|valve| valve.id().to_owned()),
        valve_at_utc_s: valve.map(|_| row.valve_at.at_utc_s),
        ..MeterView::new(row.meter, row.bound, latest, row.latest.measured_at_utc_s)
    }
}
