//! The closed tenants, as calls look them up: their number, and an index of their ids.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    tenant_id::{FoldedId, TenantId},
    tenants::{closed_index::ClosedIndex, hash_key::HashKey},
};

/// The number and the index change together, while the tenant is locked.
#[derive(Debug)]
pub(super) struct ClosedTenants {
    number: AtomicUsize,
    index: ClosedIndex,
    key: HashKey,
}

impl ClosedTenants {
    pub(super) fn new() -> Self {
        Self { number: AtomicUsize::new(0), index: ClosedIndex::new(), key: HashKey::random() }
    }

    pub(super) fn number(&self) -> usize {
        self.number.load(Ordering::Acquire)
    }

    /// Returns whether there is any: one atomic load.
    #[inline]
    pub(super) fn any(&self) -> bool {
        // Acquire pairs with the release in `change`: a caller that knows of an answered
        // notification finds the entry.
        self.number.load(Ordering::Acquire) != 0
    }

    /// Returns whether the tenant with this id may be among them; `false` is certain, and reads one
    /// cache line.
    #[inline]
    pub(super) fn may_contain(&self, tenant: FoldedId<'_>) -> bool {
        self.index.may_contain(self.key.hash(tenant))
    }

    /// Adds `tenant`, or removes it, if it has closed or opened. The tenant must be locked.
    pub(super) fn change(&self, tenant: &TenantId, was_closed: bool, is_closed: bool) {
        match (was_closed, is_closed) {
            (false, true) => {
                self.index.insert(self.key.hash(tenant.folded()));
                self.number.fetch_add(1, Ordering::Release);
            }
            (true, false) => {
                self.number.fetch_sub(1, Ordering::Release);
                self.index.remove(self.key.hash(tenant.folded()));
            }
            _ => {}
        }
    }
}
