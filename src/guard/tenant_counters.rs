//! Counts of refused and observed calls by tenant, for a bounded number of tenants.

use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::{DashMap, Entry};

use super::state::ReasonCounters;
use crate::tenant_id::TenantId;

/// Counts the calls to the closed tenants that are called first, and to all others together.
///
/// A tenant keeps its place: a count that moved from one series to another would go back in both.
#[derive(Debug)]
pub(crate) struct TenantCounters {
    max: usize,
    /// Number of places given away.
    taken: AtomicUsize,
    tenants: DashMap<TenantId, CallCounters, foldhash::fast::RandomState>,
    other: CallCounters,
}

/// The calls to one tenant, or to all without a place.
#[derive(Debug, Default)]
pub(crate) struct CallCounters {
    pub(crate) refused: ReasonCounters,
    pub(crate) observed: ReasonCounters,
}

impl TenantCounters {
    pub(super) fn new(max: usize) -> Self {
        let (tenants, other) = (DashMap::default(), CallCounters::default());
        Self { max, taken: AtomicUsize::new(0), tenants, other }
    }

    /// Applies `count` to the counters of `tenant`.
    pub(super) fn add(&self, tenant: &TenantId, count: impl FnOnce(&CallCounters)) {
        if let Some(own) = self.tenants.get(tenant) {
            return count(&own);
        }
        // Relaxed: a place more or less orders nothing.
        if self.taken.load(Ordering::Relaxed) >= self.max {
            return count(&self.other);
        }
        match self.tenants.entry(tenant.clone()) {
            Entry::Occupied(own) => count(own.get()),
            Entry::Vacant(vacant) if self.taken.fetch_add(1, Ordering::Relaxed) < self.max => {
                count(&vacant.insert(CallCounters::default()));
            }
            Entry::Vacant(_) => count(&self.other),
        }
    }

    /// Calls `each` with the counters of each tenant with a place, and of all others: `None`.
    pub(crate) fn for_each(&self, mut each: impl FnMut(Option<&TenantId>, &CallCounters)) {
        for own in &self.tenants {
            each(Some(own.key()), own.value());
        }
        each(None, &self.other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::UnavailableReason::{Suspended, Upgrading};

    #[test]
    fn tenants_beyond_the_bound_are_counted_together() {
        let counters = TenantCounters::new(2);
        let calls = ["Cust1", "cust2", "Cust3", "CUST1", "Cust4", "Cust3"];
        for tenant in calls.map(|id| TenantId::new(id).unwrap()) {
            counters.add(&tenant, |calls| calls.refused.add(Suspended));
        }
        let mut counted = Vec::new();
        counters.for_each(|tenant, calls| {
            let tenant = tenant.map_or_else(|| "other".to_owned(), ToString::to_string);
            counted.push((tenant, calls.refused.get(Suspended)));
            assert_eq!(calls.refused.get(Upgrading) + calls.observed.get(Suspended), 0);
        });
        counted.sort();
        let expected = [("Cust1", 2), ("cust2", 1), ("other", 3)];
        assert_eq!(counted, expected.map(|(tenant, calls)| (tenant.to_owned(), calls)));
    }
}
