//! When the values of a telegram were valid: the dates among its records.

use super::date::DateTime;
use super::meaning::Meaning;
use super::quantity::Quantity;
use super::record::{Function, Item, Record, Records};
use super::value::Value;

/// The most dates of a telegram. Where there are more, nothing is dated: one of those that are left
/// out could be another that fits.
const DATES_MAX: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Date {
    storage: u64,
    tariff: u32,
    subunit: u16,
    function: Function,
    at: DateTime,
}

/// The dates of one telegram.
#[derive(Clone, Debug)]
pub(super) struct Times {
    dates: Vec<Date>,
}

impl Times {
    /// Those of a telegram: records of VIF 6Ch and 6Dh without any VIFE that are moments.
    pub(super) fn of(records: Records<'_>) -> Self {
        let mut dates = Vec::new();
        for item in records.restart() {
            let Ok(Item::Record(record)) = item else {
                continue;
            };
            if !matches!(record.vif, 0x6C | 0x6D) {
                continue;
            }
            if let Value::DateTime(at) = record.value(&record.meaning())
                && at.is_moment()
                && at.year.is_some()
            {
                dates.push(Date {
                    storage: record.storage,
                    tariff: record.tariff,
                    subunit: record.subunit,
                    function: record.function(),
                    at,
                });
            }
        }
        if dates.len() > DATES_MAX {
            dates.clear();
        }
        Self { dates }
    }

    /// When the value of a record was valid: the only date with its storage number and function,
    /// or of several the only one that has its tariff and subunit too.
    // clause: EN 13757-3, 6.3.2, storage number
    pub(super) fn find(&self, record: &Record<'_>, meaning: &Meaning<'_>) -> Option<DateTime> {
        if self.dates.is_empty() || !is_measured(meaning.quantity) {
            return None;
        }
        let function = record.function();
        let matching = || {
            let dates = self.dates.iter();
            dates.filter(|date| date.storage == record.storage && date.function == function)
        };
        only(matching()).or_else(|| {
            let is_own =
                |date: &&Date| date.tariff == record.tariff && date.subunit == record.subunit;
            only(matching().filter(is_own))
        })
    }
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
