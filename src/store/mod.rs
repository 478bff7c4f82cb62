//! Stores keep records across restarts, and share them between replicas.
//!
//! | store | feature | for |
//! |---|---|---|
//! | [`MemoryStore`] | | the gates of one process, and tests |
#![cfg_attr(feature = "redb", doc = "| [`RedbStore`] | `redb` | one process, one file |")]
#![cfg_attr(feature = "redis", doc = "| [`RedisStore`] | `redis` | several replicas |")]
#![cfg_attr(feature = "postgres", doc = "| [`PostgresStore`] | `postgres` | several replicas |")]
//!
//! For another database implement [`Store`]: the `conformance` suite (feature `test-util`) tells
//! whether it keeps the contract.

#[cfg(any(feature = "postgres", feature = "redis"))]
mod cache;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod change_stream;
#[cfg(feature = "test-util")]
pub mod conformance;
mod error;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod first_subscription;
mod leases;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod roots;
#[cfg(any(feature = "postgres", feature = "redb", feature = "redis"))]
mod value;
mod warning;

use std::{sync::Arc, time::Duration};

use futures_core::{future::BoxFuture, stream::BoxStream};

#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresStore, PostgresStoreBuilder};
#[cfg(all(feature = "redb", feature = "test-util"))]
pub use self::redb::Medium;
#[cfg(feature = "redb")]
pub use self::redb::RedbStore;
#[cfg(feature = "redis")]
pub use self::redis::{RedisStore, RedisStoreBuilder};
pub use self::{error::StoreError, leases::Lease, memory::MemoryStore, warning::StoreWarning};
use crate::{status::Record, tenant_id::TenantId};

/// Keeps the records of tenants.
///
/// A store never decides which of two facts is newer: it joins records with [`Record::merge`], and
/// compares them with [`Record::contains`]. So the order, number and source of merges make no
/// difference, and a write whose answer was lost is simply retried.
///
/// # The contract
///
/// - [`merge`](Store::merge) is atomic per tenant. When it returns `Ok`, the join is as durable as
///   the store can make it, and visible to every later `load` and `merge` of any replica.
/// - A `merge` that failed, or was dropped before it returned, may or may not have been stored.
/// - [`remove`](Store::remove) is atomic per tenant too, and as durable: it compares and removes in
///   one step, so that it never takes a fact along that another writer has just stored.
/// - Tenant ids that differ only in case are one tenant. The spelling that was stored first stays.
/// - **No gap:** call [`changes`](Store::changes), then [`load`](Store::load). A record that
///   another writer stores after `changes` returned is yielded by `load`, arrives as
///   [`Change::Merged`], or is covered by a [`Change::Resync`]; so is a removal, as
///   [`Change::Removed`]. So is a change during an interruption or while the reader lags. When
///   stored records are lost, a `Resync` follows too.
/// - No call hangs: one that can't be served fails within a few seconds. The gate sets tighter
///   limits where it needs them.
/// - A thousand merges and more may be in flight at once. A store with a cost per write batches
///   them.
/// - A stored record that is [malformed](crate::status::DecodeError::Malformed) is returned as
///   [`Record::unreadable`], by `load`, `merge` and `changes`. A `merge` without facts leaves it
///   unchanged. The first one with a fact replaces it, provided that it is still there, and should
///   keep the malformed bytes elsewhere, because they may be the only copy of something.
/// - Data of different [environments](crate::Environment) is kept apart.
///
/// # Implementing a store
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
///
/// use futures::{FutureExt, StreamExt, future::BoxFuture, stream::{self, BoxStream}};
/// use tower_superoffice::{status::{DecodeError, Record}, store::{Store, StoreError}, TenantId};
///
/// /// Keeps records as bytes, as a database would.
/// #[derive(Default)]
/// struct Bytes(Mutex<HashMap<TenantId, Vec<u8>>>);
///
/// impl Bytes {
///     fn decode(&self, tenant: &TenantId, bytes: &[u8]) -> Result<Record, StoreError> {
///         match Record::decode(bytes) {
///             // One damaged record must neither stop a start nor open its tenant.
///             Err(DecodeError::Malformed { .. }) => Ok(Record::unreadable()),
///             decoded => decoded.map_err(|error| StoreError::unreadable(&self.name(), tenant, error)),
///         }
///     }
/// }
///
/// impl Store for Bytes {
///     fn name(&self) -> String {
///         "bytes".to_owned()
///     }
///
///     fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
///         let all = self.0.lock().expect("no panic while locked");
///         let page = all.iter().map(|(id, bytes)| Ok((id.clone(), self.decode(id, bytes)?))).collect();
///         stream::iter([page]).boxed()
///     }
///
///     fn merge<'a>(&'a self, tenant: &'a TenantId, record: &'a Record) -> BoxFuture<'a, Result<Record, StoreError>> {
///         async move {
///             let mut all = self.0.lock().expect("no panic while locked");
///             let mut joined = match all.get(tenant) {
///                 Some(bytes) => self.decode(tenant, bytes)?,
///                 None => Record::default(),
///             };
///             if joined.merge(record) {
///                 all.insert(tenant.clone(), joined.encode());
///             }
///             Ok(joined)
///         }
///         .boxed()
///     }
///
///     fn remove<'a>(&'a self, tenant: &'a TenantId, record: &'a Record) -> BoxFuture<'a, Result<Record, StoreError>> {
///         async move {
///             let mut all = self.0.lock().expect("no panic while locked");
///             let Some(bytes) = all.get(tenant) else { return Ok(Record::default()) };
///             let stored = self.decode(tenant, bytes)?;
///             if !record.contains(&stored) {
///                 return Ok(stored);
///             }
///             all.remove(tenant);
///             Ok(Record::default())
///         }
///         .boxed()
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Bytes::default();
/// let tenant = TenantId::new("Cust12345")?;
/// let merged = store.merge(&tenant, &Record::default()).now_or_never();
/// assert_eq!(merged.ok_or("it waits for nothing")??, Record::default());
#[cfg_attr(
    feature = "test-util",
    doc = r#"
// With the feature `test-util`, in its tests:
use std::sync::Arc;
use tower_superoffice::store::conformance::Conformance;

let store = Arc::new(store);
let suite = Conformance::new(move || std::future::ready(Ok(store.clone())));
let suite = suite.without_leases().tenants(100);
tokio::runtime::Runtime::new()?.block_on(suite.run())?;"#
)]
/// # Ok(())
/// # }
/// ```
pub trait Store: Send + Sync + 'static {
    /// Returns the name of this store for logs and errors. It contains no secret.
    fn name(&self) -> String;

    /// Returns the [name](crate::Environment::name) of the environment whose records it keeps;
    /// `None`, the default, when it does not know. A gate refuses the store of another environment.
    fn environment(&self) -> Option<&str> {
        None
    }

    /// Returns what is wrong with the configuration of this store at present, for
    /// [`Health::store_warnings`](crate::health::Health::store_warnings). It answers at once.
    fn warnings(&self) -> Vec<StoreWarning> {
        Vec::new()
    }

    /// Streams all records in pages, in any order. A tenant may be repeated, as merging is
    /// idempotent.
    ///
    /// The store chooses the size of its pages, so that a million tenants need not be in memory
    /// twice. The stream ends after its first error.
    ///
    /// # Errors
    ///
    /// When the store can't be read, or a newer version of this crate wrote one of its records:
    /// skipping a record could open a closed tenant.
    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>>;

    /// Merges `record` into the stored one, and returns the result.
    ///
    /// # Errors
    ///
    /// When the store can't be written, or a newer version of this crate wrote the stored record of
    /// `tenant`. The stored record is then left unchanged.
    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>>;

    /// Removes the stored record of `tenant`, provided that `record` [contains](Record::contains)
    /// it, and returns what is stored then: an empty record when it was removed or there was none,
    /// else the stored one, which has something newer or is unreadable.
    ///
    /// It is for what [`TenantGate::forget`](crate::TenantGate::forget) forgets. Other writers
    /// receive the removal with `record`, as [`Change::Removed`]. The default refuses every
    /// removal.
    ///
    /// # Errors
    ///
    /// As for [`merge`](Store::merge). The stored record may then be there or not.
    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        let _ = (tenant, record);
        let message =
            format!("{} can't remove records: implement Store::remove for it", self.name());
        Box::pin(std::future::ready(Err(StoreError::misconfigured(message))))
    }

    /// Streams what other writers store from now on. Own writes may be included, as merging is
    /// idempotent.
    ///
    /// The stream reconnects by itself after an outage, which it may report as
    /// [`Change::Disconnected`]. A store with a log of changes goes on where the stream was, so
    /// that nothing has to be loaded: [`Change::Resumed`]. A reader that is too slow loses nothing
    /// either: it gets the changes late, or a [`Change::Resync`].
    ///
    /// The stream ends only when there can be no other writer, which is the default, or when the
    /// store is dropped.
    fn changes(&self) -> BoxStream<'static, Change> {
        Box::pin(futures_util::stream::empty())
    }

    /// Requests a lease on `tenant` for `ttl`: granted to at most one replica until `ttl` has
    /// passed by the store's clock. The replica that holds it is never refused, and sets its end
    /// again.
    ///
    /// Replicas are distinguished by their handles on the store: each opens its own. A `term`
    /// stands for what is known of the tenant. Leases of different terms do not exclude each other,
    /// so that one from before a notification holds nothing up that follows from it.
    ///
    /// It is advisory: it spares SuperOffice one pull per replica. The default grants every
    /// request, which is right for a store that only one process can use.
    ///
    /// # Errors
    ///
    /// When the store can't answer. The caller then proceeds as it would without a store.
    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        term: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let _ = (tenant, term, ttl);
        Box::pin(std::future::ready(Ok(Lease::Granted)))
    }
}

/// A change that another writer made to a store.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// It stored this record: the whole stored record, under this spelling of the id.
    Merged(TenantId, Record),
    /// It removed the record of this tenant, of which this record had all: a replica whose own
    /// record has something newer keeps it.
    Removed(TenantId, Record),
    /// Changes may have been lost, or stored records: [`load`](Store::load) everything again.
    Resync,
    /// The subscription is lost: changes by other writers do not arrive until a
    /// [`Resumed`](Change::Resumed) or a [`Resync`](Change::Resync) follows.
    Disconnected,
    /// The subscription is back, and no change was lost: those since the
    /// [`Disconnected`](Change::Disconnected) have arrived.
    Resumed,
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn environment(&self) -> Option<&str> {
        (**self).environment()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        (**self).warnings()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        (**self).load()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        (**self).merge(tenant, record)
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        (**self).remove(tenant, record)
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        (**self).changes()
    }

    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        term: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        (**self).try_lease(tenant, term, ttl)
    }
}
