//! Leases: which replica may pull a tenant. Within one process they are kept here.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::tenant_id::TenantId;

/// The answer to a request for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lease {
    /// The caller holds it.
    Granted,
    /// Another replica holds it, for so long unless it renews it.
    Held {
        /// The time for which it lasts by the store's clock, about.
        remaining: Duration,
    },
}

impl Lease {
    /// Returns whether the caller holds it.
    #[must_use]
    pub fn is_granted(self) -> bool {
        self == Self::Granted
    }
}

/// Leases granted so far. Expired ones are swept when the map has doubled since the last sweep,
/// which keeps a request cheap and the map in proportion to the leases in force.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// By tenant and term: the holder, and the end.
    granted: HashMap<(TenantId, u64), (u64, Instant)>,
    sweep_at: usize,
}

impl Leases {
    const SMALLEST_SWEEP: usize = 64;

    /// Grants `holder` a lease on `tenant` for `ttl`, unless one of this term is in force and
    /// another's.
    pub(super) fn try_lease(
        &mut self,
        holder: u64,
        tenant: &TenantId,
        term: u64,
        ttl: Duration,
    ) -> Lease {
        let now = Instant::now();
        let lease = (tenant.clone(), term);
        if let Some((other, until)) = self.granted.get(&lease)
            && *other != holder
            && now < *until
        {
            return Lease::Held { remaining: *until - now };
        }
        if self.granted.len() >= self.sweep_at {
            self.granted.retain(|_, (_, until)| now < *until);
            self.sweep_at = (self.granted.len() * 2).max(Self::SMALLEST_SWEEP);
        }
        // An instant that far ahead may not be representable; a year serves as "never".
        let year = Duration::from_secs(366 * 24 * 3600);
        self.granted.insert(lease, (holder, now + ttl.min(year)));
        Lease::Granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn expired_leases_are_swept() {
        let mut leases = Leases::default();
        for round in 0..50 {
            for n in 0..100 {
                let tenant = TenantId::new(format!("Cust{round}-{n}")).unwrap();
                assert!(leases.try_lease(1, &tenant, 0, SECOND).is_granted());
                let held = leases.try_lease(2, &tenant, 0, Duration::MAX);
                assert_eq!(held, Lease::Held { remaining: SECOND });
            }
            tokio::time::advance(2 * SECOND).await;
        }
        assert!(leases.granted.len() <= 200, "{} leases are kept", leases.granted.len());
    }

    #[tokio::test(start_paused = true)]
    async fn holder_renews_and_other_terms_are_free() {
        let (mut leases, tenant) = (Leases::default(), TenantId::new("Cust1").unwrap());
        assert!(leases.try_lease(1, &tenant, 0, SECOND).is_granted());
        assert!(leases.try_lease(1, &tenant, 0, 60 * SECOND).is_granted(), "its own");
        assert_eq!(leases.try_lease(2, &tenant, 0, SECOND), Lease::Held { remaining: 60 * SECOND });
        assert!(leases.try_lease(2, &tenant, 1, SECOND).is_granted(), "of another term");
        tokio::time::advance(60 * SECOND).await;
        assert!(leases.try_lease(2, &tenant, 0, SECOND).is_granted());
    }
}
