//! The orthogonal VIFEs: what they make of a quantity.

use super::named::named;
use super::record::Direction;
use super::unit::{Per, Times, Unit};

named! {
    /// Why a meter could not give a value.
    // clause: EN 13757-3, 6.4.8
    RecordError {
        TooManyDife = "too_many_dife",
        StorageNotImplemented = "storage_not_implemented",
        UnitNotImplemented = "unit_not_implemented",
        TariffNotImplemented = "tariff_not_implemented",
        FunctionNotImplemented = "function_not_implemented",
        ClassNotImplemented = "data_class_not_implemented",
        SizeNotImplemented = "data_size_not_implemented",
        TooManyVife = "too_many_vife",
        IllegalVif = "illegal_vif_group",
        IllegalExponent = "illegal_vif_exponent",
        DifVifMismatch = "vif_dif_mismatch",
        ActionNotImplemented = "action_not_implemented",
        NoData = "no_data",
        Overflow = "data_overflow",
        Underflow = "data_underflow",
        DataError = "data_error",
        PrematureEnd = "premature_end_of_record",
        Reserved = "reserved_error",
    }
}

named! {
    /// What a command does with its record.
    // clause: EN 13757-3, 6.4.7
    ObjectAction {
        Write = "write",
        Add = "add",
        Subtract = "subtract",
        Or = "or",
        And = "and",
        Xor = "xor",
        AndNot = "and_not",
        Clear = "clear",
        AddEntry = "add_entry",
        DeleteEntry = "delete_entry",
        Delayed = "delayed_action",
        Freeze = "freeze",
        AddToReadout = "add_to_readout_list",
        DeleteFromReadout = "delete_from_readout_list",
        Reserved = "reserved_action",
    }
}

named! {
    /// The three forms of a load profile.
    ProfileKind {
        Forward = "compact_profile",
        Inverse = "inverse_compact_profile",
        Registers = "compact_profile_with_registers",
    }
}

/// What one VIFE says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Modifier<'a> {
    /// Uplink 00h: nothing is wrong.
    NoError,
    /// Uplink: the value could not be given.
    Error(RecordError),
    /// Downlink: what to do.
    Action(ObjectAction),
    /// A load profile.
    Profile(ProfileKind),
    /// A divisor of the unit, and the power of ten that base units cost.
    Per(Per, i8),
    /// A factor of the unit.
    Times(Times),
    /// The value is a date or time.
    Moment(&'static str),
    /// The value is a duration in this unit.
    Duration(&'static str, Unit),
    /// The value is a number of times.
    Count(&'static str),
    /// The value is in the units of the non-metric table.
    NonMetric,
    /// The value is to be multiplied with ten to this power.
    Factor(i8),
    /// Ten to this power is to be added, in the unit of the VIF.
    Addend(i8),
    /// Integers are unsigned.
    TypeC(&'static str),
    /// Anything that changes what the value is about, and not how it is read.
    Named(&'static str),
    /// The rest of the VIFEs is the manufacturer's.
    Manufacturer(&'a [u8]),
    /// A code of the first table, or of the one behind FCh, that is reserved.
    Reserved(u8),
}

impl Modifier<'_> {
    /// Its name; none for what is wholly in the unit or in the value.
    #[must_use]
    pub const fn id(self) -> Option<&'static str> {
        Some(match self {
            Self::NoError | Self::Per(..) | Self::Times(_) => return None,
            Self::Factor(_) | Self::Addend(_) => return None,
            Self::Error(error) => error.id(),
            Self::Action(action) => action.id(),
            Self::Profile(kind) => kind.id(),
            Self::Moment(id)
            | Self::Duration(id, _)
            | Self::Count(id)
            | Self::TypeC(id)
            | Self::Named(id) => id,
            Self::NonMetric => "non_metric",
            Self::Manufacturer(_) => "manufacturer",
            Self::Reserved(_) => "reserved",
        })
    }
}

/// Walks VIFEs behind the one that belongs to the VIF.
#[derive(Clone, Copy, Debug)]
pub struct Modifiers<'a> {
    rest: &'a [u8],
    direction: Direction,
}

impl<'a> Modifiers<'a> {
    pub(super) const fn new(rest: &'a [u8], direction: Direction) -> Self {
        Self { rest, direction }
    }

    /// The octets that are left.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Modifiers<'a> {
    type Item = Modifier<'a>;

    fn next(&mut self) -> Option<Modifier<'a>> {
        let (&octet, rest) = self.rest.split_first()?;
        self.rest = rest;
        let code = octet & 0x7F;
        Some(match code {
            0x7C => {
                let Some((&octet, rest)) = rest.split_first() else {
                    return Some(Modifier::Reserved(code));
                };
                self.rest = rest;
                next_table(octet & 0x7F)
            }
            0x7F => {
                self.rest = &[];
                Modifier::Manufacturer(rest)
            }
            0x00..=0x1F => low(code, self.direction),
            0x20..=0x3F => unit(code),
            0x40..=0x6F => limit(code),
            0x70..=0x77 => Modifier::Factor((-6_i8).saturating_add_unsigned(code & 7)),
            0x78..=0x7B => Modifier::Addend((-3_i8).saturating_add_unsigned(code & 3)),
            0x7D => Modifier::Factor(3),
            0x7E => Modifier::Named("future_value"),
            _ => Modifier::Reserved(code),
        })
    }
}

fn low(code: u8, direction: Direction) -> Modifier<'static> {
    match (code, direction) {
        (0x12, _) => Modifier::Named("average"),
        (0x13, _) => Modifier::Profile(ProfileKind::Inverse),
        (0x14, _) => Modifier::Named("relative_deviation"),
        (0x1D, _) => Modifier::Named("standard_conform"),
        (0x1E, _) => Modifier::Profile(ProfileKind::Registers),
        (0x1F, _) => Modifier::Profile(ProfileKind::Forward),
        (0x00..=0x0F, Direction::Downlink) => Modifier::Action(action(code)),
        (0x00, Direction::Uplink) => Modifier::NoError,
        _ => Modifier::Error(error(code)),
    }
}

const fn action(code: u8) -> ObjectAction {
    match code {
        0x00 => ObjectAction::Write,
        0x01 => ObjectAction::Add,
        0x02 => ObjectAction::Subtract,
        0x03 => ObjectAction::Or,
        0x04 => ObjectAction::And,
        0x05 => ObjectAction::Xor,
        0x06 => ObjectAction::AndNot,
        0x07 => ObjectAction::Clear,
        0x08 => ObjectAction::AddEntry,
        0x09 => ObjectAction::DeleteEntry,
        0x0A => ObjectAction::Delayed,
        0x0B => ObjectAction::Freeze,
        0x0C => ObjectAction::AddToReadout,
        0x0D => ObjectAction::DeleteFromReadout,
        _ => ObjectAction::Reserved,
    }
}

const fn error(code: u8) -> RecordError {
    match code {
        0x01 => RecordError::TooManyDife,
        0x02 => RecordError::StorageNotImplemented,
        0x03 => RecordError::UnitNotImplemented,
        0x04 => RecordError::TariffNotImplemented,
        0x05 => RecordError::FunctionNotImplemented,
        0x06 => RecordError::ClassNotImplemented,
        0x07 => RecordError::SizeNotImplemented,
        0x0B => RecordError::TooManyVife,
        0x0C => RecordError::IllegalVif,
        0x0D => RecordError::IllegalExponent,
        0x0E => RecordError::DifVifMismatch,
        0x0F => RecordError::ActionNotImplemented,
        0x15 => RecordError::NoData,
        0x16 => RecordError::Overflow,
        0x17 => RecordError::Underflow,
        0x18 => RecordError::DataError,
        0x1C => RecordError::PrematureEnd,
        _ => RecordError::Reserved,
    }
}

fn unit(code: u8) -> Modifier<'static> {
    match code {
        0x20 => Modifier::Per(Per::Second, 0),
        0x21 => Modifier::Per(Per::Minute, 0),
        0x22 => Modifier::Per(Per::Hour, 0),
        0x23 => Modifier::Per(Per::Day, 0),
        0x24 => Modifier::Per(Per::Week, 0),
        0x25 => Modifier::Per(Per::Month, 0),
        0x26 => Modifier::Per(Per::Year, 0),
        0x27 => Modifier::Per(Per::Revolution, 0),
        0x28 => Modifier::Named("increment_per_input_pulse_0"),
        0x29 => Modifier::Named("increment_per_input_pulse_1"),
        0x2A => Modifier::Named("increment_per_output_pulse_0"),
        0x2B => Modifier::Named("increment_per_output_pulse_1"),
        // Per litre is a thousand times as much per cubic metre, and so on.
        0x2C => Modifier::Per(Per::CubicMetre, 3),
        0x2D => Modifier::Per(Per::CubicMetre, 0),
        0x2E => Modifier::Per(Per::Kilogram, 0),
        0x2F => Modifier::Per(Per::Kelvin, 0),
        0x30 => Modifier::Per(Per::WattHour, -3),
        0x31 => Modifier::Per(Per::Joule, -9),
        0x32 => Modifier::Per(Per::Watt, -3),
        0x33 => Modifier::Per(Per::KelvinCubicMetre, 3),
        0x34 => Modifier::Per(Per::Volt, 0),
        0x35 => Modifier::Per(Per::Ampere, 0),
        0x36 => Modifier::Times(Times::Second),
        0x37 => Modifier::Times(Times::SecondPerVolt),
        0x38 => Modifier::Times(Times::SecondPerAmpere),
        0x39 => Modifier::Moment("start"),
        0x3A => Modifier::Named("uncorrected"),
        0x3B => Modifier::Named("forward_flow"),
        0x3C => Modifier::Named("backward_flow"),
        0x3D => Modifier::NonMetric,
        0x3E => Modifier::Named("base_conditions"),
        _ => Modifier::Named("obis_declaration"),
    }
}

/// Seconds, minutes, hours, days by the two low bits.
const fn duration(code: u8) -> Unit {
    match code & 3 {
        0 => Unit::Second,
        1 => Unit::Minute,
        2 => Unit::Hour,
        _ => Unit::Day,
    }
}

fn limit(code: u8) -> Modifier<'static> {
    match code {
        0x40 => Modifier::Named("lower_limit"),
        0x48 => Modifier::Named("upper_limit"),
        0x41 => Modifier::Count("lower_limit_exceed_count"),
        0x49 => Modifier::Count("upper_limit_exceed_count"),
        0x42 => Modifier::Moment("first_lower_limit_exceed_begin"),
        0x43 => Modifier::Moment("first_lower_limit_exceed_end"),
        0x46 => Modifier::Moment("last_lower_limit_exceed_begin"),
        0x47 => Modifier::Moment("last_lower_limit_exceed_end"),
        0x4A => Modifier::Moment("first_upper_limit_exceed_begin"),
        0x4B => Modifier::Moment("first_upper_limit_exceed_end"),
        0x4E => Modifier::Moment("last_upper_limit_exceed_begin"),
        0x4F => Modifier::Moment("last_upper_limit_exceed_end"),
        0x50..=0x53 => Modifier::Duration("first_lower_limit_exceed_duration", duration(code)),
        0x54..=0x57 => Modifier::Duration("last_lower_limit_exceed_duration", duration(code)),
        0x58..=0x5B => Modifier::Duration("first_upper_limit_exceed_duration", duration(code)),
        0x5C..=0x5F => Modifier::Duration("last_upper_limit_exceed_duration", duration(code)),
        0x60..=0x63 => Modifier::Duration("first_duration", duration(code)),
        0x64..=0x67 => Modifier::Duration("last_duration", duration(code)),
        0x68 => Modifier::Named("during_lower_limit_exceed"),
        0x6C => Modifier::Named("during_upper_limit_exceed"),
        0x69 => Modifier::Named("leakage"),
        0x6D => Modifier::Named("overflow"),
        0x6A => Modifier::Moment("first_begin"),
        0x6B => Modifier::Moment("first_end"),
        0x6E => Modifier::Moment("last_begin"),
        0x6F => Modifier::Moment("last_end"),
        _ => Modifier::Reserved(code),
    }
}

/// The table behind FCh.
// clause: EN 13757-3, 6.4.6, extension of combinable VIFE codes
fn next_table(code: u8) -> Modifier<'static> {
    match code {
        0x01 => Modifier::Named("phase_l1"),
        0x02 => Modifier::Named("phase_l2"),
        0x03 => Modifier::Named("phase_l3"),
        0x04 => Modifier::Named("neutral"),
        0x05 => Modifier::Named("between_l1_l2"),
        0x06 => Modifier::Named("between_l2_l3"),
        0x07 => Modifier::Named("between_l3_l1"),
        0x08 => Modifier::Named("quadrant_1"),
        0x09 => Modifier::Named("quadrant_2"),
        0x0A => Modifier::Named("quadrant_3"),
        0x0B => Modifier::Named("quadrant_4"),
        0x0C => Modifier::Named("delta_import_export"),
        0x0D => Modifier::Named("alternative_non_metric"),
        0x0E => Modifier::Named("secondary_sensor"),
        0x0F => Modifier::Named("higher_resolution_register"),
        0x10 => Modifier::Named("absolute_accumulation"),
        0x11 => Modifier::TypeC("type_c"),
        0x12 => Modifier::TypeC("type_d"),
        0x13 => Modifier::Moment("end"),
        0x14 => Modifier::Named("to_meter"),
        0x15 => Modifier::Named("from_meter"),
        code => Modifier::Reserved(code),
    }
}
