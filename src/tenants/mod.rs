//! The tenants in memory: their records, the only path by which these change, and its observers.
//!
//! - [`registry`]: the records, each with a summary for the hot path.
//! - [`entry`]: one of these.
//! - `closed`: the closed ones, as calls look them up, with their `closed_index` and its
//!   `hash_key`.
//! - [`update`]: the updates of a record, and their results.
//! - `removal`: forgetting a tenant, and `forgotten`, which remembers that for a while.
//! - [`awaited`]: the tracked tenants of which nothing is known yet.
//! - [`observer`]: the observers of changes, such as the write-back and the pulls.
//! - [`correction`]: pulls that contradicted the notifications.
//! - [`gained`]: the events of an update, from what the record gained.
//! - [`events`]: the stream of events.
//! - [`waiters`]: waiting until a tenant opens.
//! - `watched`: waiting for any change of a tenant.
//! - `wanted`: the tenants whose pulls come first.
//! - `versions`: how often tenants have changed, for what calls remember of them.
//! - [`overrides`]: the expiry of overrides.
//!
//! Every update of a tenant goes through [`Tenants::apply`], except for a load of records of
//! tenants without an entry, which [`Tenants::insert`] moves in:
//!
//! 1. the tenant is locked, and the update becomes facts, given its record;
//! 2. the facts are merged into the record, and its summary and the count of closed tenants
//!    updated;
//! 3. observers mark the tenant dirty, and its events are published;
//! 4. the tenant is unlocked, the expiry of its override scheduled, waiters woken, observers
//!    notified.
//!
//! [`Tenants::forget`] removes a record, with the same locks and in the same order.

pub(crate) mod awaited;
mod closed;
mod closed_index;
#[cfg(test)]
mod closed_index_tests;
pub(crate) mod correction;
pub(crate) mod entry;
pub(crate) mod events;
mod forgotten;
mod gained;
mod hash_key;
pub(crate) mod observer;
pub(crate) mod overrides;
pub(crate) mod registry;
mod removal;
mod update;
mod versions;
pub(crate) mod waiters;
mod wanted;
mod watched;

/// The primitives that the index is built from. `tests/model` puts those of a model checker in
/// their place.
mod sync {
    pub(super) use std::sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering, fence},
    };
}

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use self::update::Outcome;
pub(crate) use self::{
    observer::Observer,
    removal::Removal,
    update::{Applied, SentPull, Update},
    watched::Watched,
};

use self::{
    entry::ClosedSummary,
    events::Events,
    overrides::OverrideExpiry,
    registry::{Inserted, Registry},
    waiters::Waiters,
};
use crate::{
    clock::Clock,
    log,
    status::{Record, TenantStatus, UnavailableReason, settle::Settle},
    tenant_id::TenantId,
};

/// All tenants of a gate, and the only way to change one.
///
/// Reads go to the [`registry`](Self::registry), which the layers hold themselves.
pub(crate) struct Tenants {
    registry: Arc<Registry>,
    waiters: Arc<Waiters>,
    /// Woken by every change, where the waiters are woken when nothing is left to wait for.
    watchers: Arc<Waiters>,
    expiry: OverrideExpiry,
    clock: Clock,
    observers: OnceLock<Vec<Arc<dyn Observer>>>,
}

impl Tenants {
    /// Creates an empty set. A receiver may lag by `event_capacity` events, at least one.
    pub(crate) fn new(settle: Settle, event_capacity: usize, clock: Clock) -> Self {
        Self {
            registry: Arc::new(Registry::new(settle, event_capacity, clock.clone())),
            waiters: Arc::default(),
            watchers: Arc::default(),
            expiry: OverrideExpiry::default(),
            clock,
            observers: OnceLock::new(),
        }
    }

    /// Sets the observers of all later changes. Call it once, before the first change.
    pub(crate) fn observe(&self, observers: Vec<Arc<dyn Observer>>) {
        let set = self.observers.set(observers);
        debug_assert!(set.is_ok(), "the observers are set once, when the gate is built");
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Applies an update to `tenant`. When it returns, calls see the change, and all its effects
    /// have been started.
    pub(crate) fn apply(&self, tenant: &TenantId, update: Update) -> Applied {
        let mark = !update.is_stored();
        let applied = self.registry.apply(tenant, update, || {
            if mark {
                self.observers().for_each(|observer| observer.mark_dirty(tenant));
            }
        });
        if applied.changed() {
            if applied.turned_unreadable() {
                log::error!(%tenant, "stored record malformed; tenant held closed");
            }
            if let Some(expires) = applied.expires {
                self.expiry.note(expires, tenant);
            }
            if applied.status_changed() && Self::ends_waiting(&applied.after) {
                self.waiters.wake(tenant);
            }
            self.watchers.wake(tenant);
            for observer in self.observers() {
                // A panic stops neither the other observers nor the caller.
                let follow = AssertUnwindSafe(|| observer.after_change(self, tenant, &applied));
                if catch_unwind(follow).is_err() {
                    log::error!(%tenant, "observer panicked");
                }
            }
        }
        applied
    }

    /// Moves the records of a store in for tenants that nothing is known of, and leaves the others
    /// in `page`. Returns the tenants whose records it moved in.
    ///
    /// It does what [`apply`](Self::apply) does for each of them, once for the page.
    pub(crate) fn insert(&self, page: &mut Vec<(TenantId, Record)>) -> Vec<TenantId> {
        let Inserted { tenants, expires } = self.registry.insert(page);
        if tenants.is_empty() {
            return tenants;
        }
        for (expires, tenant) in expires {
            self.expiry.note(expires, &tenant);
        }
        // Nothing waits for a tenant without an entry to open. A watcher that comes after this
        // check finds the entries.
        if !self.watchers.is_empty() {
            tenants.iter().for_each(|tenant| self.watchers.wake(tenant));
        }
        for observer in self.observers() {
            let follow = AssertUnwindSafe(|| observer.after_load(self, &tenants));
            if catch_unwind(follow).is_err() {
                log::error!("observer panicked");
            }
        }
        tenants
    }

    /// Keeps `tenant` closed, as not ready, until it has a record.
    pub(crate) fn close_until_known(&self, tenant: &TenantId) {
        self.registry.close_until_known(tenant, self.clock.unix_ms());
        self.watchers.wake(tenant);
    }

    /// Stops keeping `tenant` closed until it has a record.
    pub(crate) fn stop_awaiting(&self, tenant: &TenantId) {
        let Some(status) = self.registry.stop_awaiting(tenant) else { return };
        if Self::ends_waiting(&status) {
            self.waiters.wake(tenant);
        }
        self.watchers.wake(tenant);
    }

    /// Expires overrides when they are due, while it is polled.
    pub(crate) async fn expire_overrides(&self) {
        loop {
            self.expiry.due(&self.clock).await;
            let now = self.clock.unix_ms();
            for entry in self.expiry.due_by(now) {
                self.apply(&entry.1, Update::Expiry { now });
                self.expiry.remove(&entry);
            }
        }
    }

    /// Waits until `tenant` is open, and then for a random part of `jitter`. Ends with the data of
    /// the refusal when the tenant is deleted.
    pub(crate) fn available(
        &self,
        tenant: TenantId,
        jitter: Duration,
    ) -> impl Future<Output = Result<(), ClosedSummary>> + Send + use<> {
        let (registry, waiters) = (Arc::clone(&self.registry), Arc::clone(&self.waiters));
        waiters::available(registry, waiters, tenant, jitter)
    }

    /// Returns whether nothing is left to wait for: the tenant is open, or deleted.
    fn ends_waiting(status: &TenantStatus) -> bool {
        matches!(status.reason(), None | Some(UnavailableReason::Deleted))
    }

    /// Returns whether `tenant` is waited for.
    pub(crate) fn is_waited_for(&self, tenant: &TenantId) -> bool {
        self.waiters.contains(tenant)
    }

    /// Returns the tenants for what watches them without keeping them.
    pub(crate) fn watched(&self) -> Watched {
        Watched::new(&self.registry, &self.watchers)
    }

    pub(crate) fn events(&self) -> Events {
        self.registry.events()
    }

    fn observers(&self) -> impl Iterator<Item = &Arc<dyn Observer>> {
        self.observers.get().into_iter().flatten()
    }
}

impl Drop for Tenants {
    fn drop(&mut self) {
        self.registry.end();
        self.waiters.wake_all();
        self.watchers.wake_all();
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants").field("registry", &self.registry).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod removal_tests;
#[cfg(test)]
mod tests;
