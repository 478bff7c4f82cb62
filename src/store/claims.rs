//! Claims of one process: who may look after a tenant, and until when.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::TenantId;

/// The claims that were granted. Ended ones are swept when the map has doubled since the last sweep,
/// which keeps a claim cheap and the map in proportion to the claims that stand.
#[derive(Debug, Default)]
pub(super) struct Claims {
    until: HashMap<TenantId, Instant>,
    sweep_at: usize,
}

impl Claims {
    const SMALLEST_SWEEP: usize = 64;

    /// Grants the claim on `tenant` for `ttl` unless one stands.
    pub(super) fn claim(&mut self, tenant: &TenantId, ttl: Duration) -> bool {
        let now = Instant::now();
        if self.until.get(tenant).is_some_and(|&until| now < until) {
            return false;
        }
        if self.until.len() >= self.sweep_at {
            self.until.retain(|_, &mut until| now < until);
            self.sweep_at = (self.until.len() * 2).max(Self::SMALLEST_SWEEP);
        }
        // A ttl past the end of time never ends; a year is as good.
        let year = Duration::from_secs(366 * 24 * 3600);
        self.until.insert(tenant.clone(), now + ttl.min(year));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ended_claims_are_swept() {
        let mut claims = Claims::default();
        for round in 0..50 {
            for n in 0..100 {
                let tenant = TenantId::new(format!("Cust{round}-{n}")).unwrap();
                assert!(claims.claim(&tenant, Duration::from_secs(1)));
                assert!(!claims.claim(&tenant, Duration::MAX));
            }
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        assert!(claims.until.len() <= 200, "{} claims are kept", claims.until.len());
    }
}
