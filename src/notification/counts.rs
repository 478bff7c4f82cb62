//! Counts of notifications, by their outcome.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use super::{answer::Refusal, refusal_kind};
use crate::{status::wall::system_time, tenants::Outcome};

/// The counts of notifications since the gate was built, by their outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NotificationCounts {
    applied: u64,
    recorded: u64,
    duplicate: u64,
    stale: u64,
    rejected: u64,
    unlogged: u64,
    last: Option<SystemTime>,
}

impl NotificationCounts {
    /// Returns the number of notifications that changed a status.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Returns the number of notifications recorded without changing a status.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.recorded
    }

    /// Returns the number of notifications that had been recorded before.
    #[must_use]
    pub fn duplicate(&self) -> u64 {
        self.duplicate
    }

    /// Returns the number of notifications older than a recorded one of their type.
    #[must_use]
    pub fn stale(&self) -> u64 {
        self.stale
    }

    /// Returns the number of requests to the notification route that were not answered with 204.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Returns the number of those that were not logged, because too many were in the same minute.
    #[must_use]
    pub fn unlogged(&self) -> u64 {
        self.unlogged
    }

    /// Returns when the last verified notification was received, by this machine's clock; `None`
    /// when none was since the gate was built.
    #[must_use]
    pub fn last(&self) -> Option<SystemTime> {
        self.last
    }
}

/// The counters behind [`NotificationCounts`].
#[derive(Debug)]
pub(crate) struct Counters {
    applied: AtomicU64,
    recorded: AtomicU64,
    duplicate: AtomicU64,
    stale: AtomicU64,
    /// By kind.
    rejected: [AtomicU64; refusal_kind::KINDS],
    /// The time at which the last verified one was received, in ms since the epoch; 0 before that.
    last: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        let [applied, recorded, duplicate, stale, last] = Default::default();
        let rejected = std::array::from_fn(|_| AtomicU64::default());
        Self { applied, recorded, duplicate, stale, rejected, last }
    }
}

impl Counters {
    /// Counts a verified notification that was received at this time, in ms since the epoch.
    pub(crate) fn taken(&self, outcome: Outcome, received_at: u64) {
        let counter = match outcome {
            Outcome::Applied => &self.applied,
            Outcome::Recorded => &self.recorded,
            Outcome::Duplicate => &self.duplicate,
            Outcome::Stale => &self.stale,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.last.store(received_at, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self, refusal: Refusal) {
        if let Some(counter) = self.rejected.get(refusal_kind::kind(refusal)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when the last verified notification was received, in ms since the epoch.
    pub(crate) fn last(&self) -> Option<u64> {
        Some(self.last.load(Ordering::Relaxed)).filter(|last| *last > 0)
    }

    /// Returns the number of refusals of each kind, with its name.
    #[cfg(feature = "metrics")]
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.rejected.iter().map(|count| count.load(Ordering::Relaxed));
        refusal_kind::NAMES.into_iter().zip(counts)
    }

    pub(crate) fn read(&self, unlogged: u64) -> NotificationCounts {
        NotificationCounts {
            applied: self.applied.load(Ordering::Relaxed),
            recorded: self.recorded.load(Ordering::Relaxed),
            duplicate: self.duplicate.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
            rejected: self.rejected.iter().map(|count| count.load(Ordering::Relaxed)).sum(),
            unlogged,
            last: self.last().map(system_time),
        }
    }
}
