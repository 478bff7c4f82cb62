//! When keys are fetched: pure, all times given.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::BackOff;

/// Between the starts of two fetches that tokens asked for.
const CLAIM: Duration = Duration::from_secs(30);

/// Keys are fetched again before they reach this age.
const REFRESH: Duration = Duration::from_secs(600);

/// The first and the longest pause after a failed fetch.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const PAUSES: BackOff = BackOff::new(FIRST_PAUSE, LONGEST_PAUSE);

/// What the fetching has come to.
#[derive(Debug)]
pub(super) struct Status {
    /// When the last fetch began. Set before it begins, so that its failure counts like its success.
    began: Option<Instant>,
    running: bool,
    /// When the last successful fetch began: what SuperOffice published then is known here.
    known: Option<Instant>,
    /// When the next fetch begins, asked for or not.
    next: Instant,
    /// Fetches that failed since the last that did not.
    failures: u32,
    last_error: Option<String>,
}

/// What a token that the keys at hand don't settle may expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prospect {
    /// The keys are less than 30 s old.
    Settled,
    /// A fetch is running, or will begin in time.
    Soon,
    /// No fetch begins in time.
    Late,
}

impl Status {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: None, running: false, known: None, next: now, failures: 0, last_error: None }
    }

    /// When the next fetch begins if no token asks for one.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// When the next fetch begins if a token asks for one.
    pub(super) fn next_if_wished(&self) -> Instant {
        self.began.map_or(self.next, |began| self.next.min(began + CLAIM))
    }

    pub(super) fn prospect(&self, now: Instant, until: Instant) -> Prospect {
        if self.known.is_some_and(|known| now < known + CLAIM) {
            Prospect::Settled
        } else if self.running || self.next_if_wished() < until {
            Prospect::Soon
        } else {
            Prospect::Late
        }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.began = Some(now);
        self.running = true;
    }

    /// `share`, from 0 to 1, spreads the fetches of many gates.
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
        // Whoever has keys is in no hurry: the URL is left alone for as long as tokens must leave it.
        let shortest = if self.known.is_some() { CLAIM } else { FIRST_PAUSE };
        self.next = now + pause.mul_f64(1.0 + 0.25 * share).clamp(shortest, LONGEST_PAUSE);
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
        let mut status = Status::new(start);
        for (share, after) in [(0.0, 420.0), (0.5, 495.0), (1.0, 570.0)] {
            status.begin(start);
            status.succeed(start, share);
            assert_eq!(status.next() - start, seconds(after));
        }
    }

    #[test]
    fn pauses_grow_from_one_second_to_sixty() {
        let start = Instant::now();
        let mut status = Status::new(start);
        for pause in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            status.begin(start);
            status.fail(start, 0.0, String::new());
            assert_eq!(status.next() - start, seconds(pause));
        }
        status.succeed(start, 0.0);
        for (pause, share) in [
            (30.0, 0.0),
            (30.0, 1.0),
            (30.0, 0.0),
            (30.0, 0.0),
            (30.0, 0.0),
            (40.0, 1.0),
            (60.0, 1.0),
        ] {
            status.fail(start, share, String::new());
            assert_eq!(status.next() - start, seconds(pause));
        }
        for _ in 0..100 {
            status.fail(start, 1.0, String::new());
        }
        assert_eq!(status.next() - start, LONGEST_PAUSE);
    }

    #[test]
    fn what_a_token_may_expect() {
        let start = Instant::now();
        let at = |seconds: f64| start + self::seconds(seconds);
        let mut status = Status::new(start);
        let prospect = |status: &Status, now| status.prospect(at(now), at(now + 2.0));
        assert_eq!(prospect(&status, 0.0), Prospect::Soon, "the first fetch is about to begin");
        status.begin(at(0.0));
        assert_eq!(prospect(&status, 1.0), Prospect::Soon, "it runs");
        status.succeed(at(5.0), 0.0);
        assert_eq!(prospect(&status, 5.0), Prospect::Settled);
        assert_eq!(prospect(&status, 29.9), Prospect::Settled);
        assert_eq!(prospect(&status, 30.0), Prospect::Soon, "the claim is free");
        status.begin(at(100.0));
        status.fail(at(101.0), 0.0, String::new());
        assert_eq!(prospect(&status, 101.0), Prospect::Late, "failures claim too");
        assert_eq!(prospect(&status, 128.0), Prospect::Late);
        assert_eq!(prospect(&status, 128.1), Prospect::Soon);
    }
}
