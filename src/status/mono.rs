//! Moments on this process's monotonic clock, small enough to keep a few for each tenant.

use std::time::Duration;

/// A moment, in tenths of a second since the gate was built; negative for one before that.
///
/// It is rounded up when it is made, so that a wait which starts at it is never cut short. Its
/// range is 6.8 years to either side, and it stops at the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Mono(i32);

const TENTH_MS: u128 = 100;

impl Mono {
    /// Later than anything that happens.
    pub(crate) const NEVER: Self = Self(i32::MAX);

    /// Returns the moment at `now`, the time since the gate was built.
    pub(crate) fn at(now: Duration) -> Self {
        let tenths = i32::try_from(now.as_millis().div_ceil(TENTH_MS)).unwrap_or(i32::MAX);
        Self(tenths.min(i32::MAX - 1))
    }

    /// Returns the moment `ago` seconds before `now`, rounded down: a replica that takes over a
    /// count of seconds has at least these, and the count was rounded down where it was made.
    pub(crate) fn seconds_before(now: Duration, ago: u32) -> Self {
        let now = i64::try_from(now.as_millis() / TENTH_MS).unwrap_or(i64::MAX);
        let tenths = now.min(i64::from(i32::MAX) - 1) - i64::from(ago) * 10;
        Self(i32::try_from(tenths).unwrap_or(i32::MIN))
    }

    /// Returns the time since the gate was built; zero for a moment before that.
    pub(crate) fn time(self) -> Duration {
        self.plus(Duration::ZERO)
    }

    /// Returns the time from this moment to `now`; zero when it has not come.
    pub(crate) fn elapsed(self, now: Duration) -> Duration {
        let part = tenths(self.0.unsigned_abs());
        if self.0 < 0 { now.saturating_add(part) } else { now.saturating_sub(part) }
    }

    /// Returns the time since the gate was built at which `wait` is over; zero for a moment before
    /// that.
    pub(crate) fn plus(self, wait: Duration) -> Duration {
        let part = tenths(self.0.unsigned_abs());
        if self.0 < 0 { wait.saturating_sub(part) } else { wait.saturating_add(part) }
    }
}

fn tenths(tenths: u32) -> Duration {
    Duration::from_millis(u64::from(tenths) * 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_wait_is_never_cut_short() {
        for start in [0, 1, 99, 100, 101, 86_400_000] {
            let moment = Mono::at(ms(start));
            for passed in [0, 1, 100, 59_999, 60_000] {
                let elapsed = moment.elapsed(ms(start + passed));
                assert!(
                    elapsed <= ms(passed) && elapsed + ms(100) > ms(passed),
                    "{start} {passed}"
                );
            }
            let end = moment.plus(ms(60_000));
            assert!((ms(start + 60_000)..ms(start + 60_100)).contains(&end));
            assert!(moment.elapsed(end) >= ms(60_000));
        }
    }

    #[test]
    fn a_moment_may_lie_before_the_start() {
        let moment = Mono::seconds_before(ms(5_000), 60);
        assert_eq!(moment.elapsed(ms(5_000)), ms(60_000));
        assert_eq!(moment.plus(ms(70_000)), ms(15_000));
        assert_eq!(moment.plus(ms(10)), Duration::ZERO);
        assert!(Mono::seconds_before(ms(5_050), 60).elapsed(ms(5_050)) >= ms(60_000));
        assert!(moment < Mono::at(Duration::ZERO));
    }

    #[test]
    fn extremes_stop_at_the_ends() {
        for now in [Duration::ZERO, ms(1), Duration::MAX] {
            for ago in [0, 1, u32::MAX] {
                let moment = Mono::seconds_before(now, ago);
                assert!(moment < Mono::NEVER);
                let _ = (moment.elapsed(now), moment.elapsed(Duration::MAX), moment.plus(now));
            }
        }
        assert_eq!(Mono::NEVER.elapsed(ms(86_400_000)), Duration::ZERO);
        assert!(Mono::at(Duration::MAX) < Mono::NEVER);
        assert_eq!(Mono::seconds_before(Duration::MAX, 0), Mono::at(Duration::MAX));
    }
}
