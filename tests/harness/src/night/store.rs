//! The store of a simulated night: one in memory, whose replicas are counted.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream::BoxStream,
};
use tokio::time::sleep;
use tower_superoffice::{
    TenantId,
    status::Record,
    store::{Change, Lease, MemoryStore, Store, StoreError},
};

use crate::Wrap;

/// Requests of all replicas together to the store.
#[derive(Debug, Default)]
pub(super) struct StoreCounts {
    pub(super) merges: AtomicU64,
    pub(super) leases: AtomicU64,
    /// The changes of others that each replica received.
    pub(super) changes: Mutex<Vec<u64>>,
    /// Times that a replica had to load everything.
    pub(super) resyncs: AtomicU64,
}

/// The handle of one replica.
#[derive(Debug)]
pub(super) struct CountedStore {
    inner: MemoryStore,
    replica: usize,
    /// How long a request for a lease takes; `None` to grant all.
    latency: Option<Duration>,
    counts: Arc<StoreCounts>,
}

impl CountedStore {
    pub(super) fn new(
        inner: MemoryStore,
        replica: usize,
        latency: Option<Duration>,
        counts: Arc<StoreCounts>,
    ) -> Self {
        counts.changes.lock().unwrap().push(0);
        Self { inner, replica, latency, counts }
    }
}

impl Wrap for CountedStore {
    type Inner = MemoryStore;

    fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        self.counts.merges.fetch_add(1, Ordering::Relaxed);
        self.inner.merge(tenant, record)
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let (counts, replica) = (Arc::clone(&self.counts), self.replica);
        let count = move |change: &Change| {
            if *change == Change::Resync {
                counts.resyncs.fetch_add(1, Ordering::Relaxed);
            } else {
                counts.changes.lock().unwrap()[replica] += 1;
            }
        };
        self.inner.changes().inspect(count).boxed()
    }

    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        term: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.counts.leases.fetch_add(1, Ordering::Relaxed);
        let Some(latency) = self.latency else { return ready(Ok(Lease::Granted)).boxed() };
        async move {
            sleep(latency).await;
            self.inner.try_lease(tenant, term, ttl).await
        }
        .boxed()
    }
}
