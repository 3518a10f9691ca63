//! When the values of a telegram were valid: the dates among its records.

use super::date::DateTime;
use super::quantity::Quantity;
use super::record::{Function, Item, Record, Records};
use super::value::Value;

/// The most dates of a telegram. Where there are more, nothing is dated: one of those that are left
/// out could be another that fits.
const DATES_MAX: usize = 256;

/// What a value and its date have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Tags {
    pub(super) storage: u64,
    pub(super) tariff: u32,
    pub(super) subunit: u16,
    pub(super) function: Function,
}

impl Tags {
    pub(super) const fn of(record: &Record<'_>) -> Self {
        Self {
            storage: record.storage,
            tariff: record.tariff,
            subunit: record.subunit,
            function: record.function(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Date {
    tags: Tags,
    at: DateTime,
}

/// The dates of one telegram.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    dates: Vec<Date>,
}

impl Times {
    /// Those of a telegram.
    pub(super) fn of(records: Records<'_>) -> Self {
        let mut times = Self::default();
        for item in records.restart() {
            let Ok(Item::Record(record)) = item else {
                continue;
            };
            if is_date(&record)
                && let Value::DateTime(at) = record.value(&record.meaning())
            {
                times.note(&record, at);
            }
        }
        times
    }

    /// Takes the date that a record says. Those of VIF 6Ch and 6Dh without any VIFE that are
    /// moments count.
    pub(super) fn note(&mut self, record: &Record<'_>, at: DateTime) {
        let counts = is_date(record) && at.is_moment() && at.year.is_some();
        if counts && self.dates.len() <= DATES_MAX {
            let tags = Tags::of(record);
            self.dates.push(Date { tags, at });
        }
    }

    /// Whether nothing is dated.
    pub(super) const fn is_empty(&self) -> bool {
        self.dates.is_empty() || self.dates.len() > DATES_MAX
    }

    /// When the value of a record was valid: the only date with its storage number, function,
    /// tariff and subunit. Without one, the only date that is of no tariff or its own and of no
    /// subunit or its own: a meter has one clock, and says of tariffs alone what they differ in.
    // clause: EN 13757-3, 6.3.2, storage number
    pub(super) fn find(&self, tags: Tags, quantity: Quantity) -> Option<DateTime> {
        if self.is_empty() || !is_measured(quantity) {
            return None;
        }
        let covers = |of: Tags| {
            let is_same = of.storage == tags.storage && of.function == tags.function;
            let is_of_tariff = of.tariff == 0 || of.tariff == tags.tariff;
            is_same && is_of_tariff && (of.subunit == 0 || of.subunit == tags.subunit)
        };
        let exact = self.dates.iter().filter(|date| date.tags == tags);
        only(exact).or_else(|| only(self.dates.iter().filter(|date| covers(date.tags))))
    }
}

const fn is_date(record: &Record<'_>) -> bool {
    matches!(record.vif, 0x6C | 0x6D)
}

fn only<'a>(mut dates: impl Iterator<Item = &'a Date>) -> Option<DateTime> {
    let first = dates.next()?;
    dates.next().is_none().then_some(first.at)
}

/// Whether a quantity is measured at some time, and not a property of the device.
const fn is_measured(quantity: Quantity) -> bool {
    !matches!(
        quantity,
        Quantity::FabricationNumber
            | Quantity::EnhancedIdentification
            | Quantity::Address
            | Quantity::UniqueMessageIdentification
            | Quantity::DeviceType
            | Quantity::Manufacturer
            | Quantity::ParameterSet
            | Quantity::ModelVersion
            | Quantity::HardwareVersion
            | Quantity::FirmwareVersion
            | Quantity::SoftwareVersion
            | Quantity::CustomerLocation
            | Quantity::Customer
            | Quantity::AccessCodeUser
            | Quantity::AccessCodeOperator
            | Quantity::AccessCodeSystemOperator
            | Quantity::AccessCodeDeveloper
            | Quantity::Password
            | Quantity::SecurityKey
            | Quantity::Unknown
            | Quantity::ManufacturerSpecific
            | Quantity::AnyVif
    )
}
