//! Times and texts for people.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};
use time::OffsetDateTime;

use crate::routes::rfc3339;

/// The longest text that others wrote, in characters, before it is cut.
const MAX_TEXT: usize = 300;

/// Returns a text that others wrote, for display: not too long, and [printable]. Escaping is the
/// template's.
pub(super) fn printable(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", crate::printable::printable(&text[..end])),
        None => crate::printable::printable(text).to_string(),
    }
}

/// Returns a duration in its largest unit: `12 s`, `5 min`, `3 h`, `12 days`. The script of the
/// page writes the same.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Returns a time as an element with the distance from `now`, which the script keeps up to date.
pub(super) fn moment(time: SystemTime, now: SystemTime) -> Markup {
    let (distance, text) = match now.duration_since(time) {
        Ok(past) => (past, ["", " ago"]),
        Err(future) => (future.duration(), ["in ", ""]),
    };
    let [before, after] = text;
    let stamp = timestamp(time);
    html! { time datetime=(stamp) title=(stamp) { (before) (duration(distance)) (after) } }
}

/// Returns a time to the minute, as it is at the top of the page: `2026-11-26 16:00 UTC`.
pub(super) fn minute(time: SystemTime) -> String {
    let stamp = timestamp(time);
    format!("{} UTC", stamp.get(..16).unwrap_or(&stamp).replace('T', " "))
}

/// Returns when the last notification was taken, if one was.
pub(super) fn last_notification(time: Option<SystemTime>, now: SystemTime) -> Markup {
    html! {
        @match time {
            Some(time) => (moment(time, now)),
            None => "none since the start",
        }
    }
}

/// Returns a time in RFC 3339, to the second.
pub(super) fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    rfc3339(time.replace_nanosecond(0).unwrap_or(time).into())
}

/// Returns a number with its noun: `1 tenant`, `10,000 tenants`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number as u64))
}

/// Returns a number with its thousands apart: `10,000`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut() {
        assert_eq!(printable("a\u{202e}b\n\u{0}c"), "a\\u202eb\\u000a\\u0000c");
        let whole = "ü".repeat(MAX_TEXT);
        assert_eq!(printable(&whole), whole);
        assert_eq!(printable(&format!("{whole}x")), format!("{whole}…"));
    }

    #[test]
    fn duration_has_its_largest_unit() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn moment_is_before_or_after_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        let earlier = moment(now - Duration::from_secs(90), now).into_string();
        assert_eq!(
            earlier,
            "<time datetime=\"2023-11-14T22:11:50Z\" title=\"2023-11-14T22:11:50Z\">1 min ago</time>"
        );
        assert!(moment(now + Duration::from_secs(5), now).into_string().contains(">in 5 s<"));
    }

    #[test]
    fn time_is_shown_to_the_minute() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_059);
        assert_eq!(minute(time), "2023-11-14 22:14 UTC");
    }

    #[test]
    fn thousands_are_set_apart() {
        let numbers = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            (count(1, "tenant"), count(0, "tenant")),
            ("1 tenant".into(), "0 tenants".into())
        );
    }
}
