//! Times as text in RFC 3339, as in SuperOffice's answers and in everything that is displayed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The first second of the year 10000, which has no representation.
const END: u64 = 253_402_300_800;

/// Parses a time such as `2026-02-23T09:52:01.9342965Z`, to milliseconds since the epoch.
///
/// Without a zone it is UTC: .NET omits the zone of a time of unspecified kind. `None` for other
/// zones than UTC, and for times before 1970.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Formats seconds since the epoch as `2026-02-23T09:52:01Z`; `None` outside the years 1970 to
/// 9999.
pub(crate) fn format(unix: i64) -> Option<String> {
    // Checked first: beyond these years the text of humantime is an error or a panic.
    let seconds = u64::try_from(unix).ok().filter(|seconds| *seconds < END)?;
    let time: SystemTime = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_come_with_any_precision() {
        for (text, expected) in [
            ("2026-02-23T09:52:01.9342965Z", Some(1_771_840_321_934)),
            ("2026-02-23 09:52:01.9342965", Some(1_771_840_321_934)),
            ("2026-02-23T09:52:01.9+00:00", Some(1_771_840_321_900)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
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
            "2026-02-23T09:52:01x",
            "2026-02-23T09:52:01\u{e9}",
            "2026-02-23T09:52:0\u{e9}1Z",
            "2026-02-23T10:52:01+01:00",
            "2026-02-30T09:52:01Z",
            "2025-02-29T09:52:01Z",
            "2026-13-01T09:52:01Z",
            "2026-02-23T24:00:00Z",
            "2026-02-23T09:60:00Z",
            "+026-02-23T09:52:01Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_out_of_range_have_no_text() {
        assert_eq!(format(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(format(253_402_300_799).as_deref(), Some("9999-12-31T23:59:59Z"));
        for unix in [253_402_300_800, -1, i64::MAX, i64::MIN] {
            assert_eq!(format(unix), None, "{unix}");
        }
    }

    proptest! {
        #[test]
        fn what_is_formatted_is_parsed(unix in 0..253_402_300_800_i64) {
            let text = format(unix).unwrap();
            prop_assert_eq!(parse(&text), Some(unix.cast_unsigned() * 1000), "{}", text);
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,40}", odd in "[0-9TZ:. +-]{18,30}") {
            // Any result will do, but no panic.
            let _ = (parse(&text), parse(&odd));
        }
    }
}
