//! Dates and times of the types F, G, I and J, with what they may say besides a moment.

use core::fmt;

use super::named::named;

named! {
    /// What a date or time field tells.
    DateState {
        Moment = "moment",
        Periodic = "periodic",
        Unspecified = "not_specified",
        NotSet = "not_set",
        TimeInvalid = "time_invalid",
        Impossible = "impossible",
    }
}

/// How fine a field is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Precision {
    /// A day (type G).
    Day,
    /// A minute of a day (type F).
    Minute,
    /// A second of a day (type I).
    Second,
    /// A second of any day (type J).
    TimeOfDay,
}

/// A date, a time or both, in the meter's local time. A part that is none means "every" (the
/// markers 127, 15, 0, 31, 63), and "not specified" for the date of type I.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DateTime {
    /// Whether it is a moment at all. What is not is never made one.
    pub state: DateState,
    /// Which parts count.
    pub precision: Precision,
    /// The year with its century.
    pub year: Option<u16>,
    /// The month, 1 to 12.
    pub month: Option<u8>,
    /// The day of the month, 1 to 31.
    pub day: Option<u8>,
    /// The hour, 0 to 23.
    pub hour: Option<u8>,
    /// The minute, 0 to 59.
    pub minute: Option<u8>,
    /// The second, 0 to 59.
    pub second: Option<u8>,
    /// Whether the field says that it is summer time.
    pub summer_time: bool,
}

/// The parts as on the wire.
#[derive(Clone, Copy)]
struct Fields {
    year: u8,
    century: u8,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Fields {
    /// Day and month octets, which all types with a date share.
    const fn date(low: u8, high: u8) -> Self {
        Self {
            year: (low >> 5) | ((high & 0xF0) >> 1),
            century: 0,
            month: high & 0x0F,
            day: low & 0x1F,
            hour: 0,
            minute: 0,
            second: 0,
        }
    }
}

/// What a field says of itself: ones alone that nothing is there, the bit IV that its clock does
/// not go right, as after a loss of power.
fn mark(octets: &[u8], is_time_invalid: bool) -> Option<DateState> {
    if octets.iter().all(|octet| *octet == 0xFF) {
        return Some(DateState::NotSet);
    }
    is_time_invalid.then_some(DateState::TimeInvalid)
}

fn unless(part: u8, every: u8) -> Option<u8> {
    (part != every).then_some(part)
}

impl DateTime {
    /// Type G, two octets.
    // clause: EN 13757-3, Annex A, type G
    #[must_use]
    pub fn type_g(octets: [u8; 2]) -> Self {
        let [low, high] = octets;
        let mark = mark(&octets, false);
        Self::assemble(Fields::date(low, high), Precision::Day, mark, false)
    }

    /// Type F, four octets.
    // clause: EN 13757-3, Annex A, type F
    #[must_use]
    pub fn type_f(octets: [u8; 4]) -> Self {
        let [minute, hour, low, high] = octets;
        let fields = Fields {
            century: (hour >> 5) & 3,
            hour: hour & 0x1F,
            minute: minute & 0x3F,
            ..Fields::date(low, high)
        };
        let mark = mark(&octets, minute & 0x80 != 0);
        Self::assemble(fields, Precision::Minute, mark, hour & 0x80 != 0)
    }

    /// Type I, six octets.
    // clause: EN 13757-3, Annex A, type I
    #[must_use]
    pub fn type_i(octets: [u8; 6]) -> Self {
        let [second, minute, hour, low, high, _week] = octets;
        let fields = Fields {
            hour: hour & 0x1F,
            minute: minute & 0x3F,
            second: second & 0x3F,
            ..Fields::date(low, high)
        };
        let mark = mark(&octets, minute & 0x80 != 0);
        Self::assemble(fields, Precision::Second, mark, second & 0x40 != 0)
    }

    /// Type J, three octets.
    // clause: EN 13757-3, Annex A, type J
    #[must_use]
    pub fn type_j(octets: [u8; 3]) -> Self {
        let [second, minute, hour] = octets;
        let fields = Fields {
            hour: hour & 0x1F,
            minute: minute & 0x3F,
            second: second & 0x3F,
            ..Fields::date(0, 0)
        };
        let mark = mark(&octets, false);
        Self::assemble(fields, Precision::TimeOfDay, mark, false)
    }

    /// The parts as they came. `mark` is what the field says of itself, if it does.
    fn assemble(
        fields: Fields,
        precision: Precision,
        mark: Option<DateState>,
        summer_time: bool,
    ) -> Self {
        let has_date = precision != Precision::TimeOfDay;
        let has_time = precision != Precision::Day;
        let has_second = has_time && precision != Precision::Minute;
        let year_is_real = fields.year <= 99 || fields.year == 127;
        // Type I has the mark 0 for a date that is not specified, or for parts of it.
        let may_be_left_out = precision == Precision::Second && year_is_real;
        let mut date = Self {
            state: DateState::NotSet,
            precision,
            year: (has_date && fields.year != 127).then(|| year(fields.year, fields.century)),
            month: unless(fields.month, 15)
                .filter(|month| has_date && !(may_be_left_out && *month == 0)),
            day: unless(fields.day, 0).filter(|_| has_date),
            hour: unless(fields.hour, 31).filter(|_| has_time),
            minute: unless(fields.minute, 63).filter(|_| has_time),
            second: unless(fields.second, 63).filter(|_| has_second),
            summer_time,
        };
        let no_date = has_date && date.year.and(date.month).and(date.day).is_none();
        let no_time = (has_time && date.hour.and(date.minute).is_none())
            || (has_second && date.second.is_none());
        date.state = match mark {
            Some(mark) => mark,
            None if !(date.is_real() && year_is_real) => DateState::Impossible,
            None if no_date && may_be_left_out => DateState::Unspecified,
            None if no_date || no_time => DateState::Periodic,
            None => DateState::Moment,
        };
        date
    }

    /// Whether no part is outside of the calendar.
    fn is_real(self) -> bool {
        let days = match (self.year, self.month) {
            (Some(year), Some(month)) => days_in_month(i32::from(year), month),
            (None, Some(month)) => days_in_month(2_000, month),
            (_, None) => 31,
        };
        self.month.is_none_or(|month| (1..=12).contains(&month))
            && self.day.is_none_or(|day| day <= days)
            && self.hour.is_none_or(|hour| hour <= 23)
            && self.minute.is_none_or(|minute| minute <= 59)
            && self.second.is_none_or(|second| second <= 59)
    }

    /// Whether it names a moment (or a time of day).
    #[must_use]
    pub fn is_moment(self) -> bool {
        self.state == DateState::Moment
    }

    /// A moment so many months later (earlier if negative). The last day of a month stays the last
    /// day; any other day that the month does not have becomes its last one. None for what is no
    /// date.
    #[must_use]
    pub fn plus_months(self, months: i32) -> Option<Self> {
        let (year, month, day) = self.civil()?;
        let from_zero = year
            .checked_mul(12)?
            .checked_add(i32::from(month.checked_sub(1)?))?
            .checked_add(months)?;
        let new_year = from_zero.div_euclid(12);
        let new_month = u8::try_from(from_zero.rem_euclid(12))
            .ok()?
            .checked_add(1)?;
        let last = days_in_month(new_year, new_month);
        let is_last = day == days_in_month(year, month);
        let day = if is_last { last } else { day.min(last) };
        Some(Self {
            year: Some(u16::try_from(new_year).ok()?),
            month: Some(new_month),
            day: Some(day),
            ..self
        })
    }

    /// A moment so many seconds later (earlier if negative). A date without a time gets one, unless
    /// the seconds are whole days. None for what is no date.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Option<Self> {
        const DAY: i64 = 86_400;
        let (year, month, day) = self.civil()?;
        let of_day = i64::from(self.hour.unwrap_or(0))
            .checked_mul(3_600)?
            .checked_add(i64::from(self.minute.unwrap_or(0)).checked_mul(60)?)?
            .checked_add(i64::from(self.second.unwrap_or(0)))?;
        let total = days_from_civil(year, month, day)?
            .checked_mul(DAY)?
            .checked_add(of_day)?
            .checked_add(seconds)?;
        let (year, month, day) = civil_from_days(total.div_euclid(DAY))?;
        let of_day = total.rem_euclid(DAY);
        let part = |divisor: i64, modulus: i64| {
            let part = of_day.checked_div(divisor)?.checked_rem(modulus)?;
            u8::try_from(part).ok()
        };
        let (hour, minute, second) = (part(3_600, 24)?, part(60, 60)?, part(1, 60)?);
        let precision = match (self.precision, second, hour, minute) {
            (Precision::Day, 0, 0, 0) => Precision::Day,
            (Precision::Day | Precision::Minute, 0, ..) => Precision::Minute,
            _ => Precision::Second,
        };
        Some(Self {
            precision,
            year: Some(u16::try_from(year).ok()?),
            month: Some(month),
            day: Some(day),
            hour: (precision != Precision::Day).then_some(hour),
            minute: (precision != Precision::Day).then_some(minute),
            second: (precision == Precision::Second).then_some(second),
            ..self
        })
    }

    fn civil(self) -> Option<(i32, u8, u8)> {
        if !self.is_moment() {
            return None;
        }
        Some((i32::from(self.year?), self.month?, self.day?))
    }
}

/// Years 0 to 80 without a century are those of this one.
// clause: EN 13757-3, Annex A, type F, compatibility of the hundred-year bits
fn year(year: u8, century: u8) -> u16 {
    let base: u16 = match (century, year) {
        (0, 0..=80) => 2_000,
        (0, _) => 1_900,
        (1, _) => 2_000,
        (2, _) => 2_100,
        _ => 2_200,
    };
    base.saturating_add(u16::from(year))
}

fn is_leap(year: i32) -> bool {
    let divides = |by: i32| year.checked_rem(by) == Some(0);
    divides(4) && (!divides(100) || divides(400))
}

fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, by the way over years that begin in March.
fn days_from_civil(year: i32, month: u8, day: u8) -> Option<i64> {
    let year = i64::from(year).checked_sub(i64::from(month <= 2))?;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from(month).checked_add(9)?.checked_rem(12)?;
    let day_of_year = month
        .checked_mul(153)?
        .checked_add(2)?
        .checked_div(5)?
        .checked_add(i64::from(day).checked_sub(1)?)?;
    let day_of_era = year_of_era
        .checked_mul(365)?
        .checked_add(year_of_era.checked_div(4)?)?
        .checked_sub(year_of_era.checked_div(100)?)?
        .checked_add(day_of_year)?;
    era.checked_mul(146_097)?
        .checked_add(day_of_era)?
        .checked_sub(719_468)
}

fn civil_from_days(days: i64) -> Option<(i32, u8, u8)> {
    let days = days.checked_add(719_468)?;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = day_of_era
        .checked_sub(day_of_era.checked_div(1_460)?)?
        .checked_add(day_of_era.checked_div(36_524)?)?
        .checked_sub(day_of_era.checked_div(146_096)?)?
        .checked_div(365)?;
    let before = year_of_era
        .checked_mul(365)?
        .checked_add(year_of_era.checked_div(4)?)?
        .checked_sub(year_of_era.checked_div(100)?)?;
    let day_of_year = day_of_era.checked_sub(before)?;
    let from_march = day_of_year
        .checked_mul(5)?
        .checked_add(2)?
        .checked_div(153)?;
    let month_start = from_march
        .checked_mul(153)?
        .checked_add(2)?
        .checked_div(5)?;
    let day = day_of_year.checked_sub(month_start)?.checked_add(1)?;
    let month = from_march.checked_add(2)?.checked_rem(12)?.checked_add(1)?;
    let year = era
        .checked_mul(400)?
        .checked_add(year_of_era)?
        .checked_add(i64::from(month <= 2))?;
    Some((
        i32::try_from(year).ok()?,
        u8::try_from(month).ok()?,
        u8::try_from(day).ok()?,
    ))
}

impl DateTime {
    /// Writes it as ISO 8601 does, `*` for a part that is none: `2008-05-31`, `2008-05-31T23:50`,
    /// `*-12-31`, `23:50:00`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(self, out: &mut impl fmt::Write) -> fmt::Result {
        if self.precision != Precision::TimeOfDay {
            match self.year {
                Some(year) => write!(out, "{year:04}")?,
                None => out.write_str("*")?,
            }
            out.write_str("-")?;
            two(out, self.month, false)?;
            out.write_str("-")?;
            // Day 0 means every day, and is no part of a date that is none at all.
            two(out, self.day, self.state == DateState::Impossible)?;
        }
        if self.precision == Precision::Day {
            return Ok(());
        }
        if self.precision != Precision::TimeOfDay {
            out.write_str("T")?;
        }
        two(out, self.hour, false)?;
        out.write_str(":")?;
        two(out, self.minute, false)?;
        if self.precision != Precision::Minute {
            out.write_str(":")?;
            two(out, self.second, false)?;
        }
        Ok(())
    }
}

/// Two digits, or `*` (or `00`) for none.
fn two(out: &mut impl fmt::Write, part: Option<u8>, none_is_zero: bool) -> fmt::Result {
    let part = match part {
        None if none_is_zero => 0,
        None => return out.write_str("*"),
        Some(part) => part,
    };
    let tens = part.checked_div(10).unwrap_or_default();
    let ones = part.checked_rem(10).unwrap_or_default();
    out.write_char(char::from(b'0' | (tens & 0x0F)))?;
    out.write_char(char::from(b'0' | ones))
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
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
    fn dates_of_published_telegrams_are_read() {
        // OMS Volume 2 Annex N.2.1 and N.5.3; the others from public telegrams of libmbus.
        assert_eq!(
            DateTime::type_f([0x32, 0x37, 0x1F, 0x15]).to_string(),
            "2008-05-31T23:50"
        );
        assert_eq!(DateTime::type_g([0xFE, 0x04]).to_string(), "2007-04-30");
        assert_eq!(
            DateTime::type_f([0x10, 0x09, 0x05, 0xC5]).to_string(),
            "1996-05-05T09:16"
        );
        // EN 13757-3 Annex F.2.6, as exmbus quotes it.
        let i = DateTime::type_i([0x0B, 0x0C, 0x8D, 0x59, 0x13, 0x0C]);
        assert_eq!(
            (i.to_string().as_str(), i.is_moment()),
            ("2010-03-25T13:12:11", true)
        );
        assert_eq!(DateTime::type_j([59, 48, 11]).to_string(), "11:48:59");
    }

    #[test]
    fn what_is_no_moment_says_so() {
        let state = |octets| DateTime::type_g(octets).state;
        assert_eq!(state([0xFF, 0xFF]), DateState::NotSet);
        assert_eq!(state([0x00, 0x00]), DateState::Impossible);
        assert_eq!(state([0x1F, 0x12]), DateState::Impossible);
        assert_eq!(state([0xE0, 0x0C]), DateState::Periodic);
        assert_eq!(DateTime::type_g([0x00, 0x00]).to_string(), "2000-00-00");
        assert_eq!(DateTime::type_g([0xFF, 0xFC]).to_string(), "*-12-31");
        let invalid = DateTime::type_f([0xB2, 0x37, 0x1F, 0x15]);
        assert_eq!(
            (invalid.state, invalid.to_string().as_str()),
            (DateState::TimeInvalid, "2008-05-31T23:50")
        );
        assert_eq!(DateTime::type_f([0xFF; 4]).state, DateState::NotSet);
        assert_eq!(DateTime::type_i([0xFF; 6]).state, DateState::NotSet);
        assert_eq!(DateTime::type_j([0xFF; 3]).state, DateState::NotSet);
        // Type I tells a week where it has no day; a month 0 of the others is none.
        let week = DateTime::type_i([0x00, 0x00, 0x0C, 0x80, 0x20, 0x05]);
        assert_eq!(
            (week.state, week.to_string().as_str()),
            (DateState::Unspecified, "2020-*-*T12:00:00")
        );
        let no_year = DateTime::type_i([0x00, 0x00, 0x0C, 0x00, 0xF0, 0x00]);
        assert_eq!(
            (no_year.state, no_year.to_string().as_str()),
            (DateState::Impossible, "2020-00-00T12:00:00")
        );
        let every = DateTime::type_i([0x00, 0x00, 0x1F, 0x94, 0x23, 0x00]);
        assert_eq!(every.state, DateState::Periodic);
        assert_eq!(
            DateTime::type_f([0x3C, 0x37, 0x1F, 0x15]).state,
            DateState::Impossible
        );
    }

    #[test]
    fn the_century_follows_the_hundred_year_bits() {
        let year = |hour, high| DateTime::type_f([0, hour, 0x01, high]).year;
        assert_eq!(year(0x00, 0xA1), Some(2080));
        assert_eq!(DateTime::type_f([0, 0, 0x21, 0xA1]).year, Some(1981));
        assert_eq!(year(0x20, 0x11), Some(2008));
        assert_eq!(year(0x40, 0x11), Some(2108));
    }

    #[test]
    fn months_keep_their_ends() {
        let base = DateTime::type_g([0x1F, 0x11]);
        let shown = |months| base.plus_months(months).map(|d| d.to_string());
        assert_eq!(shown(1), Some("2008-02-29".to_owned()));
        assert_eq!(shown(3), Some("2008-04-30".to_owned()));
        assert_eq!(shown(12), Some("2009-01-31".to_owned()));
        assert_eq!(shown(-1), Some("2007-12-31".to_owned()));
    }

    #[test]
    fn seconds_cross_days_months_and_years() {
        let base = DateTime::type_f([0x32, 0x37, 0x1F, 0x15]);
        let shown = |seconds| base.plus_seconds(seconds).map(|d| d.to_string());
        assert_eq!(shown(600), Some("2008-06-01T00:00".to_owned()));
        assert_eq!(shown(-86_400 * 366), Some("2007-05-31T23:50".to_owned()));
        assert_eq!(shown(1), Some("2008-05-31T23:50:01".to_owned()));
        for day in -200_000_i64..200_000 {
            let (year, month, number) = civil_from_days(day).unwrap();
            assert_eq!(days_from_civil(year, month, number), Some(day));
        }
    }
}
