//! Where records outlive the process and meet those of other replicas.
//!
//! | store | feature | for |
//! |---|---|---|
//! | [`MemoryStore`] | | gates in one process, and tests |
#![cfg_attr(feature = "redb", doc = "| [`RedbStore`] | `redb` | one process, one file |")]
#![cfg_attr(feature = "redis", doc = "| [`RedisStore`] | `redis` | several replicas |")]
//!
//! Another engine is a [`Store`] of your own: the `conformance` suite (feature `test-util`) tells
//! whether it keeps the contract.

#[cfg(feature = "test-util")]
pub mod conformance;
mod error;
mod leases;
mod memory;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "redb", feature = "redis"))]
mod value;

use std::{sync::Arc, time::Duration};

use futures_core::{future::BoxFuture, stream::BoxStream};

#[cfg(all(feature = "redb", feature = "test-util"))]
pub use self::redb::Medium;
#[cfg(feature = "redb")]
pub use self::redb::RedbStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use self::{error::StoreError, memory::MemoryStore};
use crate::{status::Record, tenant_id::TenantId};

/// Keeps the records of tenants.
///
/// A store never decides which of two facts is the newer: it joins records with
/// [`Record::merge`] and nothing else. That makes the order, number and source of writes
/// meaningless, so a lost answer is simply tried again.
///
/// # The contract
///
/// - [`merge`](Store::merge) is atomic per tenant. When it answers `Ok`, the join is as durable as
///   the store can make it and every later `load` and `merge`, through whichever replica, sees it.
/// - A `merge` that failed or was dropped before it answered may or may not have taken place.
/// - Tenant ids that differ in case only are one tenant. The spelling that was stored first stays.
/// - **No gap:** call [`changes`](Store::changes), then [`load`](Store::load). Whatever another
///   writer stores after `changes` returned is in what `load` yields, or comes as
///   [`Change::Merged`], or is covered by a [`Change::Resync`].
/// - No call hangs for ever: one that can't be served fails after a few seconds at most. Whoever
///   calls sets tighter limits.
/// - Many merges may be under way at once, a thousand and more. A store that pays per write
///   batches them.
/// - Data of different [environments](crate::Environment) is kept apart.
///
/// # Writing one
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
///
/// use futures::{FutureExt, StreamExt, future::BoxFuture, stream::{self, BoxStream}};
/// use tower_superoffice::{status::Record, store::{Store, StoreError}, TenantId};
///
/// /// Keeps records as bytes, the way a database would.
/// #[derive(Default)]
/// struct Bytes(Mutex<HashMap<TenantId, Vec<u8>>>);
///
/// impl Bytes {
///     fn read(&self, tenant: &TenantId, bytes: &[u8]) -> Result<Record, StoreError> {
///         Record::decode(bytes).map_err(|error| StoreError::unreadable(&self.name(), tenant, error))
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
///         let page = all.iter().map(|(id, bytes)| Ok((id.clone(), self.read(id, bytes)?))).collect();
///         stream::iter([page]).boxed()
///     }
///
///     fn merge<'a>(&'a self, tenant: &'a TenantId, record: &'a Record) -> BoxFuture<'a, Result<Record, StoreError>> {
///         async move {
///             let mut all = self.0.lock().expect("no panic while locked");
///             let mut joined = match all.get(tenant) {
///                 Some(bytes) => self.read(tenant, bytes)?,
///                 None => Record::default(),
///             };
///             if joined.merge(record) {
///                 all.insert(tenant.clone(), joined.encode());
///             }
///             Ok(joined)
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
    /// What an operator calls this store, for logs and errors. It holds no secret.
    fn name(&self) -> String;

    /// All records, in pages: in no order, and a tenant may come twice, for joining is harmless.
    ///
    /// The pages are of the store's choosing, so that a million tenants need not lie in memory
    /// twice. The stream ends after its first error.
    ///
    /// # Errors
    ///
    /// When the store can't be read, or holds a record that can't be: leaving one out could open a
    /// tenant that is closed.
    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>>;

    /// Stores the join of what is there and `record`, and answers it.
    ///
    /// # Errors
    ///
    /// When the store can't be written, or what it holds of `tenant` can't be read; that is then
    /// left as it is.
    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>>;

    /// What other writers store from now on. Own writes may come along: joining them is harmless.
    ///
    /// The stream recovers from outages by itself, without an end. It may say that there is one with
    /// [`Change::Disconnected`]. It ends only when no other
    /// writer can ever be, which is the default, or when the store is gone.
    fn changes(&self) -> BoxStream<'static, Change> {
        Box::pin(futures_util::stream::empty())
    }

    /// Requests a lease on `tenant` for `ttl`: `true` for at most one caller among all replicas until
    /// `ttl` has passed by the store's clock.
    ///
    /// It is advisory: it spares SuperOffice one pull per replica. The default grants every request.
    ///
    /// # Errors
    ///
    /// When the store can't answer. The caller then proceeds as it would without a store.
    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let _ = (tenant, ttl);
        Box::pin(std::future::ready(Ok(true)))
    }
}

/// What another writer did to a store.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// It stored this record, the whole of what the store then knew, under this spelling of the id.
    Merged(TenantId, Record),
    /// Changes may have been lost: [`load`](Store::load) everything again.
    Resync,
    /// The subscription is lost: changes by other writers do not arrive until a
    /// [`Resync`](Change::Resync) follows.
    Disconnected,
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn name(&self) -> String {
        (**self).name()
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

    fn changes(&self) -> BoxStream<'static, Change> {
        (**self).changes()
    }

    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        (**self).try_lease(tenant, ttl)
    }
}
