//! Waiting until a tenant opens.

mod list;

use std::{sync::Arc, time::Duration};

use self::list::WaitList;
use crate::{
    status::UnavailableReason,
    tenant_id::TenantId,
    tenants::{entry::ClosedSummary, registry::Registry},
};

/// The lock of the wait list. `tests/model` puts that of a model checker in its place.
mod sync {
    pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};
}

/// Waiters by tenant.
pub(crate) type Waiters = WaitList<TenantId>;

/// Waits until `tenant` is open, and then for a random part of `jitter`; when it has closed again
/// by then, it waits on. Ends with the data of the refusal when the tenant is deleted, or nothing
/// is left that could open it.
pub(super) async fn available(
    registry: Arc<Registry>,
    waiters: Arc<Waiters>,
    tenant: TenantId,
    jitter: Duration,
) -> Result<(), ClosedSummary> {
    let is_deleted = |closed: &ClosedSummary| closed.reason == UnavailableReason::Deleted;
    while let Some(closed) = registry.closed(&tenant) {
        if is_deleted(&closed) || registry.has_ended() {
            return Err(closed);
        }
        let is_awaited = || {
            let closed = registry.closed(&tenant);
            !registry.has_ended() && closed.is_some_and(|closed| !is_deleted(&closed))
        };
        waiters.wait(&tenant, is_awaited).await;
        if !jitter.is_zero() && registry.closed(&tenant).is_none() {
            tokio::time::sleep(jitter.mul_f64(fastrand::f64())).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::atomic::{AtomicBool, Ordering},
    };

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
                        tenants.available(tenant.clone(), Duration::ZERO).await.unwrap();
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
        assert!(tenants.waiters.is_empty(), "entries are left behind");
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
        let mut woken = tokio_test::task::spawn(poll_fn(|cx| waiting.poll_woken(cx)));
        tokio_test::assert_ready!(woken.poll(), "the opening in between woke it");
    }
}
