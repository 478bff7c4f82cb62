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
    /// Wakes all waiters of `tenant`, after it opened.
    pub(crate) fn wake(&self, tenant: &TenantId) {
        // Later waiters read the registry before they wait, so no wake is lost with the entry.
        if let Some((_, waiting)) = self.by_tenant.remove(tenant) {
            waiting.notify_waiters();
        }
    }

    fn register(&self, tenant: &TenantId) -> Arc<Notify> {
        Arc::clone(&self.by_tenant.entry(tenant.clone()).or_default())
    }

    /// Removes the entry of a tenant when its last waiter is dropped.
    fn unregister(&self, tenant: &TenantId, waiting: Arc<Notify>) {
        drop(waiting);
        self.by_tenant.remove_if(tenant, |_, notify| Arc::strong_count(notify) == 1);
    }
}

/// A future that resolves as soon as a tenant can be called, returned by
/// [`TenantGate::available`](crate::TenantGate::available).
///
/// Thousands may wait for one tenant, and would all call it when it resumes: the gate's
/// [`resume_jitter`](crate::TenantGateBuilder::resume_jitter) spreads them. When the tenant has
/// closed again by then, the future waits on.
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
    // Checked again after registering: an opening in between is either seen here or wakes.
    if registry.closed(tenant).is_some() {
        woken.await;
    }
}

/// A registered waiter, removed on drop.
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
