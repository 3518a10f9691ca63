//! Which meter, in which unit, and how much.

use core::fmt;

use nom::number::complete::be_u8;

use crate::wire::error::{EncodeError, OutOfRange};
use crate::wire::span::{Parsed, Span, field, ranged};
use crate::wire::varint::varint;
use crate::wire::writer::Writer;

use super::limits::REGISTER_MAX;
use super::registry::units;

/// A meter of a terminal: slot 0 to 15, and the generation that counts the meters mounted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Meter(u8);

impl Meter {
    /// The meter of an octet: slot in bits 7 to 4, generation in bits 3 to 0.
    #[must_use]
    pub const fn from_octet(octet: u8) -> Self {
        Self(octet)
    }

    /// The meter of a slot and a generation, each 0 to 15.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for 16 and above.
    pub const fn new(slot: u8, generation: u8) -> Result<Self, OutOfRange> {
        if slot <= 15 && generation <= 15 {
            Ok(Self(slot << 4 | generation))
        } else {
            Err(OutOfRange("slot and generation, 0 to 15"))
        }
    }

    /// The octet on the wire.
    #[must_use]
    pub const fn octet(self) -> u8 {
        self.0
    }

    /// The slot, 0 to 15.
    #[must_use]
    pub const fn slot(self) -> u8 {
        self.0 >> 4
    }

    /// The generation, 0 to 15.
    #[must_use]
    pub const fn generation(self) -> u8 {
        self.0 & 0x0F
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {} generation {}", self.slot(), self.generation())
    }
}

/// A unit: a registered quantity and a power of ten.
// spec: REC-16
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unit(u8);

impl Unit {
    /// The unit with a code; none if its quantity class is not registered.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match units::class_id(code >> 4) {
            Some(_) => Some(Self(code)),
            None => None,
        }
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The class of the quantity, 1 to 15.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 4
    }

    /// The id of the class in `registries/units.toml`.
    #[must_use]
    pub const fn quantity_id(self) -> &'static str {
        match units::class_id(self.class()) {
            Some(id) => id,
            None => "unassigned",
        }
    }

    /// The power of ten, −8 to 7: a value is an integer times ten to this, in the base unit.
    #[must_use]
    pub const fn exponent(self) -> i8 {
        (self.0 & 0x0F).cast_signed().wrapping_sub(8)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × 10^{}", self.quantity_id(), self.exponent())
    }
}

/// The state of a register: 0 to 2^48 − 1 in a unit that stands beside it.
// spec: REC-16
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Register(u64);

impl Register {
    /// A register.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] above 2^48 − 1.
    pub const fn new(value: u64) -> Result<Self, OutOfRange> {
        if value <= REGISTER_MAX {
            Ok(Self(value))
        } else {
            Err(OutOfRange("register, at most 2^48 - 1"))
        }
    }

    /// A register whose value the caller checks before it hands it out.
    pub(super) const fn unchecked(value: u64) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A register and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegisterValue {
    /// The unit.
    pub unit: Unit,
    /// The value.
    pub register: Register,
}

impl RegisterValue {
    pub(crate) fn encode(self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.u8(self.unit.code())?;
        out.varint(self.register.get())
    }

    /// Writes what a flag has announced.
    pub(crate) fn encode_option(
        value: Option<Self>,
        out: &mut Writer<'_>,
    ) -> Result<(), EncodeError> {
        value.map_or(Ok(()), |value| value.encode(out))
    }
}

/// Reads the octet of a meter.
#[inline(always)]
pub(crate) fn meter<'a>(name: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, Meter> {
    field(name, ranged(be_u8, |octet| Some(Meter::from_octet(octet))))
}

/// Reads the octet of a unit.
// spec: REC-16
#[inline(always)]
pub(crate) fn unit<'a>(name: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, Unit> {
    field(name, ranged(be_u8, Unit::from_code))
}

/// Reads a register.
// spec: REC-16
#[inline(always)]
pub(crate) fn register<'a>(name: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, Register> {
    field(
        name,
        ranged(varint(REGISTER_MAX), |value| Register::new(value).ok()),
    )
}

/// Reads a unit and a register if `present`.
pub(crate) fn register_value_if<'a>(
    present: bool,
) -> impl FnMut(Span<'a>) -> Parsed<'a, Option<RegisterValue>> {
    move |input: Span<'a>| {
        if !present {
            return Ok((input, None));
        }
        let (rest, unit) = unit("unit")(input)?;
        let (rest, register) = register("register")(rest)?;
        Ok((rest, Some(RegisterValue { unit, register })))
    }
}
