//! The value of a record, exactly.

use core::fmt;

use super::date::DateTime;
use super::decimal::Decimal;
use super::head::is_shown;
use super::meaning::Meaning;
use super::named::named;
use super::quantity::Quantity;
use super::record::{LVAR, Record};
use super::tables::Coding;
use super::unit::Unit;

/// The most octets of a binary number that is given in decimal.
const NUMBER_LEN_MAX: usize = 15;

named! {
    /// Why a value is not to be used as what its quantity says.
    Invalid {
        BcdDigits = "bcd_digits",
        NotANumber = "not_a_number",
        NotSet = "not_set",
        TimeInvalid = "time_invalid",
        NotSpecified = "not_specified",
        NoSuchDate = "no_such_date",
        PeriodicDate = "periodic_date",
        DataField = "data_field",
        Overflow = "out_of_range",
    }
}

/// A text in ISO 8859-1, its octets as on the wire: the last character first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Text<'a> {
    octets: &'a [u8],
    is_forward: bool,
}

impl<'a> Text<'a> {
    pub(super) const fn new(octets: &'a [u8], is_forward: bool) -> Self {
        Self { octets, is_forward }
    }

    /// Its characters, the first first.
    pub fn chars(self) -> impl Iterator<Item = char> + 'a {
        let len = self.octets.len();
        let at = move |index: usize| {
            let from_end = len.checked_sub(index)?.checked_sub(1)?;
            self.octets
                .get(if self.is_forward { index } else { from_end })
        };
        (0..len).filter_map(at).map(|octet| char::from(*octet))
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.chars()
            .try_for_each(|character| f.write_char(character))
    }
}

/// Octets of a number as hexadecimal digits, the highest first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Digits<'a> {
    octets: &'a [u8],
    is_forward: bool,
}

impl Digits<'_> {
    /// The digits as capital hexadecimal ones.
    pub fn chars(&self) -> impl Iterator<Item = char> {
        let nibble = |nibble: u8| {
            let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            digit.to_ascii_uppercase()
        };
        Text::new(self.octets, self.is_forward)
            .chars()
            .flat_map(move |octet| {
                let octet = u8::try_from(u32::from(octet)).unwrap_or_default();
                [nibble(octet >> 4), nibble(octet & 0x0F)]
            })
    }
}

impl fmt::Display for Digits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.chars().try_for_each(|digit| f.write_char(digit))
    }
}

/// What the data of a record is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// The record has no data (data field 0 or 8).
    None,
    /// A number in the unit of the meaning.
    Number(Decimal),
    /// A float that is no number.
    NotANumber(u32),
    /// A number that has too many digits with the constant that its VIFE adds: without it.
    OutOfRange(Decimal),
    /// A date, a time or both.
    DateTime(DateTime),
    /// A text.
    Text(Text<'a>),
    /// A BCD number with digits above 9, as meters send them for errors and overflows.
    BadBcd(Digits<'a>),
    /// A binary number of more octets than a decimal takes.
    Wide(Digits<'a>),
    /// Octets whose inside is not read, as on the wire.
    Octets(&'a [u8]),
    /// Octets of a size or coding that the VIF does not allow, as on the wire.
    WrongField(&'a [u8]),
}

impl Value<'_> {
    /// Why it is not what its quantity says; none for what is.
    #[must_use]
    pub fn invalid(&self) -> Option<Invalid> {
        use super::date::DateState;
        match self {
            Self::NotANumber(_) => Some(Invalid::NotANumber),
            Self::OutOfRange(_) => Some(Invalid::Overflow),
            Self::BadBcd(_) => Some(Invalid::BcdDigits),
            Self::WrongField(_) => Some(Invalid::DataField),
            Self::DateTime(date) => match date.state {
                DateState::Moment => None,
                DateState::Periodic => Some(Invalid::PeriodicDate),
                DateState::Unspecified => Some(Invalid::NotSpecified),
                DateState::TimeInvalid => Some(Invalid::TimeInvalid),
                DateState::NotSet => Some(Invalid::NotSet),
                DateState::Impossible => Some(Invalid::NoSuchDate),
            },
            _ => None,
        }
    }
}

impl<'a> Record<'a> {
    /// Its value, in the unit of `meaning`, which has to be the record's own.
    #[inline]
    #[must_use]
    pub fn value(&self, meaning: &Meaning<'a>) -> Value<'a> {
        match self.data_field() {
            0 | 8 => Value::None,
            1..=4 | 6 | 7 => self.integer(meaning),
            LVAR => self.variable(meaning),
            _ => match meaning.coding {
                Coding::Date | Coding::DateTime => Value::WrongField(self.data),
                Coding::Opaque => Value::Octets(self.data),
                Coding::Signed | Coding::Unsigned | Coding::Per4096 => match self.data_field() {
                    5 => self.float(meaning),
                    _ => self.bcd(meaning),
                },
            },
        }
    }

    fn integer(&self, meaning: &Meaning<'a>) -> Value<'a> {
        let is_signed = match meaning.coding {
            Coding::Signed => true,
            Coding::Unsigned | Coding::Per4096 => false,
            Coding::Date | Coding::DateTime => return self.date(meaning),
            Coding::Opaque => return Value::Octets(self.data),
        };
        match integer(self.data, is_signed, self.high_octet_first) {
            Some(number) => scaled(i128::from(number), meaning),
            None => self.variable_number(meaning),
        }
    }

    fn float(&self, meaning: &Meaning<'a>) -> Value<'a> {
        let Ok(octets) = <[u8; 4]>::try_from(self.data) else {
            return Value::WrongField(self.data);
        };
        let bits = if self.high_octet_first {
            u32::from_be_bytes(octets)
        } else {
            u32::from_le_bytes(octets)
        };
        match Decimal::from_f32(bits) {
            Some(number) => finish(number, meaning),
            None => Value::NotANumber(bits),
        }
    }

    /// A digit Fh in the highest place is the sign of a number that may have one. In an
    /// identification it is a digit.
    fn bcd(&self, meaning: &Meaning<'a>) -> Value<'a> {
        match bcd(self.data, self.high_octet_first) {
            Some(number) if number <= 0 && self.begins_with_f(meaning) => self.bad_bcd(),
            Some(number) => scaled(i128::from(number), meaning),
            None => self.bad_bcd(),
        }
    }

    fn begins_with_f(&self, meaning: &Meaning<'a>) -> bool {
        let is_f = self.highest().is_some_and(|octet| *octet >= 0xF0);
        meaning.coding == Coding::Unsigned && is_f
    }

    const fn highest(&self) -> Option<&u8> {
        if self.high_octet_first {
            self.data.first()
        } else {
            self.data.last()
        }
    }

    /// BCD of variable length, whose length octet tells the sign: a digit Fh is none here.
    fn variable_bcd(&self, meaning: &Meaning<'a>, is_negative: bool) -> Value<'a> {
        let number = bcd(self.data, self.high_octet_first);
        match number.filter(|_| self.highest().is_some_and(|octet| *octet < 0xA0)) {
            Some(number) if is_negative => scaled(i128::from(number.saturating_neg()), meaning),
            Some(number) => scaled(i128::from(number), meaning),
            None => self.bad_bcd(),
        }
    }

    const fn bad_bcd(&self) -> Value<'a> {
        Value::BadBcd(Digits {
            octets: self.data,
            is_forward: self.high_octet_first,
        })
    }

    fn variable(&self, meaning: &Meaning<'a>) -> Value<'a> {
        let opaque = matches!(
            meaning.coding,
            Coding::Date | Coding::DateTime | Coding::Opaque
        );
        if meaning.profile.is_some() || opaque {
            return Value::Octets(self.data);
        }
        match self.lvar.unwrap_or_default() {
            0x00..=0xBF if self.is_foreign(meaning) && !self.data.iter().all(is_shown) => {
                Value::Octets(self.data)
            }
            // What has a unit is a number.
            0x00..=0xBF if meaning.unit.unit != Unit::None => Value::WrongField(self.data),
            0x00..=0xBF => Value::Text(Text::new(self.data, self.high_octet_first)),
            _ if self.data.is_empty() => Value::None,
            0xC0..=0xCF => self.variable_bcd(meaning, false),
            0xD0..=0xDF => self.variable_bcd(meaning, true),
            _ => self.variable_number(meaning),
        }
    }

    /// Whether nobody but its maker knows what the record means.
    fn is_foreign(&self, meaning: &Meaning<'_>) -> bool {
        matches!(
            meaning.quantity,
            Quantity::ManufacturerSpecific | Quantity::Unknown
        )
    }

    fn variable_number(&self, meaning: &Meaning<'a>) -> Value<'a> {
        let is_signed = meaning.coding == Coding::Signed;
        let number = if self.data.len() <= NUMBER_LEN_MAX {
            wide_integer(self.data, is_signed, self.high_octet_first)
        } else {
            None
        };
        match number {
            Some(number) => scaled(number, meaning),
            None => Value::Wide(Digits {
                octets: self.data,
                is_forward: self.high_octet_first,
            }),
        }
    }

    /// The data as a date of the type that its size gives.
    fn date(&self, meaning: &Meaning<'a>) -> Value<'a> {
        let mut octets = [0; 6];
        let len = self.data.len();
        for (index, slot) in octets.iter_mut().enumerate().take(len) {
            let from_end = len.saturating_sub(index).saturating_sub(1);
            let place = if self.high_octet_first {
                from_end
            } else {
                index
            };
            *slot = self.data.get(place).copied().unwrap_or_default();
        }
        let [a, b, c, d, _, _] = octets;
        match (len, meaning.coding) {
            (2, _) => Value::DateTime(DateTime::type_g([a, b])),
            (3, Coding::DateTime) => Value::DateTime(DateTime::type_j([a, b, c])),
            (4, Coding::DateTime) => Value::DateTime(DateTime::type_f([a, b, c, d])),
            (6, Coding::DateTime) => Value::DateTime(DateTime::type_i(octets)),
            _ => Value::WrongField(self.data),
        }
    }
}

#[inline]
fn scaled(number: i128, meaning: &Meaning<'_>) -> Value<'static> {
    let number = if meaning.coding == Coding::Per4096 {
        // 2^-12 is 244140625 × 10^-12.
        match number.checked_mul(244_140_625) {
            Some(number) => Decimal::new(number, -12),
            None => Decimal::new(number, 0),
        }
    } else {
        Decimal::new(number, 0)
    };
    finish(number, meaning)
}

#[inline]
fn finish(number: Decimal, meaning: &Meaning<'_>) -> Value<'static> {
    let number = number.shifted(meaning.exponent);
    let Some(addend) = meaning.addend else {
        return Value::Number(number);
    };
    let sum = number.checked_add(Decimal::new(1, i16::from(addend)));
    sum.map_or(Value::OutOfRange(number), Value::Number)
}

/// An integer of up to eight octets. An unsigned one of eight does not fit in the result if its
/// highest bit is set, and is none then: see [`wide_integer`].
#[inline]
fn integer(octets: &[u8], is_signed: bool, high_first: bool) -> Option<i64> {
    // One load a size: records of the field are of these, and a copy of any length costs a call.
    let number = match *octets {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f] => u64::from_le_bytes([a, b, c, d, e, f, 0, 0]),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    };
    // At most 8 octets: between 0 and 56 bits.
    let unused = 64_u32.wrapping_sub(u32::try_from(octets.len()).ok()?.wrapping_mul(8));
    let number = if high_first {
        number.swap_bytes().wrapping_shr(unused)
    } else {
        number
    };
    if !is_signed {
        return i64::try_from(number).ok();
    }
    Some(
        number
            .wrapping_shl(unused)
            .cast_signed()
            .wrapping_shr(unused),
    )
}

/// An integer of up to fifteen octets.
pub(super) fn wide_integer(octets: &[u8], is_signed: bool, high_first: bool) -> Option<i128> {
    let mut whole = [0; 16];
    whole.get_mut(..octets.len())?.copy_from_slice(octets);
    if high_first {
        whole.get_mut(..octets.len())?.reverse();
    }
    let number = u128::from_le_bytes(whole);
    if !is_signed || octets.is_empty() {
        return i128::try_from(number).ok();
    }
    let bits = u32::try_from(octets.len()).ok()?.checked_mul(8)?;
    let unused = 128_u32.checked_sub(bits)?;
    Some(
        number
            .wrapping_shl(unused)
            .cast_signed()
            .wrapping_shr(unused),
    )
}

/// A BCD number of up to nine octets, negative if its highest digit is Fh; none with any other
/// digit above 9.
// clause: EN 13757-3, Annex A, type A
#[inline]
pub(super) fn bcd(octets: &[u8], high_first: bool) -> Option<i64> {
    let mut number = 0_i64;
    let mut is_negative = false;
    let mut is_first = true;
    let mut take = |octet: u8| -> bool {
        let (mut tens, ones) = (octet >> 4, octet & 0x0F);
        if is_first && tens == 0x0F {
            is_negative = true;
            tens = 0;
        }
        is_first = false;
        let pair = i64::from(tens)
            .wrapping_mul(10)
            .wrapping_add(i64::from(ones));
        // At most 18 digits.
        number = number.wrapping_mul(100).wrapping_add(pair);
        tens <= 9 && ones <= 9
    };
    let is_decimal = if high_first {
        octets.iter().all(|octet| take(*octet))
    } else {
        octets.iter().rev().all(|octet| take(*octet))
    };
    if !is_decimal {
        return None;
    }
    Some(if is_negative {
        number.wrapping_neg()
    } else {
        number
    })
}
