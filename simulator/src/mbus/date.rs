//! Dates of the meters' clocks, which go by UTC, and their forms.

const DAY_S: u32 = 86_400;

/// A second of the calendar from 2000 to 2099.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// 2000 to 2099.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

const fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of(year: u32, month: u8) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A number that a modulus keeps below 256.
fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

impl Civil {
    /// The date of UTC seconds since 1970.
    #[must_use]
    pub fn of_utc(utc_s: u32) -> Self {
        let (mut days, second) = (utc_s / DAY_S, utc_s % DAY_S);
        let (mut year, mut month) = (1970_u32, 1_u8);
        loop {
            let length = 365 + u32::from(is_leap(year));
            if days < length {
                break;
            }
            days -= length;
            year += 1;
        }
        while days >= days_of(year, month) {
            days -= days_of(year, month);
            month += 1;
        }
        Self {
            year: u16::try_from(year).unwrap_or(u16::MAX),
            month,
            day: small(days + 1),
            hour: small(second / 3_600),
            minute: small(second / 60 % 60),
            second: small(second % 60),
        }
    }

    /// Day and month, with the year's seven bits spread over both.
    fn day_and_month(self) -> [u8; 2] {
        let year = small(u32::from(self.year % 100));
        [(year & 7) << 5 | self.day, year >> 3 << 4 | self.month]
    }

    /// Type G: a date.
    #[must_use]
    pub fn type_g(self) -> [u8; 2] {
        self.day_and_month()
    }

    /// Type F: a date with its minute, of the second hundred years from 1900.
    #[must_use]
    pub fn type_f(self) -> [u8; 4] {
        let [day, month] = self.day_and_month();
        [self.minute, 1 << 5 | self.hour, day, month]
    }

    /// Type I: a date with its second. Day and number of the week are left open.
    #[must_use]
    pub fn type_i(self) -> [u8; 6] {
        let [day, month] = self.day_and_month();
        [self.second, self.minute, self.hour, day, month, 0]
    }

    /// `2026-11-28`.
    #[must_use]
    pub fn date(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `2026-11-28T08:05`.
    #[must_use]
    pub fn to_minute(self) -> String {
        format!("{}T{:02}:{:02}", self.date(), self.hour, self.minute)
    }

    /// `2026-11-28T08:05:09`.
    #[must_use]
    pub fn to_second(self) -> String {
        format!("{}:{:02}", self.to_minute(), self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates_over_leap_days() {
        for (utc_s, text) in [
            (951_868_799, "2000-02-29T23:59:59"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_795_852_800, "2026-11-28T08:00:00"),
            (1_830_297_599, "2027-12-31T23:59:59"),
        ] {
            assert_eq!(Civil::of_utc(utc_s).to_second(), text);
        }
    }

    #[test]
    fn a_date_is_coded_as_in_published_telegrams() {
        // OMS Volume 2 Annex N: 2008-05-31 23:50.
        let at = Civil::of_utc(1_212_277_800);
        assert_eq!(at.to_minute(), "2008-05-31T23:50");
        assert_eq!(at.type_f(), [0x32, 0x37, 0x1F, 0x15]);
        assert_eq!(at.type_g(), [0x1F, 0x15]);
        assert_eq!(at.type_i()[..5], [0, 0x32, 0x17, 0x1F, 0x15]);
    }
}
