//! The health of a terminal, in six octets.

use core::fmt;

use nom::number::complete::{be_i8, be_u8};

use crate::wire::error::{EncodeError, OutOfRange};
use crate::wire::span::{Parsed, Span, field, ranged};
use crate::wire::writer::Writer;

use super::coded::coded;

const UNKNOWN: u8 = 255;
const UNKNOWN_SIGNED: i8 = -128;

/// Battery, radio and resets. `None` is unknown.
// spec: REC-20
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Health {
    /// Battery voltage in units of 20 mV, 0 to 254.
    battery: Option<Below255>,
    /// Charge that remains, 0 to 100 percent.
    remaining: Option<Percent>,
    /// Received power in negative dBm, 0 to 254.
    rsrp: Option<Below255>,
    /// Signal to noise ratio in dB, −127 to 127.
    snr: Option<Above128>,
    /// Temperature in °C, −127 to 127.
    temperature: Option<Above128>,
    sends: u8,
    reset_cause: ResetCause,
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Below255(u8);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Above128(i8);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Percent(u8);

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
        Ok(Self {
            battery: parts.battery_20mv.map(Below255),
            remaining: parts.remaining_percent.map(Percent),
            rsrp: parts.rsrp_minus_dbm.map(Below255),
            snr: parts.snr_db.map(Above128),
            temperature: parts.temperature_degc.map(Above128),
            sends: parts.sends,
            reset_cause: parts.reset_cause,
        })
    }

    /// Battery voltage in mV, 0 to 5,080 in steps of 20.
    #[must_use]
    pub fn battery_mv(&self) -> Option<u16> {
        self.battery
            .map(|Below255(units)| u16::from(units).saturating_mul(20))
    }

    /// Charge that remains, 0 to 100 percent.
    #[must_use]
    pub fn remaining_percent(&self) -> Option<u8> {
        self.remaining.map(|Percent(percent)| percent)
    }

    /// Received power in dBm, −254 to 0.
    #[must_use]
    pub fn rsrp_dbm(&self) -> Option<i16> {
        self.rsrp
            .map(|Below255(power)| i16::from(power).saturating_neg())
    }

    /// Signal to noise ratio in dB, −127 to 127.
    #[must_use]
    pub fn snr_db(&self) -> Option<i8> {
        self.snr.map(|Above128(ratio)| ratio)
    }

    /// Temperature in °C, −127 to 127.
    #[must_use]
    pub fn temperature_degc(&self) -> Option<i8> {
        self.temperature.map(|Above128(degrees)| degrees)
    }

    /// Transmissions that the last session needed; 15 stands for 15 or more.
    #[must_use]
    pub const fn sends(&self) -> u8 {
        self.sends
    }

    /// Why the terminal last began anew.
    #[must_use]
    pub const fn reset_cause(&self) -> ResetCause {
        self.reset_cause
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let [snr] = self.snr_db().unwrap_or(UNKNOWN_SIGNED).to_be_bytes();
        let [temperature] = self
            .temperature_degc()
            .unwrap_or(UNKNOWN_SIGNED)
            .to_be_bytes();
        out.octets(&[
            self.battery.map_or(UNKNOWN, |Below255(units)| units),
            self.remaining_percent().unwrap_or(UNKNOWN),
            self.rsrp.map_or(UNKNOWN, |Below255(power)| power),
            snr,
            temperature,
            self.sends << 4 | self.reset_cause.code(),
        ])
    }
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

fn known(unit: &'static str) -> impl Fn(u8) -> Option<Shown<u8>> {
    move |octet| Some(Shown((octet != UNKNOWN).then_some(octet), unit))
}

fn known_signed(unit: &'static str) -> impl Fn(i8) -> Option<Shown<i8>> {
    move |value| Some(Shown((value != UNKNOWN_SIGNED).then_some(value), unit))
}

/// Reads a health.
// spec: REC-20
pub(crate) fn health(input: Span<'_>) -> Parsed<'_, Health> {
    let (rest, battery) = field("battery", ranged(be_u8, known(" × 20 mV")))(input)?;
    let (rest, remaining) = field(
        "remaining charge",
        ranged(be_u8, |octet| match octet {
            0..=100 => Some(Shown(Some(octet), " %")),
            UNKNOWN => Some(Shown(None, "")),
            _ => None,
        }),
    )(rest)?;
    let (rest, rsrp) = field("rsrp", ranged(be_u8, known(" × −1 dBm")))(rest)?;
    let (rest, snr) = field("snr", ranged(be_i8, known_signed(" dB")))(rest)?;
    let (rest, temperature) = field("temperature", ranged(be_i8, known_signed(" °C")))(rest)?;
    let (rest, Sends(sends, reset_cause)) = field(
        "sends and reset cause",
        ranged(be_u8, |octet: u8| {
            ResetCause::from_code(octet & 0x0F).map(|cause| Sends(octet >> 4, cause))
        }),
    )(rest)?;
    let health = Health {
        battery: battery.0.map(Below255),
        remaining: remaining.0.map(Percent),
        rsrp: rsrp.0.map(Below255),
        snr: snr.0.map(Above128),
        temperature: temperature.0.map(Above128),
        sends,
        reset_cause,
    };
    Ok((rest, health))
}
