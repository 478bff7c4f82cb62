//! The health of pulls, in numbers.

use std::time::Duration;

use super::stats::{CorrectionSummary, PullCounters, PullResult};
use crate::status::ChangeType;

/// The health of pulls. Counters start when the gate is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullHealth {
    pub(super) waiting: usize,
    pub(super) oldest: Duration,
    pub(super) awaiting: usize,
    pub(super) in_flight: usize,
    pub(super) counters: PullCounters,
    pub(super) failing: Duration,
    pub(super) last_error: Option<String>,
    pub(super) corrections: Vec<(Option<ChangeType>, CorrectionSummary)>,
}

impl PullHealth {
    /// Returns the number of overdue pulls that wait for the rate limit.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns how long the oldest of them has waited.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        self.oldest
    }

    /// Returns the number of tenants whose answer is awaited, because they are tracked or a pull
    /// was requested.
    #[must_use]
    pub fn awaiting(&self) -> usize {
        self.awaiting
    }

    /// Returns the number of pulls in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Returns the number of answers with the state of a tenant.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.counters.total(PullResult::Answered)
    }

    /// Returns the number of answers without a state, such as `Unknown`.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.counters.total(PullResult::Unknown)
    }

    /// Returns the number of pulls without a valid answer: no connection, an error, an invalid
    /// answer.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.counters.total(PullResult::Failed)
    }

    /// Returns the time from the first to the last of the pulls that failed since the last answer;
    /// zero when there is none or one, and while no pull is to come that could be answered. Once it
    /// is longer than a few seconds, the state API is down or can't be reached.
    #[must_use]
    pub fn failing(&self) -> Duration {
        self.failing
    }

    /// Returns the error of the last pull that failed, until another is answered.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Returns the number of pulls left to another replica.
    #[must_use]
    pub fn delegated(&self) -> u64 {
        self.counters.total(PullResult::Delegated)
    }

    /// Returns the statuses that pulls had to correct, by the notification that was missed: one
    /// that was lost, late or, where it had said otherwise, untrue. `None` where SuperOffice has
    /// none.
    #[must_use]
    pub fn corrections(&self) -> &[(Option<ChangeType>, CorrectionSummary)] {
        &self.corrections
    }
}
