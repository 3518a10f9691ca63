//! Records as values that outlive their telegram.

use core::iter::once;
use core::ops::Range;

use super::date::DateTime;
use super::decimal::Decimal;
use super::meaning::Meaning;
use super::profile::ProfilesLeft;
use super::quantity::Quantity;
use super::record::{Function, Item, Record, RecordFault, Records};
use super::times::{Tags, Times};
use super::unit::UnitTerm;
use super::value::{Invalid, Text, Value};
use super::vife::RecordError;

/// The data of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OwnedValue {
    /// No data.
    None,
    /// A number in the unit of the record.
    Number(Decimal),
    /// A float that is no number, as its 32 bits.
    NotANumber(u32),
    /// A date, a time or both.
    DateTime(DateTime),
    /// A text.
    Text(String),
    /// The digits of what is no number that a decimal holds, the highest first.
    Digits(String),
    /// Octets as on the wire.
    Octets(Box<[u8]>),
}

impl From<Value<'_>> for OwnedValue {
    #[inline]
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::None => Self::None,
            Value::Number(number) => Self::Number(number),
            Value::NotANumber(bits) => Self::NotANumber(bits),
            Value::OutOfRange(number) => Self::Digits(number.to_string()),
            Value::DateTime(date) => Self::DateTime(date),
            Value::Text(text) => Self::Text(text.to_string()),
            Value::BadBcd(digits) | Value::Wide(digits) => Self::Digits(digits.to_string()),
            Value::Octets(octets) | Value::WrongField(octets) => Self::Octets(octets.into()),
        }
    }
}

/// A record without a telegram.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnedRecord {
    /// What is measured.
    pub quantity: Quantity,
    /// What kind of value it is.
    pub function: Function,
    /// Why there is no value, if the meter says so.
    pub error: Option<RecordError>,
    /// Why the value is not what its quantity says.
    pub invalid: Option<Invalid>,
    /// In what it is measured.
    pub unit: UnitTerm,
    /// The unit of a plain-text VIF; empty for all others.
    pub unit_text: Box<str>,
    /// The value.
    pub value: OwnedValue,
    /// The storage number.
    pub storage: u64,
    /// The tariff.
    pub tariff: u32,
    /// The subunit.
    pub subunit: u16,
    /// When the value was valid, if the telegram says so.
    pub at: Option<DateTime>,
    /// The names of its modifiers.
    pub modifiers: Box<[&'static str]>,
    /// The whole record, from its DIF on, if no table knows it; empty for all others.
    pub raw: Box<[u8]>,
}

/// Data of the manufacturer behind the records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManufacturerData {
    /// Where its DIF stands.
    pub offset: usize,
    /// Its octets.
    pub octets: Box<[u8]>,
    /// Whether the meter has more records for another telegram.
    pub more_follows: bool,
}

/// All that a walk over records gives.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Decoded {
    /// The records, each point of a load profile one of them.
    pub records: Vec<OwnedRecord>,
    /// What is no record.
    pub faults: Vec<RecordFault>,
    /// What is the manufacturer's.
    pub manufacturer: Option<ManufacturerData>,
}

/// Decodes all records of a telegram.
#[must_use]
pub fn decode_records(records: Records<'_>) -> Decoded {
    let telegram = records.restart();
    let mut decoded = Decoded::default();
    let mut walk = Walk::default();
    // A record takes six octets or more, as a rule.
    let guess = telegram.octets().len() / 6;
    decoded.records.reserve(guess.min(32));
    for item in telegram {
        match item {
            Ok(Item::Record(record)) => walk.push(&mut decoded.records, &record, telegram),
            Ok(Item::Manufacturer {
                offset,
                octets,
                more_follows,
            }) => {
                decoded.manufacturer = Some(ManufacturerData {
                    offset,
                    octets: octets.into(),
                    more_follows,
                });
            }
            Ok(Item::GlobalReadout { .. }) => {}
            Err(fault) => decoded.faults.push(fault),
        }
    }
    walk.date(&mut decoded.records);
    decoded
}

/// What a walk over records has come by.
#[derive(Default)]
struct Walk {
    times: Times,
    profiles: ProfilesLeft,
    /// Where the points of profiles stand, which have their own times.
    points: Vec<Range<usize>>,
}

impl Walk {
    fn push<'a>(
        &mut self,
        records: &mut Vec<OwnedRecord>,
        record: &Record<'a>,
        telegram: Records<'a>,
    ) {
        let meaning = record.meaning();
        if let Some(Ok(profile)) = record.profile(&meaning, telegram, &mut self.profiles) {
            let mut first = owned(record, &meaning);
            first.raw = Box::default();
            let begin = records.len();
            records.extend(profile.points().map(|point| OwnedRecord {
                value: OwnedValue::from(point.value),
                invalid: point.invalid(),
                storage: point.storage,
                at: point.at,
                ..first.clone()
            }));
            self.points.push(begin..records.len());
            return;
        }
        let owned = owned(record, &meaning);
        if let OwnedValue::DateTime(at) = owned.value {
            self.times.note(record, at);
        }
        records.push(owned);
    }

    /// Dates the values, now that all dates are known.
    fn date(&self, records: &mut [OwnedRecord]) {
        if self.times.is_empty() {
            return;
        }
        let (mut begin, len) = (0, records.len());
        for points in self.points.iter().chain(once(&(len..len))) {
            let between = records.get_mut(begin..points.start).unwrap_or_default();
            let numbers = between.iter_mut();
            for record in numbers.filter(|one| matches!(one.value, OwnedValue::Number(_))) {
                let tags = Tags {
                    storage: record.storage,
                    tariff: record.tariff,
                    subunit: record.subunit,
                    function: record.function,
                };
                record.at = self.times.find(tags, record.quantity);
            }
            begin = points.end;
        }
    }
}

/// A record, not dated yet.
fn owned(record: &Record<'_>, meaning: &Meaning<'_>) -> OwnedRecord {
    let value = record.value(meaning);
    OwnedRecord {
        quantity: meaning.quantity,
        function: record.function(),
        error: meaning.error,
        invalid: value.invalid(),
        unit: meaning.unit,
        unit_text: if record.unit_text.is_empty() {
            Box::default()
        } else {
            record.unit_text(meaning).to_string().into_boxed_str()
        },
        value: OwnedValue::from(value),
        storage: record.storage,
        tariff: record.tariff,
        subunit: record.subunit,
        at: None,
        modifiers: names(meaning),
        raw: if record.is_unknown(meaning) {
            record.octets.into()
        } else {
            Box::default()
        },
    }
}

fn names(meaning: &Meaning<'_>) -> Box<[&'static str]> {
    if meaning.modifiers.octets().is_empty() {
        return Box::default();
    }
    meaning
        .modifiers
        .filter_map(super::vife::Modifier::id)
        .collect()
}

impl<'a> Record<'a> {
    /// The unit in plain text; empty without VIF 7Ch, and where the value is in no unit of the VIF.
    #[must_use]
    pub const fn unit_text(&self, meaning: &Meaning<'_>) -> Text<'a> {
        let octets = if meaning.is_beside_unit {
            &[]
        } else {
            self.unit_text
        };
        Text::new(octets, self.high_octet_first)
    }

    /// Whether its value alone does not tell what came.
    #[must_use]
    pub fn is_unknown(&self, meaning: &Meaning<'_>) -> bool {
        matches!(
            meaning.quantity,
            Quantity::Unknown | Quantity::ManufacturerSpecific | Quantity::AnyVif
        )
    }
}
