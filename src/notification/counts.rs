//! Counts of notifications, by what became of them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::tenants::Outcome;

/// What became of notifications since the gate was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NotificationCounts {
    /// Notifications that changed a status.
    pub applied: u64,
    /// Notifications put on record without changing a status.
    pub recorded: u64,
    /// Notifications that had been taken before.
    pub duplicate: u64,
    /// Notifications older than one of their type.
    pub stale: u64,
    /// Requests to the notification route that were not answered with 204.
    pub rejected: u64,
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

    pub(crate) fn read(&self) -> NotificationCounts {
        NotificationCounts {
            applied: self.applied.load(Ordering::Relaxed),
            recorded: self.recorded.load(Ordering::Relaxed),
            duplicate: self.duplicate.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }
}
