//! Counts of notifications, by their outcome.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::tenants::Outcome;

/// The counts of notifications since the gate was built, by their outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct NotificationCounts {
    applied: u64,
    recorded: u64,
    duplicate: u64,
    stale: u64,
    rejected: u64,
    unlogged: u64,
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
}

/// The counters behind [`NotificationCounts`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    applied: AtomicU64,
    recorded: AtomicU64,
    duplicate: AtomicU64,
    stale: AtomicU64,
    rejected: AtomicU64,
}

impl Counters {
    pub(crate) fn taken(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Applied => &self.applied,
            Outcome::Recorded => &self.recorded,
            Outcome::Duplicate => &self.duplicate,
            Outcome::Stale => &self.stale,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, unlogged: u64) -> NotificationCounts {
        NotificationCounts {
            applied: self.applied.load(Ordering::Relaxed),
            recorded: self.recorded.load(Ordering::Relaxed),
            duplicate: self.duplicate.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            unlogged,
        }
    }
}
