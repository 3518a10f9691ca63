//! What is mounted where: meter exchanges and meter tables.

use core::fmt;

use nom::number::complete::be_u8;

use crate::wire::error::{EncodeError, ErrorKind, OutOfRange};
use crate::wire::otl::limits::SERIAL_MAX;
use crate::wire::otl::meter::{Meter, RegisterValue, Unit, meter, register_value_if, unit};
use crate::wire::otl::stamp::{Stamp, stamp};
use crate::wire::otl::text::Serial;
use crate::wire::span::{Parsed, Span, field, ranged, refine};
use crate::wire::writer::Writer;

use super::alarm::text;
use super::reading::flags_of;

const OLD_VALUE: u8 = 0x80;
const NEW_VALUE: u8 = 0x40;

/// 0x09: a meter was exchanged: another generation of the same slot.
// spec: REC-14, REC-25
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterExchange {
    stamp: Stamp,
    old: Meter,
    new: Meter,
    old_register: Option<RegisterValue>,
    new_register: Option<RegisterValue>,
}

impl MeterExchange {
    /// An exchange, with the registers at which the old meter ended and the new one began.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] unless both meters are in the same slot with different generations.
    // spec: REC-25
    pub const fn new(
        stamp: Stamp,
        old: Meter,
        new: Meter,
        old_register: Option<RegisterValue>,
        new_register: Option<RegisterValue>,
    ) -> Result<Self, OutOfRange> {
        if old.slot() != new.slot() || old.generation() == new.generation() {
            return Err(OutOfRange("generations of one slot"));
        }
        Ok(Self {
            stamp,
            old,
            new,
            old_register,
            new_register,
        })
    }

    /// When.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The meter that was taken away.
    #[must_use]
    pub const fn old_meter(&self) -> Meter {
        self.old
    }

    /// The meter that was mounted.
    #[must_use]
    pub const fn new_meter(&self) -> Meter {
        self.new
    }

    /// The last register of the old meter, if it was read.
    #[must_use]
    pub const fn old_register(&self) -> Option<RegisterValue> {
        self.old_register
    }

    /// The first register of the new meter, if it was read.
    #[must_use]
    pub const fn new_register(&self) -> Option<RegisterValue> {
        self.new_register
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u8(self.old.octet())?;
        out.u8(self.new.octet())?;
        let old = if self.old_register.is_some() {
            OLD_VALUE
        } else {
            0
        };
        let new = if self.new_register.is_some() {
            NEW_VALUE
        } else {
            0
        };
        out.u8(old | new)?;
        RegisterValue::encode_option(self.old_register, out)?;
        RegisterValue::encode_option(self.new_register, out)
    }
}

// spec: REC-25, GEN-7
pub(crate) fn meter_exchange(input: Span<'_>) -> Parsed<'_, MeterExchange> {
    let (rest, stamp) = stamp(input)?;
    let (rest, old) = meter("old meter")(rest)?;
    let (rest, new) = field(
        "new meter",
        refine(be_u8, |octet| {
            let new = Meter::from_octet(octet);
            if new.slot() == old.slot() && new != old {
                Ok(new)
            } else {
                Err(ErrorKind::BadValue)
            }
        }),
    )(rest)?;
    let (rest, flags) = flags_of(OLD_VALUE | NEW_VALUE)(rest)?;
    let (rest, old_register) = register_value_if(flags & OLD_VALUE != 0)(rest)?;
    let (rest, new_register) = register_value_if(flags & NEW_VALUE != 0)(rest)?;
    let exchange = MeterExchange {
        stamp,
        old,
        new,
        old_register,
        new_register,
    };
    Ok((rest, exchange))
}

/// The digits of a register before it wraps: 1 to 14.
// spec: REC-21
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digits(u8);

impl Digits {
    /// A number of digits.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for 0 and above 14.
    pub const fn new(digits: u8) -> Result<Self, OutOfRange> {
        match digits {
            1..=14 => Ok(Self(digits)),
            _ => Err(OutOfRange("digits, 1 to 14")),
        }
    }

    /// The number of digits.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 0x0A: what is mounted in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterTable {
    /// When.
    pub stamp: Stamp,
    /// Which slot and generation.
    pub meter: Meter,
    /// The device type of EN 13757-3: 2 electricity, 3 gas, 4 heat, 7 water; others are kept.
    pub medium: u8,
    /// The unit of the register.
    pub unit: Unit,
    /// The digits of the register.
    pub digits: Digits,
    /// The serial of the meter.
    pub serial: Serial,
}

impl MeterTable {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u8(self.meter.octet())?;
        out.u8(self.medium)?;
        out.u8(self.unit.code())?;
        out.u8(self.digits.get())?;
        let serial = self.serial.as_bytes();
        out.u8(u8::try_from(serial.len()).map_err(|_| EncodeError::NoRoom)?)?;
        out.octets(serial)
    }
}

// spec: REC-21
pub(crate) fn meter_table(input: Span<'_>) -> Parsed<'_, MeterTable> {
    let (rest, stamp) = stamp(input)?;
    let (rest, meter) = meter("meter")(rest)?;
    let (rest, medium) = field("medium", be_u8)(rest)?;
    let (rest, unit) = unit("unit")(rest)?;
    let (rest, digits) = field("digits", ranged(be_u8, |digits| Digits::new(digits).ok()))(rest)?;
    let (rest, len) = field(
        "serial length",
        ranged(be_u8, |len| {
            (1..=SERIAL_MAX).contains(&usize::from(len)).then_some(len)
        }),
    )(rest)?;
    let at = rest;
    let (rest, serial) = text::<SERIAL_MAX>("serial", len)(rest)?;
    let Ok(serial) = Serial::new(serial.as_bytes()) else {
        return at.refuse(ErrorKind::BadValue);
    };
    let table = MeterTable {
        stamp,
        meter,
        medium,
        unit,
        digits,
        serial,
    };
    Ok((rest, table))
}
