//! The state that all guards of a gate share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::TenantUnavailable;
#[cfg(feature = "metrics")]
use super::tenant_counters::TenantCounters;
use crate::{
    clock::{Clock, MonotonicClock},
    environment::Environment,
    keep_alive::KeepAlive,
    key::UrlKey,
    status::UnavailableReason,
    tenant_id::{FoldedId, TenantId},
    tenants::{entry::ClosedSummary, registry::Registry},
};

/// Decides calls and counts refusals. Made once, when the gate is built.
#[derive(Debug)]
pub(crate) struct GuardState {
    registry: Arc<Registry>,
    clock: MonotonicClock,
    url_key: UrlKey,
    refused: ReasonCounters,
    observed: ReasonCounters,
    /// `None` unless counts by tenant are wanted.
    #[cfg(feature = "metrics")]
    by_tenant: Option<TenantCounters>,
    _keep_alive: KeepAlive,
}

impl GuardState {
    pub(crate) fn new(
        registry: Arc<Registry>,
        clock: &Clock,
        environment: Environment,
        keep_alive: KeepAlive,
    ) -> Self {
        Self {
            registry,
            clock: clock.monotonic(),
            url_key: UrlKey::new(environment),
            refused: ReasonCounters::default(),
            observed: ReasonCounters::default(),
            #[cfg(feature = "metrics")]
            by_tenant: None,
            _keep_alive: keep_alive,
        }
    }

    /// Counts by tenant too, for the first `max` tenants.
    #[cfg(feature = "metrics")]
    pub(crate) fn with_tenants(self, max: Option<usize>) -> Self {
        Self { by_tenant: max.map(TenantCounters::new), ..self }
    }

    /// Returns the counts by tenant, if they are wanted.
    #[cfg(feature = "metrics")]
    pub(crate) fn by_tenant(&self) -> Option<&TenantCounters> {
        self.by_tenant.as_ref()
    }

    /// Returns the key of guards that are given no other.
    pub(super) fn url_key(&self) -> UrlKey {
        self.url_key.clone()
    }

    /// Returns whether any tenant is closed. While none is, calls pass without being parsed.
    #[inline]
    pub(super) fn any_closed(&self) -> bool {
        self.registry.any_closed()
    }

    /// Returns whether the tenant that is spelled so may be closed; `false` is certain.
    #[inline]
    pub(super) fn may_be_closed(&self, tenant: &str) -> bool {
        self.registry.may_be_closed(FoldedId(tenant.as_bytes()))
    }

    /// Checks whether `tenant` may be called now. Counts nothing.
    ///
    /// # Errors
    ///
    /// When the tenant is closed.
    pub(crate) fn check(&self, tenant: &TenantId) -> Result<(), TenantUnavailable> {
        match self.registry.closed(tenant) {
            None => Ok(()),
            Some(closed) => Err(self.unavailable(tenant.clone(), closed)),
        }
    }

    /// Returns the time until the next pull of `tenant`, if it is closed. Counts nothing, and does not
    /// bring that pull forward.
    pub(crate) fn next_pull(&self, tenant: &TenantId) -> Option<Duration> {
        let closed = self.registry.summary(tenant)?;
        TenantUnavailable::new(tenant.clone(), closed, self.clock).retry_after()
    }

    /// Returns the refusal of a call to `tenant`, if it is closed. Counts nothing.
    #[inline]
    pub(super) fn refusal(&self, tenant: TenantId) -> Option<TenantUnavailable> {
        let closed = self.registry.closed(&tenant)?;
        Some(self.unavailable(tenant, closed))
    }

    #[inline]
    fn unavailable(&self, tenant: TenantId, closed: ClosedSummary) -> TenantUnavailable {
        if closed.reason != UnavailableReason::Operator {
            return TenantUnavailable::new(tenant, closed, self.clock);
        }
        // A second lookup, which is left out for every other reason.
        let note = self.registry.note(&tenant);
        TenantUnavailable::new(tenant, closed, self.clock).with_note(note)
    }

    /// Counts and logs a call that is refused.
    pub(super) fn record_refused(&self, unavailable: &TenantUnavailable) {
        let (tenant, reason) = (unavailable.tenant(), unavailable.reason());
        self.refused.add(reason);
        #[cfg(feature = "metrics")]
        if let Some(by_tenant) = &self.by_tenant {
            by_tenant.add(tenant, |counts| counts.refused.add(reason));
        }
        crate::log::debug!(%tenant, %reason, "call refused");
    }

    /// Counts and logs a call that a guard which only observes lets pass.
    pub(super) fn record_observed(&self, unavailable: &TenantUnavailable) {
        let (tenant, reason) = (unavailable.tenant(), unavailable.reason());
        self.observed.add(reason);
        #[cfg(feature = "metrics")]
        if let Some(by_tenant) = &self.by_tenant {
            by_tenant.add(tenant, |counts| counts.observed.add(reason));
        }
        crate::log::info!(%tenant, %reason, "call would be refused");
    }

    /// Returns the number of calls refused so far because of `reason`.
    pub(crate) fn refused(&self, reason: UnavailableReason) -> u64 {
        self.refused.get(reason)
    }

    /// Returns the number of calls that observing guards let pass so far in spite of `reason`.
    pub(crate) fn observed(&self, reason: UnavailableReason) -> u64 {
        self.observed.get(reason)
    }
}

/// A count for each reason. On a cache line of its own, or every refusal would take the line of
/// what allowed calls read from the other processors.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct ReasonCounters {
    upgrading: AtomicU64,
    suspended: AtomicU64,
    deleted: AtomicU64,
    not_ready: AtomicU64,
    operator: AtomicU64,
    unreadable: AtomicU64,
}

impl ReasonCounters {
    fn counter(&self, reason: UnavailableReason) -> &AtomicU64 {
        match reason {
            UnavailableReason::Upgrading => &self.upgrading,
            UnavailableReason::Suspended => &self.suspended,
            UnavailableReason::Deleted => &self.deleted,
            UnavailableReason::NotReady => &self.not_ready,
            UnavailableReason::Operator => &self.operator,
            UnavailableReason::Unreadable => &self.unreadable,
        }
    }

    pub(super) fn add(&self, reason: UnavailableReason) {
        // Relaxed: a count orders nothing.
        self.counter(reason).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, reason: UnavailableReason) -> u64 {
        self.counter(reason).load(Ordering::Relaxed)
    }
}
