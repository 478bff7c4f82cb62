//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LAST: Duration = Duration::from_secs(5);

/// Doubles from 50 ms to 5 s. The wait is drawn from the upper half of that, so that replicas which
/// lost the server in the same moment don't come back in the same moment.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    failures: u32,
}

impl BackOff {
    pub(super) fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(16)).min(LAST);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_to_a_bound_and_starts_over() {
        let mut back_off = BackOff::default();
        for expected in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000] {
            let wait = back_off.next();
            let expected = Duration::from_millis(expected);
            assert!(expected / 2 <= wait && wait <= expected, "{wait:?} of {expected:?}");
        }
        for _ in 0..100_000 {
            assert!(back_off.next() <= LAST);
        }
        back_off.reset();
        assert!(back_off.next() <= FIRST);
    }
}
