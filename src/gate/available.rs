//! Waiting until a tenant opens.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::future::BoxFuture;

use super::TenantGate;
use crate::{guard::TenantUnavailable, tenant_id::TenantId};

/// A future that resolves as soon as a tenant can be called, returned by
/// [`TenantGate::available`].
///
/// Thousands may wait for one tenant, and would all call it when it resumes: the gate's
/// [`resume_jitter`](crate::TenantGateBuilder::resume_jitter) spreads them. When the tenant has
/// closed again by then, the future waits on.
///
/// # Errors
///
/// When the tenant is deleted, at once and without jitter, as there is nothing to wait for: a job
/// of a deleted tenant would otherwise be parked for good. Also when the gate has ended while the
/// tenant is closed, with the reason of the closing.
///
/// ```
/// # use tower_superoffice::{TenantGate, TenantId};
/// # async fn run(gate: TenantGate, tenant: TenantId) {
/// match gate.available(&tenant).await {
///     Ok(()) => println!("{tenant} can be called"),
///     Err(closed) if closed.is_permanent() => println!("{tenant} is deleted"),
///     Err(_) => println!("the gate has ended"),
/// }
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Available {
    inner: BoxFuture<'static, Result<(), TenantUnavailable>>,
}

impl TenantGate {
    /// Returns a future that resolves when `tenant` can be called: at once if it can. It resolves
    /// to an error when the tenant is deleted.
    pub fn available(&self, tenant: &TenantId) -> Available {
        let (tenant, clock) = (tenant.clone(), self.parts.clock.monotonic());
        let opening = self.parts.tenants.available(tenant.clone(), self.parts.resume_jitter);
        let inner = Box::pin(async move {
            opening.await.map_err(|closed| TenantUnavailable::new(tenant, closed, clock))
        });
        Available { inner }
    }
}

impl Future for Available {
    type Output = Result<(), TenantUnavailable>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Available").finish_non_exhaustive()
    }
}
