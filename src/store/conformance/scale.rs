//! The check with many tenants.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::{
    Conformance, records,
    report::{Broken, Done, Times, ensure},
};
use crate::tenant_id::TenantId;

impl Conformance {
    pub(super) async fn scale(&self, times: &mut Times) -> Result<Done, Broken> {
        let store = self.open().await?;
        let run = records::tenant("x")?;
        let ids = (0..self.tenants).map(|n| TenantId::new(format!("{run}-{n}")));
        let ids: Result<Vec<_>, _> = ids.collect();
        let ids = Arc::new(ids.map_err(|error| Broken::new(error.to_string()))?);

        let began = Instant::now();
        stream::iter(ids.iter().zip(1_700_000_000..))
            .map(|(tenant, at)| {
                let store = store.clone();
                async move { self.merge(&*store, tenant, &records::suspended(at)).await.map(drop) }
            })
            .buffer_unordered(256)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await?;
        times.merges = began.elapsed();

        let began = Instant::now();
        let loaded = self.load(&*store).await?;
        times.load = began.elapsed();
        times.tenants = ids.len();
        for (tenant, at) in ids.iter().zip(1_700_000_000..) {
            ensure(loaded.get(tenant) == Some(&records::suspended(at)), || {
                format!(
                    "{:?} was loaded of {tenant}, which was suspended at {at}",
                    loaded.get(tenant)
                )
            })?;
        }
        Ok(Done::Passed)
    }
}
