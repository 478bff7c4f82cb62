//! How a gate is doing, in numbers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use crate::{pull::PullHealth, tenants::registry::Outcome};

/// How a gate is doing; from [`TenantGate::health`](crate::TenantGate::health).
///
/// Counters count since the gate was built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Tenants ever heard of.
    pub tenants: usize,
    /// Tenants closed now.
    pub closed: usize,
    /// How the store is doing.
    pub store: StoreHealth,
    /// Tenants whose present record may not be in the store yet.
    pub dirty: usize,
    /// What became of notifications.
    pub notifications: NotificationCounts,
    /// How the state API is asked; `None` while it is off.
    pub pulls: Option<PullHealth>,
    /// Calls refused because their tenant is closed.
    pub refused_calls: u64,
    /// Calls let through that would have been refused, were the guard not only observing.
    pub observed_calls: u64,
}

/// How the store is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreHealth {
    /// It answered when it was last used, and is heard; also when there is none.
    Fresh,
    /// It does not answer, or nothing is heard of what other replicas store. What it lacks is kept in
    /// memory and written when it is back.
    Stale {
        /// When it first did not answer.
        since: SystemTime,
    },
    /// It refuses to be read, or refuses some tenants, for a reason that waiting does not mend. The
    /// log says which. All that it does not refuse is stored as usual.
    Failed,
}

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
