//! Leases: one holder for each tenant at a time.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    Conformance, records,
    report::{Broken, Done, ensure},
};

const TTL: Duration = Duration::from_millis(500);

impl Conformance {
    pub(super) async fn leases(&self) -> Result<Done, Broken> {
        if !self.leases {
            return Ok(Done::Skipped);
        }
        let stores = [self.open().await?, self.open().await?];
        let (tenant, other) = (records::tenant("lease")?, records::tenant("lease")?);

        let began = Instant::now();
        let requests = stores.iter().cycle().take(16).map(|store| store.try_lease(&tenant, TTL));
        let mut holders = 0;
        for answer in self.limit("try_lease", join_all(requests)).await? {
            holders += usize::from(answer?);
        }
        ensure(holders == 1, || format!("of 16 concurrent requests {holders} got the lease"))?;

        for store in stores.iter().cycle() {
            let granted = self.limit("try_lease", store.try_lease(&tenant, TTL)).await??;
            let passed = began.elapsed();
            // The store counts from a later moment.
            ensure(!granted || passed >= TTL, || {
                format!("a lease of {TTL:?} ended after {passed:?}")
            })?;
            if granted {
                break;
            }
            ensure(passed < TTL + self.max_wait, || format!("a lease of {TTL:?} never ended"))?;
            tokio::time::sleep(TTL / 50).await;
        }

        let [store, _] = stores;
        let granted =
            self.limit("try_lease", store.try_lease(&other, Duration::from_secs(3600))).await??;
        ensure(granted, || "a lease on one tenant blocks another tenant".to_owned())?;
        Ok(Done::Passed)
    }
}
