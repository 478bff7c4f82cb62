//! Carries what changed to the store, and what others stored back.
//!
//! A tenant whose present record may not be in the store is *dirty*. There is no log of changes: a
//! record joins, so writing the present one once stands for all that led to it, however long the
//! store was away.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, oneshot};

use crate::{
    clock::Clock,
    directory::Directory,
    status::Record,
    store::{Store, StoreError},
    tenant::TenantId,
};

/// How many merges are under way at once while the store answers: enough for a store that commits
/// in groups to fill one.
const IN_FLIGHT: usize = 1024;

/// The dirty tenants, and those who wait for one to be clean.
pub(crate) struct Persister {
    store: Arc<dyn Store>,
    clock: Clock,
    timeout: Duration,
    state: Mutex<State>,
    work: Notify,
}

#[derive(Default)]
struct State {
    dirty: HashMap<TenantId, Dirty>,
    /// Dirty tenants that are not being written, in the order they became so.
    queue: VecDeque<TenantId>,
    outage: Option<Outage>,
}

#[derive(Default)]
struct Dirty {
    waiting: Vec<oneshot::Sender<()>>,
    /// Whether it is being written.
    writing: bool,
    /// Whether it changed while it was being written.
    again: bool,
    /// Whether it is written to find out whether the store is back.
    probe: bool,
}

/// Since when and why the store doesn't answer.
#[derive(Debug, Clone)]
struct Outage {
    /// ms since the epoch.
    since: u64,
    tries: u32,
    permanent: bool,
}

/// How the store is doing, by what was last heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreState {
    Fresh,
    Stale { since: u64 },
    Failed,
}

impl Persister {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, timeout: Duration) -> Self {
        let (state, work) = (Mutex::default(), Notify::new());
        Self { store, clock, timeout, state, work }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the record of `tenant` grew.
    pub(crate) fn mark(&self, tenant: &TenantId) {
        self.state().mark(tenant);
        self.work.notify_one();
    }

    /// Waits until what is now known of `tenant` is in the store; at once when it already is.
    ///
    /// The returned future ends without success when the store doesn't take it in time; the tenant
    /// stays dirty then.
    pub(crate) fn stored(&self, tenant: &TenantId) -> Option<Stored> {
        let mut state = self.state();
        let dirty = state.dirty.get_mut(tenant)?;
        let (sender, receiver) = oneshot::channel();
        dirty.waiting.push(sender);
        // What is being written may have been read before the change that is waited for.
        dirty.again |= dirty.writing;
        Some(Stored { receiver, timeout: self.timeout })
    }

    pub(crate) fn dirty(&self) -> usize {
        self.state().dirty.len()
    }

    pub(crate) fn health(&self) -> StoreState {
        match &self.state().outage {
            None => StoreState::Fresh,
            Some(outage) if outage.permanent => StoreState::Failed,
            Some(outage) => StoreState::Stale { since: outage.since },
        }
    }

    /// Notes that the store could not be read.
    pub(crate) fn failed(&self, error: &StoreError) {
        let now = self.clock.unix_ms();
        self.state().fail(now, error, false);
    }

    /// Notes that the store answered, and lets the queue run.
    pub(crate) fn answered(&self) {
        if let Some(outage) = self.state().outage.take() {
            let away = self.clock.unix_ms().saturating_sub(outage.since);
            tracing::info!(away_ms = away, "the store answers again");
            self.work.notify_one();
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Writes dirty tenants for as long as the gate lives. `learn` is given what the store had.
    pub(crate) async fn run(
        self: Arc<Self>,
        directory: Arc<Directory>,
        learn: impl Fn(&TenantId, &Record),
    ) {
        let mut writing = FuturesUnordered::new();
        loop {
            let (room, pause) = {
                let state = self.state();
                match &state.outage {
                    None => (IN_FLIGHT, None),
                    // One tenant finds out whether the store is back; the others wait for it.
                    Some(outage) => (1, Some(back_off(outage.tries))),
                }
            };
            if writing.is_empty()
                && let Some(pause) = pause
            {
                tokio::time::sleep(pause).await;
            }
            while writing.len() < room {
                let Some((tenant, waiting)) = self.state().begin() else { break };
                writing.push(self.write(&directory, tenant, waiting));
            }
            tokio::select! {
                Some(written) = writing.next() => self.finish(written, &learn),
                () = self.work.notified() => {}
            }
        }
    }

    async fn write(
        &self,
        directory: &Directory,
        tenant: TenantId,
        waiting: Vec<oneshot::Sender<()>>,
    ) -> Written {
        let record = directory.record(&tenant).unwrap_or_default();
        let result =
            match tokio::time::timeout(self.timeout, self.store.merge(&tenant, &record)).await {
                Ok(result) => result,
                Err(_) => Err(StoreError::unavailable("the store did not answer in time")),
            };
        Written { tenant, waiting, result }
    }

    fn finish(&self, written: Written, learn: impl Fn(&TenantId, &Record)) {
        let Written { tenant, waiting, result } = written;
        match result {
            Ok(stored) => {
                learn(&tenant, &stored);
                self.answered();
                self.state().finish(&tenant);
                for waiter in waiting {
                    // One that no longer waits has answered its sender already.
                    let _ = waiter.send(());
                }
            }
            Err(error) => {
                let now = self.clock.unix_ms();
                let mut state = self.state();
                let probe = state.give_back(&tenant, waiting);
                state.fail(now, &error, probe);
            }
        }
    }
}

struct Written {
    tenant: TenantId,
    waiting: Vec<oneshot::Sender<()>>,
    result: Result<Record, StoreError>,
}

impl State {
    fn mark(&mut self, tenant: &TenantId) {
        match self.dirty.get_mut(tenant) {
            Some(dirty) => dirty.again |= dirty.writing,
            None => {
                self.dirty.insert(tenant.clone(), Dirty::default());
                self.queue.push_back(tenant.clone());
            }
        }
    }

    fn begin(&mut self) -> Option<(TenantId, Vec<oneshot::Sender<()>>)> {
        let tenant = self.queue.pop_front()?;
        let probe = self.outage.is_some();
        let dirty = self.dirty.entry(tenant.clone()).or_default();
        dirty.writing = true;
        dirty.again = false;
        dirty.probe = probe;
        Some((tenant, std::mem::take(&mut dirty.waiting)))
    }

    /// What was read at `begin` is stored: the tenant is clean, unless it changed since.
    fn finish(&mut self, tenant: &TenantId) {
        let Some(dirty) = self.dirty.get_mut(tenant) else { return };
        if dirty.again {
            dirty.writing = false;
            self.queue.push_back(tenant.clone());
        } else {
            self.dirty.remove(tenant);
        }
    }

    /// The tenant could not be written: it goes to the end of the queue, so that one whose stored
    /// record can't be read does not keep all others from being tried. Says whether it was a probe.
    fn give_back(&mut self, tenant: &TenantId, waiting: Vec<oneshot::Sender<()>>) -> bool {
        let dirty = self.dirty.entry(tenant.clone()).or_default();
        dirty.writing = false;
        dirty.waiting.extend(waiting);
        dirty.waiting.retain(|waiter| !waiter.is_closed());
        let probe = dirty.probe;
        self.queue.push_back(tenant.clone());
        probe
    }

    /// Only a probe lengthens the pause: the many writes that an outage meets under way are one try.
    fn fail(&mut self, now: u64, error: &StoreError, probe: bool) {
        let permanent = !error.is_unavailable();
        match &mut self.outage {
            Some(outage) => {
                outage.tries = outage.tries.saturating_add(u32::from(probe));
                outage.permanent = permanent;
            }
            None => {
                tracing::warn!(%error, "the store can't be written; changes are kept in memory until it can");
                self.outage = Some(Outage { since: now, tries: 0, permanent });
            }
        }
    }
}

/// 50 ms, doubled with each try up to 5 s, of which a random half is taken off.
pub(crate) fn back_off(tries: u32) -> Duration {
    let step =
        Duration::from_millis(50).saturating_mul(1 << tries.min(7)).min(Duration::from_secs(5));
    step.mul_f64(0.5 + fastrand::f64() / 2.0)
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

impl fmt::Debug for Persister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persister")
            .field("dirty", &self.dirty())
            .field("state", &self.health())
            .finish_non_exhaustive()
    }
}
