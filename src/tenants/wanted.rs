//! The tenants that calls are refused at, or that are waited for: their pulls come first.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::tenant_id::TenantId;

/// Tenants noted since the scheduler last took them.
///
/// A refused call notes its tenant, so it neither waits nor allocates: while the list is full or in
/// use, the next call does it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Whether the list is ever taken.
    enabled: AtomicBool,
    tenants: Mutex<Vec<TenantId>>,
}

/// Capacity of the list. The scheduler takes it several times a second.
const CAPACITY: usize = 1024;

impl Wanted {
    /// Starts noting tenants: the list is going to be taken.
    pub(super) fn enable(&self) {
        *self.tenants.lock().unwrap_or_else(PoisonError::into_inner) = Vec::with_capacity(CAPACITY);
        self.enabled.store(true, Ordering::Relaxed);
    }

    /// Notes `tenant`, and returns whether there was room.
    pub(super) fn note(&self, tenant: &TenantId) -> bool {
        if !self.enabled.load(Ordering::Relaxed) {
            return false;
        }
        let Ok(mut tenants) = self.tenants.try_lock() else { return false };
        let room = tenants.len() < tenants.capacity();
        if room {
            tenants.push(tenant.clone());
        }
        room
    }

    /// Takes the list.
    pub(super) fn take(&self) -> Vec<TenantId> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.is_empty() {
            return Vec::new();
        }
        std::mem::replace(&mut *tenants, Vec::with_capacity(CAPACITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_noted_up_to_the_capacity_once_enabled() {
        let (wanted, tenant) = (Wanted::default(), TenantId::new("Cust1").unwrap());
        assert!(!wanted.note(&tenant), "no one takes the list");
        wanted.enable();
        for _ in 0..2 {
            assert_eq!((0..2 * CAPACITY).filter(|_| wanted.note(&tenant)).count(), CAPACITY);
            assert_eq!(wanted.take().len(), CAPACITY);
            assert!(wanted.take().is_empty());
        }
    }
}
