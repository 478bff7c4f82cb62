//! The check of outages.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::{
    Conformance, records,
    report::{Broken, Done, ensure},
};
use crate::{
    status::Record,
    store::{Change, Store, StoreError},
    tenant_id::TenantId,
};

impl Conformance {
    pub(super) async fn outages(&self) -> Result<Done, Broken> {
        let Some(switch) = &self.switch else { return Ok(Done::Skipped) };
        let (here, there) = (self.open().await?, self.open().await?);
        let kept = records::tenant("kept")?;
        let late = records::tenant("late")?;
        self.merge(&*here, &kept, &records::suspended(1)).await?;
        let mut changes = here.changes();
        self.load(&*here).await?;

        switch(false).await;
        let down = self.calls_fail(&*here).await;
        // The store is made available before a failure returns, or the next check would fail too.
        switch(true).await;
        down?;

        self.recovers(&*here, &late, &records::suspended(2)).await?;
        self.recovers(&*there, &late, &records::suspended(3)).await?;
        let mut expected = records::suspended(1);
        let found = self.merge(&*here, &kept, &Record::default()).await?;
        ensure(found == expected, || format!("{found:?} came back where {expected:?} was stored"))?;

        expected.merge(&records::suspended(4));
        self.merge(&*there, &kept, &expected).await?;
        let mut view = records::View::default();
        while !(view.covers(&kept, &expected) && view.covers(&late, &records::suspended(3))) {
            match self.limit("a change after an outage", changes.next()).await? {
                Some(Change::Merged(tenant, record)) => view.join(tenant, &record),
                Some(Change::Removed(tenant, record)) => view.remove(&tenant, &record),
                Some(Change::Resync) => view = self.load(&*here).await?,
                Some(Change::Disconnected | Change::Resumed) => {}
                // No other writers: a load yields their changes.
                None => view = self.load(&*here).await?,
            }
        }
        Ok(Done::Passed)
    }

    async fn calls_fail(&self, store: &dyn Store) -> Result<(), Broken> {
        let tenant = records::tenant("down")?;
        for _ in 0..3 {
            let merged = self.limit("merge", store.merge(&tenant, &records::suspended(1))).await?;
            fails("merge", merged.map(|_| ()))?;
            let removed =
                self.limit("remove", store.remove(&tenant, &records::suspended(1))).await?;
            fails("remove", removed.map(|_| ()))?;
            let first = self.limit("load", store.load().next()).await?;
            fails("load", first.unwrap_or_else(|| Ok(Vec::new())).map(|_| ()))?;
            if self.leases {
                let leased =
                    self.limit("try_lease", store.try_lease(&tenant, 0, Duration::from_secs(1)));
                fails("try_lease", leased.await?.map(|_| ()))?;
            }
        }
        Ok(())
    }

    async fn recovers(
        &self,
        store: &dyn Store,
        tenant: &TenantId,
        record: &Record,
    ) -> Result<(), Broken> {
        let began = Instant::now();
        loop {
            match self.limit("merge", store.merge(tenant, record)).await? {
                Ok(answer) => {
                    return ensure(records::covers(&answer, record), || {
                        "the first merge after an outage lost its record".to_owned()
                    });
                }
                Err(down) if began.elapsed() > self.max_wait * 3 => return Err(down.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

fn fails(call: &str, result: Result<(), StoreError>) -> Result<(), Broken> {
    match result {
        Err(error) if error.is_unavailable() => Ok(()),
        Err(error) => Err(Broken::from(error)),
        Ok(()) => Err(Broken::new(format!("{call} succeeded while the store was down"))),
    }
}
