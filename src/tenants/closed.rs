//! The closed tenants, as calls look them up: their number, and an index of their ids.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    status::UnavailableReason,
    tenant_id::{FoldedId, TenantId},
    tenants::{closed_index::ClosedIndex, hash_key::HashKey},
};

/// The number and the index change together, while the tenant is locked.
#[derive(Debug)]
pub(super) struct ClosedTenants {
    number: AtomicUsize,
    /// The number of each reason.
    by_reason: [AtomicUsize; UnavailableReason::ALL.len()],
    index: ClosedIndex,
    key: HashKey,
}

impl ClosedTenants {
    pub(super) fn new() -> Self {
        Self {
            number: AtomicUsize::new(0),
            by_reason: Default::default(),
            index: ClosedIndex::new(),
            key: HashKey::random(),
        }
    }

    pub(super) fn number(&self) -> usize {
        self.number.load(Ordering::Acquire)
    }

    /// Returns the number of those that are closed for `reason`.
    pub(super) fn number_of(&self, reason: UnavailableReason) -> usize {
        self.by_reason.get(reason as usize).map_or(0, |number| number.load(Ordering::Relaxed))
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

    /// Returns the hash of a tenant id, for other look-ups that calls make.
    #[inline]
    pub(super) fn hash(&self, tenant: FoldedId<'_>) -> u64 {
        self.key.hash(tenant)
    }

    /// Adds `tenant`, or removes it, if it has closed or opened; `None` is open. The tenant must be
    /// locked.
    pub(super) fn change(
        &self,
        tenant: &TenantId,
        before: Option<UnavailableReason>,
        after: Option<UnavailableReason>,
    ) {
        // Relaxed: these are only displayed.
        let number = |reason: UnavailableReason| self.by_reason.get(reason as usize);
        if let Some(number) = after.and_then(number) {
            number.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(number) = before.and_then(number) {
            number.fetch_sub(1, Ordering::Relaxed);
        }
        match (before.is_some(), after.is_some()) {
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
