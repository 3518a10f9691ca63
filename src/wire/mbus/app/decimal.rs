//! Exact decimal numbers: what a counter shows, without a binary fraction in between.

use core::fmt::{self, Write};

/// The most digits of a mantissa.
const DIGITS_MAX: usize = 39;
const TEN_POW_19: u128 = 10_000_000_000_000_000_000;
const ZEROS: &str = "0000000000000000000000000000000000000000";

/// `mantissa × 10^exponent`, exactly.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Decimal {
    /// The number without its point.
    pub mantissa: i128,
    /// The power of ten that it counts.
    pub exponent: i16,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self::new(0, 0);

    /// `mantissa × 10^exponent`.
    #[must_use]
    pub const fn new(mantissa: i128, exponent: i16) -> Self {
        Self { mantissa, exponent }
    }

    /// The number times `10^by`.
    #[must_use]
    pub const fn shifted(self, by: i16) -> Self {
        Self::new(self.mantissa, self.exponent.saturating_add(by))
    }

    /// The same number with no zero at the end of its mantissa, 0 with the exponent 0: equal
    /// numbers are equal after this.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        if self.mantissa == 0 {
            return Self::ZERO;
        }
        while self.mantissa.checked_rem(10) == Some(0) && self.exponent < i16::MAX {
            self.mantissa = self.mantissa.checked_div(10).unwrap_or_default();
            self.exponent = self.exponent.saturating_add(1);
        }
        self
    }

    /// The sum; none if it has more digits than a mantissa takes.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let sum = self
            .mantissa_at(exponent)?
            .checked_add(other.mantissa_at(exponent)?)?;
        Some(Self::new(sum, exponent))
    }

    /// The difference; none if it has more digits than a mantissa takes.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self::new(other.mantissa.checked_neg()?, other.exponent))
    }

    /// The mantissa with a lower exponent.
    fn mantissa_at(self, exponent: i16) -> Option<i128> {
        let by = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        self.mantissa.checked_mul(10_i128.checked_pow(by)?)
    }

    /// The number that a float of 32 bits is, with all its digits; none for an infinity or NaN.
    ///
    /// A float is an integer times a power of two, so its decimal form ends: 0.1 on the wire is
    /// 0.100000001490116119384765625. Only a float so near 0 or so great that a mantissa cannot
    /// take its digits (below about 10^-6, above 10^37) becomes the shortest decimal that is read
    /// back as the same float.
    // clause: EN 13757-3, Annex A, type H
    #[must_use]
    pub fn from_f32(bits: u32) -> Option<Self> {
        let exponent = (bits >> 23) & 0xFF;
        let fraction = i128::from(bits & 0x007F_FFFF);
        let (mantissa, power) = match exponent {
            0xFF => return None,
            0 => (fraction, -149),
            _ => (
                fraction | 0x0080_0000,
                i32::try_from(exponent).ok()?.checked_sub(150)?,
            ),
        };
        if mantissa == 0 {
            return Some(Self::ZERO);
        }
        let zeros = mantissa.trailing_zeros();
        let (odd, power) = (
            mantissa.checked_shr(zeros)?,
            power.checked_add(i32::try_from(zeros).ok()?)?,
        );
        let exact = if power >= 0 {
            2_i128
                .checked_pow(power.unsigned_abs())
                .and_then(|two| odd.checked_mul(two))
                .map(|mantissa| Self::new(mantissa, 0))
        } else {
            5_i128
                .checked_pow(power.unsigned_abs())
                .and_then(|five| odd.checked_mul(five))
                .zip(i16::try_from(power).ok())
                .map(|(mantissa, power)| Self::new(mantissa, power))
        };
        let number = exact.or_else(|| shortest(bits & 0x7FFF_FFFF))?;
        if bits & 0x8000_0000 == 0 {
            return Some(number);
        }
        Some(Self::new(number.mantissa.checked_neg()?, number.exponent))
    }

    /// Writes the number without an exponent and without zeros at the end of its fraction:
    /// `28504.27`, `-0.5`, `120000`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(self, out: &mut impl Write) -> fmt::Result {
        let mut buffer = [b'0'; DIGITS_MAX];
        let start = digits(self.mantissa.unsigned_abs(), &mut buffer);
        let all = buffer.get(start..).unwrap_or_default();
        if self.mantissa == 0 {
            return out.write_str("0");
        }
        if self.mantissa < 0 {
            out.write_str("-")?;
        }
        if self.exponent >= 0 {
            out.write_str(text(all))?;
            return zeros(out, usize::from(self.exponent.unsigned_abs()));
        }
        let mut places = usize::from(self.exponent.unsigned_abs());
        let mut shown = all;
        while let (Some((b'0', front)), true) = (shown.split_last(), places > 0) {
            shown = front;
            places = places.saturating_sub(1);
        }
        if places == 0 {
            return out.write_str(text(shown));
        }
        if let Some((whole, fraction)) = shown
            .len()
            .checked_sub(places)
            .filter(|whole| *whole > 0)
            .and_then(|whole| shown.split_at_checked(whole))
        {
            out.write_str(text(whole))?;
            out.write_str(".")?;
            return out.write_str(text(fraction));
        }
        out.write_str("0.")?;
        zeros(out, places.saturating_sub(shown.len()))?;
        out.write_str(text(shown))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// The shortest decimal of a positive finite float that is read back as the same.
fn shortest(bits: u32) -> Option<Decimal> {
    let shown = format!("{:e}", f32::from_bits(bits));
    let (number, power) = shown.split_once('e')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = i16::try_from(fraction.len()).ok()?;
    let power: i16 = power.parse().ok()?;
    Some(Decimal::new(mantissa, power.checked_sub(places)?))
}

fn text(digits: &[u8]) -> &str {
    core::str::from_utf8(digits).unwrap_or_default()
}

fn zeros(out: &mut impl Write, mut count: usize) -> fmt::Result {
    while let Some(rest) = count.checked_sub(ZEROS.len()) {
        out.write_str(ZEROS)?;
        count = rest;
    }
    out.write_str(ZEROS.get(..count).unwrap_or_default())
}

/// Writes digits to the end of `buffer` and gives the place of the first; none for 0.
fn digits(number: u128, buffer: &mut [u8; DIGITS_MAX]) -> usize {
    let mut at = DIGITS_MAX;
    let mut rest = number;
    loop {
        let Ok(low) = u64::try_from(rest) else {
            let low = rest.checked_rem(TEN_POW_19).unwrap_or_default();
            rest = rest.checked_div(TEN_POW_19).unwrap_or_default();
            let end = at.saturating_sub(19);
            digits_u64(u64::try_from(low).unwrap_or_default(), buffer, &mut at);
            // The places between are zeros already.
            at = end;
            continue;
        };
        digits_u64(low, buffer, &mut at);
        return at;
    }
}

fn digits_u64(mut number: u64, buffer: &mut [u8; DIGITS_MAX], at: &mut usize) {
    while number > 0 {
        let digit = number.checked_rem(10).unwrap_or_default();
        number = number.checked_div(10).unwrap_or_default();
        let Some(place) = at.checked_sub(1) else {
            return;
        };
        *at = place;
        if let Some(slot) = buffer.get_mut(place) {
            *slot = b'0' | u8::try_from(digit).unwrap_or_default();
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "a test stops at the first surprise"
)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_without_exponent_and_without_spare_zeros() {
        let shown = |mantissa, exponent| Decimal::new(mantissa, exponent).to_string();
        assert_eq!(shown(2_850_427, -2), "28504.27");
        assert_eq!(shown(-5, -1), "-0.5");
        assert_eq!(shown(12, 4), "120000");
        assert_eq!(shown(1_000, -3), "1");
        assert_eq!(shown(1_200, -3), "1.2");
        assert_eq!(shown(-31, -3), "-0.031");
        assert_eq!(shown(0, -9), "0");
        assert_eq!(shown(0, 9), "0");
        assert_eq!(shown(i128::MAX, 0), i128::MAX.to_string());
        assert_eq!(shown(i128::MIN, 0), i128::MIN.to_string());
        assert_eq!(shown(10_i128.pow(38), -38), "1");
        assert_eq!(
            shown(5 * 10_i128.pow(37) + 7, 0),
            (5 * 10_i128.pow(37) + 7).to_string()
        );
        assert_eq!(shown(1, 100).len(), 101);
    }

    #[test]
    fn floats_keep_all_their_digits() {
        let shown = |number: f32| Decimal::from_f32(number.to_bits()).map(|d| d.to_string());
        assert_eq!(shown(13_426.156), Some("13426.15625".to_owned()));
        assert_eq!(shown(0.1), Some("0.100000001490116119384765625".to_owned()));
        assert_eq!(shown(-2.5), Some("-2.5".to_owned()));
        assert_eq!(shown(0.0), Some("0".to_owned()));
        assert_eq!(shown(16_777_216.0), Some("16777216".to_owned()));
        assert_eq!(shown(f32::NAN), None);
        assert_eq!(shown(f32::INFINITY), None);
        assert_eq!(shown(1e-40), Some(format!("0.{}1", "0".repeat(39))));
        assert!(shown(f32::MAX).is_some_and(|text| text.starts_with("34028235")));
    }

    #[test]
    fn sums_are_exact() {
        let a = Decimal::new(1_333_000, 0).checked_add(Decimal::new(1, -3));
        assert_eq!(a, Some(Decimal::new(1_333_000_001, -3)));
        assert_eq!(Decimal::new(1, 300).checked_add(Decimal::new(1, 0)), None);
        assert_eq!(
            Decimal::new(5, 0)
                .checked_sub(Decimal::new(50, -1))
                .map(Decimal::normalized),
            Some(Decimal::ZERO)
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_is_the_number(mantissa: i64, exponent in -20_i16..20) {
            let shown = Decimal::new(i128::from(mantissa), exponent).to_string();
            let (whole, fraction) = shown.split_once('.').unwrap_or((&shown, ""));
            let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
            let places = i16::try_from(fraction.len()).unwrap();
            let again = Decimal::new(digits, -places);
            let sign = if shown.starts_with("-0") { -digits.abs() } else { digits };
            proptest::prop_assert_eq!(
                Decimal::new(sign, -places).normalized(),
                Decimal::new(i128::from(mantissa), exponent).normalized()
            );
            proptest::prop_assert_eq!(again.normalized().exponent, again.normalized().exponent);
            proptest::prop_assert!(!fraction.ends_with('0'));
        }

        #[test]
        fn a_float_is_read_back_as_itself(bits: u32) {
            let number = f32::from_bits(bits);
            let decimal = Decimal::from_f32(bits);
            proptest::prop_assert_eq!(decimal.is_some(), number.is_finite());
            if let Some(decimal) = decimal {
                let again: f32 = decimal.to_string().parse().unwrap();
                proptest::prop_assert_eq!(again, number);
            }
        }
    }
}
