//! The health of a gate, assembled from its parts.

use super::TenantGate;
use crate::{
    guard::GuardState,
    health::{Health, StoreHealth},
    persist::StoreState,
    status::{UnavailableReason, wall::system_time},
};

impl TenantGate {
    /// Returns the health of the gate, in numbers.
    #[must_use]
    pub fn health(&self) -> Health {
        let parts = &*self.parts;
        let (registry, write_back) = (parts.tenants.registry(), parts.write_back.as_ref());
        let calls = |count: fn(&GuardState, UnavailableReason) -> u64| {
            UnavailableReason::ALL.into_iter().map(|reason| count(&parts.guard_state, reason)).sum()
        };
        Health {
            tenants: registry.len(),
            closed: registry.closed_count(),
            unreadable: registry.unreadable_count(),
            store: match write_back.map_or(StoreState::Fresh, |write_back| write_back.health()) {
                StoreState::Fresh => StoreHealth::Fresh,
                StoreState::Stale { since } => StoreHealth::Stale { since: system_time(since) },
                StoreState::Failed => StoreHealth::Failed,
            },
            store_warnings: write_back.map_or_else(Vec::new, |given| given.warnings()),
            dirty: write_back.map_or(0, |write_back| write_back.dirty()),
            notifications: parts.handler.counts(),
            pulls: parts.pulls.as_ref().map(|pulls| pulls.health()),
            clock_offset: parts.clock.offset(),
            refused_calls: calls(GuardState::refused),
            observed_calls: calls(GuardState::observed),
            tasks: parts.tasks.health(),
        }
    }
}
