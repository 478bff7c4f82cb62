//! Waiting until a tenant opens.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dashmap::DashMap;
use futures_core::future::BoxFuture;
use tokio::sync::Notify;

use crate::{tenant_id::TenantId, tenants::registry::Registry};

/// Waiters by tenant. A tenant without any has no entry.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_tenant: DashMap<TenantId, Arc<Notify>>,
}

impl Waiters {
    /// Wakes all who wait for `tenant`, after it opened.
    pub(crate) fn wake(&self, tenant: &TenantId) {
        // Those who come later look at the registry before they wait, so no wake is lost with the
        // entry.
        if let Some((_, waiting)) = self.by_tenant.remove(tenant) {
            waiting.notify_waiters();
        }
    }

    fn register(&self, tenant: &TenantId) -> Arc<Notify> {
        Arc::clone(&self.by_tenant.entry(tenant.clone()).or_default())
    }

    /// Forgets the entry of a tenant when its last waiter is gone.
    fn unregister(&self, tenant: &TenantId, waiting: Arc<Notify>) {
        drop(waiting);
        self.by_tenant.remove_if(tenant, |_, notify| Arc::strong_count(notify) == 1);
    }
}

/// Ready as soon as a tenant can be called; made by [`TenantGate::available`](crate::TenantGate::available).
///
/// Thousands may wait for one tenant, and all would call it in the moment it resumes: the gate's
/// [`resume_jitter`](crate::TenantGateBuilder::resume_jitter) spreads them out. A tenant that closed
/// again meanwhile is waited for again.
#[must_use = "futures do nothing unless polled"]
pub struct Available {
    inner: BoxFuture<'static, ()>,
}

impl Available {
    pub(crate) fn new(
        registry: Arc<Registry>,
        waiters: Arc<Waiters>,
        tenant: TenantId,
        jitter: Duration,
    ) -> Self {
        let inner = Box::pin(async move {
            while registry.closed(&tenant).is_some() {
                wait(&registry, &waiters, &tenant).await;
                if !jitter.is_zero() {
                    tokio::time::sleep(jitter.mul_f64(fastrand::f64())).await;
                }
            }
        });
        Self { inner }
    }
}

async fn wait(registry: &Registry, waiters: &Arc<Waiters>, tenant: &TenantId) {
    let guard = WaiterGuard { waiters, tenant, waiting: Some(waiters.register(tenant)) };
    let Some(waiting) = &guard.waiting else { return };
    let woken = waiting.notified();
    tokio::pin!(woken);
    woken.as_mut().enable();
    // Looked at once more with the place taken: an opening in between is either seen here or wakes.
    if registry.closed(tenant).is_some() {
        woken.await;
    }
}

/// A waiter's place; given back however the waiting ends.
struct WaiterGuard<'a> {
    waiters: &'a Waiters,
    tenant: &'a TenantId,
    waiting: Option<Arc<Notify>>,
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.waiters.unregister(self.tenant, waiting);
        }
    }
}

impl Future for Available {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Available").finish_non_exhaustive()
    }
}
