//! How a gate is doing, in numbers.

use std::time::SystemTime;

pub use crate::notification::counts::NotificationCounts;
use crate::pull::PullHealth;

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
    /// Seconds by which this machine's clock was ahead of SuperOffice's when it last answered, and
    /// behind when negative; `None` before that. Tokens are refused when it is off by more than the
    /// [`leeway`](crate::TenantGateBuilder::leeway). Nothing else depends on it.
    pub clock_offset: Option<i64>,
    /// Calls refused because their tenant is closed.
    pub refused_calls: u64,
    /// Calls let through that would have been refused, were the guard not only observing.
    pub observed_calls: u64,
    /// The gate's background tasks.
    pub tasks: Vec<TaskHealth>,
}

/// How one of a gate's background tasks is doing.
///
/// A task that panics is started again, after a wait that grows from a tenth of a second to a minute
/// while it goes on to panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskHealth {
    pub(crate) name: &'static str,
    pub(crate) down: bool,
    pub(crate) restarts: u64,
}

impl TaskHealth {
    /// What it does: `resync`, `write_back`, `override_expiry` or `pulls`. More may come.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// Whether it panicked and waits to be started again.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down
    }

    /// How often it was started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

/// How the store is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreHealth {
    /// It answered when it was last used, and is heard; also when there is none.
    Fresh,
    /// It does not answer, or nothing is heard of what other replicas store. What it lacks is kept
    /// in memory and written when it is back.
    Stale {
        /// When it first did not answer.
        since: SystemTime,
    },
    /// It refuses to be read, or refuses some tenants, for a reason that waiting does not mend. The
    /// log says which. All that it does not refuse is stored as usual.
    Failed,
}
