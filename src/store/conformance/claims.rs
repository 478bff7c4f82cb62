//! One looks after a tenant at a time.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    Conformance, records,
    report::{Broken, Done, ensure},
};

const TTL: Duration = Duration::from_millis(500);

impl Conformance {
    pub(super) async fn claims(&self) -> Result<Done, Broken> {
        if !self.claims {
            return Ok(Done::LeftOut);
        }
        let stores = [self.open().await?, self.open().await?];
        let (tenant, other) = (records::tenant("claim")?, records::tenant("claim")?);

        let began = Instant::now();
        let asked = stores.iter().cycle().take(16).map(|store| store.claim(&tenant, TTL));
        let mut holders = 0;
        for answer in self.limit("claim", join_all(asked)).await? {
            holders += usize::from(answer?);
        }
        ensure(holders == 1, || format!("of 16 who claimed at once {holders} hold the claim"))?;

        for store in stores.iter().cycle() {
            let granted = self.limit("claim", store.claim(&tenant, TTL)).await??;
            let passed = began.elapsed();
            // The store's clock began to count after ours.
            ensure(!granted || passed >= TTL, || {
                format!("a claim of {TTL:?} ended after {passed:?}")
            })?;
            if granted {
                break;
            }
            ensure(passed < TTL + self.patience, || format!("a claim of {TTL:?} never ended"))?;
            tokio::time::sleep(TTL / 50).await;
        }

        let [store, _] = stores;
        let granted = self.limit("claim", store.claim(&other, Duration::from_secs(3600))).await??;
        ensure(granted, || "a claim on one tenant stands in the way of another".to_owned())?;
        Ok(Done::Passed)
    }
}
