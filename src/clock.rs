//! The two clocks of a gate: wall time, which may be set and injected, and monotonic time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, header};
use tokio::time::Instant;

/// Reads the time of day, the system's unless a test injects another, and the monotonic time since
/// the gate was built.
///
/// Wall time is displayed, bounds tokens and ends overrides. Everything else uses the monotonic
/// time, which can't be set.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Parts>);

struct Parts {
    wall: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    monotonic: MonotonicClock,
    /// Seconds by which the wall clock is ahead of SuperOffice's.
    offset: AtomicI64,
}

/// Reads the monotonic time alone. A copy of a moment: a refused call carries one, so that nothing
/// shared is counted up and down for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// Returns the time since the gate was built.
    pub(crate) fn elapsed(self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }
}

/// The offset before an answer of SuperOffice was compared.
const UNKNOWN: i64 = i64::MIN;

/// Seconds of offset beyond which a warning is logged. Tokens are refused from the leeway on, by
/// default a minute.
const TOLERATED: u64 = 10;

impl Clock {
    pub(crate) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self::from_wall(Arc::new(now))
    }

    fn from_wall(wall: Arc<dyn Fn() -> SystemTime + Send + Sync>) -> Self {
        let monotonic = MonotonicClock { start: Instant::now() };
        Self(Arc::new(Parts { wall, monotonic, offset: AtomicI64::new(UNKNOWN) }))
    }

    pub(crate) fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// Returns a clock with the same wall time, whose monotonic time starts now.
    pub(crate) fn started(&self) -> Self {
        Self::from_wall(Arc::clone(&self.0.wall))
    }

    /// Returns milliseconds since the epoch; 0 for a clock set before it.
    pub(crate) fn unix_ms(&self) -> u64 {
        let since = (self.0.wall)().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns seconds since the epoch.
    pub(crate) fn unix_s(&self) -> i64 {
        i64::try_from(self.unix_ms() / 1000).unwrap_or(i64::MAX)
    }

    /// Returns the monotonic time since the gate was built.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.monotonic.elapsed()
    }

    /// Returns the part that reads the monotonic time.
    pub(crate) fn monotonic(&self) -> MonotonicClock {
        self.0.monotonic
    }

    /// Compares the wall clock with the `Date` of an answer from SuperOffice, and logs when they
    /// begin or cease to differ.
    pub(crate) fn observe(&self, headers: &HeaderMap) {
        let Some(date) = date(headers) else { return };
        let offset = self.unix_s().saturating_sub(date);
        let last = self.0.offset.swap(offset, Ordering::Relaxed);
        let is_off = |offset: i64| offset != UNKNOWN && offset.unsigned_abs() > TOLERATED;
        match (is_off(last), is_off(offset)) {
            (false, true) => crate::log::warn!(
                offset_seconds = offset,
                "clock differs from SuperOffice's: synchronize it"
            ),
            (true, false) => crate::log::info!(offset_seconds = offset, "clock agrees again"),
            _ => {}
        }
    }

    /// Returns by how many seconds the wall clock was ahead of SuperOffice's when it was last
    /// compared.
    pub(crate) fn offset(&self) -> Option<i64> {
        Some(self.0.offset.load(Ordering::Relaxed)).filter(|offset| *offset != UNKNOWN)
    }
}

/// Returns the time at which an answer was sent, in unix seconds. A cached one has its age in
/// `Age`.
pub(crate) fn date(headers: &HeaderMap) -> Option<i64> {
    let text = |name| headers.get(name)?.to_str().ok();
    let date = httpdate::parse_http_date(text(header::DATE)?).ok()?;
    let date = i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let age = text(header::AGE).and_then(|age| age.trim().parse::<u32>().ok());
    Some(date.saturating_add(i64::from(age.unwrap_or(0))))
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.unix_ms()).finish()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(date: &'static str, age: Option<&'static str>) -> HeaderMap {
        let date = (header::DATE, HeaderValue::from_static(date));
        let age = age.map(|age| (header::AGE, HeaderValue::from_static(age)));
        [date].into_iter().chain(age).collect()
    }

    #[test]
    fn offset_is_that_from_the_date_of_an_answer() {
        let clock = Clock::new(|| UNIX_EPOCH + Duration::from_millis(1_445_412_480_900));
        assert_eq!(clock.offset(), None);
        clock.observe(&HeaderMap::new());
        clock.observe(&headers("yesterday", None));
        assert_eq!(clock.offset(), None);
        clock.observe(&headers("Wed, 21 Oct 2015 07:28:00 GMT", None));
        assert_eq!(clock.offset(), Some(0));
        clock.observe(&headers("Wed, 21 Oct 2015 07:27:05 GMT", None));
        assert_eq!(clock.offset(), Some(55));
        clock.observe(&headers("Wed, 21 Oct 2015 07:29:05 GMT", None));
        assert_eq!(clock.offset(), Some(-65));
        clock.observe(&headers("Wed, 21 Oct 2015 07:18:00 GMT", Some("600")));
        assert_eq!(clock.offset(), Some(0));
    }

    #[test]
    fn wall_time_that_is_set_does_not_move_elapsed_time() {
        let wall = Arc::new(AtomicI64::new(0));
        let read = Arc::clone(&wall);
        let clock = Clock::new(move || {
            UNIX_EPOCH + Duration::from_secs(read.load(Ordering::Relaxed).unsigned_abs())
        });
        wall.store(7_200, Ordering::Relaxed);
        assert_eq!(clock.unix_ms(), 7_200_000);
        assert!(clock.elapsed() < Duration::from_secs(60));
    }
}
