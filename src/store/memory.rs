//! A store in memory, shared by the gates of one process.

use std::{
    collections::{HashMap, hash_map},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Change, Lease, Store, StoreError, leases::Leases};
use crate::{status::Record, tenant_id::TenantId};

/// Number of changes by which a subscriber may lag before it gets a resync.
const CHANGES_KEPT: usize = 4096;

/// Maximum number of tenants in a page of `load`.
const PAGE: usize = 1024;

/// Keeps records in memory, for the lifetime of the process.
///
/// Clones share the records, and each is a writer of its own: [`changes`](Store::changes) of one
/// yields what the others stored. So several gates of one process can share their records, and
/// tests can simulate replicas. A single gate needs no store at all.
///
/// ```
/// use tower_superoffice::{status::Record, store::{MemoryStore, Store}, TenantId};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let store = MemoryStore::new();
/// let clone = store.clone();
///
/// let tenant = TenantId::new("Cust12345")?;
/// let suspend = Record::decode(br#"{"v":"1.0","suspend":{"at":1700000000,"seen":1700000001000,"version":"","file":""}}"#)?;
/// store.merge(&tenant, &suspend).await?;
/// assert_eq!(clone.merge(&tenant, &Record::default()).await?, suspend);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryStore {
    shared: Arc<Shared>,
    /// Distinguishes this clone's writes from those of others.
    writer: u64,
}

struct Shared {
    state: Mutex<State>,
    writers: AtomicU64,
}

struct State {
    records: HashMap<TenantId, Record>,
    leases: Leases,
    available: bool,
    /// Created for the first subscriber, because its buffer is large.
    changes: Option<broadcast::Sender<(u64, Change)>>,
}

/// The writer of a change that every subscriber receives.
#[cfg(feature = "test-util")]
const NO_WRITER: u64 = u64::MAX;

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            records: HashMap::new(),
            leases: Leases::default(),
            available: true,
            changes: None,
        };
        Self {
            shared: Arc::new(Shared { state: Mutex::new(state), writers: AtomicU64::new(1) }),
            writer: 0,
        }
    }

    /// Simulates the start (`false`) or the end (`true`) of an outage, for all clones.
    ///
    /// During the outage every call fails with an error that
    /// [`is_unavailable`](StoreError::is_unavailable). `changes` yields [`Change::Disconnected`] at
    /// its start and [`Change::Resync`] at its end.
    #[cfg(feature = "test-util")]
    pub fn set_available(&self, available: bool) {
        let mut state = self.lock();
        if available != state.available {
            state.publish(
                NO_WRITER,
                || if available { Change::Resync } else { Change::Disconnected },
            );
        }
        state.available = available;
    }

    /// Removes everything, to simulate a server that restarts without its data.
    #[cfg(feature = "test-util")]
    pub fn clear(&self) {
        let mut state = self.lock();
        state.records.clear();
        state.leases = Leases::default();
        state.publish(NO_WRITER, || Change::Resync);
    }

    /// Makes the stored record of `tenant` malformed, as a damaged disk or another program would.
    #[cfg(feature = "test-util")]
    pub fn damage(&self, tenant: &TenantId) {
        let mut state = self.lock();
        state.records.insert(tenant.clone(), Record::unreadable());
        state.publish(NO_WRITER, || Change::Merged(tenant.clone(), Record::unreadable()));
    }

    /// Returns the number of stored tenants.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// Returns whether no tenant is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_available(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.lock();
        if state.available {
            Ok(state)
        } else {
            Err(StoreError::unavailable(
                "the memory store is unavailable: call set_available(true)",
            ))
        }
    }

    fn merge_now(&self, tenant: &TenantId, record: &Record) -> Result<Record, StoreError> {
        let mut state = self.lock_available()?;
        let (spelling, joined, changed) = match state.records.entry(tenant.clone()) {
            hash_map::Entry::Occupied(mut stored) => {
                let changed = stored.get_mut().merge(record);
                (stored.key().clone(), stored.get().clone(), changed)
            }
            hash_map::Entry::Vacant(_) if record.is_empty() => return Ok(Record::default()),
            hash_map::Entry::Vacant(place) => {
                (tenant.clone(), place.insert(record.clone()).clone(), true)
            }
        };
        if changed {
            state.publish(self.writer, || Change::Merged(spelling, joined.clone()));
        }
        Ok(joined)
    }

    fn remove_now(&self, tenant: &TenantId, record: &Record) -> Result<Record, StoreError> {
        let mut state = self.lock_available()?;
        let hash_map::Entry::Occupied(stored) = state.records.entry(tenant.clone()) else {
            return Ok(Record::default());
        };
        if !record.contains(stored.get()) {
            return Ok(stored.get().clone());
        }
        let (spelling, _) = stored.remove_entry();
        state.publish(self.writer, || Change::Removed(spelling, record.clone()));
        Ok(Record::default())
    }

    fn page(&self, tenants: &[TenantId]) -> Result<Vec<(TenantId, Record)>, StoreError> {
        let state = self.lock_available()?;
        let found = tenants.iter().filter_map(|tenant| {
            state.records.get_key_value(tenant).map(|(id, record)| (id.clone(), record.clone()))
        });
        Ok(found.collect())
    }
}

impl State {
    fn publish(&self, writer: u64, change: impl FnOnce() -> Change) {
        if let Some(changes) = self.changes.as_ref().filter(|all| all.receiver_count() > 0) {
            // Fails when the last subscriber has just been dropped.
            let _ = changes.send((writer, change()));
        }
    }
}

impl Store for MemoryStore {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        let tenants: Vec<TenantId> = match self.lock_available() {
            Ok(state) => state.records.keys().cloned().collect(),
            Err(down) => return stream::iter([Err(down)]).boxed(),
        };
        let mut from = 0;
        let mut failed = false;
        stream::poll_fn(move |_| {
            let rest = tenants.get(from..).filter(|rest| !rest.is_empty() && !failed);
            std::task::Poll::Ready(rest.map(|rest| {
                let page = rest.get(..PAGE).unwrap_or(rest);
                from += page.len();
                let page = self.page(page);
                failed = page.is_err();
                page
            }))
        })
        .boxed()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        Box::pin(async move { self.merge_now(tenant, record) })
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        Box::pin(async move { self.remove_now(tenant, record) })
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let own = self.writer;
        let mut state = self.lock();
        let changes = state.changes.get_or_insert_with(|| broadcast::Sender::new(CHANGES_KEPT));
        let receiver = changes.subscribe();
        stream::unfold(receiver, move |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok((writer, _)) if writer == own => {}
                    Ok((_, change)) => return Some((change, receiver)),
                    Err(RecvError::Lagged(_)) => return Some((Change::Resync, receiver)),
                    Err(RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }

    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        term: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            Ok(self.lock_available()?.leases.try_lease(self.writer, tenant, term, ttl))
        })
    }
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        let writer = self.shared.writers.fetch_add(1, Ordering::Relaxed);
        Self { shared: self.shared.clone(), writer }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("tenants", &self.len()).finish_non_exhaustive()
    }
}
