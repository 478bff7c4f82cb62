//! The tracked tenants of which nothing is known yet.

use std::{
    collections::HashSet,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::{Applied, Observer, Tenants, registry::Registry};
use crate::tenant_id::TenantId;

/// Counts the tracked tenants whose record does not say yet whether they are open. It observes the
/// tenants.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    tenants: Mutex<HashSet<TenantId, foldhash::fast::RandomState>>,
    /// Their number, for changes of tenants that are not among them.
    number: AtomicUsize,
    /// Notified when the last of them is known.
    known: Arc<Notify>,
}

impl Awaited {
    fn tenants(&self) -> MutexGuard<'_, HashSet<TenantId, foldhash::fast::RandomState>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits `tenant`, unless it is known.
    pub(crate) fn track(&self, tenant: &TenantId, registry: &Registry) {
        let mut tenants = self.tenants();
        tenants.insert(tenant.clone());
        self.number.store(tenants.len(), Ordering::SeqCst);
        drop(tenants);
        // After the insertion, or a change in between would be lost.
        if registry.is_known(tenant) {
            self.remove(tenant);
        }
    }

    /// Awaits `tenant` no longer.
    pub(crate) fn remove(&self, tenant: &TenantId) {
        let mut tenants = self.tenants();
        let removed = tenants.remove(tenant);
        let number = tenants.len();
        self.number.store(number, Ordering::SeqCst);
        drop(tenants);
        if removed && number == 0 {
            self.known.notify_waiters();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.number.load(Ordering::SeqCst)
    }

    /// Returns a future that ends when all are known, from now on.
    pub(crate) fn known(&self) -> impl Future<Output = ()> + use<> {
        Arc::clone(&self.known).notified_owned()
    }
}

impl Observer for Awaited {
    fn after_change(&self, tenants: &Tenants, tenant: &TenantId, _: &Applied) {
        if self.len() > 0 && tenants.registry().is_known(tenant) {
            self.remove(tenant);
        }
    }

    fn after_load(&self, tenants: &Tenants, loaded: &[TenantId]) {
        if self.len() > 0 {
            let known = loaded.iter().filter(|tenant| tenants.registry().is_known(tenant));
            known.for_each(|tenant| self.remove(tenant));
        }
    }
}
