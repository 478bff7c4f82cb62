//! The schedule of key fetches: pure, all times are arguments.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::BackOff;

/// The least time between the starts of two fetches that tokens requested.
const MIN_INTERVAL: Duration = Duration::from_secs(30);

/// The age before which keys are fetched again.
const REFRESH: Duration = Duration::from_secs(600);

/// The first and the longest pause after a failed fetch.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const PAUSES: BackOff = BackOff::new(FIRST_PAUSE, LONGEST_PAUSE);

/// The state of the fetches.
#[derive(Debug)]
pub(super) struct FetchState {
    /// The start of the last fetch. Set before it runs, so that a failure counts as a success does.
    began: Option<Instant>,
    running: bool,
    /// The start of the last successful fetch: keys published by then are known.
    known: Option<Instant>,
    /// The start of the next fetch, requested or not.
    next: Instant,
    /// The number of fetches that failed since the last success.
    failures: u32,
    last_error: Option<String>,
}

/// The prospect of newer keys for a token that the available ones don't decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prospect {
    /// The keys are less than 30 s old.
    Settled,
    /// A fetch is running, or will begin in time.
    Soon,
    /// No fetch begins in time.
    Late,
}

impl FetchState {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: None, running: false, known: None, next: now, failures: 0, last_error: None }
    }

    /// Returns when the next fetch begins if no token requests one.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Returns when the next fetch begins if a token requests one.
    pub(super) fn next_if_requested(&self) -> Instant {
        self.began.map_or(self.next, |began| self.next.min(began + MIN_INTERVAL))
    }

    pub(super) fn prospect(&self, now: Instant, until: Instant) -> Prospect {
        if self.known.is_some_and(|known| now < known + MIN_INTERVAL) {
            Prospect::Settled
        } else if self.running || self.next_if_requested() < until {
            Prospect::Soon
        } else {
            Prospect::Late
        }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.began = Some(now);
        self.running = true;
    }

    /// Notes a success. `share`, from 0 to 1, spreads the fetches of many gates.
    pub(super) fn succeed(&mut self, now: Instant, share: f64) {
        self.running = false;
        self.known = self.began;
        self.failures = 0;
        self.last_error = None;
        self.next = now + REFRESH.mul_f64(0.7 + 0.25 * share);
    }

    pub(super) fn fail(&mut self, now: Instant, share: f64, error: String) {
        self.running = false;
        self.last_error = Some(error);
        let pause = PAUSES.step(self.failures);
        self.failures = self.failures.saturating_add(1);
        // With keys in use there is no hurry: a retry keeps the interval that tokens have to keep.
        let shortest = if self.known.is_some() { MIN_INTERVAL } else { FIRST_PAUSE };
        self.next = now + pause.mul_f64(1.0 + 0.25 * share).clamp(shortest, LONGEST_PAUSE);
    }

    /// Notes that the fetch in progress, if there is one, broke off with its task.
    pub(super) fn fail_interrupted(&mut self, now: Instant, share: f64) {
        if self.running {
            self.fail(now, share, "the fetch broke off".to_owned());
        }
    }

    pub(super) fn known(&self) -> Option<Instant> {
        self.known
    }

    pub(super) fn age_and_error(&self) -> (Option<Duration>, Option<String>) {
        (self.known.map(|known| known.elapsed()), self.last_error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn refreshed_ahead_of_ten_minutes() {
        let start = Instant::now();
        let mut state = FetchState::new(start);
        for (share, after) in [(0.0, 420.0), (0.5, 495.0), (1.0, 570.0)] {
            state.begin(start);
            state.succeed(start, share);
            assert_eq!(state.next() - start, seconds(after));
        }
    }

    #[test]
    fn pauses_grow_from_one_second_to_sixty() {
        let start = Instant::now();
        let mut state = FetchState::new(start);
        for pause in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            state.begin(start);
            state.fail(start, 0.0, String::new());
            assert_eq!(state.next() - start, seconds(pause));
        }
        state.succeed(start, 0.0);
        for (pause, share) in [
            (30.0, 0.0),
            (30.0, 1.0),
            (30.0, 0.0),
            (30.0, 0.0),
            (30.0, 0.0),
            (40.0, 1.0),
            (60.0, 1.0),
        ] {
            state.fail(start, share, String::new());
            assert_eq!(state.next() - start, seconds(pause));
        }
        for _ in 0..100 {
            state.fail(start, 1.0, String::new());
        }
        assert_eq!(state.next() - start, LONGEST_PAUSE);
    }

    #[test]
    fn prospect_follows_the_last_fetch() {
        let start = Instant::now();
        let at = |seconds: f64| start + self::seconds(seconds);
        let mut state = FetchState::new(start);
        let prospect = |state: &FetchState, now| state.prospect(at(now), at(now + 2.0));
        assert_eq!(prospect(&state, 0.0), Prospect::Soon, "the first fetch is about to begin");
        state.begin(at(0.0));
        assert_eq!(prospect(&state, 1.0), Prospect::Soon, "it runs");
        state.succeed(at(5.0), 0.0);
        assert_eq!(prospect(&state, 5.0), Prospect::Settled);
        assert_eq!(prospect(&state, 29.9), Prospect::Settled);
        assert_eq!(prospect(&state, 30.0), Prospect::Soon, "the interval is over");
        state.begin(at(100.0));
        state.fail(at(101.0), 0.0, String::new());
        assert_eq!(prospect(&state, 101.0), Prospect::Late, "a failure counts too");
        assert_eq!(prospect(&state, 128.0), Prospect::Late);
        assert_eq!(prospect(&state, 128.1), Prospect::Soon);
    }
}
