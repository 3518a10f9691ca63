//! Compact load profiles: many values of one quantity in one record.

use super::date::DateTime;
use super::decimal::Decimal;
use super::meaning::Meaning;
use super::named::named;
use super::record::{DATA_LENS, Item, Record, Records};
use super::tables::Coding;
use super::times::{Date, Search, Tags};
use super::value::{Invalid, Value};
use super::vife::ProfileKind;

named! {
    /// Why a profile was not expanded; its octets stay.
    ProfileFault {
        Truncated = "profile_truncated",
        Element = "profile_element_size",
        NoBaseValue = "profile_base_value_missing",
        TooMany = "too_many_profiles",
    }
}

/// How an element becomes a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Absolute,
    Increments,
    Decrements,
    SignedDifferences,
}

/// The time between two values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Spacing {
    Seconds(i64),
    Months(i32),
    /// Values without times, or a spacing that is reserved or has no rule here (half months).
    None,
}

/// One value of a profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'a> {
    /// The storage number: those of a profile follow the one of its record.
    pub storage: u64,
    /// When it was valid, if the telegram has a base time and the spacing is known.
    pub at: Option<DateTime>,
    /// The value, as that of a record of the same VIF; none where the meter has none, and for
    /// increments everywhere behind such a one.
    pub value: Value<'a>,
}

impl Point<'_> {
    /// Why it is not what its quantity says; none for what is.
    #[must_use]
    pub fn invalid(&self) -> Option<Invalid> {
        match self.value {
            Value::None => Some(Invalid::NotSet),
            value => value.invalid(),
        }
    }
}

/// A load profile with its base.
// clause: EN 13757-3, Annex F; OMS Volume 2, Annex G
#[derive(Clone, Copy, Debug)]
pub struct Profile<'a> {
    record: Record<'a>,
    meaning: Meaning<'a>,
    mode: Mode,
    spacing: Spacing,
    field: u8,
    elements: &'a [u8],
    base_at: Option<DateTime>,
    base_value: Option<Decimal>,
}

/// Load profiles of one telegram that may still be expanded, 64 in all. Each looks for its base
/// among all records, which must not be done for as many as a message of fragments holds; a
/// telegram of a link has no more than three dozen.
#[derive(Clone, Copy, Debug)]
pub struct ProfilesLeft(u8);

impl Default for ProfilesLeft {
    fn default() -> Self {
        Self(64)
    }
}

impl<'a> Record<'a> {
    /// The profile that the record holds, with base time and base value among the records of its
    /// telegram; none for a record that is no profile.
    ///
    /// # Errors
    ///
    /// A [`ProfileFault`] for elements of no size, for increments without a base, and for one
    /// profile too many.
    #[must_use]
    pub fn profile(
        &self,
        meaning: &Meaning<'a>,
        telegram: Records<'a>,
        left: &mut ProfilesLeft,
    ) -> Option<Result<Profile<'a>, ProfileFault>> {
        let kind = meaning.profile?;
        self.lvar?;
        let Some(after) = left.0.checked_sub(1) else {
            return Some(Err(ProfileFault::TooMany));
        };
        left.0 = after;
        Some(Profile::read(*self, *meaning, kind, telegram))
    }
}

impl<'a> Profile<'a> {
    fn read(
        record: Record<'a>,
        meaning: Meaning<'a>,
        kind: ProfileKind,
        telegram: Records<'a>,
    ) -> Result<Self, ProfileFault> {
        let (&[control, spacing], elements) = record
            .data
            .split_first_chunk::<2>()
            .ok_or(ProfileFault::Truncated)?;
        let field = control & 0x0F;
        let len = DATA_LENS.get(usize::from(field)).copied().unwrap_or(0);
        if len == 0 {
            return Err(ProfileFault::Element);
        }
        if elements.len().checked_rem(usize::from(len)) != Some(0) {
            return Err(ProfileFault::Truncated);
        }
        let is_inverse = kind == ProfileKind::Inverse;
        let mode = match control >> 6 {
            0 => Mode::Absolute,
            1 => Mode::Increments,
            2 => Mode::Decrements,
            _ => Mode::SignedDifferences,
        };
        let (base_at, base_value) = bases(&record, telegram);
        if mode != Mode::Absolute && base_value.is_none() {
            return Err(ProfileFault::NoBaseValue);
        }
        Ok(Self {
            record,
            meaning,
            mode,
            spacing: spacing_of(control, spacing, is_inverse),
            field,
            elements,
            base_at,
            base_value,
        })
    }

    /// Its values, from the one next to the base on.
    #[must_use]
    pub fn points(&self) -> Points<'a> {
        Points {
            profile: *self,
            rest: self.elements,
            index: 0,
            value: self.base_value,
        }
    }

    /// The value of an element; none if it is marked invalid. A whole value is coded as the VIF
    /// says, a difference as the mode does.
    fn element(&self, octets: &'a [u8]) -> Value<'a> {
        let coding = match (self.mode, self.meaning.coding) {
            (Mode::Absolute, coding) => coding,
            (_, Coding::Per4096) => Coding::Per4096,
            (Mode::SignedDifferences, _) => Coding::Signed,
            (Mode::Increments | Mode::Decrements, _) => Coding::Unsigned,
        };
        let is_signed = coding == Coding::Signed || self.mode == Mode::SignedDifferences;
        if matches!(self.field, 1..=4 | 6 | 7) && is_marked_invalid(octets, is_signed) {
            return Value::None;
        }
        let meaning = Meaning {
            profile: None,
            coding,
            addend: self.meaning.addend.filter(|_| self.mode == Mode::Absolute),
            ..self.meaning
        };
        let record = Record {
            dif: self.field,
            lvar: None,
            data: octets,
            ..self.record
        };
        record.value(&meaning)
    }

    fn at(&self, steps: i64) -> Option<DateTime> {
        let base = self.base_at?;
        match self.spacing {
            Spacing::Seconds(seconds) => base.plus_seconds(seconds.checked_mul(steps)?),
            Spacing::Months(months) => {
                base.plus_months(months.checked_mul(i32::try_from(steps).ok()?)?)
            }
            Spacing::None => None,
        }
    }
}

/// The values of a profile, in the order of the telegram.
#[derive(Clone, Debug)]
pub struct Points<'a> {
    profile: Profile<'a>,
    rest: &'a [u8],
    index: u32,
    /// The last value, which differences count from.
    value: Option<Decimal>,
}

impl<'a> Iterator for Points<'a> {
    type Item = Point<'a>;

    fn next(&mut self) -> Option<Point<'a>> {
        let profile = &self.profile;
        let len = DATA_LENS
            .get(usize::from(profile.field))
            .copied()
            .unwrap_or(0);
        let (octets, rest) = self.rest.split_at_checked(usize::from(len))?;
        if octets.is_empty() {
            return None;
        }
        self.rest = rest;
        self.index = self.index.saturating_add(1);
        let element = profile.element(octets);
        let is_inverse = profile.meaning.profile == Some(ProfileKind::Inverse);
        let is_sum = match profile.mode {
            Mode::Absolute => None,
            Mode::Increments | Mode::SignedDifferences => Some(!is_inverse),
            Mode::Decrements => Some(is_inverse),
        };
        let value = is_sum.map_or(element, |is_sum| {
            self.value = match (self.value, element) {
                (Some(value), Value::Number(element)) if is_sum => value.checked_add(element),
                (Some(value), Value::Number(element)) => value.checked_sub(element),
                _ => None,
            };
            self.value.map_or(Value::None, Value::Number)
        });
        Some(Point {
            storage: profile.record.storage.saturating_add(u64::from(self.index)),
            at: profile.at(i64::from(self.index)),
            value,
        })
    }
}

/// All ones for unsigned, the lowest number for signed elements.
fn is_marked_invalid(octets: &[u8], is_signed: bool) -> bool {
    if !is_signed {
        return octets.iter().all(|octet| *octet == 0xFF);
    }
    octets
        .split_last()
        .is_some_and(|(last, low)| *last == 0x80 && low.iter().all(|octet| *octet == 0))
}

fn spacing_of(control: u8, spacing: u8, is_inverse: bool) -> Spacing {
    let unit = (control >> 4) & 3;
    let months = match (spacing, unit) {
        (254, 3) => 1,
        (254, 2) => 3,
        (254, 1) => 6,
        (0 | 251..=255, _) => return Spacing::None,
        _ => {
            let unit: i64 = match unit {
                0 => 1,
                1 => 60,
                2 => 3_600,
                _ => 86_400,
            };
            let seconds = unit.saturating_mul(i64::from(spacing));
            return Spacing::Seconds(if is_inverse {
                seconds.saturating_neg()
            } else {
                seconds
            });
        }
    };
    Spacing::Months(if is_inverse {
        0_i32.saturating_sub(months)
    } else {
        months
    })
}

/// Base time (the date that a single value would be of) and base value (the same storage number,
/// tariff, subunit, function and VIB but for the profile's VIFE).
fn bases(profile: &Record<'_>, telegram: Records<'_>) -> (Option<DateTime>, Option<Decimal>) {
    let (mut dates, mut base) = (Search::new(Tags::of(profile)), None);
    for item in telegram.restart().flatten() {
        let Item::Record(record) = item else {
            continue;
        };
        if record.storage != profile.storage || record.offset == profile.offset {
            continue;
        }
        match record.value(&record.meaning()) {
            Value::DateTime(at) => {
                if let Some(date) = Date::of(&record, at) {
                    dates.take(&date);
                }
            }
            Value::Number(number) if base.is_none() && is_base(profile, &record) => {
                base = Some(number);
            }
            _ => {}
        }
    }
    (dates.found(), base)
}

fn is_base(profile: &Record<'_>, record: &Record<'_>) -> bool {
    let plain = |octet: &u8| octet & 0x7F;
    record.tariff == profile.tariff
        && record.subunit == profile.subunit
        && record.function() == profile.function()
        && plain(&record.vif) == plain(&profile.vif)
        && record
            .vifes
            .iter()
            .map(plain)
            .eq(without_profile(profile.vifes).map(plain))
}

/// The VIFEs but for the first that makes a profile.
fn without_profile(vifes: &[u8]) -> impl Iterator<Item = &u8> {
    let mut is_found = false;
    vifes.iter().filter(move |octet| {
        let is_profile = matches!(*octet & 0x7F, 0x13 | 0x1E | 0x1F) && !is_found;
        is_found |= is_profile;
        !is_profile
    })
}
