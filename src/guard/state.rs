//! The state that all guards of a gate share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::TenantUnavailable;
use crate::{
    clock::Clock, environment::Environment, keep_alive::KeepAlive, key::UrlKey,
    status::UnavailableReason, tenant_id::TenantId, tenants::registry::Registry,
};

/// Decides calls, and counts what it refuses. Made once, when the gate is built.
#[derive(Debug)]
pub(crate) struct GuardState {
    registry: Arc<Registry>,
    clock: Clock,
    url_key: UrlKey,
    refused: Counters,
    observed: Counters,
    _keep_alive: KeepAlive,
}

impl GuardState {
    pub(crate) fn new(
        registry: Arc<Registry>,
        clock: Clock,
        environment: Environment,
        keep_alive: KeepAlive,
    ) -> Self {
        Self {
            registry,
            clock,
            url_key: UrlKey::new(environment),
            refused: Counters::default(),
            observed: Counters::default(),
            _keep_alive: keep_alive,
        }
    }

    /// The key of guards that were given none.
    pub(super) fn url_key(&self) -> UrlKey {
        self.url_key.clone()
    }

    /// Whether any tenant is closed. While none is, a call passes unread.
    #[inline]
    pub(super) fn any_closed(&self) -> bool {
        self.registry.any_closed()
    }

    /// Whether `tenant` may be called now. Counts nothing.
    ///
    /// # Errors
    ///
    /// What closes the tenant, when it is closed.
    #[inline]
    pub(crate) fn check(&self, tenant: &TenantId) -> Result<(), TenantUnavailable> {
        match self.registry.closed(tenant) {
            None => Ok(()),
            Some(closed) => Err(TenantUnavailable::new(tenant.clone(), closed, self.clock.clone())),
        }
    }

    /// Counts and logs a call that is refused.
    pub(super) fn note_refused(&self, unavailable: &TenantUnavailable) {
        let (tenant, reason) = (unavailable.tenant(), unavailable.reason());
        self.refused.add(reason);
        crate::log::debug!(%tenant, %reason, "refused a call: the tenant is closed");
    }

    /// Counts and logs a call that would be refused, were the guard not told to observe only.
    pub(super) fn note_observed(&self, unavailable: &TenantUnavailable) {
        let (tenant, reason) = (unavailable.tenant(), unavailable.reason());
        self.observed.add(reason);
        crate::log::info!(%tenant, %reason, "would refuse this call: the tenant is closed");
    }

    /// How many calls were refused so far because of `reason`.
    pub(crate) fn refused(&self, reason: UnavailableReason) -> u64 {
        self.refused.of(reason)
    }

    /// How many calls observing guards would have refused so far because of `reason`.
    pub(crate) fn observed(&self, reason: UnavailableReason) -> u64 {
        self.observed.of(reason)
    }
}

/// A count for each reason.
#[derive(Debug, Default)]
struct Counters {
    upgrading: AtomicU64,
    suspended: AtomicU64,
    deleted: AtomicU64,
    not_ready: AtomicU64,
    operator: AtomicU64,
    unreadable: AtomicU64,
}

impl Counters {
    fn slot(&self, reason: UnavailableReason) -> &AtomicU64 {
        match reason {
            UnavailableReason::Upgrading => &self.upgrading,
            UnavailableReason::Suspended => &self.suspended,
            UnavailableReason::Deleted => &self.deleted,
            UnavailableReason::NotReady => &self.not_ready,
            UnavailableReason::Operator => &self.operator,
            UnavailableReason::Unreadable => &self.unreadable,
        }
    }

    fn add(&self, reason: UnavailableReason) {
        // Relaxed: a count orders nothing.
        self.slot(reason).fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, reason: UnavailableReason) -> u64 {
        self.slot(reason).load(Ordering::Relaxed)
    }
}
