//! The health of a gate, in numbers.

mod json;

use std::time::SystemTime;

use serde::Serialize;

pub use crate::notification::counts::NotificationCounts;
use crate::{pull::PullHealth, store::StoreWarning};

/// The health of a gate; from [`TenantGate::health`](crate::TenantGate::health).
///
/// Counters count since the gate was built.
///
/// With serde it is an object of the names of its getters; `null` is `None`. Times are in RFC 3339,
/// durations in whole seconds under names that end in `_seconds`, and the store is an object of its
/// `state` (`fresh`, `stale` or `failed`) and `since`. More names may come.
///
/// ```
/// # use tower_superoffice::{Environment, TenantGate};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gate = TenantGate::builder(Environment::Production)
/// #     .any_audience()
/// #     .signing_keys(tower_superoffice::token::SigningKeys::from_pem(include_bytes!(
/// #         "../tests/fixtures/v1-sha1.crt"
/// #     ))?)
/// #     .state_api(false)
/// #     .build()
/// #     .await?;
/// let health = serde_json::to_value(gate.health())?;
/// assert_eq!(health["tenants"], 0);
/// assert_eq!(health["store"]["state"], "fresh");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    pub(crate) tenants: usize,
    pub(crate) closed: usize,
    pub(crate) unreadable: usize,
    pub(crate) store: StoreHealth,
    pub(crate) store_warnings: Vec<StoreWarning>,
    pub(crate) dirty: usize,
    pub(crate) notifications: NotificationCounts,
    pub(crate) pulls: Option<PullHealth>,
    pub(crate) clock_offset: Option<i64>,
    pub(crate) refused_calls: u64,
    pub(crate) observed_calls: u64,
    pub(crate) tasks: Vec<TaskHealth>,
}

impl Health {
    /// Returns the number of known tenants.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.tenants
    }

    /// Returns the number of tenants that are closed now.
    #[must_use]
    pub fn closed(&self) -> usize {
        self.closed
    }

    /// Returns the number of tenants that are closed because their stored record is malformed: see
    /// [`Unreadable`](crate::UnavailableReason::Unreadable).
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Returns the health of the store.
    #[must_use]
    pub fn store(&self) -> StoreHealth {
        self.store
    }

    /// Returns what is wrong with the configuration of the store, such as a server that may evict
    /// records; empty as well when there is no store, or it has not connected yet.
    #[must_use]
    pub fn store_warnings(&self) -> &[StoreWarning] {
        &self.store_warnings
    }

    /// Returns the number of tenants whose present record may not be in the store yet.
    #[must_use]
    pub fn dirty(&self) -> usize {
        self.dirty
    }

    /// Returns the counts of notifications, by their outcome.
    #[must_use]
    pub fn notifications(&self) -> NotificationCounts {
        self.notifications
    }

    /// Returns the health of pulls; `None` while the state API is off.
    #[must_use]
    pub fn pulls(&self) -> Option<&PullHealth> {
        self.pulls.as_ref()
    }

    /// Returns the seconds by which this machine's clock was ahead of SuperOffice's at its last
    /// answer, negative when behind; `None` before that.
    ///
    /// Tokens are refused when it is off by more than the
    /// [`leeway`](crate::TenantGateBuilder::leeway), and overrides end early or late by as much.
    /// Nothing else depends on it.
    #[must_use]
    pub fn clock_offset(&self) -> Option<i64> {
        self.clock_offset
    }

    /// Returns the number of calls refused because their tenant is closed.
    #[must_use]
    pub fn refused_calls(&self) -> u64 {
        self.refused_calls
    }

    /// Returns the number of calls to closed tenants that guards let pass because they only
    /// observe.
    #[must_use]
    pub fn observed_calls(&self) -> u64 {
        self.observed_calls
    }

    /// Returns the health of the gate's background tasks.
    #[must_use]
    pub fn tasks(&self) -> &[TaskHealth] {
        &self.tasks
    }
}

/// The health of one of a gate's background tasks.
///
/// A task that panics is restarted, after a wait that grows from a tenth of a second to a minute
/// while it goes on to panic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskHealth {
    pub(crate) name: &'static str,
    pub(crate) down: bool,
    pub(crate) restarts: u64,
}

impl TaskHealth {
    /// Returns its name: `keys`, `resync`, `write_back`, `override_expiry` or `pulls`. More may
    /// come.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// Returns whether it panicked and waits to be restarted.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down
    }

    /// Returns how often it was restarted.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

/// The conditions that a gate still waits for, from
/// [`TenantGate::ready`](crate::TenantGate::ready).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    pub(crate) store: bool,
    pub(crate) key: bool,
    pub(crate) tracked: usize,
    pub(crate) tasks_down: Vec<&'static str>,
    pub(crate) shut_down: bool,
}

impl Readiness {
    /// Returns whether nothing is awaited, no task is down and the gate is not shut down.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let Self { store, key, tracked, tasks_down, shut_down } = self;
        *store && *key && *tracked == 0 && tasks_down.is_empty() && !shut_down
    }

    /// Returns whether the store has not been loaded yet, which happens with
    /// [`start_without_store`](crate::TenantGateBuilder::start_without_store) alone.
    #[must_use]
    pub fn is_store_awaited(&self) -> bool {
        !self.store
    }

    /// Returns whether there has been no key yet to verify notifications with.
    #[must_use]
    pub fn is_key_awaited(&self) -> bool {
        !self.key
    }

    /// Returns the number of [tracked](crate::TenantGate::track) tenants of which nothing is known
    /// yet: neither a notification nor a pull says whether they are open. One that the state API
    /// does not know stays among them.
    #[must_use]
    pub fn tracked_awaited(&self) -> usize {
        self.tracked
    }

    /// Returns the names of the background tasks that panicked and wait to be restarted.
    #[must_use]
    pub fn tasks_down(&self) -> &[&'static str] {
        &self.tasks_down
    }

    /// Returns whether the gate is [shut down](crate::TenantGate::shutdown), or about to be.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shut_down
    }
}

/// The health of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreHealth {
    /// The last request succeeded and changes are subscribed to; also when there is no store.
    Fresh,
    /// The store is unavailable, or the subscription to changes of other replicas is lost. What is
    /// not stored yet is kept in memory and written when the store is available again.
    Stale {
        /// The start of this state.
        since: SystemTime,
    },
    /// The store can't be loaded, or it refuses some tenants, for a reason that a retry does not
    /// mend; the log has it. Whatever it does not refuse is stored as usual.
    Failed,
}
