//! The health of a terminal, in six octets.

use core::fmt;

use nom::Input as _;
use nom::number::complete::{be_i8, be_u8};

use crate::wire::error::{EncodeError, OutOfRange};
use crate::wire::span::{Parsed, Span, array, field, ranged};
use crate::wire::writer::Writer;

use super::coded::coded;

const UNKNOWN: u8 = 255;
const UNKNOWN_SIGNED: i8 = -128;

/// Battery, radio and resets. `None` is unknown.
///
/// Held as the six octets of the wire, which have been checked.
// spec: REC-20
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Health([u8; 6]);

/// The values that a [`Health`] is made from, in the units of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthParts {
    /// Battery voltage in units of 20 mV, 0 to 254.
    pub battery_20mv: Option<u8>,
    /// Charge that remains, 0 to 100 percent.
    pub remaining_percent: Option<u8>,
    /// Received power in negative dBm, 0 to 254.
    pub rsrp_minus_dbm: Option<u8>,
    /// Signal to noise ratio in dB, −127 to 127.
    pub snr_db: Option<i8>,
    /// Temperature in °C, −127 to 127.
    pub temperature_degc: Option<i8>,
    /// Transmissions that the last session needed, 0 to 15; 15 stands for 15 or more.
    pub sends: u8,
    /// Why the terminal last began anew.
    pub reset_cause: ResetCause,
}

coded! {
    /// Why a terminal last began anew. Codes from 6 to 14 are refused.
    // spec: REC-20
    pub enum ResetCause {
        /// 0: power came.
        Power = 0 "power",
        /// 1: the watchdog fired.
        Watchdog = 1 "watchdog",
        /// 2: the voltage fell.
        BrownOut = 2 "brown_out",
        /// 3: the firmware asked for it.
        Firmware = 3 "firmware",
        /// 4: the processor met a fault.
        Fault = 4 "fault",
        /// 5: the reset line was pulled.
        External = 5 "external",
        /// 15: not known.
        Unknown = 15 "unknown",
    }
}

impl Health {
    /// A health from values in the units of the wire.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for a value that the wire has no room for.
    pub fn new(parts: HealthParts) -> Result<Self, OutOfRange> {
        let range = |good: bool, name| if good { Ok(()) } else { Err(OutOfRange(name)) };
        range(parts.battery_20mv != Some(UNKNOWN), "battery")?;
        range(
            parts.remaining_percent.is_none_or(|p| p <= 100),
            "remaining",
        )?;
        range(parts.rsrp_minus_dbm != Some(UNKNOWN), "rsrp")?;
        range(parts.snr_db != Some(UNKNOWN_SIGNED), "snr")?;
        range(
            parts.temperature_degc != Some(UNKNOWN_SIGNED),
            "temperature",
        )?;
        range(parts.sends <= 15, "sends")?;
        let [snr] = parts.snr_db.unwrap_or(UNKNOWN_SIGNED).to_be_bytes();
        let degrees = parts.temperature_degc.unwrap_or(UNKNOWN_SIGNED);
        let [temperature] = degrees.to_be_bytes();
        Ok(Self([
            parts.battery_20mv.unwrap_or(UNKNOWN),
            parts.remaining_percent.unwrap_or(UNKNOWN),
            parts.rsrp_minus_dbm.unwrap_or(UNKNOWN),
            snr,
            temperature,
            parts.sends << 4 | parts.reset_cause.code(),
        ]))
    }

    /// Battery voltage in mV, 0 to 5,080 in steps of 20.
    #[must_use]
    pub fn battery_mv(&self) -> Option<u16> {
        let [battery, ..] = self.0;
        known(battery).map(|units| u16::from(units).saturating_mul(20))
    }

    /// Charge that remains, 0 to 100 percent.
    #[must_use]
    pub fn remaining_percent(&self) -> Option<u8> {
        let [_, remaining, ..] = self.0;
        known(remaining)
    }

    /// Received power in dBm, −254 to 0.
    #[must_use]
    pub fn rsrp_dbm(&self) -> Option<i16> {
        let [_, _, rsrp, ..] = self.0;
        known(rsrp).map(|power| i16::from(power).saturating_neg())
    }

    /// Signal to noise ratio in dB, −127 to 127.
    #[must_use]
    pub fn snr_db(&self) -> Option<i8> {
        let [_, _, _, snr, ..] = self.0;
        known_signed(i8::from_be_bytes([snr]))
    }

    /// Temperature in °C, −127 to 127.
    #[must_use]
    pub fn temperature_degc(&self) -> Option<i8> {
        let [.., temperature, _] = self.0;
        known_signed(i8::from_be_bytes([temperature]))
    }

    /// Transmissions that the last session needed; 15 stands for 15 or more.
    #[must_use]
    pub const fn sends(&self) -> u8 {
        let [.., sends] = self.0;
        sends >> 4
    }

    /// Why the terminal last began anew.
    #[must_use]
    pub fn reset_cause(&self) -> ResetCause {
        let [.., sends] = self.0;
        ResetCause::from_code(sends & 0x0F).unwrap_or(ResetCause::Unknown)
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.octets(&self.0)
    }
}

fn known(octet: u8) -> Option<u8> {
    (octet != UNKNOWN).then_some(octet)
}

fn known_signed(value: i8) -> Option<i8> {
    (value != UNKNOWN_SIGNED).then_some(value)
}

/// Shows a value with its unit, or that it is unknown.
struct Shown<T>(Option<T>, &'static str);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => write!(f, "{value}{}", self.1),
            None => f.write_str("unknown"),
        }
    }
}

/// The last octet of a health.
#[derive(Clone, Copy)]
struct Sends(u8, ResetCause);

impl fmt::Display for Sends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sends, reset by {}", self.0, self.1.id())
    }
}

fn shown(unit: &'static str) -> impl Fn(u8) -> Option<Shown<u8>> {
    move |octet| Some(Shown(known(octet), unit))
}

fn shown_signed(unit: &'static str) -> impl Fn(i8) -> Option<Shown<i8>> {
    move |value| Some(Shown(known_signed(value), unit))
}

/// Whether the charge that remains is one.
// spec: REC-20
const fn is_charge(octet: u8) -> bool {
    matches!(octet, 0..=100 | UNKNOWN)
}

/// Reads a health.
// spec: REC-20
pub(crate) fn health(input: Span<'_>) -> Parsed<'_, Health> {
    match input.octets().first_chunk::<6>() {
        Some(octets @ [_, remaining, .., sends])
            if is_charge(*remaining)
                && ResetCause::from_code(sends & 0x0F).is_some()
                && !input.is_noted() =>
        {
            Ok((input.take_from(octets.len()), Health(*octets)))
        }
        _ => fields(input),
    }
}

/// Reads a health field by field, for its names or for the field that is wrong.
#[cold]
fn fields(input: Span<'_>) -> Parsed<'_, Health> {
    let (rest, _) = field("battery", ranged(be_u8, shown(" × 20 mV")))(input)?;
    let (rest, _) = field(
        "remaining charge",
        ranged(be_u8, |octet| {
            is_charge(octet).then_some(Shown(known(octet), " %"))
        }),
    )(rest)?;
    let (rest, _) = field("rsrp", ranged(be_u8, shown(" × −1 dBm")))(rest)?;
    let (rest, _) = field("snr", ranged(be_i8, shown_signed(" dB")))(rest)?;
    let (rest, _) = field("temperature", ranged(be_i8, shown_signed(" °C")))(rest)?;
    let (rest, _) = field(
        "sends and reset cause",
        ranged(be_u8, |octet: u8| {
            ResetCause::from_code(octet & 0x0F).map(|cause| Sends(octet >> 4, cause))
        }),
    )(rest)?;
    let (_, octets) = array(input)?;
    Ok((rest, Health(octets)))
}
