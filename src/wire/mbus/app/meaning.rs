//! What VIF and VIFE of a record say about its data.

use super::quantity::Quantity;
use super::record::{Direction, Record};
use super::tables::{self, Coding, Entry};
use super::unit::{Unit, UnitTerm};
use super::vife::{Modifier, Modifiers, ProfileKind, RecordError};

/// What a record measures and how its data is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Meaning<'a> {
    /// What is measured.
    pub quantity: Quantity,
    /// In what; the text of a plain-text unit is in [`Record::unit_text`].
    pub unit: UnitTerm,
    /// Whether the value is in no unit of the VIF, since VIFEs make it a date, a duration or a
    /// count, or what has no unit at all.
    pub is_beside_unit: bool,
    /// The power of ten that the data counts, in that unit.
    pub exponent: i16,
    /// The power of ten that is added, in that unit.
    pub addend: Option<i8>,
    /// How the data is coded where the DIF does not say it all.
    pub coding: Coding,
    /// Why there is no value, if the meter says so.
    pub error: Option<RecordError>,
    /// Whether the data is a load profile.
    pub profile: Option<ProfileKind>,
    /// The VIFEs behind the one that belongs to the VIF.
    pub modifiers: Modifiers<'a>,
}

impl<'a> Meaning<'a> {
    fn of(entry: Entry, rest: &'a [u8], direction: Direction) -> Self {
        Self {
            quantity: entry.quantity,
            unit: UnitTerm::plain(entry.unit),
            is_beside_unit: false,
            exponent: i16::from(entry.exponent),
            addend: None,
            coding: entry.coding,
            error: None,
            profile: None,
            modifiers: Modifiers::new(rest, direction),
        }
    }

    #[cold]
    fn modify(&mut self, non_metric: Option<(Unit, i8)>) {
        let (mut factor, mut of_per) = (0_i16, 0_i16);
        for modifier in self.modifiers {
            match modifier {
                Modifier::Error(error) => self.error = Some(error),
                Modifier::Profile(kind) => self.profile = Some(kind),
                // A value has one divisor: of two, the number would be of neither unit.
                Modifier::Per(..) if self.unit.per.is_some() => {
                    self.quantity = Quantity::Unknown;
                    return self.become_plain(Unit::None, self.coding);
                }
                Modifier::Per(per, by) => {
                    self.unit.per = Some(per);
                    of_per = i16::from(by);
                }
                Modifier::Times(times) => self.unit.times = Some(times),
                Modifier::Factor(by) => factor = factor.saturating_add(i16::from(by)),
                // Both are about the unit of the VIF.
                Modifier::Addend(_) | Modifier::NonMetric if self.is_beside_unit => {}
                Modifier::Addend(exponent) => self.addend = Some(exponent),
                Modifier::TypeC(_) => self.coding = Coding::Unsigned,
                Modifier::Moment(_) => self.become_plain(Unit::None, Coding::DateTime),
                Modifier::Duration(_, unit) => self.become_plain(unit, Coding::Unsigned),
                Modifier::Count(_) => self.become_plain(Unit::None, Coding::Unsigned),
                Modifier::NonMetric => {
                    let (unit, exponent) = non_metric.unwrap_or((Unit::NonMetric, 0));
                    self.unit.unit = unit;
                    self.exponent = i16::from(exponent);
                }
                _ => {}
            }
        }
        if self.unit.per.is_some() {
            factor = factor.saturating_add(of_per);
        }
        self.exponent = self.exponent.saturating_add(factor);
    }

    /// The VIF says what the limit or the event is about, and no more what the value is.
    fn become_plain(&mut self, unit: Unit, coding: Coding) {
        self.unit = UnitTerm::plain(unit);
        self.is_beside_unit = true;
        self.exponent = 0;
        self.addend = None;
        self.coding = coding;
    }
}

impl<'a> Record<'a> {
    /// What its VIF and VIFE say.
    // clause: EN 13757-3, 6.4
    #[inline]
    #[must_use]
    pub fn meaning(&self) -> Meaning<'a> {
        if self.vifes.is_empty() {
            return Meaning::of(tables::of_main(self.vif), &[], self.direction);
        }
        self.extended_meaning()
    }

    fn extended_meaning(&self) -> Meaning<'a> {
        let (first, behind) = match self.vifes.split_first() {
            Some((first, behind)) => (*first, behind),
            None => (0, self.vifes),
        };
        let mut non_metric = None;
        let (entry, rest) = match self.vif {
            0xFD if first == 0xFD => match behind.split_first() {
                Some((second, rest)) => (tables::fd_second_level(*second), rest),
                None => (tables::UNKNOWN, behind),
            },
            0xFD => (tables::of_fd(first), behind),
            0xFB => {
                non_metric = tables::non_metric_fb(first);
                (tables::of_fb(first), behind)
            }
            // The third table is not published; all behind its code belongs to it.
            0xEF => return Meaning::of(tables::UNKNOWN, &[], self.direction),
            0xFF => return Meaning::of(tables::of_main(self.vif), &[], self.direction),
            vif => {
                non_metric = tables::non_metric_main(vif);
                (tables::of_main(vif), self.vifes)
            }
        };
        let mut meaning = Meaning::of(entry, rest, self.direction);
        if !rest.is_empty() {
            meaning.modify(non_metric);
        }
        meaning
    }
}
