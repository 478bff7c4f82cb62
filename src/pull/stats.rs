//! Statistics: the results of pulls, and the corrections of a status.

use std::{collections::VecDeque, time::Duration};

use super::schedule::Trigger;
use crate::{status::ChangeType, tenants::correction::Correction, timer::Timer};

/// Corrections of one kind, since the gate was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CorrectionSummary {
    count: u64,
    last: Option<Duration>,
    median: Option<Duration>,
}

impl CorrectionSummary {
    /// Returns the number of corrections.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns an upper bound of the time for which the status was wrong, of the last correction
    /// that was timed; `None` when none was.
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        self.last
    }

    /// Returns the median of that bound over the last 64 corrections that were timed; `None` when
    /// none was.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        self.median
    }
}

/// Numbers of pulls, by trigger and result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PullCounters([[u64; PullResult::ALL.len()]; Trigger::ALL.len()]);

/// The result of a pull, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullResult {
    Answered,
    Unknown,
    Failed,
    /// Left to another replica.
    Delegated,
}

impl PullResult {
    const ALL: [Self; 4] = [Self::Answered, Self::Unknown, Self::Failed, Self::Delegated];

    #[cfg(feature = "metrics")]
    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Delegated => "delegated",
        }
    }
}

impl PullCounters {
    pub(crate) fn count(&mut self, trigger: Trigger, result: PullResult) {
        let counters = self.0.get_mut(trigger as usize);
        if let Some(counter) = counters.and_then(|counters| counters.get_mut(result as usize)) {
            *counter += 1;
        }
    }

    /// Returns the number of pulls with this result.
    pub(crate) fn total(&self, result: PullResult) -> u64 {
        self.0.iter().filter_map(|counters| counters.get(result as usize)).sum()
    }

    /// Returns the number of pulls of each trigger and result, with their names.
    #[cfg(feature = "metrics")]
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        Trigger::ALL.into_iter().zip(&self.0).flat_map(|(trigger, counters)| {
            let named = move |(result, count): (PullResult, &u64)| {
                (trigger.as_str(), result.as_str(), *count)
            };
            PullResult::ALL.into_iter().zip(counters).map(named)
        })
    }
}

/// The pulls that failed one after the other, by the time since the gate was built.
#[derive(Debug, Default)]
pub(super) struct Failures(Option<Failing>);

#[derive(Debug)]
struct Failing {
    first: Duration,
    last: Duration,
    error: String,
}

impl Failures {
    /// Adds a pull that failed, and returns whether it is the first one.
    pub(super) fn add(&mut self, now: Duration, error: String) -> bool {
        let first = self.0.as_ref().map(|failing| failing.first);
        self.0 = Some(Failing { first: first.unwrap_or(now), last: now, error });
        first.is_none()
    }

    /// Forgets them because a pull was answered, and returns whether there were any.
    pub(super) fn end(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// Returns the time from the first to the last of them.
    pub(super) fn span(&self) -> Duration {
        let failing = self.0.as_ref();
        failing.map_or(Duration::ZERO, |failing| failing.last.saturating_sub(failing.first))
    }

    /// Returns the error of the last of them.
    pub(super) fn last_error(&self) -> Option<&str> {
        self.0.as_ref().map(|failing| &*failing.error)
    }
}

/// Counts and times corrections by the notification that was missed.
#[derive(Debug, Default)]
pub(crate) struct CorrectionStats {
    kinds: [Kind; KINDS.len()],
}

#[derive(Debug, Default)]
struct Kind {
    count: u64,
    recent: VecDeque<Duration>,
}

impl Correction {
    /// Returns the place of its kind among the [`KINDS`].
    fn kind(&self) -> Option<usize> {
        KINDS.iter().position(|kind| *kind == self.missed)
    }
}

/// Measures how long corrected statuses were wrong, by kind.
#[derive(Debug, Default)]
pub(crate) struct CorrectionTimers([Timer; KINDS.len()]);

impl CorrectionTimers {
    pub(crate) fn record(&self, correction: &Correction) {
        let timer = correction.kind().and_then(|kind| self.0.get(kind));
        if let (Some(timer), Some(within)) = (timer, correction.within) {
            timer.record(within);
        }
    }

    /// Returns the timer of each kind, with the change type that was missed.
    #[cfg(feature = "metrics")]
    pub(crate) fn each(&self) -> impl Iterator<Item = (Option<ChangeType>, &Timer)> {
        KINDS.into_iter().zip(&self.0)
    }
}

/// The types that can be missed. Other change types neither open nor close, so no pull corrects
/// them.
const KINDS: [Option<ChangeType>; 5] = [
    Some(ChangeType::Upgrade),
    Some(ChangeType::Suspend),
    Some(ChangeType::Resume),
    Some(ChangeType::Delete),
    None,
];

const RECENT: usize = 64;

impl CorrectionStats {
    pub(crate) fn count(&mut self, correction: &Correction) {
        let kind = correction.kind();
        let Some(kind) = kind.and_then(|place| self.kinds.get_mut(place)) else { return };
        kind.count += 1;
        if let Some(within) = correction.within {
            kind.recent.push_back(within);
            if kind.recent.len() > RECENT {
                kind.recent.pop_front();
            }
        }
    }

    /// Returns the number of corrections of each kind.
    #[cfg(feature = "metrics")]
    pub(crate) fn each(&self) -> impl Iterator<Item = (Option<ChangeType>, u64)> {
        KINDS.into_iter().zip(&self.kinds).map(|(missed, kind)| (missed, kind.count))
    }

    /// Returns the corrections of each kind that occurred.
    pub(crate) fn read(&self) -> Vec<(Option<ChangeType>, CorrectionSummary)> {
        let occurred = KINDS.iter().zip(&self.kinds).filter(|(_, kind)| kind.count > 0);
        occurred.map(|(missed, kind)| (*missed, kind.read())).collect()
    }
}

impl Kind {
    fn read(&self) -> CorrectionSummary {
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied();
        CorrectionSummary { count: self.count, last: self.recent.back().copied(), median }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulls_are_counted_by_trigger_and_result() {
        let mut counters = PullCounters::default();
        for (place, trigger) in Trigger::ALL.into_iter().enumerate() {
            assert_eq!(trigger as usize, place);
            for (place, result) in PullResult::ALL.into_iter().enumerate() {
                assert_eq!(result as usize, place);
                counters.count(trigger, result);
            }
        }
        counters.count(Trigger::Owed, PullResult::Failed);
        let totals = PullResult::ALL.map(|result| counters.total(result));
        assert_eq!(totals, [8, 8, 9, 8]);
        #[cfg(feature = "metrics")]
        assert_eq!(
            counters.each().filter(|(_, _, count)| *count == 2).collect::<Vec<_>>(),
            [("owed", "failed", 2)]
        );
    }

    #[test]
    fn failures_last_from_the_first_to_the_last() {
        let mut failures = Failures::default();
        let add = |failures: &mut Failures, seconds, error: &str| {
            failures.add(Duration::from_secs(seconds), error.to_owned())
        };
        assert_eq!((failures.end(), failures.span()), (false, Duration::ZERO));
        assert!(add(&mut failures, 5, "reset"));
        assert_eq!(failures.span(), Duration::ZERO);
        assert!(!add(&mut failures, 50, "down"));
        assert_eq!(failures.span(), Duration::from_secs(45));
        assert_eq!(failures.last_error(), Some("down"));
        assert_eq!((failures.end(), failures.last_error()), (true, None));
        assert!(add(&mut failures, 60, "reset"));
    }

    #[test]
    fn stats_keep_count_last_and_median_of_each_kind() {
        let mut stats = CorrectionStats::default();
        assert!(stats.read().is_empty());
        let missed = Some(ChangeType::Resume);
        for seconds in [9, 1, 5] {
            let within = Some(Duration::from_secs(seconds));
            stats.count(&Correction { missed, within });
        }
        stats.count(&Correction { missed, within: None });
        stats.count(&Correction { missed: None, within: None });
        let resumes = CorrectionSummary {
            count: 4,
            last: Some(Duration::from_secs(5)),
            median: Some(Duration::from_secs(5)),
        };
        let closed = CorrectionSummary { count: 1, last: None, median: None };
        assert_eq!(stats.read(), [(missed, resumes), (None, closed)]);
        for _ in 0..1000 {
            stats.count(&Correction { missed, within: Some(Duration::ZERO) });
        }
        assert!(stats.kinds.iter().all(|kind| kind.recent.len() <= RECENT));
    }
}
