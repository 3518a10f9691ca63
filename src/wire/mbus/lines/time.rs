//! Times as gateways write them.

/// The last millisecond that is taken: of 2106-02-07T06:28:15Z.
const LAST_MS: u64 = 4_294_967_295_999;
/// From here on a number counts milliseconds and not seconds.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

/// Seconds since 1970 with up to three decimals that count, or whole milliseconds.
pub(super) fn unix_ms(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = number(whole, 13)?;
    let ms = if whole >= MILLISECONDS_FROM {
        whole
    } else {
        whole
            .checked_mul(1_000)?
            .checked_add(milliseconds(fraction)?)?
    };
    (ms <= LAST_MS).then_some(ms)
}

/// RFC 3339, with a `T` or a space between date and time. None without an offset.
pub(super) fn rfc3339_utc_ms(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let digits = rest.strip_prefix('.').map(|rest| {
        let end = rest.find(|one: char| !one.is_ascii_digit());
        rest.split_at(end.unwrap_or(rest.len()))
    });
    let (fraction, offset) = digits.unwrap_or(("", rest));
    if digits.is_some() && fraction.is_empty() {
        return None;
    }
    let local_s = days_of(date)?
        .checked_mul(86_400)?
        .checked_add(seconds_of_day(clock)?)?;
    let utc_s = local_s.checked_sub(offset_s(offset)?)?;
    let ms = utc_s.checked_mul(1_000)?;
    let ms = u64::try_from(ms)
        .ok()?
        .checked_add(milliseconds(fraction)?)?;
    (ms <= LAST_MS).then_some(ms)
}

/// A number of decimal digits alone.
fn number(text: &str, digits_max: usize) -> Option<u64> {
    let is_plain =
        (1..=digits_max).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn field(text: &str, from: usize, to: usize, range: core::ops::RangeInclusive<u64>) -> Option<i64> {
    let field = number(text.get(from..to)?, 4)?;
    i64::try_from(field).ok().filter(|_| range.contains(&field))
}

/// The first three decimals; the others are cut off.
fn milliseconds(fraction: &str) -> Option<u64> {
    if !fraction.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(*b"000").take(3);
    let ms = digits.fold(0_u64, |ms, digit| {
        let digit = u64::from(digit.saturating_sub(b'0'));
        ms.saturating_mul(10).saturating_add(digit)
    });
    Some(ms)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar from then on.
fn days_of(date: &str) -> Option<i64> {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_shaped = date.as_bytes().get(4) == Some(&b'-') && date.as_bytes().get(7) == Some(&b'-');
    let year = field(date, 0, 4, 1_970..=2_106).filter(|_| is_shaped)?;
    let month = field(date, 5, 7, 1..=12)?;
    let day = field(date, 8, 10, 1..=31)?;
    let leap_years_before = |year: i64| {
        let before = year.checked_sub(1)?;
        let (fours, hundreds) = (before.checked_div(4)?, before.checked_div(100)?);
        fours
            .checked_sub(hundreds)?
            .checked_add(before.checked_div(400)?)
    };
    let is_leap = leap_years_before(year.checked_add(1)?)? > leap_years_before(year)?;
    let place = usize::try_from(month).ok()?.checked_sub(1)?;
    let before_month = *BEFORE_MONTH.get(place)?;
    let days_of_month = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let years = year.checked_sub(1_970)?.checked_mul(365)?;
    let leap_days = leap_years_before(year)?.checked_sub(leap_years_before(1_970)?)?;
    let this_leap_day = i64::from(is_leap && month > 2);
    let parts = [leap_days, before_month, this_leap_day, day.checked_sub(1)?];
    let days = parts
        .iter()
        .try_fold(years, |sum, part| sum.checked_add(*part));
    days.filter(|_| day <= days_of_month)
}

fn seconds_of_day(clock: &str) -> Option<i64> {
    let is_shaped =
        clock.as_bytes().get(2) == Some(&b':') && clock.as_bytes().get(5) == Some(&b':');
    let hours = field(clock, 0, 2, 0..=23).filter(|_| is_shaped)?;
    let minutes = field(clock, 3, 5, 0..=59)?;
    // A leap second counts as the one before it.
    let seconds = field(clock, 6, 8, 0..=60)?.min(59);
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    minutes.checked_mul(60)?.checked_add(seconds)
}

fn offset_s(offset: &str) -> Option<i64> {
    if matches!(offset, "Z" | "z") {
        return Some(0);
    }
    let is_shaped = offset.len() == 6 && offset.as_bytes().get(3) == Some(&b':');
    let hours = field(offset, 1, 3, 0..=23).filter(|_| is_shaped)?;
    let minutes = field(offset, 4, 6, 0..=59)?;
    let seconds = hours
        .checked_mul(60)?
        .checked_add(minutes)?
        .checked_mul(60)?;
    match offset.as_bytes().first() {
        Some(b'+') => Some(seconds),
        Some(b'-') => seconds.checked_neg(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_offset_and_to_the_millisecond() {
        // Instants as `date -u -d … +%s` of GNU coreutils gives them.
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2026-11-28T08:00:00.25Z", 1_795_852_800_250),
            ("2026-11-28 08:00:00.999999+09:00", 1_795_820_400_999),
            ("2024-12-31t23:59:60-05:30", 1_735_709_399_000),
            ("2106-02-07T06:28:15z", 4_294_967_295_000),
        ] {
            assert_eq!(rfc3339_utc_ms(text), Some(ms), "{text}");
        }
        for wrong in [
            "2026-11-28T08:00:00",
            "2026-11-31T08:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-11-28T24:00:00Z",
            "2026-11-28T08:00:00.Z",
            "2026-11-28T08:00:00+9:00",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "2106-02-07T06:28:16Z",
            "2026/11/28T08:00:00Z",
            "",
            "é026-11-28T08:00:00Z",
        ] {
            assert_eq!(rfc3339_utc_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn seconds_and_milliseconds_since_1970_are_told_apart_by_their_size() {
        assert_eq!(unix_ms("1795852800"), Some(1_795_852_800_000));
        assert_eq!(unix_ms("1795852800.1239"), Some(1_795_852_800_123));
        assert_eq!(unix_ms("1795852800123"), Some(1_795_852_800_123));
        for wrong in ["", "-1", "+1", "1e9", "4294967296", "99999999999999", "1.x"] {
            assert_eq!(unix_ms(wrong), None, "{wrong}");
        }
    }
}
