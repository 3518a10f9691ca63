//! The fixed data structure of old wired meters (CI 73h): two counters.

use super::decimal::Decimal;
use super::quantity::Quantity;
use super::unit::Unit;
use super::value::{bcd, wide_integer};

/// The length of the structure.
pub const FIXED_LEN: usize = 16;

/// One of the two counters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FixedCounter {
    /// What it counts, as far as the unit tells.
    pub quantity: Quantity,
    /// Its unit.
    pub unit: Unit,
    /// Its number in that unit; none if BCD digits are above 9.
    pub value: Option<Decimal>,
    /// Its four octets, the lowest first.
    pub octets: [u8; 4],
    /// Whether it is a value kept from a set date.
    pub is_stored: bool,
}

/// The structure.
// clause: EN 13757-3:2013, fixed data structure (removed in 2018)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FixedData {
    /// The identification as on the wire, the lowest digits first.
    pub id: [u8; 4],
    /// The access number.
    pub access_number: u8,
    /// The status octet.
    pub status: u8,
    /// The medium, four bits: a table of its own, and no device type.
    pub medium: u8,
    /// The counters.
    pub counters: [FixedCounter; 2],
}

impl FixedData {
    /// Reads sixteen octets; `high_octet_first` for CI 77h.
    #[must_use]
    pub fn read(octets: [u8; FIXED_LEN], high_octet_first: bool) -> Self {
        let [i0, i1, i2, i3, access_number, status, u0, u1, rest @ ..] = octets;
        let [a0, a1, a2, a3, b0, b1, b2, b3] = rest;
        let order = |field: [u8; 4]| {
            let [a, b, c, d] = field;
            if high_octet_first {
                [d, c, b, a]
            } else {
                field
            }
        };
        let is_stored = status & 2 != 0;
        let counter = |octets: [u8; 4], of: u8, is_stored: bool| {
            let (quantity, unit, exponent) = unit_of(of);
            let value = if status & 1 == 0 {
                bcd(&octets, false).map(i128::from)
            } else {
                wide_integer(&octets, true, false)
            };
            FixedCounter {
                quantity,
                unit,
                value: value.map(|value| Decimal::new(value, exponent)),
                octets,
                is_stored,
            }
        };
        let (first, second) = (u0 & 0x3F, u1 & 0x3F);
        // 3Eh: the same unit as the first counter, and a value from before.
        let (of, is_historic) = if second == 0x3E {
            (first, true)
        } else {
            (second, false)
        };
        Self {
            id: order([i0, i1, i2, i3]),
            access_number,
            status,
            medium: ((u1 >> 4) & 0x0C) | (u0 >> 6),
            counters: [
                counter(order([a0, a1, a2, a3]), first, is_stored),
                counter(order([b0, b1, b2, b3]), of, is_stored || is_historic),
            ],
        }
    }
}

/// The name of a medium of the fixed structure, in the words of device types; none for those that
/// are reserved. Those from Ah on are the others in mode 2, the highest octet first.
// clause: EN 13757-3:2013, fixed data structure, medium
#[must_use]
pub const fn medium_name(medium: u8) -> Option<&'static str> {
    Some(match medium {
        0x0 => "other",
        0x1 => "oil",
        0x2 => "electricity",
        0x3 | 0xA => "gas",
        0x4 | 0xB => "heat",
        0x5 => "steam",
        0x6 | 0xC => "hot_water",
        0x7 | 0xD => "water",
        0x8 | 0xE => "heat_cost_allocator",
        _ => return None,
    })
}

/// Three steps of ten a unit, from `first` on.
fn step(code: u8, first: u8, lowest: i16) -> i16 {
    lowest.saturating_add(i16::from(code.saturating_sub(first)))
}

/// Quantity, unit and power of ten of a unit code.
fn unit_of(code: u8) -> (Quantity, Unit, i16) {
    match code {
        0x02..=0x0A => (Quantity::Energy, Unit::WattHour, step(code, 0x02, 0)),
        0x0B..=0x13 => (Quantity::Energy, Unit::Joule, step(code, 0x0B, 3)),
        0x14..=0x1C => (Quantity::Power, Unit::Watt, step(code, 0x14, 0)),
        0x1D..=0x25 => (Quantity::Power, Unit::JoulePerHour, step(code, 0x1D, 3)),
        0x26..=0x2E => (Quantity::Volume, Unit::CubicMetre, step(code, 0x26, -6)),
        0x2F..=0x37 => (
            Quantity::VolumeFlow,
            Unit::CubicMetrePerHour,
            step(code, 0x2F, -6),
        ),
        0x38 => (Quantity::ExternalTemperature, Unit::DegreeCelsius, -3),
        0x39 => (Quantity::HcaUnits, Unit::Hca, 0),
        0x3F => (Quantity::Dimensionless, Unit::None, 0),
        _ => (Quantity::FixedCounter, Unit::None, 0),
    }
}
