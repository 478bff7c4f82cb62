//! Forgetting a tenant: its record is removed from the store, and then here.

use super::{WriteBack, catch_store_panic};
use crate::{
    status::Record,
    store::StoreError,
    tenant_id::TenantId,
    tenants::{Tenants, Update},
};

/// Marks a tenant whose removal was not completed: its record may be in the store or not, and what
/// is known here belongs there.
struct Incomplete<'a> {
    write_back: &'a WriteBack,
    tenant: &'a TenantId,
    completed: bool,
}

impl Drop for Incomplete<'_> {
    fn drop(&mut self) {
        if !self.completed {
            self.write_back.mark(self.tenant);
        }
    }
}

impl WriteBack {
    /// Removes the record of `tenant` from the store and here, provided that `record` contains both.
    /// Returns whether it did; if not, what the store has in addition is known here now.
    ///
    /// # Errors
    ///
    /// When the store fails or times out. The record stays here, and is stored again.
    pub(crate) async fn forget(
        &self,
        tenants: &Tenants,
        tenant: &TenantId,
        record: &Record,
    ) -> Result<bool, StoreError> {
        // A write in progress could store the record after its removal.
        if let Some(stored) = self.stored(tenant)
            && !stored.in_time().await
        {
            return Err(StoreError::unavailable(
                "the tenant could not be stored before its removal",
            ));
        }
        loop {
            let mut removal = Incomplete { write_back: self, tenant, completed: false };
            if !self.remove(tenants, tenant, record).await? {
                return Ok(false);
            }
            removal.completed = true;
            let Some(written) = self.written(tenant) else { return Ok(true) };
            // It began during the removal, because the store was loaded again, and may have stored
            // the record after it.
            if !written.in_time().await {
                return Err(late());
            }
        }
    }

    async fn remove(
        &self,
        tenants: &Tenants,
        tenant: &TenantId,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let sent = tenants.registry().elapsed();
        let removal = async { self.store()?.remove(tenant, record).await };
        let removal = tokio::time::timeout(self.timeout, catch_store_panic(removal)).await;
        let left = removal.unwrap_or_else(|_| Ok(Err(late())))??;
        if left != Record::default() {
            tenants.apply(tenant, Update::Read { record: left, sent });
            return Ok(false);
        }
        Ok(tenants.forget(tenant, record))
    }
}

fn late() -> StoreError {
    StoreError::unavailable("the store did not answer in time")
}
