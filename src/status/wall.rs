//! Wall time: for display and for the end of overrides, and for nothing else.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::rfc3339;

/// The last millisecond of the year 9999. Later times are malformed in a stored record, and cut to
/// this where they are made here.
pub(crate) const LATEST_MS: u64 = 253_402_300_799_999;

/// Token times, in unix seconds, lie between the years 1 and 9999.
pub(crate) const TOKEN_TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Returns a token time within the range that a record can hold.
pub(crate) fn token_time(seconds: i64) -> i64 {
    seconds.clamp(*TOKEN_TIMES.start(), *TOKEN_TIMES.end())
}

/// Returns ms since the epoch as a time of the standard library.
pub(crate) fn system_time(unix_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(unix_ms))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Formats ms since the epoch as RFC 3339, in whole seconds. A time beyond the year 9999 becomes
/// the end of that year.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rfc3339(pub(crate) u64);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.min(LATEST_MS) / 1000).unwrap_or_default();
        f.pad(rfc3339::format(seconds).as_deref().unwrap_or("unknown"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_time_beyond_the_platform_does_not_panic() {
        assert!(system_time(u64::MAX) >= SystemTime::UNIX_EPOCH);
        assert_eq!(system_time(1_500), SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
    }

    #[test]
    fn every_millisecond_can_be_shown() {
        assert_eq!(Rfc3339(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Rfc3339(1_700_000_000_250).to_string(), "2023-11-14T22:13:20Z");
        for late in [LATEST_MS, LATEST_MS + 1, u64::MAX] {
            assert_eq!(Rfc3339(late).to_string(), "9999-12-31T23:59:59Z");
        }
    }

    #[test]
    fn token_times_are_kept_within_the_calendar() {
        assert_eq!(token_time(1_700_000_000), 1_700_000_000);
        assert_eq!(token_time(i64::MAX), 253_402_300_799);
        assert_eq!(token_time(i64::MIN), -62_135_596_800);
    }
}
