//! Leases within one process: which tenants no other holder may pull yet.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::tenant_id::TenantId;

/// Leases granted so far. Expired ones are swept when the map has doubled since the last sweep,
/// which keeps a request cheap and the map in proportion to the leases in force.
#[derive(Debug, Default)]
pub(super) struct Leases {
    until: HashMap<TenantId, Instant>,
    sweep_at: usize,
}

impl Leases {
    const SMALLEST_SWEEP: usize = 64;

    /// Grants a lease on `tenant` for `ttl` unless one is in force.
    pub(super) fn try_lease(&mut self, tenant: &TenantId, ttl: Duration) -> bool {
        let now = Instant::now();
        if self.until.get(tenant).is_some_and(|&until| now < until) {
            return false;
        }
        if self.until.len() >= self.sweep_at {
            self.until.retain(|_, &mut until| now < until);
            self.sweep_at = (self.until.len() * 2).max(Self::SMALLEST_SWEEP);
        }
        // An instant that far ahead may not be representable; a year serves as "never".
        let year = Duration::from_secs(366 * 24 * 3600);
        self.until.insert(tenant.clone(), now + ttl.min(year));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn expired_leases_are_swept() {
        let mut leases = Leases::default();
        for round in 0..50 {
            for n in 0..100 {
                let tenant = TenantId::new(format!("Cust{round}-{n}")).unwrap();
                assert!(leases.try_lease(&tenant, Duration::from_secs(1)));
                assert!(!leases.try_lease(&tenant, Duration::MAX));
            }
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        assert!(leases.until.len() <= 200, "{} leases are kept", leases.until.len());
    }
}
