//! Writes changes to the store, and applies the changes of other replicas.
//!
//! A tenant whose current record may not be in the store is *dirty*. There is no log of changes:
//! records are merged, so writing the current one covers all changes, however long the store was
//! unavailable.

#[cfg(test)]
mod convergence_tests;
mod dirty;
mod end;
mod load;
mod removal;
#[cfg(test)]
mod removal_tests;
pub(crate) mod resync;
#[cfg(test)]
mod resync_tests;
#[cfg(test)]
mod tests;
mod trace;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};

use self::dirty::{Dirty, Failed, Waiter};
use crate::{
    clock::Clock,
    log,
    panics::{Panicked, catch_panic},
    status::Record,
    store::{Store, StoreError},
    tenant_id::TenantId,
    tenants::{Observer, Tenants, Update},
    timer::{Started, Timer},
};

/// Number of concurrent merges while the store is available: enough to fill a group commit.
const IN_FLIGHT: usize = 1024;

/// Number of dirty tenants that the log names.
const NAMED: usize = 20;

/// The dirty tenants, and their waiters.
pub(crate) struct WriteBack {
    /// `None` once it is freed.
    store: Mutex<Option<Arc<dyn Store>>>,
    clock: Clock,
    timeout: Duration,
    dirty: Mutex<Dirty>,
    /// Notified when a tenant became dirty.
    work: Notify,
    /// Notified when the store answered after an outage.
    back: Notify,
    /// Notified when no tenant is dirty any more, and when the store is freed.
    clean: Notify,
    /// Whether the store was ever loaded.
    loaded: watch::Sender<bool>,
    /// Number of loads that have begun.
    loads: AtomicU64,
    /// Measures merges.
    timer: Timer,
}

/// The health of the store, by its last answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreState {
    Fresh,
    /// The store does not answer.
    Stale {
        /// ms since the epoch.
        since: u64,
    },
    /// The store refuses something, which an operator has to fix.
    Failed,
}

impl WriteBack {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, timeout: Duration) -> Self {
        let [work, back, clean] = [(); 3].map(|()| Notify::new());
        let (store, dirty, loaded) =
            (Mutex::new(Some(store)), Mutex::default(), watch::Sender::new(false));
        let loads = AtomicU64::new(0);
        let timer = Timer::default();
        Self { store, clock, timeout, dirty, work, back, clean, loaded, loads, timer }
    }

    fn lock(&self) -> MutexGuard<'_, Dirty> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks `tenant` as dirty: its current record may not be in the store.
    fn mark(&self, tenant: &TenantId) {
        self.lock().mark(tenant);
        self.work.notify_one();
    }

    /// Marks tenants that the store lacks, after a loss of its data. Changes go first.
    fn mark_lacking(&self, tenants: &[TenantId]) {
        // A notification may wait for the lock.
        for some in tenants.chunks(1000) {
            let mut dirty = self.lock();
            some.iter().for_each(|tenant| dirty.mark_lacking(tenant));
        }
        self.work.notify_one();
    }

    /// Sets whether changes of other replicas wait to be applied.
    fn set_catching_up(&self, catching_up: bool) {
        self.lock().set_catching_up(catching_up);
        self.work.notify_one();
    }

    /// Clears the mark of `tenant`, because another replica has stored its current record.
    fn covered(&self, tenant: &TenantId) {
        let left = {
            let mut dirty = self.lock();
            dirty.covered(tenant);
            dirty.len()
        };
        if left == 0 {
            self.clean.notify_waiters();
        }
    }

    /// Returns a future that waits until the current record of `tenant` is in the store; `None`
    /// when it already is.
    ///
    /// The future resolves without success when the store refuses the record or times out, and at
    /// once when the gate shuts down; the tenant stays dirty then.
    pub(crate) fn stored(&self, tenant: &TenantId) -> Option<Stored> {
        let receiver = self.lock().wait(tenant)?;
        Some(Stored { receiver, timeout: self.timeout })
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn timer(&self) -> &Timer {
        &self.timer
    }

    /// Returns how often the whole store was loaded after the first time, failures included.
    #[cfg(feature = "metrics")]
    pub(crate) fn resyncs(&self) -> u64 {
        self.loads.load(Ordering::Acquire).saturating_sub(1)
    }

    pub(crate) fn dirty(&self) -> usize {
        self.lock().len()
    }

    /// Returns the ids of dirty tenants for a line of the log, sorted: any 20 of them when there
    /// are more.
    pub(crate) fn dirty_names(&self) -> String {
        let mut some: Vec<_> = self.lock().some(NAMED).cloned().collect();
        some.sort();
        some.iter().map(TenantId::as_str).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn health(&self) -> StoreState {
        self.lock().health()
    }

    /// Records that the store could not be loaded.
    pub(crate) fn load_failed(&self, error: &StoreError) {
        let (permanent, now) = (!error.is_unavailable(), self.clock.unix_ms());
        let began = self.lock().load_failed(permanent, now);
        if began {
            log::warn!(%error, "store load failed; retrying until it succeeds");
        }
    }

    /// Records that the subscription to the store's changes is lost.
    pub(crate) fn disconnected(&self) {
        let now = self.clock.unix_ms();
        self.lock().disconnected(now);
    }

    /// Records that the whole store was loaded. `subscribed` tells whether later changes of others
    /// are subscribed to.
    pub(crate) fn loaded(&self, subscribed: bool) {
        self.lock().loaded(subscribed);
        self.loaded.send_replace(true);
        self.answered();
    }

    /// Returns whether the store was loaded, now or before.
    pub(crate) fn is_loaded(&self) -> bool {
        *self.loaded.borrow()
    }

    /// Returns a future that ends with the next load from now on.
    pub(crate) fn next_load(&self) -> impl Future<Output = ()> + use<> {
        let mut loaded = self.loaded.subscribe();
        // An error says that the gate is gone, with whatever would wait for it.
        async move { _ = loaded.changed().await }
    }

    fn answered(&self) {
        let since = self.lock().answered();
        if let Some(since) = since {
            self.back.notify_one();
            let away_ms = self.clock.unix_ms().saturating_sub(since);
            log::info!(away_ms, "store available again");
        }
    }

    /// Writes dirty tenants, and applies what the store had in addition, while it is polled. The
    /// next run continues one that panicked.
    pub(crate) async fn run(self: Arc<Self>, tenants: Arc<Tenants>) {
        self.lock().requeue_interrupted();
        let mut writing = FuturesUnordered::new();
        loop {
            let pause = self.lock().pause(fastrand::f64());
            if let Some(pause) = pause
                && writing.is_empty()
            {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.back.notified() => {}
                }
            }
            // One tenant probes the store; the others wait for the result.
            let room = if pause.is_some() { 1 } else { IN_FLIGHT };
            let next_unpark = {
                let mut dirty = self.lock();
                dirty.unpark_due(Instant::now());
                while writing.len() < room {
                    let Some((tenant, waiting)) = dirty.begin() else { break };
                    writing.push(self.write(&tenants, tenant, waiting));
                }
                dirty.next_unpark()
            };
            tokio::select! {
                Some(written) = writing.next() => self.finish(written, &tenants),
                () = self.work.notified() => {}
                () = until(next_unpark) => {}
            }
        }
    }

    async fn write(&self, tenants: &Tenants, tenant: TenantId, waiting: Vec<Waiter>) -> Written {
        let (forgets, loads) = (tenants.registry().forgets(), self.loads.load(Ordering::Acquire));
        let record = tenants.registry().record(&tenant).unwrap_or_default();
        let span = trace::merge_span(|| self.store(), &tenant);
        let merge = async { self.store()?.merge(&tenant, &record).await };
        let started = Started::now();
        let merge = span.trace(tokio::time::timeout(self.timeout, catch_store_panic(merge))).await;
        self.timer.stop(started);
        let late = || StoreError::unavailable("the store did not answer in time");
        let result = merge.unwrap_or_else(|_| Ok(Err(late()))).unwrap_or_else(Err);
        if let Err(error) = &result {
            let kind = if error.is_unavailable() { "unavailable" } else { "refused" };
            span.record("error.type", kind);
        }
        Written { tenant, waiting, forgets, loads, result }
    }

    fn finish(&self, written: Written, tenants: &Tenants) {
        let Written { tenant, waiting, forgets, loads, result } = written;
        match result {
            Ok(record) => {
                let applied = tenants.apply(&tenant, Update::Read { record, forgets });
                let lost = loads != self.loads.load(Ordering::Acquire) && applied.changed();
                if applied.forgotten || lost {
                    // The tenant was forgotten in between, so that the store may have it or not; or
                    // the store may have lost it, and a load that has begun does not know of it.
                    self.read_again(&tenant);
                }
                let left = {
                    let mut dirty = self.lock();
                    dirty.finish(&tenant);
                    dirty.len()
                };
                if left == 0 {
                    self.clean.notify_waiters();
                }
                for waiter in waiting {
                    // Fails when the waiter has timed out and answered already.
                    let _ = waiter.send(());
                }
                self.answered();
            }
            Err(error) => {
                let now = self.clock.unix_ms();
                let failed = self.lock().fail((&tenant, waiting), &error, Instant::now(), now);
                match failed {
                    Failed::Out { began: true } => {
                        log::warn!(%error, "store unavailable; changes stay in memory until it is back");
                    }
                    Failed::Refused { began: true } => {
                        log::error!(%tenant, %error, "store refuses a tenant; its changes stay in memory");
                    }
                    Failed::Out { .. } | Failed::Refused { .. } => {}
                }
            }
        }
    }
}

impl Observer for WriteBack {
    fn mark_dirty(&self, tenant: &TenantId) {
        self.mark(tenant);
    }
}

struct Written {
    tenant: TenantId,
    waiting: Vec<Waiter>,
    /// Number of tenants that had been forgotten when it began.
    forgets: u64,
    /// Number of loads that had begun by then.
    loads: u64,
    result: Result<Record, StoreError>,
}

/// Calls into a store, which may be foreign code: a panic becomes an error.
async fn catch_store_panic<T>(call: impl Future<Output = T>) -> Result<T, StoreError> {
    catch_panic(call).await.map_err(|Panicked| {
        StoreError::misconfigured("the store panicked: report it to the authors of the store")
    })
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Waits for a record to be stored.
pub(crate) struct Stored {
    receiver: oneshot::Receiver<()>,
    timeout: Duration,
}

impl Stored {
    /// Returns whether the record was stored in time.
    pub(crate) async fn in_time(self) -> bool {
        matches!(tokio::time::timeout(self.timeout, self.receiver).await, Ok(Ok(())))
    }
}

impl fmt::Debug for WriteBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBack")
            .field("dirty", &self.dirty())
            .field("state", &self.health())
            .finish_non_exhaustive()
    }
}
