//! Records: facts that a terminal keeps until it is told that they are safe.
//!
//! A record is an item of an uplink whose body begins with the record sequence. A type that this
//! version does not know stays as it came, with its sequence, and is acknowledged like any other.

use core::num::NonZeroU32;

use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::span::{Parsed, Span, field, ranged};
use crate::wire::varint::varint;
use crate::wire::writer::Writer;

use super::item::{self, RawItem};
use super::registry::items::{SESSION_ITEM_FIRST, record_id};

pub mod alarm;
pub mod everyday;
pub mod interval;
pub mod meters;
pub mod reading;
pub mod result;
pub mod terminal;

pub use alarm::{Alarm, AlarmNotice, AlarmState, Alarms};
pub use everyday::{Everyday, EverydayParts};
pub use interval::{IntervalGauges, IntervalSeries, StepMinutes};
pub use meters::{Digits, MeterExchange, MeterTable};
pub use reading::{GasLevel, ReadingCause, RegisterReading, ResidualGas};
pub use result::{CommandResult, Mac, Proof, ResultData, ValveCause, ValveReport};
pub use terminal::{ClockCause, ClockChange, HealthReport, OpaquePayload, TerminalInfo};

/// A record: its sequence and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The record sequence, from 1: with terminal and store epoch the key of idempotence.
    // spec: REC-6
    pub sequence: NonZeroU32,
    /// What the record says.
    pub body: RecordBody,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordBody {
    /// 0x01: a day of a meter.
    Everyday(Everyday),
    /// 0x02: a register at an instant.
    RegisterReading(RegisterReading),
    /// 0x03: registers at equal distances.
    IntervalSeries(IntervalSeries),
    /// 0x04: gauges at equal distances.
    IntervalGauges(IntervalGauges),
    /// 0x05: alarms of one event.
    AlarmNotice(AlarmNotice),
    /// 0x06: the state of a valve.
    ValveState(ValveReport),
    /// 0x07: health of the terminal and totals.
    Health(HealthReport),
    /// 0x08: what is left in the cylinders.
    ResidualGas(ResidualGas),
    /// 0x09: a meter was exchanged.
    MeterExchange(MeterExchange),
    /// 0x0A: what is mounted in a slot.
    MeterTable(MeterTable),
    /// 0x0B: what became of a command.
    CommandResult(CommandResult),
    /// 0x0C: the clock was changed.
    ClockChange(ClockChange),
    /// 0x0D: a payload of another protocol.
    OpaquePayload(OpaquePayload),
    /// 0x0E: what the terminal is and can do.
    TerminalInfo(TerminalInfo),
    /// A type that this version does not know.
    Opaque(OpaqueRecord),
}

/// A record of a type that this version does not know, kept as it came.
// spec: REC-7
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaqueRecord {
    number: u8,
    critical: bool,
    octets: Vec<u8>,
}

impl OpaqueRecord {
    /// An opaque record; none if the number is registered or no record's, 1 to 0x6F.
    #[must_use]
    pub fn new(number: u8, critical: bool, octets: Vec<u8>) -> Option<Self> {
        if number == 0 || number >= SESSION_ITEM_FIRST || record_id(number).is_some() {
            return None;
        }
        Some(Self {
            number,
            critical,
            octets,
        })
    }

    /// The number of the type.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// The critical bit, which means nothing in an uplink, and is kept.
    #[must_use]
    pub const fn critical(&self) -> bool {
        self.critical
    }

    /// The octets after the record sequence.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl RecordBody {
    /// The number of the type, 1 to 0x6F.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::Everyday(_) => 0x01,
            Self::RegisterReading(_) => 0x02,
            Self::IntervalSeries(_) => 0x03,
            Self::IntervalGauges(_) => 0x04,
            Self::AlarmNotice(_) => 0x05,
            Self::ValveState(_) => 0x06,
            Self::Health(_) => 0x07,
            Self::ResidualGas(_) => 0x08,
            Self::MeterExchange(_) => 0x09,
            Self::MeterTable(_) => 0x0A,
            Self::CommandResult(_) => 0x0B,
            Self::ClockChange(_) => 0x0C,
            Self::OpaquePayload(_) => 0x0D,
            Self::TerminalInfo(_) => 0x0E,
            Self::Opaque(record) => record.number(),
        }
    }

    /// The id of the type; `opaque` where this version knows none.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        match record_id(self.number()) {
            Some(id) => id,
            None => "opaque",
        }
    }

    /// Writes what follows the record sequence.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`].
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Everyday(body) => body.encode(out),
            Self::RegisterReading(body) => body.encode(out),
            Self::IntervalSeries(body) => body.encode(out),
            Self::IntervalGauges(body) => body.encode(out),
            Self::AlarmNotice(body) => body.encode(out),
            Self::ValveState(body) => body.encode(out),
            Self::Health(body) => body.encode(out),
            Self::ResidualGas(body) => body.encode(out),
            Self::MeterExchange(body) => body.encode(out),
            Self::MeterTable(body) => body.encode(out),
            Self::CommandResult(body) => body.encode(out),
            Self::ClockChange(body) => body.encode(out),
            Self::OpaquePayload(body) => body.encode(out),
            Self::TerminalInfo(body) => body.encode(out),
            Self::Opaque(body) => out.octets(body.octets()),
        }
    }

    /// Reads what follows the record sequence of a registered type; all octets are taken.
    fn parse<'a>(item: &RawItem<'_>, input: Span<'a>) -> Parsed<'a, Self> {
        match item.number {
            0x01 => map(everyday::everyday(input), Self::Everyday),
            0x02 => map(reading::register_reading(input), Self::RegisterReading),
            0x03 => map(interval::interval_series(input), Self::IntervalSeries),
            0x04 => map(interval::interval_gauges(input), Self::IntervalGauges),
            0x05 => map(alarm::alarm_notice(input), Self::AlarmNotice),
            0x06 => map(result::valve_report(input), Self::ValveState),
            0x07 => map(terminal::health_report(input), Self::Health),
            0x08 => map(reading::residual_gas(input), Self::ResidualGas),
            0x09 => map(meters::meter_exchange(input), Self::MeterExchange),
            0x0A => map(meters::meter_table(input), Self::MeterTable),
            0x0B => map(result::command_result(input), Self::CommandResult),
            0x0C => map(terminal::clock_change(input), Self::ClockChange),
            0x0D => map(terminal::opaque_payload(input), Self::OpaquePayload),
            0x0E => map(terminal::terminal_info(input), Self::TerminalInfo),
            number => {
                let (rest, octets) = terminal::to_the_end("opaque body")(input)?;
                let record = OpaqueRecord {
                    number,
                    critical: item.critical,
                    octets,
                };
                Ok((rest, Self::Opaque(record)))
            }
        }
    }
}

fn map<'a, T>(parsed: Parsed<'a, T>, body: fn(T) -> RecordBody) -> Parsed<'a, RecordBody> {
    parsed.map(|(rest, value)| (rest, body(value)))
}

impl Record {
    /// Writes the record as an item.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`].
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let critical = match &self.body {
            RecordBody::Opaque(record) => record.critical(),
            _ => false,
        };
        item::put(out, self.body.number(), critical, |out| {
            out.varint(u64::from(self.sequence.get()))?;
            self.body.encode(out)
        })
    }

    /// Reads the body of an item as a record.
    // spec: REC-6, REC-7, REC-11, FRM-19
    pub(crate) fn decode(item: &RawItem<'_>) -> Result<Self, DecodeError> {
        item::whole(item.body, |body| {
            let (rest, sequence) = sequence(body)?;
            let (rest, body) = RecordBody::parse(item, rest)?;
            Ok((rest, Self { sequence, body }))
        })
    }
}

/// Reads a record sequence.
// spec: REC-6
#[inline(always)]
pub(crate) fn sequence(input: Span<'_>) -> Parsed<'_, NonZeroU32> {
    field(
        "record sequence",
        ranged(varint(u64::from(u32::MAX)), |sequence| {
            u32::try_from(sequence).ok().and_then(NonZeroU32::new)
        }),
    )(input)
}
