//! Leases: one holder for each tenant at a time.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    Conformance, Store, records,
    report::{Broken, Done, ensure},
};
use crate::{store::Lease, tenant_id::TenantId};

const TTL: Duration = Duration::from_millis(500);

/// Longer than the test takes.
const LONG: Duration = Duration::from_secs(3600);

impl Conformance {
    pub(super) async fn leases(&self) -> Result<Done, Broken> {
        if !self.leases {
            return Ok(Done::Skipped);
        }
        let stores = [self.open().await?, self.open().await?];
        let (tenant, other) = (records::tenant("lease")?, records::tenant("lease")?);

        let began = Instant::now();
        let requests = stores.iter().cycle().take(16).map(|store| store.try_lease(&tenant, 1, TTL));
        let mut granted = [0, 0];
        for (number, answer) in
            self.limit("try_lease", join_all(requests)).await?.into_iter().enumerate()
        {
            let count = if number % 2 == 0 { &mut granted[0] } else { &mut granted[1] };
            *count += usize::from(answer?.is_granted());
        }
        ensure(matches!(granted, [8, 0] | [0, 8]), || {
            format!("of 8 concurrent requests each, two replicas got the lease {granted:?} times")
        })?;
        let [first, second] = stores;
        let (holder, rival) = if granted[0] > 0 { (first, second) } else { (second, first) };

        loop {
            let answer = self.lease(&*rival, &tenant, 1, TTL).await?;
            let passed = began.elapsed();
            match answer {
                Lease::Granted => {
                    // The store counts from a later moment.
                    ensure(passed >= TTL, || format!("a lease of {TTL:?} ended after {passed:?}"))?;
                    break;
                }
                Lease::Held { remaining } => ensure(remaining <= TTL, || {
                    format!("a lease of {TTL:?} is said to last for another {remaining:?}")
                })?,
            }
            ensure(passed < TTL + self.max_wait, || format!("a lease of {TTL:?} never ended"))?;
            tokio::time::sleep(TTL / 50).await;
        }

        let renewed = self.lease(&*rival, &tenant, 1, LONG).await?;
        ensure(renewed.is_granted(), || "a lease is refused to its holder".to_owned())?;
        match self.lease(&*holder, &tenant, 1, TTL).await? {
            Lease::Held { remaining } if remaining > TTL => {}
            other => {
                return Err(Broken::new(format!("a renewed lease is answered with {other:?}")));
            }
        }
        let free = self.lease(&*holder, &tenant, 2, LONG).await?;
        ensure(free.is_granted(), || "a lease of one term blocks another term".to_owned())?;
        let free = self.lease(&*holder, &other, 1, LONG).await?;
        ensure(free.is_granted(), || "a lease on one tenant blocks another tenant".to_owned())?;
        Ok(Done::Passed)
    }

    async fn lease(
        &self,
        store: &dyn Store,
        tenant: &TenantId,
        term: u64,
        ttl: Duration,
    ) -> Result<Lease, Broken> {
        Ok(self.limit("try_lease", store.try_lease(tenant, term, ttl)).await??)
    }
}
