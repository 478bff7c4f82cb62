//! The check of malformed records.

use super::{
    Conformance, records,
    report::{Broken, Done, ensure},
};
use crate::{status::Record, store::Store, tenant_id::TenantId};

impl Conformance {
    pub(super) async fn damaged(&self) -> Result<Done, Broken> {
        let Some(damage) = &self.damage else { return Ok(Done::Skipped) };
        // The first has the record in its caches, the second has never read it.
        let (writer, reader) = (self.open().await?, self.open().await?);
        let (tenant, other) = (records::tenant("damaged")?, records::tenant("intact")?);
        let (old, new) = (records::suspended(1), records::suspended(2));
        for tenant in [&tenant, &other] {
            self.merge(&*writer, tenant, &old).await?;
        }
        damage(tenant.clone()).await;

        let unreadable = Record::unreadable();
        self.expect(&*reader, (&tenant, &unreadable), (&other, &old)).await?;
        // A merge without facts reads it, and leaves it; so does a removal.
        for store in [&reader, &writer] {
            let answer = self.merge(&**store, &tenant, &Record::default()).await?;
            ensure(answer == unreadable, || {
                format!("{answer:?} is answered for a malformed record")
            })?;
            let left = self.limit("remove", store.remove(&tenant, &new)).await??;
            ensure(left == unreadable, || format!("{left:?} is left of a malformed record"))?;
        }
        self.expect(&*reader, (&tenant, &unreadable), (&other, &old)).await?;

        let answer = self.merge(&*writer, &tenant, &new).await?;
        ensure(answer == new, || format!("{answer:?} replaces a malformed record, not {new:?}"))?;
        for store in [reader, writer, self.open().await?] {
            self.expect(&*store, (&tenant, &new), (&other, &old)).await?;
            let answer = self.merge(&*store, &tenant, &new).await?;
            ensure(answer == new, || format!("{answer:?} is left of {new:?}"))?;
        }
        Ok(Done::Passed)
    }

    /// Fails unless a load yields both records.
    async fn expect(
        &self,
        store: &dyn Store,
        damaged: (&TenantId, &Record),
        intact: (&TenantId, &Record),
    ) -> Result<(), Broken> {
        let view = self.load(store).await?;
        for (tenant, record) in [damaged, intact] {
            let found = view.get(tenant);
            ensure(found == Some(record), || {
                format!("{found:?} is loaded for {tenant} where {record:?} is stored")
            })?;
        }
        Ok(())
    }
}
