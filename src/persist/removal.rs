//! Forgetting a tenant: its record is removed from the store, and then here.

use super::{WriteBack, catch_store_panic};
use crate::{
    status::Record,
    store::StoreError,
    tenant_id::TenantId,
    tenants::{Tenants, Update},
};

/// A removal in progress. Until it is completed, the record may be in the store or not, and what is
/// known here belongs there: the tenant is marked then.
struct Removing<'a> {
    write_back: &'a WriteBack,
    tenant: &'a TenantId,
    completed: bool,
}

impl<'a> Removing<'a> {
    fn begin(write_back: &'a WriteBack, tenant: &'a TenantId) -> Self {
        write_back.lock().begin_removal(tenant);
        Self { write_back, tenant, completed: false }
    }
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        self.write_back.lock().end_removal(self.tenant);
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
        // Nothing changes when it is freed.
        self.store()?;
        let mut removing = Removing::begin(self, tenant);
        loop {
            // A write in progress could store the record after its removal.
            if let Some(written) = self.written(tenant)
                && !written.in_time().await
            {
                return Err(late());
            }
            let writes = self.lock().writes_beside_removal(tenant);
            removing.completed = false;
            if !self.remove(tenants, tenant, record).await? {
                return Ok(false);
            }
            removing.completed = true;
            // One that began during the removal, because the store was loaded again, may have stored
            // the record after it. One that begins now finds no record here.
            if self.lock().writes_beside_removal(tenant) == writes {
                return Ok(true);
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
