//! Carries what changed to the store, and what others stored back.
//!
//! A tenant whose present record may not be in the store is *dirty*. There is no log of changes: a
//! record joins, so writing the present one once stands for all that led to it, however long the
//! store was away.

mod dirty;
pub(crate) mod resync;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use self::dirty::{Dirty, Failed, Waiter};
use crate::{
    backoff,
    clock::Clock,
    log,
    panics::{Panicked, catch_panic},
    status::Record,
    store::{Store, StoreError},
    tenant_id::TenantId,
    tenants::{Observer, Tenants, Update},
};

/// How many merges are under way at once while the store answers: enough for a store that commits
/// in groups to fill one.
const IN_FLIGHT: usize = 1024;

/// The dirty tenants, and those who wait for one to be clean.
pub(crate) struct WriteBack {
    store: Arc<dyn Store>,
    clock: Clock,
    timeout: Duration,
    dirty: Mutex<Dirty>,
    /// A tenant became dirty.
    work: Notify,
    /// The store answered after an outage.
    back: Notify,
}

/// How the store is doing, by what was last heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreState {
    Fresh,
    /// It does not answer.
    Stale {
        /// ms since the epoch.
        since: u64,
    },
    /// It refuses something, and somebody has to mend that.
    Failed,
}

impl WriteBack {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, timeout: Duration) -> Self {
        let (work, back) = (Notify::new(), Notify::new());
        Self { store, clock, timeout, dirty: Mutex::default(), work, back }
    }

    fn lock(&self) -> MutexGuard<'_, Dirty> {
        // Nothing is left half done while the lock is held.
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the present record of `tenant` may not be in the store.
    fn mark(&self, tenant: &TenantId) {
        self.lock().mark(tenant);
        self.work.notify_one();
    }

    /// Waits until what is now known of `tenant` is in the store; at once when it already is.
    ///
    /// The returned future ends without success when the store refuses it or doesn't take it in
    /// time; the tenant stays dirty then.
    pub(crate) fn stored(&self, tenant: &TenantId) -> Option<Stored> {
        let receiver = self.lock().wait(tenant)?;
        Some(Stored { receiver, timeout: self.timeout })
    }

    pub(crate) fn dirty(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn health(&self) -> StoreState {
        self.lock().health()
    }

    /// Notes that the store could not be read.
    pub(crate) fn load_failed(&self, error: &StoreError) {
        let (permanent, now) = (!error.is_unavailable(), self.clock.unix_ms());
        let began = self.lock().load_failed(permanent, now);
        if began {
            log::warn!(%error, "store load failed; retrying until it succeeds");
        }
    }

    /// Notes that the changes of the store are not subscribed to.
    pub(crate) fn disconnected(&self) {
        let now = self.clock.unix_ms();
        self.lock().disconnected(now);
    }

    /// Notes that the whole store was read. `subscribed` says whether what others store from now on
    /// comes as changes.
    pub(crate) fn loaded(&self, subscribed: bool) {
        self.lock().loaded(subscribed);
        self.answered();
    }

    fn answered(&self) {
        let since = self.lock().answered();
        if let Some(since) = since {
            self.back.notify_one();
            let away_ms = self.clock.unix_ms().saturating_sub(since);
            log::info!(away_ms, "store available again");
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Writes dirty tenants, and takes in what the store had, for as long as it is polled. A run that
    /// broke off is taken up by the next.
    pub(crate) async fn run(self: Arc<Self>, tenants: Arc<Tenants>) {
        self.lock().requeue_interrupted();
        let mut writing = FuturesUnordered::new();
        loop {
            let tries = self.lock().tries();
            if let Some(tries) = tries
                && writing.is_empty()
            {
                let pause = tokio::time::sleep(backoff::STORE.jittered(tries, fastrand::f64()));
                tokio::select! {
                    () = pause => {}
                    () = self.back.notified() => {}
                }
            }
            // One tenant finds out whether the store is back; the others wait for it.
            let room = if tries.is_some() { 1 } else { IN_FLIGHT };
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
        let record = tenants.registry().record(&tenant).unwrap_or_default();
        let merge = async { self.store.merge(&tenant, &record).await };
        let merge = tokio::time::timeout(self.timeout, catch_store_panic(merge)).await;
        let late = || StoreError::unavailable("the store did not answer in time");
        let result = merge.unwrap_or_else(|_| Ok(Err(late()))).unwrap_or_else(Err);
        Written { tenant, waiting, result }
    }

    fn finish(&self, written: Written, tenants: &Tenants) {
        let Written { tenant, waiting, result } = written;
        match result {
            Ok(stored) => {
                tenants.apply(&tenant, Update::Stored(stored));
                self.lock().finish(&tenant);
                for waiter in waiting {
                    // One that no longer waits has answered its sender already.
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
    result: Result<Record, StoreError>,
}

/// Calls into a store, which may be anybody's code: its panic is an error like others.
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
    /// Whether it was stored in time.
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
