//! The check of removals.

use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::future::{try_join, try_join_all};

use super::{
    Conformance, records,
    report::{Broken, Done, ensure},
    writers,
};
use crate::{
    status::Record,
    store::{Change, Store},
    tenant_id::TenantId,
};

/// Number of tenants that are removed while another writer stores something newer.
const CONTENDED: usize = 64;

impl Conformance {
    pub(super) async fn removal(&self) -> Result<Done, Broken> {
        let (here, there) = (self.open().await?, self.open().await?);
        let mut changes = here.changes();
        let follows = !writers::ended(&mut changes).await;
        let tenant = records::tenant("removed")?;
        let (older, newer) = (records::suspended(1), records::with_newer_fields(2));
        self.merge(&*here, &tenant, &newer).await?;
        let view = self.load(&*here).await?;
        ensure(view.covers(&tenant, &newer), || format!("a load lacks {tenant}"))?;

        let left = self.remove(&*there, &tenant, &older).await?;
        ensure(left == newer, || format!("{left:?} is left where {newer:?} is newer"))?;
        let found = self.merge(&*here, &tenant, &Record::default()).await?;
        ensure(found == newer, || format!("{found:?} is stored where {newer:?} was newer"))?;

        // Again: the answer to the first may have been lost.
        for _ in 0..2 {
            let left = self.remove(&*there, &tenant, &newer).await?;
            ensure(left == Record::default(), || format!("{left:?} is left of what is removed"))?;
        }
        if follows {
            self.announced(&*here, &mut changes, view, (&tenant, &newer)).await?;
        }
        for store in [&here, &there] {
            let found = self.merge(&**store, &tenant, &Record::default()).await?;
            ensure(found == Record::default(), || format!("a merge finds {found:?} again"))?;
            let found = self.load(&**store).await?;
            ensure(found.get(&tenant).is_none(), || format!("a load yields {tenant} again"))?;
        }

        // What comes next is a new record.
        self.merge(&*here, &tenant, &older).await?;
        for store in [&here, &there] {
            let found = self.merge(&**store, &tenant, &Record::default()).await?;
            ensure(found == older, || format!("{found:?} is stored where {older:?} is new"))?;
        }
        self.contended(&here, &there).await?;
        Ok(Done::Passed)
    }

    /// Follows `changes` until `removed` has gone from `view`.
    async fn announced(
        &self,
        reader: &dyn Store,
        changes: &mut BoxStream<'static, Change>,
        mut view: records::View,
        (removed, record): (&TenantId, &Record),
    ) -> Result<(), Broken> {
        while view.get(removed).is_some() {
            match self.next(changes, "the removal by another writer").await? {
                Change::Merged(tenant, record) => view.join(tenant, &record),
                Change::Removed(tenant, forgotten) => {
                    ensure(tenant != *removed || forgotten.contains(record), || {
                        format!("the removal of {record:?} is announced as one of {forgotten:?}")
                    })?;
                    view.remove(&tenant, &forgotten);
                }
                Change::Resync => view = self.load(reader).await?,
                Change::Disconnected | Change::Resumed => {}
            }
        }
        Ok(())
    }

    /// Checks that what is stored during the removal of its tenant stays, as it is newer.
    async fn contended(&self, here: &Arc<dyn Store>, there: &Arc<dyn Store>) -> Result<(), Broken> {
        let tenants: Result<Vec<_>, _> =
            (0..CONTENDED).map(|n| records::tenant(&format!("contended{n}"))).collect();
        let (tenants, older, newer) = (tenants?, records::suspended(1), records::suspended(2));
        let stores = tenants.iter().map(|tenant| here.merge(tenant, &older));
        self.limit("many merges", try_join_all(stores)).await??;
        let both = tenants.iter().map(|tenant| async {
            try_join(there.remove(tenant, &older), here.merge(tenant, &newer)).await
        });
        self.limit("removals beside merges", try_join_all(both)).await??;
        for tenant in &tenants {
            let found = self.merge(&**here, tenant, &Record::default()).await?;
            ensure(found == newer, || {
                format!("{found:?} is left where {newer:?} was stored during the removal")
            })?;
        }
        Ok(())
    }

    async fn remove(
        &self,
        store: &dyn Store,
        tenant: &TenantId,
        record: &Record,
    ) -> Result<Record, Broken> {
        Ok(self.limit("remove", store.remove(tenant, record)).await??)
    }
}
