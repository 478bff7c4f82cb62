//! The removal of a record.

use super::{MIN_ENTRIES, Put, StoreClient, connection::Request, digest::cached};
use crate::{
    status::Record,
    store::{StoreError, value},
    tenant_id::TenantId,
};

impl StoreClient {
    /// Removes the record of `tenant` if `given` contains it, and returns the one that stays.
    pub(super) async fn remove(
        &self,
        tenant: &TenantId,
        given: &Record,
    ) -> Result<Record, StoreError> {
        let key = value::key(tenant);
        let _turn = self.turns.take(&key).await;
        // Reads the stored value, which a cached one may not be.
        let mut there = match self.put(&key, None, None, false).await? {
            Put::Done => None,
            Put::Other(value) => value,
        };
        while let Some(value) = there {
            let (spelling, record) = value::decode(&self.endpoint.name, tenant, &value)?;
            let seen = cached(record, &value);
            if !given.contains(&seen.record) {
                let stored = seen.record.clone();
                self.cache().put(spelling, seen);
                return Ok(stored);
            }
            let forgotten = value::encode(&spelling, given);
            there = match self.take_out(&key, &seen.mark.hex(), &forgotten).await? {
                Put::Done => None,
                Put::Other(value) => value,
            };
        }
        self.cache().remove(tenant);
        Ok(Record::default())
    }

    /// Removes the stored value, provided that it has this `digest`, and announces the removal with
    /// the record in the value `forgotten`.
    async fn take_out(&self, key: &str, digest: &str, forgotten: &[u8]) -> Result<Put, StoreError> {
        let mut call = self.remove_script.key(&self.names.tenants);
        call.key(&self.names.changes);
        call.arg(key).arg(digest).arg(forgotten).arg(&self.writer).arg(MIN_ENTRIES);
        self.outcome(self.link.send(Request::Write(&call)).await?)
    }
}
