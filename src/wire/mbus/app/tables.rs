//! The three tables of VIF codes: main, extension FBh, extension FDh.

use super::quantity::Quantity as Q;
use super::unit::Unit as U;

/// How the data of a record is to be read where its VIF says so.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Coding {
    /// As the DIF says; integers are signed (type B).
    Signed,
    /// Integers are unsigned (type C, or bits of type D).
    Unsigned,
    /// A date: type G and nothing else.
    Date,
    /// A date, a time or both, as the size says: types F, G, I, J.
    DateTime,
    /// Octets whose inside is not read: containers, types K, L, M.
    Opaque,
    /// An unsigned number of 4096ths.
    Per4096,
}

/// One code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) quantity: Q,
    pub(super) unit: U,
    pub(super) exponent: i8,
    pub(super) coding: Coding,
}

/// A code that the table has reserved.
pub(super) const UNKNOWN: Entry = entry(Q::Unknown, U::None);

pub(super) const fn entry(quantity: Q, unit: U) -> Entry {
    Entry {
        quantity,
        unit,
        exponent: 0,
        coding: Coding::Signed,
    }
}

const fn scaled(quantity: Q, unit: U, exponent: i8) -> Entry {
    Entry {
        exponent,
        ..entry(quantity, unit)
    }
}

const fn scaled_unsigned(quantity: Q, unit: U, exponent: i8) -> Entry {
    Entry {
        coding: Coding::Unsigned,
        ..scaled(quantity, unit, exponent)
    }
}

const fn coded(quantity: Q, unit: U, coding: Coding) -> Entry {
    Entry {
        coding,
        ..entry(quantity, unit)
    }
}

const fn unsigned(quantity: Q) -> Entry {
    coded(quantity, U::None, Coding::Unsigned)
}

/// The exponent that the low bits of a code give, counted from `lowest`.
const fn low(code: u8, mask: u8, lowest: i8) -> i8 {
    lowest.saturating_add_unsigned(code & mask)
}

/// Seconds, minutes, hours, days by the two low bits.
const fn clock(code: u8) -> U {
    match code & 3 {
        0 => U::Second,
        1 => U::Minute,
        2 => U::Hour,
        _ => U::Day,
    }
}

/// Hours, days, months, years by the two low bits.
const fn calendar(code: u8) -> U {
    match code & 3 {
        0 => U::Hour,
        1 => U::Day,
        2 => U::Month,
        _ => U::Year,
    }
}

// clause: EN 13757-3, 6.4.2, primary VIFs
const fn main(code: u8) -> Entry {
    match code {
        0x00..=0x07 => scaled(Q::Energy, U::WattHour, low(code, 7, -3)),
        0x08..=0x0F => scaled(Q::Energy, U::Joule, low(code, 7, 0)),
        0x10..=0x17 => scaled(Q::Volume, U::CubicMetre, low(code, 7, -6)),
        0x18..=0x1F => scaled(Q::Mass, U::Kilogram, low(code, 7, -3)),
        0x20..=0x23 => entry(Q::OnTime, clock(code)),
        0x24..=0x27 => entry(Q::OperatingTime, clock(code)),
        0x28..=0x2F => scaled(Q::Power, U::Watt, low(code, 7, -3)),
        0x30..=0x37 => scaled(Q::Power, U::JoulePerHour, low(code, 7, 0)),
        0x38..=0x3F => scaled(Q::VolumeFlow, U::CubicMetrePerHour, low(code, 7, -6)),
        0x40..=0x47 => scaled(Q::VolumeFlow, U::CubicMetrePerMinute, low(code, 7, -7)),
        0x48..=0x4F => scaled(Q::VolumeFlow, U::CubicMetrePerSecond, low(code, 7, -9)),
        0x50..=0x57 => scaled(Q::MassFlow, U::KilogramPerHour, low(code, 7, -3)),
        0x58..=0x5B => scaled(Q::FlowTemperature, U::DegreeCelsius, low(code, 3, -3)),
        0x5C..=0x5F => scaled(Q::ReturnTemperature, U::DegreeCelsius, low(code, 3, -3)),
        0x60..=0x63 => scaled(Q::TemperatureDifference, U::Kelvin, low(code, 3, -3)),
        0x64..=0x67 => scaled(Q::ExternalTemperature, U::DegreeCelsius, low(code, 3, -3)),
        0x68..=0x6B => scaled(Q::Pressure, U::Bar, low(code, 3, -3)),
        0x6C => coded(Q::Date, U::None, Coding::Date),
        0x6D => coded(Q::DateTime, U::None, Coding::DateTime),
        0x6E => entry(Q::HcaUnits, U::Hca),
        0x70..=0x73 => entry(Q::AveragingDuration, clock(code)),
        0x74..=0x77 => entry(Q::ActualityDuration, clock(code)),
        0x78 => unsigned(Q::FabricationNumber),
        0x79 => unsigned(Q::EnhancedIdentification),
        0x7A => unsigned(Q::Address),
        0x7C => entry(Q::PlainText, U::None),
        0x7E => entry(Q::AnyVif, U::None),
        0x7F => entry(Q::ManufacturerSpecific, U::None),
        _ => UNKNOWN,
    }
}

// clause: EN 13757-3, 6.4.5, alternate extended VIF-code table (FBh); the codes in gallons and
// degrees Fahrenheit are those of before 2004.
const fn fb(code: u8) -> Entry {
    match code {
        0x00..=0x01 => scaled(Q::Energy, U::WattHour, low(code, 1, 5)),
        0x02..=0x03 => scaled(Q::ReactiveEnergy, U::VarHour, low(code, 1, 3)),
        0x04..=0x05 => scaled(Q::ApparentEnergy, U::VoltAmpereHour, low(code, 1, 3)),
        0x08..=0x09 => scaled(Q::Energy, U::Joule, low(code, 1, 8)),
        0x0C..=0x0F => scaled(Q::Energy, U::Calorie, low(code, 3, 5)),
        0x10..=0x11 => scaled(Q::Volume, U::CubicMetre, low(code, 1, 2)),
        0x14..=0x17 => scaled(Q::ReactivePower, U::Var, low(code, 3, 0)),
        // Remark d: binary data of these and of 68h and 69h is of type C.
        0x18..=0x19 => scaled_unsigned(Q::Mass, U::Kilogram, low(code, 1, 5)),
        0x1A..=0x1B => scaled_unsigned(Q::RelativeHumidity, U::Percent, low(code, 1, -1)),
        0x20 => entry(Q::Volume, U::CubicFoot),
        0x21 => scaled(Q::Volume, U::CubicFoot, -1),
        0x22 => scaled(Q::Volume, U::Gallon, -1),
        0x23 => entry(Q::Volume, U::Gallon),
        0x24 => scaled(Q::VolumeFlow, U::GallonPerMinute, -3),
        0x25 => entry(Q::VolumeFlow, U::GallonPerMinute),
        0x26 => entry(Q::VolumeFlow, U::GallonPerHour),
        0x28..=0x29 => scaled(Q::Power, U::Watt, low(code, 1, 5)),
        0x2A => scaled(Q::PhaseAngleVoltages, U::Degree, -1),
        0x2B => scaled(Q::PhaseAngleVoltageCurrent, U::Degree, -1),
        0x2C..=0x2F => scaled(Q::Frequency, U::Hertz, low(code, 3, -3)),
        0x30..=0x31 => scaled(Q::Power, U::JoulePerHour, low(code, 1, 8)),
        0x34..=0x37 => scaled(Q::ApparentPower, U::VoltAmpere, low(code, 3, 0)),
        0x58..=0x5B => scaled(Q::FlowTemperature, U::DegreeFahrenheit, low(code, 3, -3)),
        0x5C..=0x5F => scaled(Q::ReturnTemperature, U::DegreeFahrenheit, low(code, 3, -3)),
        0x60..=0x63 => scaled(
            Q::TemperatureDifference,
            U::DegreeFahrenheit,
            low(code, 3, -3),
        ),
        0x64..=0x67 => scaled(
            Q::ExternalTemperature,
            U::DegreeFahrenheit,
            low(code, 3, -3),
        ),
        0x68 => coded(Q::ResultingRatingFactor, U::None, Coding::Per4096),
        0x69 => coded(Q::ThermalOutputRatingFactor, U::Watt, Coding::Unsigned),
        0x6A => coded(Q::ThermalCouplingRatingFactor, U::None, Coding::Per4096),
        0x6B => coded(Q::ThermalCouplingRoomSide, U::None, Coding::Per4096),
        0x6C => coded(Q::ThermalCouplingHeaterSide, U::None, Coding::Per4096),
        0x6D => coded(Q::LowTemperatureRatingFactor, U::None, Coding::Per4096),
        0x6E => coded(Q::DisplayScalingFactor, U::None, Coding::Per4096),
        0x70..=0x73 => scaled(Q::TemperatureLimit, U::DegreeFahrenheit, low(code, 3, -3)),
        0x74..=0x77 => scaled(Q::TemperatureLimit, U::DegreeCelsius, low(code, 3, -3)),
        0x78..=0x7F => scaled(Q::CumulativeMaximumPower, U::Watt, low(code, 7, -3)),
        _ => UNKNOWN,
    }
}

// clause: EN 13757-3, 6.4.4, main VIFE-code extension table (FDh)
const fn fd(code: u8) -> Entry {
    match code {
        0x00..=0x03 => scaled(Q::Credit, U::Currency, low(code, 3, -3)),
        0x04..=0x07 => scaled(Q::Debit, U::Currency, low(code, 3, -3)),
        0x08..=0x1F => fd_identification(code),
        0x20 => unsigned(Q::FirstCyclicStorage),
        0x21 => unsigned(Q::LastCyclicStorage),
        0x22 => unsigned(Q::StorageBlockSize),
        0x23 => unsigned(Q::TariffSubunitDescriptor),
        0x24..=0x27 => coded(Q::StorageInterval, clock(code), Coding::Unsigned),
        0x28 => coded(Q::StorageInterval, U::Month, Coding::Unsigned),
        0x29 => coded(Q::StorageInterval, U::Year, Coding::Unsigned),
        0x2A => unsigned(Q::OperatorData),
        0x2B => unsigned(Q::TimePointSecond),
        0x2C..=0x2F => coded(Q::DurationSinceReadout, clock(code), Coding::Unsigned),
        0x30 => coded(Q::TariffStart, U::None, Coding::DateTime),
        0x31..=0x33 => coded(Q::TariffDuration, clock(code), Coding::Unsigned),
        0x34..=0x37 => coded(Q::TariffPeriod, clock(code), Coding::Unsigned),
        0x38 => coded(Q::TariffPeriod, U::Month, Coding::Unsigned),
        0x39 => coded(Q::TariffPeriod, U::Year, Coding::Unsigned),
        0x3A => entry(Q::Dimensionless, U::None),
        0x3B => coded(Q::WirelessContainer, U::None, Coding::Opaque),
        0x3C..=0x3F => coded(Q::TransmissionPeriod, clock(code), Coding::Unsigned),
        0x40..=0x4F => scaled(Q::Voltage, U::Volt, low(code, 15, -9)),
        0x50..=0x5F => scaled(Q::Current, U::Ampere, low(code, 15, -12)),
        0x60 => unsigned(Q::ResetCounter),
        0x61 => unsigned(Q::CumulationCounter),
        0x62 => unsigned(Q::ControlSignal),
        0x63 => unsigned(Q::DayOfWeek),
        0x64 => unsigned(Q::WeekNumber),
        0x65 => coded(Q::DayChangeTime, U::None, Coding::DateTime),
        0x66 => unsigned(Q::ParameterActivationState),
        0x67 => unsigned(Q::SupplierInformation),
        0x68..=0x6B => coded(Q::DurationSinceCumulation, calendar(code), Coding::Unsigned),
        0x6C..=0x6F => coded(Q::BatteryOperatingTime, calendar(code), Coding::Unsigned),
        0x70 => coded(Q::BatteryChange, U::None, Coding::DateTime),
        0x71 => entry(Q::RfLevel, U::DecibelMilliwatt),
        0x72 => coded(Q::DaylightSaving, U::None, Coding::Opaque),
        0x73 => coded(Q::ListeningWindow, U::None, Coding::Opaque),
        0x74 => coded(Q::RemainingBatteryLife, U::Day, Coding::Unsigned),
        0x75 => unsigned(Q::StopCounter),
        0x76 => coded(Q::ManufacturerContainer, U::None, Coding::Opaque),
        _ => UNKNOWN,
    }
}

const fn fd_identification(code: u8) -> Entry {
    match code {
        0x08 => unsigned(Q::UniqueMessageIdentification),
        0x09 => unsigned(Q::DeviceType),
        0x0A => unsigned(Q::Manufacturer),
        0x0B => unsigned(Q::ParameterSet),
        0x0C => unsigned(Q::ModelVersion),
        0x0D => unsigned(Q::HardwareVersion),
        0x0E => unsigned(Q::FirmwareVersion),
        0x0F => unsigned(Q::SoftwareVersion),
        0x10 => unsigned(Q::CustomerLocation),
        0x11 => unsigned(Q::Customer),
        0x12 => unsigned(Q::AccessCodeUser),
        0x13 => unsigned(Q::AccessCodeOperator),
        0x14 => unsigned(Q::AccessCodeSystemOperator),
        0x15 => unsigned(Q::AccessCodeDeveloper),
        0x16 => unsigned(Q::Password),
        0x17 => unsigned(Q::ErrorFlags),
        0x18 => unsigned(Q::ErrorMask),
        0x19 => unsigned(Q::SecurityKey),
        0x1A => unsigned(Q::DigitalOutput),
        0x1B => unsigned(Q::DigitalInput),
        0x1C => coded(Q::BaudRate, U::Baud, Coding::Unsigned),
        0x1D => coded(Q::ResponseDelay, U::BitTime, Coding::Unsigned),
        0x1E => unsigned(Q::Retry),
        0x1F => unsigned(Q::RemoteControl),
        _ => UNKNOWN,
    }
}

/// The codes behind FDh FDh, as far as they are known.
pub(super) const fn fd_second_level(code: u8) -> Entry {
    match code & 0x7F {
        0x00 => unsigned(Q::SelectedApplication),
        0x02 => coded(Q::RemainingBatteryLife, U::Month, Coding::Unsigned),
        0x03 => coded(Q::RemainingBatteryLife, U::Year, Coding::Unsigned),
        0x3E => coded(Q::MoistureLevel, U::Percent, Coding::Unsigned),
        _ => UNKNOWN,
    }
}

macro_rules! table {
    ($of:ident) => {{
        let mut table = [UNKNOWN; 128];
        let mut code = 0_u8;
        let mut rest: &mut [Entry] = &mut table;
        while let Some((first, others)) = rest.split_first_mut() {
            *first = $of(code);
            code = code.saturating_add(1);
            rest = others;
        }
        table
    }};
}

static MAIN: [Entry; 128] = table!(main);
static FB: [Entry; 128] = table!(fb);
static FD: [Entry; 128] = table!(fd);

fn find(table: &[Entry; 128], code: u8) -> Entry {
    table
        .get(usize::from(code & 0x7F))
        .copied()
        .unwrap_or(UNKNOWN)
}

/// The main table.
pub(super) fn of_main(code: u8) -> Entry {
    find(&MAIN, code)
}

/// The table behind FBh.
pub(super) fn of_fb(code: u8) -> Entry {
    find(&FB, code)
}

/// The table behind FDh.
pub(super) fn of_fd(code: u8) -> Entry {
    find(&FD, code)
}

/// What a code of the main table means with VIFE 3Dh behind it; none where the table of such units
/// has nothing.
// clause: EN 13757-3, Annex C, Table C.1
pub(super) const fn non_metric_main(code: u8) -> Option<(U, i8)> {
    Some(match code & 0x7F {
        0x00..=0x07 => (U::Btu, low(code, 7, 0)),
        0x10..=0x17 => (U::Gallon, low(code, 7, -3)),
        0x28..=0x2F => (U::BtuPerSecond, low(code, 7, -6)),
        0x40..=0x47 => (U::GallonPerMinute, low(code, 7, -4)),
        0x58..=0x67 => (U::DegreeFahrenheit, low(code, 3, -3)),
        _ => return None,
    })
}

/// The same for the table behind FBh.
pub(super) const fn non_metric_fb(code: u8) -> Option<(U, i8)> {
    match code & 0x7F {
        0x74..=0x77 => Some((U::DegreeFahrenheit, low(code, 3, -3))),
        _ => None,
    }
}
