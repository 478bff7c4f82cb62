//! Statistics: the results of pulls, and the corrections of a status.

use std::{collections::VecDeque, time::Duration};

use crate::{status::ChangeType, tenants::correction::Correction};

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

    /// Returns an upper bound of the time that the status was wrong, of the last one.
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        self.last
    }

    /// Returns the median of that over the last 64 that were timed.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        self.median
    }
}

/// Numbers of pulls, by result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PullCounters {
    pub(crate) answered: u64,
    pub(crate) unknown: u64,
    pub(crate) failed: u64,
    /// Left to another replica.
    pub(crate) delegated: u64,
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
        let kind = KINDS.iter().position(|kind| *kind == correction.missed);
        let Some(kind) = kind.and_then(|place| self.kinds.get_mut(place)) else { return };
        kind.count += 1;
        if let Some(within) = correction.within {
            kind.recent.push_back(within);
            if kind.recent.len() > RECENT {
                kind.recent.pop_front();
            }
        }
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
