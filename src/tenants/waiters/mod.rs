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
    by_tenant: DashMap<TenantId, Place>,
}

/// Where the waiters of one tenant wait, from the first that registers to the last that is done.
#[derive(Debug, Default)]
struct Place {
    opened: Arc<Notify>,
    waiting: usize,
}

impl Waiters {
    /// Wakes all waiters of `tenant`, after it opened.
    pub(crate) fn wake(&self, tenant: &TenantId) {
        // The entry stays: a waiter that has registered, and does not wait yet, may have to be woken
        // again, when the tenant has closed in between.
        let opened = self.by_tenant.get(tenant).map(|place| Arc::clone(&place.opened));
        if let Some(opened) = opened {
            opened.notify_waiters();
        }
    }

    fn register(&self, tenant: &TenantId) -> Arc<Notify> {
        let mut place = self.by_tenant.entry(tenant.clone()).or_default();
        place.waiting += 1;
        Arc::clone(&place.opened)
    }

    /// Forgets the entry of a tenant when its last waiter is gone.
    fn unregister(&self, tenant: &TenantId) {
        self.by_tenant.remove_if_mut(tenant, |_, place| {
            place.waiting = place.waiting.saturating_sub(1);
            place.waiting == 0
        });
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

async fn wait(registry: &Registry, waiters: &Waiters, tenant: &TenantId) {
    let opened = waiters.register(tenant);
    let _guard = WaiterGuard { waiters, tenant };
    let woken = opened.notified();
    tokio::pin!(woken);
    woken.as_mut().enable();
    // Checked once more while registered: an opening in between is either seen here or wakes.
    if registry.closed(tenant).is_some() {
        woken.await;
    }
}

/// A registered waiter; unregistered however the waiting ends.
struct WaiterGuard<'a> {
    waiters: &'a Waiters,
    tenant: &'a TenantId,
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.waiters.unregister(self.tenant);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::{
        clock::Clock,
        status::{overrides::OverrideAction, settle::Settle},
        tenants::{Tenants, Update},
    };

    const WAITERS: usize = 64;
    const FLIPS: u64 = 100_000;

    /// Waiters come and go while the tenant opens and closes as fast as it can: none may be left
    /// behind when it is open at last.
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn no_waiter_is_stuck_on_a_tenant_that_flips() {
        let tenants = Arc::new(Tenants::new(Settle::default(), 1, Clock::system()));
        let tenant = TenantId::new("Cust1").unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let waiting: Vec<_> = (0..WAITERS)
            .map(|_| {
                let (tenants, tenant) = (Arc::clone(&tenants), tenant.clone());
                let over = Arc::clone(&over);
                tokio::spawn(async move {
                    while !over.load(Ordering::Acquire) {
                        tenants.available(tenant.clone(), Duration::ZERO).await;
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let flips = tokio::task::spawn_blocking({
            let (tenants, tenant) = (Arc::clone(&tenants), tenant.clone());
            move || {
                for now in 0..FLIPS {
                    let close = now % 2 == 0;
                    let action = if close { OverrideAction::Close } else { OverrideAction::Open };
                    let note = String::new();
                    tenants.apply(&tenant, Update::Override { action, note, until: None, now });
                }
                over.store(true, Ordering::Release);
            }
        });
        flips.await.unwrap();
        let all = futures_util::future::join_all(waiting);
        let ended = tokio::time::timeout(Duration::from_secs(20), all).await;
        assert!(ended.is_ok(), "a waiter is stuck on an open tenant");
        assert!(tenants.waiters.by_tenant.is_empty(), "entries are left behind");
    }

    /// Two flips happen between the moment a waiter takes its place and the moment it waits.
    #[test]
    fn an_opening_right_after_the_registration_is_not_lost() {
        let tenants = Tenants::new(Settle::default(), 1, Clock::system());
        let tenant = TenantId::new("Cust1").unwrap();
        let flip = |action| {
            let note = String::new();
            tenants.apply(&tenant, Update::Override { action, note, until: None, now: 0 });
        };
        flip(OverrideAction::Close);
        let waiting = tenants.waiters.register(&tenant);
        flip(OverrideAction::Open);
        flip(OverrideAction::Close);
        let mut woken = tokio_test::task::spawn(waiting.notified());
        tokio_test::assert_pending!(woken.poll());
        flip(OverrideAction::Open);
        tokio_test::assert_ready!(woken.poll());
    }
}
