//! Single readings: a register at an instant, and what is left in the cylinders.

use nom::number::complete::be_u8;

use crate::wire::error::{EncodeError, ErrorKind};
use crate::wire::hex::Bits;
use crate::wire::otl::coded::coded;
use crate::wire::otl::meter::{Meter, RegisterValue, meter, register, register_value_if, unit};
use crate::wire::otl::stamp::{Stamp, stamp};
use crate::wire::span::{Parsed, Span, field, ranged, refine};
use crate::wire::writer::Writer;

const REGISTER: u8 = 0x80;

coded! {
    /// Why a register was read.
    // spec: REC-21
    pub enum ReadingCause {
        /// 1: it was time.
        Scheduled = 1 "scheduled",
        /// 2: a command asked for it.
        OnDemand = 2 "on_demand",
        /// 3: the meter was installed.
        Installation = 3 "installation",
        /// 4: the meter is about to be exchanged.
        BeforeExchange = 4 "before_exchange",
        /// 5: something happened.
        Event = 5 "event",
        /// 6: the day on which the account closes.
        ClosingDay = 6 "closing_day",
    }
}

/// 0x02: a register at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterReading {
    /// When.
    pub stamp: Stamp,
    /// Which meter.
    pub meter: Meter,
    /// Why.
    pub cause: ReadingCause,
    /// The unit and the value.
    pub value: RegisterValue,
}

impl RegisterReading {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u8(self.meter.octet())?;
        out.u8(self.value.unit.code())?;
        out.u8(self.cause.code())?;
        out.varint(self.value.register.get())
    }
}

pub(crate) fn register_reading(input: Span<'_>) -> Parsed<'_, RegisterReading> {
    let (rest, stamp) = stamp(input)?;
    let (rest, meter) = meter("meter")(rest)?;
    let (rest, unit) = unit("unit")(rest)?;
    let (rest, cause) = field("cause", ranged(be_u8, ReadingCause::from_code))(rest)?;
    let (rest, register) = register("register")(rest)?;
    let reading = RegisterReading {
        stamp,
        meter,
        cause,
        value: RegisterValue { unit, register },
    };
    Ok((rest, reading))
}

coded! {
    /// A warning level of residual gas.
    // spec: REC-21
    pub enum GasLevel {
        /// 0: none.
        None = 0 "none",
        /// 1: the first level.
        First = 1 "level_1",
        /// 2: the second level.
        Second = 2 "level_2",
        /// 3: the third level.
        Third = 3 "level_3",
    }
}

/// 0x08: what is left in the cylinders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidualGas {
    /// When.
    pub stamp: Stamp,
    /// Which meter.
    pub meter: Meter,
    /// The warning level that was reached.
    pub level: GasLevel,
    /// How much is left, if that is known.
    pub remaining: Option<RegisterValue>,
}

impl ResidualGas {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u8(self.meter.octet())?;
        out.u8(self.level.code())?;
        out.u8(if self.remaining.is_some() {
            REGISTER
        } else {
            0
        })?;
        RegisterValue::encode_option(self.remaining, out)
    }
}

pub(crate) fn residual_gas(input: Span<'_>) -> Parsed<'_, ResidualGas> {
    let (rest, stamp) = stamp(input)?;
    let (rest, meter) = meter("meter")(rest)?;
    let (rest, level) = field("level", ranged(be_u8, GasLevel::from_code))(rest)?;
    let (rest, flags) = flags_of(REGISTER)(rest)?;
    let (rest, remaining) = register_value_if(flags & REGISTER != 0)(rest)?;
    let gas = ResidualGas {
        stamp,
        meter,
        level,
        remaining,
    };
    Ok((rest, gas))
}

/// Reads flags of which only the bits of `known` have a meaning.
// spec: GEN-7
pub(super) fn flags_of<'a>(known: u8) -> impl FnMut(Span<'a>) -> Parsed<'a, u8> {
    move |input: Span<'a>| {
        let (rest, flags) = field(
            "flags",
            refine(be_u8, |octet: u8| {
                if octet & !known == 0 {
                    Ok(Bits(octet))
                } else {
                    Err(ErrorKind::ReservedBits)
                }
            }),
        )(input)?;
        Ok((rest, flags.0))
    }
}
