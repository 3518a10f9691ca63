//! Frames of the log as what they change: gathered in memory, bounded, and written in one go.

use super::facts::Fact;
use super::rows::{AuditRow, MetaRow};
use crate::model::record::Content;
use crate::model::{
    Event, Lanes, Lsn, SessionStep, StepFlags, Telegram, TerminalId, Zone, records_of,
};
use crate::store::state::fold::{FoldFrame, KIND_EVENT, KIND_STEP, KIND_TELEGRAM};

/// Facts in a delta from which on it is full: an everyday session has three, of 48 octets each. The
/// more there are, the more of them share a page that is written.
const FACTS_MAX: usize = 400_000;
/// Entries of the audit from which on it is full: some hundred octets each.
const AUDIT_MAX: usize = 25_000;

/// What a run of frames changes.
#[derive(Debug)]
pub struct Delta {
    /// In the order of the log.
    pub(super) facts: Vec<(i64, Fact)>,
    pub(super) audit: Vec<AuditRow>,
    pub(super) meta: MetaRow,
    zone: Zone,
    not_folded: u64,
}

impl Delta {
    /// An empty delta that goes on from what is folded. `zone` is that of terminals whose frame
    /// does not tell theirs.
    #[must_use]
    pub const fn new(from: MetaRow, zone: Zone) -> Self {
        Self {
            facts: Vec::new(),
            audit: Vec::new(),
            meta: from,
            zone,
            not_folded: 0,
        }
    }

    /// Empties it after it was written; it goes on from there.
    pub fn clear(&mut self) {
        self.facts.clear();
        self.audit.clear();
        self.not_folded = 0;
    }

    /// Whether it should be written before more is taken.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.facts.len() >= FACTS_MAX || self.audit.len() >= AUDIT_MAX
    }

    /// Frames of this delta that cannot be folded; each is in the audit.
    #[must_use]
    pub const fn not_folded(&self) -> u64 {
        self.not_folded
    }

    /// Where it ends.
    #[must_use]
    pub const fn position(&self) -> Lsn {
        self.meta.position
    }

    /// Takes a frame in. One that cannot be read is noted in the audit and passed over: the log
    /// has it, and what is folded behind must not stop for it.
    pub fn fold(&mut self, frame: &FoldFrame<'_>) {
        let is_folded = match frame.kind {
            KIND_STEP => self.fold_step(frame),
            KIND_EVENT => self.fold_event(frame),
            // What people ask for of meters is in the log alone; only its time counts here.
            KIND_TELEGRAM => self.fold_telegram(frame),
            _ => None,
        };
        if is_folded.is_none() {
            self.not_folded = self.not_folded.saturating_add(1);
            let detail = format!("{{\"kind\":{}}}", frame.kind);
            self.note(frame.lsn, "not_folded", frame.terminal, detail);
        }
    }

    /// Notes that all frames before a position are taken in.
    pub fn note_position(&mut self, position: Lsn) {
        self.meta.position = self.meta.position.max(position);
    }

    pub(super) fn add(&mut self, terminal: TerminalId, fact: Fact) {
        let key = i64::from_be_bytes(terminal.octets());
        self.facts.push((key, fact));
    }

    fn note(&mut self, lsn: Lsn, kind: &str, subject: Option<TerminalId>, detail: String) {
        let subject = subject.map(|id| id.to_string());
        self.note_about(lsn, kind, subject, detail);
    }

    fn note_about(&mut self, lsn: Lsn, kind: &str, subject: Option<String>, detail: String) {
        let last = self.audit.last().filter(|row| row.position == lsn);
        self.audit.push(AuditRow {
            position: lsn,
            number: last.map_or(0, |row| row.number.saturating_add(1)),
            after_utc_s: self.meta.received_utc_s,
            kind: kind.to_owned(),
            subject,
            detail,
        });
    }

    fn fold_step(&mut self, frame: &FoldFrame<'_>) -> Option<()> {
        let lsn = frame.lsn;
        let terminal = frame.terminal?;
        let step = SessionStep::decode(frame.payload).ok()?;
        let lanes = Lanes::ALARM.with(Lanes::BULK);
        let zone = self.zone;
        let given = records_of(lsn, terminal, &step, lanes, zone, |record| {
            if let Content::Decoded(decoded) = record.content {
                self.fold_record(record, decoded);
            }
        });
        self.meta.received_utc_s = step.received_utc_s;
        if step.promoted_version.is_some() || step.promoted_mode.is_some() {
            let detail = serde_json::json!({
                "version": step.promoted_version, "mode": step.promoted_mode,
            });
            self.note(lsn, "promoted", Some(terminal), detail.to_string());
        }
        if step.flags.has(StepFlags::ROLLBACK_SUSPECTED) {
            let detail = serde_json::json!({ "utility": step.utility });
            self.note(
                lsn,
                "rollback_suspected",
                Some(terminal),
                detail.to_string(),
            );
        }
        given.ok()
    }

    fn fold_telegram(&mut self, frame: &FoldFrame<'_>) -> Option<()> {
        let telegram = Telegram::decode(frame.payload).ok()?;
        let received_utc_s = telegram.received_utc_ms / 1_000;
        self.meta.received_utc_s = u32::try_from(received_utc_s).unwrap_or(u32::MAX);
        Some(())
    }

    fn fold_event(&mut self, frame: &FoldFrame<'_>) -> Option<()> {
        let lsn = frame.lsn;
        let event = Event::decode(frame.payload).ok()?;
        match &event {
            Event::TerminalsPut { utility, terminals } => {
                let detail = serde_json::json!({
                    "terminals": terminals.len(),
                    "first": terminals.first().map(|one| one.id),
                    "last": terminals.last().map(|one| one.id),
                });
                let subject = Some(utility.clone());
                self.note_about(lsn, "terminals_put", subject, detail.to_string());
                Some(())
            }
            // Often, and of no interest to a person.
            Event::NonceMark { .. }
            | Event::SinkAdvanced { .. }
            | Event::Called { .. }
            | Event::MeterCounterReserved { .. } => Some(()),
            // Without the digest of the token, against which somebody could try tokens.
            Event::GatewayPut(entry) => {
                let detail = serde_json::json!({
                    "utility": entry.utility,
                    "token": entry.token_sha256.is_some(),
                    "certificate_sha256": entry.certificate_sha256,
                    "addresses": entry.addresses,
                });
                let subject = Some(entry.gateway.clone());
                self.note_about(lsn, "gateway_put", subject, detail.to_string());
                Some(())
            }
            _ => self.note_event(lsn, &event, frame.payload),
        }
    }

    /// An event is its own entry: it is JSON with a tag, and holds no secret.
    fn note_event(&mut self, lsn: Lsn, event: &Event, payload: &[u8]) -> Option<()> {
        let mut fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(payload).ok()?;
        let kind = fields.shift_remove("event")?;
        let subject = event.terminal().map(|id| id.to_string()).or_else(|| {
            let names = ["utility", "sink", "gateway", "id"];
            let mut found = names.iter().filter_map(|name| fields.get(*name)?.as_str());
            found.next().map(str::to_owned)
        });
        let detail = serde_json::Value::Object(fields).to_string();
        self.note_about(lsn, kind.as_str()?, subject, detail);
        Some(())
    }
}
