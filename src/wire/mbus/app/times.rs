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

/// A date that other values may be of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date {
    tags: Tags,
    at: DateTime,
}

impl Date {
    /// The date that a record says. Those of VIF 6Ch and 6Dh without any VIFE that are moments
    /// count.
    pub(super) fn of(record: &Record<'_>, at: DateTime) -> Option<Self> {
        let counts = is_date(record) && at.is_moment() && at.year.is_some();
        let tags = Tags::of(record);
        counts.then_some(Self { tags, at })
    }
}

/// Looks for the date of a value among all dates of its telegram: the only one with its storage
/// number, function, tariff and subunit. Without one, the only one that is of no tariff or the
/// value's and of no subunit or the value's: a meter has one clock, and says of tariffs alone what
/// they differ in. One that is said twice is one.
// clause: EN 13757-3, 6.3.2, storage number
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    tags: Tags,
    exact: Found,
    covering: Found,
}

#[derive(Clone, Copy, Debug)]
enum Found {
    Nothing,
    One(DateTime),
    Several,
}

impl Found {
    #[inline]
    fn add(&mut self, at: DateTime) {
        *self = match self {
            Self::Nothing => Self::One(at),
            Self::One(before) if *before == at => return,
            Self::One(_) | Self::Several => Self::Several,
        };
    }
}

impl Search {
    #[inline]
    pub(super) const fn new(tags: Tags) -> Self {
        Self {
            tags,
            exact: Found::Nothing,
            covering: Found::Nothing,
        }
    }

    /// Takes one of the dates.
    #[inline]
    pub(super) fn take(&mut self, date: &Date) {
        let (of, tags) = (date.tags, self.tags);
        if of.storage != tags.storage || of.function != tags.function {
            return;
        }
        if of.tariff == tags.tariff && of.subunit == tags.subunit {
            self.exact.add(date.at);
        }
        let is_of_tariff = of.tariff == 0 || of.tariff == tags.tariff;
        if is_of_tariff && (of.subunit == 0 || of.subunit == tags.subunit) {
            self.covering.add(date.at);
        }
    }

    /// What came of it, once all dates were taken.
    #[inline]
    pub(super) const fn found(self) -> Option<DateTime> {
        match (self.exact, self.covering) {
            (Found::One(at), _) | (_, Found::One(at)) => Some(at),
            _ => None,
        }
    }
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

    /// Takes the date that a record says, if it is one that counts.
    pub(super) fn note(&mut self, record: &Record<'_>, at: DateTime) {
        if let Some(date) = Date::of(record, at)
            && self.dates.len() <= DATES_MAX
        {
            self.dates.push(date);
        }
    }

    /// Whether nothing is dated.
    pub(super) const fn is_empty(&self) -> bool {
        self.dates.is_empty() || self.dates.len() > DATES_MAX
    }

    /// When the value of a record was valid, as [`Search`] has it.
    pub(super) fn find(&self, tags: Tags, quantity: Quantity) -> Option<DateTime> {
        if self.is_empty() || !is_measured(quantity) {
            return None;
        }
        let mut search = Search::new(tags);
        self.dates.iter().for_each(|date| search.take(date));
        search.found()
    }
}

const fn is_date(record: &Record<'_>) -> bool {
    matches!(record.vif, 0x6C | 0x6D)
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
