//! When a tenant is looked at next: a pure function of what is known.

use std::time::Duration;

use crate::{
    backoff::BackOff,
    status::{
        ChangeType, Record, UnavailableReason,
        derive::{Settle, deciding, underneath},
        fact::Notified,
    },
};

/// How often the state API is asked about closed tenants.
///
/// A notification may get lost, so a closed tenant is looked at again and again until it is open.
/// After each answer the next look comes at
/// `min(max(now + step, ValidUntil), now + longest step)`, never past the end of a settle time, and
/// each step is shortened by a random part of up to its half, so that tenants that closed together
/// are not asked about together for ever. Open tenants are not looked at, except on evidence and
/// once when a notification has settled.
///
/// ```
/// use std::time::Duration;
/// use tower_superoffice::pull::Schedule;
///
/// let eager = Schedule::new()
///     .suspended(Duration::from_secs(60), Duration::from_secs(120))
///     .pulls_per_second(2);
/// assert_ne!(eager, Schedule::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    after_upgrade: Duration,
    upgrading: Steps,
    suspended: Steps,
    deleted: Steps,
    not_ready: Steps,
    failed: Steps,
    pulls_per_second: u32,
    pulls_at_once: usize,
}

/// A step between two looks, which grows with the time that the tenant has been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steps {
    first: Duration,
    longest: Duration,
}

/// Steps shorter than this would only burn the limit on pulls.
const SHORTEST: Duration = Duration::from_millis(100);

/// A `Retry-After` longer than this is cut to it: no answer may stop the looks for good.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What the last look at a tenant brought, as far as it bears on the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// Nobody looked here since the record changed.
    Unasked,
    /// An answer, on record by now. `valid_until` is in ms since the epoch.
    Told { valid_until: Option<u64> },
    /// An answer that says nothing, such as `Unknown`: the `tries`th without news in a row.
    Silent { tries: u8 },
    /// No answer, or an odd one: the `tries`th without news in a row.
    Failed { tries: u8, retry_after: Option<Duration> },
}

impl Default for Schedule {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        Self {
            after_upgrade: Duration::from_secs(MINUTE),
            upgrading: Steps::new(15, MINUTE),
            suspended: Steps::new(5 * MINUTE, 15 * MINUTE),
            deleted: Steps::new(6 * HOUR, 6 * HOUR),
            not_ready: Steps::new(HOUR, HOUR),
            failed: Steps::new(15, 5 * MINUTE),
            pulls_per_second: 10,
            pulls_at_once: 32,
        }
    }
}

impl Schedule {
    /// The defaults, which each setter names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The first look after an Upgrade was announced: 60 s, or the end of its settle time where that
    /// comes first. After any other notification the first look comes when it has settled.
    #[must_use]
    pub fn first_after_upgrade(mut self, delay: Duration) -> Self {
        self.after_upgrade = delay.max(SHORTEST);
        self
    }

    /// Steps while a tenant is being upgraded: 15 s, growing to 60 s.
    #[must_use]
    pub fn upgrading(mut self, first: Duration, longest: Duration) -> Self {
        self.upgrading = Steps::bounded(first, longest);
        self
    }

    /// Steps while a tenant is suspended: 5 min, growing to 15 min.
    #[must_use]
    pub fn suspended(mut self, first: Duration, longest: Duration) -> Self {
        self.suspended = Steps::bounded(first, longest);
        self
    }

    /// The step for deleted tenants: 6 h. A deletion is terminal in practice, yet a forged one must
    /// not be.
    #[must_use]
    pub fn deleted(mut self, step: Duration) -> Self {
        self.deleted = Steps::bounded(step, step);
        self
    }

    /// The step for tenants that are not ready, such as one that waits for a migration: 1 h.
    #[must_use]
    pub fn not_ready(mut self, step: Duration) -> Self {
        self.not_ready = Steps::bounded(step, step);
        self
    }

    /// Steps while the state API fails: 15 s, doubled by each failure, up to 5 min. A `Retry-After`
    /// of the state API comes on top, for all tenants.
    #[must_use]
    pub fn failed(mut self, first: Duration, longest: Duration) -> Self {
        self.failed = Steps::bounded(first, longest);
        self
    }

    /// How many pulls of this gate may start in any one second: 10. At least 1. Replicas leave each
    /// other's tenants alone, yet each has a limit of its own.
    #[must_use]
    pub fn pulls_per_second(mut self, pulls: u32) -> Self {
        self.pulls_per_second = pulls.max(1);
        self
    }

    /// How many pulls may be under way at once: 32. At least 1; one tenant never has more than one.
    #[must_use]
    pub fn pulls_at_once(mut self, pulls: usize) -> Self {
        self.pulls_at_once = pulls.max(1);
        self
    }

    pub(crate) fn rate(&self) -> u32 {
        self.pulls_per_second
    }

    pub(crate) fn at_once(&self) -> usize {
        self.pulls_at_once
    }

    /// When the tenant of `record` is looked at next, ms since the epoch; `None` for never.
    ///
    /// Never only for a tenant that is open and has settled, whatever an operator says over it.
    /// `random` lies in 0 to 1.
    pub(crate) fn next_look(
        &self,
        record: &Record,
        settle: &Settle,
        last: Last,
        now: u64,
        random: f64,
    ) -> Option<u64> {
        let deciding = deciding(record);
        let told = record.pulls().map(|pulled| pulled.asked).max();
        // The look at which pulls start to overrule the notification, until it has been made.
        let settles = deciding
            .map(|notified| settle.ends(notified))
            .filter(|&ends| told.is_none_or(|asked| asked < ends));

        let (due, longest) = match underneath(record, settle) {
            None => {
                let ends = settles?;
                let due = if now < ends { ends } else { self.overdue(ends, last, now, random) };
                (due, self.quiet().longest)
            }
            Some(closure) => {
                let steps = self.steps(closure.reason);
                let elapsed = |at: u64| at.saturating_sub(closure.since);
                let step = |at: u64| at.saturating_add(steps.after(elapsed(at)).jittered(random));
                let due = match last {
                    Last::Unasked => match (deciding, told) {
                        (Some(first), told) if told.is_none_or(|asked| asked < first.seen) => {
                            self.first_look(first, settle)
                        }
                        (_, told) => told.map_or(now, step),
                    },
                    Last::Told { valid_until } => {
                        let longest = now.saturating_add(ms(steps.longest));
                        step(now).max(valid_until.unwrap_or(0)).min(longest)
                    }
                    Last::Silent { .. } => step(now),
                    Last::Failed { .. } => self.retry(last, now, random),
                };
                (Self::before(settles, due, last, now), steps.longest)
            }
        };

        // Clocks of replicas differ, and are set back: nobody's time may put a look off for long.
        let bound = settle.usual.max(settle.upgrade).max(longest);
        Some(due.min(now.saturating_add(ms(bound))).max(last.paused(now)))
    }

    fn first_look(&self, notified: &Notified, settle: &Settle) -> u64 {
        match notified.change {
            ChangeType::Upgrade => notified.seen.saturating_add(ms(self.after_upgrade)),
            _ => settle.ends(notified),
        }
    }

    /// `due`, but not past the look that a settle time owes the tenant.
    fn before(settles: Option<u64>, due: u64, last: Last, now: u64) -> u64 {
        match settles {
            Some(ends) if now < ends => due.min(ends),
            // It is over. After a look without news the back-off counts.
            Some(ends) if matches!(last, Last::Unasked | Last::Told { .. }) => due.min(ends),
            _ => due,
        }
    }

    /// When to make the look at an open tenant that a settle time, over at `ends`, still owes it.
    fn overdue(&self, ends: u64, last: Last, now: u64, random: f64) -> u64 {
        match last {
            Last::Unasked | Last::Told { .. } => ends,
            Last::Silent { .. } | Last::Failed { .. } => self.retry(last, now, random),
        }
    }

    /// When to look again at a tenant of which nothing is known and the state API said nothing.
    pub(crate) fn retry(&self, last: Last, now: u64, random: f64) -> u64 {
        match last {
            Last::Unasked | Last::Told { .. } => now,
            Last::Silent { tries } => {
                now.saturating_add(self.quiet().doubled(tries).jittered(random))
            }
            Last::Failed { tries, .. } => {
                let backed_off = self.failed.doubled(tries).jittered(random);
                now.saturating_add(backed_off).max(last.paused(now))
            }
        }
    }

    fn steps(&self, reason: UnavailableReason) -> Steps {
        match reason {
            UnavailableReason::Upgrading => self.upgrading,
            UnavailableReason::Suspended => self.suspended,
            UnavailableReason::Deleted => self.deleted,
            UnavailableReason::NotReady | UnavailableReason::Operator => self.not_ready,
        }
    }

    /// For tenants about which the state API has nothing to say: soon at first, in case it has an
    /// incident, then ever more seldom, in case they are not its tenants at all.
    fn quiet(&self) -> Steps {
        let first = self.failed.first;
        Steps { first, longest: self.not_ready.longest.max(first) }
    }
}

impl Last {
    /// Until when the state API wants to be left alone; 0 for no wish.
    fn paused(self, now: u64) -> u64 {
        match self {
            Self::Failed { retry_after: Some(pause), .. } => {
                now.saturating_add(ms(pause.min(LONGEST_PAUSE)))
            }
            _ => 0,
        }
    }
}

impl Steps {
    const fn new(first: u64, longest: u64) -> Self {
        Self { first: Duration::from_secs(first), longest: Duration::from_secs(longest) }
    }

    fn bounded(first: Duration, longest: Duration) -> Self {
        let first = first.max(SHORTEST);
        Self { first, longest: longest.max(first) }
    }

    /// The step for a tenant that has been closed for `elapsed` ms: a quarter of that.
    ///
    /// It depends on nothing but the record, so it is the same on every replica and after a restart,
    /// and takes no memory.
    fn after(self, elapsed: u64) -> Duration {
        Duration::from_millis(elapsed / 4).clamp(self.first, self.longest)
    }

    fn doubled(self, tries: u8) -> Duration {
        BackOff::new(self.first, self.longest).step(u32::from(tries.saturating_sub(1)))
    }
}

trait Jitter {
    /// 0.5 to 1.0 of the step, in ms.
    fn jittered(self, random: f64) -> u64;
}

impl Jitter for Duration {
    fn jittered(self, random: f64) -> u64 {
        let whole = ms(self);
        let part = (whole as f64 * 0.5 * (1.0 - random.clamp(0.0, 1.0))) as u64;
        whole.saturating_sub(part)
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
