//! The everyday record: a day of one meter in some sixty octets.

use nom::number::complete::{be_u8, be_u16};

use crate::wire::error::{EncodeError, ErrorKind, OutOfRange};
use crate::wire::hex::Bits;
use crate::wire::otl::gauges::{Gauges, gauges};
use crate::wire::otl::health::{Health, health};
use crate::wire::otl::limits::DAY_MARKS;
use crate::wire::otl::meter::{Meter, Register, Unit, meter, register, unit};
use crate::wire::otl::registry::valve::ValveState;
use crate::wire::otl::series::{Series, series};
use crate::wire::span::{Parsed, Span, field, ranged};
use crate::wire::writer::Writer;

const HOURLY_REGISTERS: u8 = 0x80;
const HOURLY_PRESSURES: u8 = 0x40;
const HEALTH: u8 = 0x20;
const EXPLICIT: u8 = 0x10;
const VALVE: u8 = 0x0F;

/// A day of a meter, checked: what is read with [`Everyday::parts`] has a valid encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Everyday {
    parts: EverydayParts,
}

/// The values of an everyday record. What was not measured is left out.
// spec: REC-19
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EverydayParts {
    /// The state of the valve when the record was made.
    pub valve: ValveState,
    /// Which meter.
    pub meter: Meter,
    /// The unit of the registers.
    pub unit: Unit,
    /// Days since 1970-01-01 in the terminal's zone.
    pub day: u16,
    /// The value of mark 24 where it was measured and `hourly_registers` do not hold it.
    // spec: REC-18
    pub explicit_register: Option<Register>,
    /// Registers at the 24 hour marks, 01:00 to 24:00.
    // spec: REC-17
    pub hourly_registers: Option<Series>,
    /// Pressures at the 24 hour marks, in units of 10 Pa.
    pub hourly_pressures: Option<Gauges>,
    /// The health of the terminal.
    pub health: Option<Health>,
}

impl Everyday {
    /// An everyday record.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for series or gauges of another count than 24, and for an explicit register
    /// beside one at mark 24.
    // spec: REC-17, REC-18
    pub fn new(parts: EverydayParts) -> Result<Self, OutOfRange> {
        let registers = parts.hourly_registers.as_ref();
        if registers.is_some_and(|series| series.count() != DAY_MARKS) {
            return Err(OutOfRange("hourly registers, 24 marks"));
        }
        let pressures = parts.hourly_pressures.as_ref();
        if pressures.is_some_and(|gauges| gauges.count() != DAY_MARKS) {
            return Err(OutOfRange("hourly pressures, 24 marks"));
        }
        if parts.explicit_register.is_some() && mark_24(registers).is_some() {
            return Err(OutOfRange("explicit register beside mark 24"));
        }
        Ok(Self { parts })
    }

    /// The values.
    #[must_use]
    pub const fn parts(&self) -> &EverydayParts {
        &self.parts
    }

    /// The values, to be changed and checked again.
    #[must_use]
    pub fn into_parts(self) -> EverydayParts {
        self.parts
    }

    /// The daily register: the value of mark 24, wherever the record holds it.
    // spec: REC-18
    #[must_use]
    pub fn daily_register(&self) -> Option<Register> {
        self.parts
            .explicit_register
            .or_else(|| mark_24(self.parts.hourly_registers.as_ref()))
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let parts = &self.parts;
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        out.u8(flag(parts.hourly_registers.is_some(), HOURLY_REGISTERS)
            | flag(parts.hourly_pressures.is_some(), HOURLY_PRESSURES)
            | flag(parts.health.is_some(), HEALTH)
            | flag(parts.explicit_register.is_some(), EXPLICIT)
            | parts.valve.code())?;
        out.u8(parts.meter.octet())?;
        out.u8(parts.unit.code())?;
        out.u16(parts.day)?;
        if let Some(register) = parts.explicit_register {
            out.varint(register.get())?;
        }
        if let Some(series) = &parts.hourly_registers {
            series.encode(out)?;
        }
        if let Some(gauges) = &parts.hourly_pressures {
            gauges.encode(out)?;
        }
        parts.health.map_or(Ok(()), |health| health.encode(out))
    }
}

fn mark_24(registers: Option<&Series>) -> Option<Register> {
    registers.and_then(|series| series.at(DAY_MARKS))
}

/// Reads the body of an everyday record.
// spec: REC-17, REC-18, REC-21
#[inline(always)]
pub(crate) fn everyday(input: Span<'_>) -> Parsed<'_, Everyday> {
    let (rest, (flags, valve)) = flags(input)?;
    let has = |bit: u8| flags & bit != 0;
    let (rest, meter) = meter("meter")(rest)?;
    let (rest, unit) = unit("unit")(rest)?;
    let (rest, day) = field("day", be_u16)(rest)?;
    let explicit_at = rest;
    let (rest, explicit_register) = optional(rest, has(EXPLICIT), register("daily register"))?;
    let (rest, hourly_registers) = optional(rest, has(HOURLY_REGISTERS), series(DAY_MARKS))?;
    if explicit_register.is_some() && mark_24(hourly_registers.as_ref()).is_some() {
        return explicit_at
            .refuse(ErrorKind::NonCanonical)
            .map_err(|error| error.map(|error| error.in_field("daily register")));
    }
    let (rest, hourly_pressures) = optional(rest, has(HOURLY_PRESSURES), gauges(DAY_MARKS))?;
    let (rest, health) = optional(rest, has(HEALTH), health)?;
    let parts = EverydayParts {
        valve,
        meter,
        unit,
        day,
        explicit_register,
        hourly_registers,
        hourly_pressures,
        health,
    };
    Ok((rest, Everyday { parts }))
}

/// Reads flags whose low four bits are a valve state.
// spec: REC-21
#[inline(always)]
pub(super) fn flags(input: Span<'_>) -> Parsed<'_, (u8, ValveState)> {
    let (rest, flags) = field(
        "flags and valve state",
        ranged(be_u8, |octet: u8| {
            ValveState::from_code(octet & VALVE).map(|_| Bits(octet))
        }),
    )(input)?;
    let valve = ValveState::from_code(flags.0 & VALVE).unwrap_or(ValveState::Unknown);
    Ok((rest, (flags.0, valve)))
}

/// Reads a value that a flag has announced.
#[inline(always)]
fn optional<'a, T>(
    input: Span<'a>,
    present: bool,
    mut parser: impl FnMut(Span<'a>) -> Parsed<'a, T>,
) -> Parsed<'a, Option<T>> {
    if present {
        parser(input).map(|(rest, value)| (rest, Some(value)))
    } else {
        Ok((input, None))
    }
}
