//! Requests that wait for their pull.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use crate::tenant_id::TenantId;

/// Requests that wait for their pull, oldest first, each tenant once.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Beside each tenant the time at which the request came.
    order: VecDeque<(TenantId, Duration)>,
    waiting: HashSet<TenantId, foldhash::fast::RandomState>,
}

impl Lane {
    /// Adds `tenant`, unless it waits already or `limit` tenants do.
    pub(super) fn push(&mut self, tenant: &TenantId, now: Duration, limit: usize) {
        if self.order.len() < limit && self.waiting.insert(tenant.clone()) {
            self.order.push_back((tenant.clone(), now));
        }
    }

    pub(super) fn pop(&mut self) -> Option<TenantId> {
        let (tenant, _) = self.order.pop_front()?;
        self.waiting.remove(&tenant);
        Some(tenant)
    }

    /// Removes `tenant`, if it waits.
    pub(super) fn remove(&mut self, tenant: &TenantId) {
        if self.waiting.remove(tenant) {
            self.order.retain(|(waiting, _)| waiting != tenant);
        }
    }

    pub(super) fn contains(&self, tenant: &TenantId) -> bool {
        self.waiting.contains(tenant)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns when the oldest request came.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.order.front().map(|(_, came)| *came)
    }
}
