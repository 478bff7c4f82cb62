//! Delays between attempts.

use std::time::Duration;

/// A delay that doubles with each consecutive failure, up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackOff {
    first: Duration,
    longest: Duration,
}

impl BackOff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// Returns the delay after one failure and `more` consecutive ones, without jitter.
    pub(crate) fn step(self, more: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(more)).min(self.longest)
    }

    /// Returns that delay, shortened by up to a half.
    ///
    /// `random` is from 0 to 1. It spreads the attempts of replicas that failed at the same moment.
    pub(crate) fn jittered(self, more: u32, random: f64) -> Duration {
        let (step, part) = (self.step(more), 0.5 + random.clamp(0.0, 1.0) / 2.0);
        // Rounding could exceed the longest duration.
        Duration::try_from_secs_f64(step.as_secs_f64() * part).unwrap_or(step)
    }
}

/// The state of repeated attempts: the number of consecutive failures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempts {
    back_off: BackOff,
    failures: u32,
}

impl Attempts {
    pub(crate) const fn new(back_off: BackOff) -> Self {
        Self { back_off, failures: 0 }
    }

    /// Counts a failure, and returns the delay before the next attempt.
    pub(crate) fn fail(&mut self) -> Duration {
        let wait = self.back_off.jittered(self.failures, fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// Resets the count, after an attempt that succeeded.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The delays between attempts to reach a store.
pub(crate) const STORE: BackOff = BackOff::new(Duration::from_millis(50), Duration::from_secs(5));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_to_the_bound_whatever_the_knobs() {
        let steps: Vec<_> = (0..9).map(|more| STORE.step(more).as_millis()).collect();
        assert_eq!(steps, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(STORE.step(u32::MAX), Duration::from_secs(5));
        let endless = BackOff::new(Duration::MAX, Duration::MAX);
        assert_eq!(endless.step(u32::MAX), Duration::MAX);
        assert!(endless.jittered(u32::MAX, 1.0) >= Duration::MAX / 2);
        assert_eq!(BackOff::new(Duration::ZERO, Duration::ZERO).jittered(9, 0.5), Duration::ZERO);
    }

    #[test]
    fn jitter_takes_off_up_to_half() {
        for (random, wait) in [(0.0, 200), (0.5, 300), (1.0, 400), (-7.0, 200), (7.0, 400)] {
            assert_eq!(STORE.jittered(3, random).as_millis(), wait);
        }
    }

    #[test]
    fn attempts_wait_longer_until_one_succeeds() {
        let mut attempts = Attempts::new(STORE);
        for expected in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000] {
            let (wait, expected) = (attempts.fail(), Duration::from_millis(expected));
            assert!(expected / 2 <= wait && wait <= expected, "{wait:?} of {expected:?}");
        }
        attempts.reset();
        assert!(attempts.fail() <= Duration::from_millis(50));
    }
}
