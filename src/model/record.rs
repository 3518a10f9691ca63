//! The outward record: one fact of a terminal as sinks and consumers see it.
//!
//! A record is made from a session step of the log by decoding the kept plaintext again, so that
//! what leaves the server is a function of the step and of the decoder alone: a redelivery, a
//! second sink or a rebuilt server say the same under the same id. Its JSON form is
//! `protocol-spec/record-json.md`.
//!
//! What is emitted is every record that is a new fact, those that cannot be decoded too: all that a
//! terminal was told is safe reaches the sink. Contradictions are not (they were never
//! acknowledged), and a step whose content cannot be read at all emits nothing for the same reason.

use crate::keyring::UtilityId;
use crate::wire::error::DecodeError;
use crate::wire::otl::ident::Mode;
use crate::wire::otl::record::{Record, RecordBody};
use crate::wire::otl::registry::items::SESSION_ITEM_FIRST;
use crate::wire::otl::uplink::{DamagedItem, Salvage};

use super::ids::{Lane, Lanes, Lsn, TerminalId};
use super::step::{ALARM_NOTICE, DECODER_VERSION, RecordFlags, SessionStep, StepFlags};

mod dating;
pub(in crate::model) mod json;

use dating::Dating;
pub use dating::{Measured, Zone};
pub use json::SCHEMA;

/// What a record says.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A record that this version decodes, one of an unknown type included.
    Decoded(&'a Record),
    /// One that it cannot decode.
    // spec: REC-12
    Damaged(&'a DamagedItem),
}

impl Content<'_> {
    const fn number(&self) -> u8 {
        match self {
            Self::Decoded(record) => record.body.number(),
            Self::Damaged(item) => item.number,
        }
    }

    fn sequence(&self) -> u32 {
        match self {
            Self::Decoded(record) => record.sequence.get(),
            Self::Damaged(item) => item.sequence.map_or(0, core::num::NonZeroU32::get),
        }
    }
}

/// One outward record.
#[derive(Clone, Copy, Debug)]
pub struct OutwardRecord<'a> {
    /// The utility of the terminal when the record came.
    pub utility: UtilityId,
    /// The terminal.
    pub terminal: TerminalId,
    /// The lane that it travels in.
    pub lane: Lane,
    /// The store epoch.
    pub epoch: u32,
    /// The record sequence, 0 if it cannot be read.
    pub sequence: u32,
    /// What tells records of one sequence apart: 0 for what decodes.
    pub index: u32,
    /// When it was measured, as far as that is known.
    pub measured: Option<Measured>,
    /// When its frame was received, UTC seconds.
    pub received_utc_s: u32,
    /// The security mode of its frame, 0 to 3.
    pub mode: u8,
    /// What ingest noted about it.
    pub flags: RecordFlags,
    /// Whether it came without a ticket.
    // spec: FRS-2
    pub freshness_unproven: bool,
    /// What it says.
    pub content: Content<'a>,
    /// The position of its step in the log.
    pub position: Lsn,
}

/// Why a step gives no records, although its records were acknowledged.
///
/// Neither happens to a log that this version or an earlier one wrote. A sink stops at such a step,
/// since going on would lose what was acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// The mode is none.
    #[error("the step at {0} names no security mode: read this log with the server that wrote it")]
    Mode(Lsn),
    /// What was read when it came cannot be read now.
    #[error(
        "the plaintext of the step at {lsn} was decoded when it came and is refused now: \
         run the server that wrote it, or a later one"
    )]
    Plaintext {
        /// Where.
        lsn: Lsn,
        /// Why.
        #[source]
        cause: DecodeError,
    },
}

/// Gives the new records of a step that are in one of `lanes` to `emit`: those that decode in the
/// order of their frame, then the others.
///
/// `zone` is that of terminals whose frame does not tell theirs.
///
/// # Errors
///
/// [`RecordError`]; nothing was emitted then.
// spec: REC-12
pub fn records_of(
    position: Lsn,
    terminal: TerminalId,
    step: &SessionStep<'_>,
    lanes: Lanes,
    zone: Zone,
    mut emit: impl FnMut(&OutwardRecord<'_>),
) -> Result<(), RecordError> {
    if step.flags.has(StepFlags::UNREADABLE) || !has_new(step, lanes) {
        return Ok(());
    }
    let mode = Mode::from_number(step.mode).ok_or(RecordError::Mode(position))?;
    let salvage = Salvage::decode(step.plaintext, step.header.len(), mode);
    let Salvage { body, damaged } = salvage.map_err(|cause| RecordError::Plaintext {
        lsn: position,
        cause,
    })?;
    let dating = Dating::new(&body, step.received_utc_s, zone);
    let decoded = body.records.iter().map(Content::Decoded);
    let is_record = |item: &&DamagedItem| item.number < SESSION_ITEM_FIRST;
    let others = damaged.iter().filter(is_record).map(Content::Damaged);
    for (place, content) in decoded.chain(others).enumerate() {
        let (number, sequence) = (content.number(), content.sequence());
        let lane = lane_of(number);
        let noted = step.noted(place, number, sequence);
        if !noted.is_new() || !lanes.meets(lane.into()) {
            continue;
        }
        let (index, measured) = match content {
            Content::Decoded(record) => (0, dating.measured(&record.body)),
            Content::Damaged(item) => (index_of(item, &body.records, &damaged), None),
        };
        emit(&OutwardRecord {
            utility: step.utility,
            terminal,
            lane,
            epoch: body.report.epoch.get(),
            sequence,
            index,
            measured,
            received_utc_s: step.received_utc_s,
            mode: step.mode,
            flags: flags_now(noted, content, measured),
            freshness_unproven: step.flags.has(StepFlags::FRESHNESS_UNPROVEN),
            content,
            position,
        });
    }
    Ok(())
}

/// What was noted, with what depends on the decoder as it is now.
fn flags_now(noted: RecordFlags, content: Content<'_>, measured: Option<Measured>) -> RecordFlags {
    let is_damaged = matches!(content, Content::Damaged(_));
    let by_server = measured.is_some_and(|measured| measured.dated_by_server);
    noted
        .without(RecordFlags::UNDECODABLE)
        .with_if(RecordFlags::UNDECODABLE, is_damaged)
        .with_if(RecordFlags::DATED_BY_SERVER, by_server)
}

fn has_new(step: &SessionStep<'_>, lanes: Lanes) -> bool {
    lanes.meets(Lanes::ALARM) && step.has_new_alarm()
        || lanes.meets(Lanes::BULK) && step.has_new_bulk()
}

const fn lane_of(number: u8) -> Lane {
    if number == ALARM_NOTICE {
        Lane::Alarm
    } else {
        Lane::Bulk
    }
}

/// Tells a damaged record from others of its sequence: their count before it in the frame, or, for
/// want of a sequence, a checksum of its type and octets, which a repeat has too.
fn index_of(item: &DamagedItem, records: &[Record], damaged: &[DamagedItem]) -> u32 {
    let Some(sequence) = item.sequence else {
        return crc32c::crc32c_append(crc32c::crc32c(&[item.number]), &item.octets);
    };
    let decoded = records.iter().filter(|record| record.sequence == sequence);
    let before = damaged
        .iter()
        .take_while(|other| !core::ptr::eq(*other, item));
    let before = before.filter(|other| other.sequence == Some(sequence));
    u32::try_from(decoded.count().saturating_add(before.count())).unwrap_or(u32::MAX)
}

impl OutwardRecord<'_> {
    /// Grows when the same octets are decoded anew with another result: the version of the decoder.
    #[must_use]
    pub const fn revision(&self) -> u16 {
        DECODER_VERSION
    }

    /// What kind of record it is: a type of `decode-json.md`, or `undecodable`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.content {
            Content::Decoded(record) => record.body.id(),
            Content::Damaged(_) => "undecodable",
        }
    }

    /// The meter that it is about, if it names one: of an exchange the new one.
    const fn meter(&self) -> Option<crate::wire::otl::meter::Meter> {
        match self.content {
            Content::Decoded(record) => meter_of(&record.body),
            Content::Damaged(_) => None,
        }
    }
}

const fn meter_of(body: &RecordBody) -> Option<crate::wire::otl::meter::Meter> {
    match body {
        RecordBody::Everyday(record) => Some(record.parts().meter),
        RecordBody::RegisterReading(record) => Some(record.meter),
        RecordBody::IntervalSeries(record) => Some(record.meter),
        RecordBody::IntervalGauges(record) => Some(record.meter),
        RecordBody::AlarmNotice(record) => Some(record.meter),
        RecordBody::ValveState(record) => Some(record.meter),
        RecordBody::ResidualGas(record) => Some(record.meter),
        RecordBody::MeterExchange(record) => Some(record.new_meter()),
        RecordBody::MeterTable(record) => Some(record.meter),
        RecordBody::CommandResult(record) => Some(record.meter),
        RecordBody::Health(_)
        | RecordBody::ClockChange(_)
        | RecordBody::OpaquePayload(_)
        | RecordBody::TerminalInfo(_)
        | RecordBody::Opaque(_) => None,
    }
}
