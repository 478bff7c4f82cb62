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

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        if !self.completed {
            self.write_back.mark(self.tenant);
        }
    }
}

impl WriteBack {
    /// Removes the record of `tenant` from the store and here, provided that `record` contains
    /// both. Returns whether it did; if not, what the store has in addition is known here now.
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
        // A write in progress, or to come, could store the record after its removal.
        if let Some(stored) = self.stored(tenant)
            && !stored.in_time().await
        {
            return Err(late());
        }
        let mut removing = Removing { write_back: self, tenant, completed: false };
        if !self.remove(tenants, tenant, record).await? {
            return Ok(false);
        }
        removing.completed = true;
        // A write that began beside the removal, here or at another replica, may have stored the
        // record after it.
        self.read_again(tenant);
        if let Some(read) = self.stored(tenant) {
            // If it is late, the tenant is forgotten all the same, and read later.
            let _ = read.in_time().await;
        }
        let returned = tenants.registry().read(tenant, |own| own.contains(record));
        Ok(returned != Some(true))
    }

    /// Has the store read again, where it may have a record of `tenant` that was forgotten here, or
    /// lack a part of its new one: a write joins both, and that of a tenant without a record
    /// changes nothing.
    pub(super) fn read_again(&self, tenant: &TenantId) {
        self.mark(tenant);
    }

    async fn remove(
        &self,
        tenants: &Tenants,
        tenant: &TenantId,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let forgets = tenants.registry().forgets();
        let removal = async { self.store()?.remove(tenant, record).await };
        let removal = tokio::time::timeout(self.timeout, catch_store_panic(removal)).await;
        let left = removal.unwrap_or_else(|_| Ok(Err(late())))??;
        if left != Record::default() {
            tenants.apply(tenant, Update::Read { record: left, forgets });
            return Ok(false);
        }
        Ok(tenants.forget(tenant, record))
    }
}

fn late() -> StoreError {
    StoreError::unavailable("the store did not answer in time")
}
