//! The rate limit: a maximum number of pulls in any one second.

use std::collections::VecDeque;

use tokio::time::{Duration, Instant};

/// Lets at most `rate` pulls start in any window of one second.
///
/// It keeps the last starts, so that some may start at once after a quiet time and no window has
/// more. It goes by the monotonic clock: setting the wall clock back must not stop pulls.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    rate: usize,
    starts: VecDeque<Instant>,
    /// End of the pause that the state API requested.
    paused: Option<Instant>,
}

const WINDOW: Duration = Duration::from_secs(1);

impl RateLimiter {
    /// Creates a limiter of `rate` starts in a second, at least 1.
    pub(crate) fn new(rate: u32) -> Self {
        let rate = usize::try_from(rate.max(1)).unwrap_or(usize::MAX);
        Self { rate, starts: VecDeque::new(), paused: None }
    }

    /// Returns when the next pull may start: `now`, or a later time to wait for.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let window = (self.starts.len() >= self.rate)
            .then(|| self.starts.front().map(|&first| first + WINDOW))
            .flatten();
        window.into_iter().chain(self.paused).fold(now, Instant::max)
    }

    /// Takes one start for a pull at `now`; `false` when it has to wait.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.next(now) > now {
            return false;
        }
        self.starts.push_back(now);
        while self.starts.len() > self.rate {
            self.starts.pop_front();
        }
        true
    }

    /// Takes a start at `now` in place of the one that is `held`. Returns the moment until which to
    /// wait, without a start, when that is too early.
    pub(crate) fn put_off(&mut self, held: Option<Instant>, now: Instant) -> Option<Instant> {
        if let Some(start) = held {
            self.give_back(start);
        }
        if self.take(now) { None } else { Some(self.next(now)) }
    }

    /// Gives back what [`take`](Self::take) took at `start`, when no pull came of it after all.
    pub(crate) fn give_back(&mut self, start: Instant) {
        if let Some(place) = self.starts.iter().rposition(|&taken| taken == start) {
            self.starts.remove(place);
        }
    }

    /// Returns how much of the pause is left.
    pub(crate) fn paused(&self, now: Instant) -> Option<Duration> {
        self.paused?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Starts nothing before `until`.
    pub(crate) fn pause(&mut self, until: Instant) {
        self.paused = self.paused.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_of_a_second_holds_more_than_the_rate() {
        let start = Instant::now();
        let mut limiter = RateLimiter::new(10);
        let mut taken = Vec::new();
        // Attempts at uneven times over 20 s, with quiet stretches.
        let mut at = 0_u64;
        for step in 0..4000_u64 {
            at += [1, 3, 0, 17, 2][(step % 5) as usize] + if step % 500 == 0 { 1500 } else { 0 };
            let now = start + Duration::from_millis(at);
            if limiter.take(now) {
                taken.push(at);
            }
        }
        assert!(taken.len() > 180, "{}", taken.len());
        for window in taken.windows(11) {
            assert!(window[10] - window[0] >= 1000, "{window:?}");
        }
    }

    #[test]
    fn a_pause_holds_everything_back_and_is_not_shortened() {
        let start = Instant::now();
        let mut limiter = RateLimiter::new(10);
        limiter.pause(start + Duration::from_secs(30));
        limiter.pause(start + Duration::from_secs(5));
        assert!(!limiter.take(start + Duration::from_secs(29)));
        assert_eq!(limiter.next(start), start + Duration::from_secs(30));
        assert!(limiter.take(start + Duration::from_secs(30)));
    }

    #[test]
    fn starts_that_are_put_off_together_are_spread_again() {
        let start = Instant::now();
        let mut limiter = RateLimiter::new(2);
        let later = start + Duration::from_millis(900);
        assert!(limiter.take(start) && limiter.take(start));
        assert_eq!(limiter.put_off(Some(start), later), None);
        let third = start + Duration::from_millis(1000);
        assert!(limiter.take(third), "the window of the first two is over");
        let wait = limiter.put_off(Some(start), third).expect("two have started in this second");
        assert_eq!(wait, later + WINDOW);
        assert_eq!(limiter.put_off(None, wait), None);
    }

    #[test]
    fn a_start_given_back_can_be_taken_again() {
        let start = Instant::now();
        let mut limiter = RateLimiter::new(1);
        assert!(limiter.take(start));
        assert!(!limiter.take(start));
        limiter.give_back(start);
        assert!(limiter.take(start));
    }
}
