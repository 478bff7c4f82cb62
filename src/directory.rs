//! The in-memory view of every tenant: what the hot path reads.

use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::{
    status::{Evidence, Record, TenantStatus, UnavailableReason, derive::Settle},
    tenant::TenantId,
};

/// The records of all tenants, and beside each what the hot path needs of it.
///
/// One map: the writers of a tenant hold its entry while they merge and derive, so the summary that
/// the guard reads never disagrees with the record for longer than that.
#[derive(Debug)]
pub(crate) struct Directory {
    tenants: DashMap<TenantId, Entry, foldhash::fast::RandomState>,
    /// How many tenants are closed. While it is 0 a call is allowed before anything of it is read.
    closed: AtomicUsize,
    settle: Settle,
}

#[derive(Debug, Default)]
struct Entry {
    closed: Option<Closed>,
    record: Record,
}

/// What the guard needs to refuse a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) reason: UnavailableReason,
    pub(crate) evidence: Evidence,
    /// ms since the epoch.
    pub(crate) since: u64,
    /// When the tenant is looked at next, ms since the epoch; 0 when no look is scheduled.
    pub(crate) due: u64,
}

/// What a merge did to a tenant.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) grew: bool,
    pub(crate) before: TenantStatus,
    pub(crate) after: TenantStatus,
}

impl Directory {
    pub(crate) fn new(settle: Settle) -> Self {
        Self { tenants: DashMap::default(), closed: AtomicUsize::new(0), settle }
    }

    /// Whether any tenant is closed at all: one atomic load.
    #[inline]
    pub(crate) fn any_closed(&self) -> bool {
        // Acquire pairs with the release in `count`: whoever learns of a closed tenant from its
        // answered notification finds the entry.
        self.closed.load(Ordering::Acquire) != 0
    }

    /// What closes `tenant`, if it is closed.
    #[inline]
    pub(crate) fn closed(&self, tenant: &TenantId) -> Option<Closed> {
        self.tenants.get(tenant)?.closed
    }
}
