//! Times as text: RFC 3339, which is how SuperOffice writes them, and how they are shown.
//!
//! The calendar is the Gregorian one, reckoned in years that begin in March, so that the leap day is
//! a year's last.

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The days of 400 years.
const ERA: i64 = 146_097;
/// From 0000-03-01, which begins an era, to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Parses a time such as `2026-02-23T09:52:01.9342965Z`, to milliseconds since the epoch.
///
/// Without a zone it is UTC: .NET leaves it out of a time whose kind it was not told. `None` also for
/// times before 1970.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, b'-', [4, 2, 2])?;
    let (clock, rest) = time.split_at_checked("09:52:01".len())?;
    let [hour, minute, second] = numbers(clock, b':', [2, 2, 2])?;
    // A second 60 is a leap second: the first of the next minute.
    let valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let (millis, zone) = fraction(rest)?;
    let of_day = hour * HOUR + minute * MINUTE + second;
    let seconds = days(year, month, day) * DAY + of_day - offset(zone)?;
    let seconds = u64::try_from(seconds).ok().filter(|_| valid)?;
    Some(seconds * 1000 + millis)
}

/// Formats seconds since the epoch as `2026-02-23T09:52:01Z`; `None` outside the years 0 to 9999.
pub(crate) fn format(unix: i64) -> Option<String> {
    let (year, month, day) = date(unix.div_euclid(DAY))?;
    let of_day = unix.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / HOUR, of_day / MINUTE % 60, of_day % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// Numbers of these many digits each, with a separator between them.
fn numbers(text: &str, separator: u8, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(char::from(separator));
    let mut number = |length| {
        let digits = parts.next().filter(|part| part.len() == length)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let [first, second, third] = lengths;
    let all = [number(first)?, number(second)?, number(third)?];
    parts.next().is_none().then_some(all)
}

/// Splits what follows the seconds into milliseconds and the zone.
fn fraction(rest: &str) -> Option<(u64, &str)> {
    let Some(digits_and_zone) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let end = digits_and_zone.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits_and_zone.len());
    let (digits, zone) = digits_and_zone.split_at_checked(end)?;
    if digits.is_empty() {
        return None;
    }
    let thousandths = digits.bytes().chain([b'0'; 2]).take(3);
    let millis = thousandths.fold(0, |millis, digit| millis * 10 + u64::from(digit - b'0'));
    Some((millis, zone))
}

/// The seconds by which a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    let (sign, hours_and_minutes) = match zone.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => return zone.len().le(&1).then_some(0),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) => return None,
    };
    let [hours, minutes, _] = numbers(&format!("{hours_and_minutes}:00"), b':', [2, 2, 2])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * HOUR + minutes * MINUTE))
}

/// The days from the epoch to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

fn days_in(year: i64, month: i64) -> i64 {
    let leaps = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leaps => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The date that is so many days after the epoch; `None` outside the years 0 to 9999.
fn date(days: i64) -> Option<(i64, i64, i64)> {
    let days = days.checked_add(EPOCH)?;
    let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (0..=9999).contains(&year).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};

    use super::*;

    #[test]
    fn times_come_with_any_precision_and_zone() {
        for (text, expected) in [
            ("2026-02-23T09:52:01.9342965Z", Some(1_771_840_321_934)),
            ("2026-02-23t09:52:01.9z", Some(1_771_840_321_900)),
            ("2026-02-23 09:52:01.9342965", Some(1_771_840_321_934)),
            ("2026-02-23T10:52:01.9342965+01:00", Some(1_771_840_321_934)),
            ("2026-02-23T09:22:01.04-00:30", Some(1_771_840_321_040)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("9999-12-31T23:59:59.9999999Z", Some(253_402_300_799_999)),
            ("1969-12-31T23:59:59Z", None),
            ("0001-01-01T00:00:00", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn malformed_times_are_refused() {
        for text in [
            "",
            "soon",
            "2026-02-23",
            "2026-02-23T09:52",
            "2026-02-23T09:52:01.",
            "2026-02-23T09:52:01.Z",
            "2026-02-23T09:52:01ZZ",
            "2026-02-23T09:52:01x",
            "2026-02-23T09:52:01\u{e9}",
            "2026-02-23T09:52:0\u{e9}1Z",
            "2026-02-23T09:52:01+1:00",
            "2026-02-23T09:52:01+24:00",
            "2026-02-23T09:52:01+01:60",
            "2026-02-23T09:52:01+01:00:00",
            "2026-02-30T09:52:01Z",
            "2025-02-29T09:52:01Z",
            "2100-02-29T09:52:01Z",
            "2026-00-01T09:52:01Z",
            "2026-13-01T09:52:01Z",
            "2026-01-00T09:52:01Z",
            "2026-04-31T09:52:01Z",
            "2026-02-23T24:00:00Z",
            "2026-02-23T09:60:00Z",
            "2026-02-23T09:52:61Z",
            "+026-02-23T09:52:01Z",
            "2026-2-023T09:52:01Z",
            "2026-02-23-01T09:52:01Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_out_of_range_have_no_text() {
        assert_eq!(format(253_402_300_799).as_deref(), Some("9999-12-31T23:59:59Z"));
        for unix in [253_402_300_800, -62_167_219_201, i64::MAX, i64::MIN] {
            assert_eq!(format(unix), None, "{unix}");
        }
    }

    proptest! {
        #[test]
        fn times_read_and_write_as_another_crate_does(
            unix in 0..253_402_300_800_i64,
            millis in 0..1000_u64,
            minutes in -1439..1440_i32,
        ) {
            let time = OffsetDateTime::from_unix_timestamp(unix).unwrap();
            prop_assert_eq!(format(unix), time.format(&Rfc3339).ok());
            let zone = time::UtcOffset::from_whole_seconds(minutes * 60).unwrap();
            let time = (time + time::Duration::milliseconds(millis.cast_signed())).checked_to_offset(zone);
            // An offset can lead out of the years that have a text.
            if let Some(text) = time.and_then(|time| time.format(&Rfc3339).ok()) {
                prop_assert_eq!(parse(&text), Some(unix.cast_unsigned() * 1000 + millis));
            }
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,40}", odd in "[0-9TZ:. +-]{18,30}") {
            // Whatever it says; it may not panic.
            let _ = (parse(&text), parse(&odd));
        }
    }

    #[test]
    fn every_day_of_eight_centuries_is_its_own_date() {
        for day in -EPOCH..2 * ERA - EPOCH {
            let (year, month, of_month) = date(day).unwrap();
            assert_eq!(days(year, month, of_month), day);
            assert!((1..=days_in(year, month)).contains(&of_month));
        }
    }
}
