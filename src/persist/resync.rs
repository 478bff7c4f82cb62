//! Keeps the registry in sync with a store: loads it at the start, applies the changes of other
//! replicas, and loads it again after a gap.

use std::{sync::Arc, time::Duration};

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{WriteBack, catch_store_panic, load::load};
use crate::{
    backoff,
    status::Record,
    store::{Change, StoreError},
    tenants::{Tenants, Update},
};

/// Subscribes to what others write, and then loads the store, so that nothing is lost in between.
/// Returns the changes, and whether the load succeeded.
///
/// # Errors
///
/// When the store panicked.
pub(crate) async fn start(
    write_back: &WriteBack,
    tenants: &Tenants,
) -> Result<(BoxStream<'static, Change>, Result<(), StoreError>), StoreError> {
    let start = async {
        let changes = write_back.store()?.changes();
        Ok((changes, load(write_back, tenants).await))
    };
    catch_store_panic(start).await.flatten()
}

/// Applies the changes of other replicas, and loads the store again whenever one may have been
/// lost.
///
/// A failed load is retried while changes are still applied: one damaged record must not block the
/// changes of all other tenants.
pub(crate) struct Resync {
    write_back: Arc<WriteBack>,
    tenants: Arc<Tenants>,
    /// `None` when the store has no other writers, and while the stream has to be created again.
    changes: Option<BoxStream<'static, Change>>,
    /// Whether the stream panicked: it is created again with the next load.
    broken: bool,
    /// Number of consecutive panics.
    panics: u32,
    /// Whether the stream delivers all later changes of others.
    subscribed: bool,
    load: Option<Load>,
    /// Whether changes may wait in the stream.
    catching_up: bool,
    /// The time before which no gap has the store loaded again.
    rested: Option<Instant>,
}

/// A load that is due.
#[derive(Clone, Copy)]
struct Load {
    due: Instant,
    failures: u32,
    /// Whether a change may have been lost. Otherwise changes are late, and the load is dropped
    /// when they arrive.
    gap: bool,
}

/// Interval of loads while changes are not subscribed to.
const DISCONNECTED_PAUSE: Duration = Duration::from_secs(30);

/// A load is followed by a rest of so many times its own duration, so that a store or network that
/// fails again and again does not keep the replicas loading.
const REST: u32 = 10;

/// The longest rest.
const MAX_REST: Duration = Duration::from_secs(60);

/// Replicas that share a store lose changes, or data, at the same moment. They load it again within
/// this time for each tenant, at different moments.
const SPREAD_PER_TENANT: Duration = Duration::from_micros(20);

/// The longest spread.
const MAX_SPREAD: Duration = Duration::from_secs(5);

impl Load {
    fn now() -> Self {
        Self { due: Instant::now(), failures: 0, gap: true }
    }

    fn while_disconnected() -> Self {
        let pause = DISCONNECTED_PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0);
        Self { due: Instant::now() + pause, failures: 0, gap: false }
    }

    fn after(failures: u32, gap: bool) -> Self {
        let wait = backoff::STORE.jittered(failures, fastrand::f64());
        Self { due: Instant::now() + wait, failures: failures.saturating_add(1), gap }
    }
}

impl Resync {
    /// Applies `changes`, which were subscribed to before the store was loaded. `loaded` tells
    /// whether that succeeded.
    pub(crate) fn new(
        write_back: Arc<WriteBack>,
        tenants: Arc<Tenants>,
        changes: BoxStream<'static, Change>,
        loaded: bool,
    ) -> Self {
        let (changes, load) = (Some(changes), (!loaded).then(Load::now));
        Self { changes, broken: false, load, ..Self::restarted(write_back, tenants) }
    }

    /// Subscribes to changes and loads everything, after a panic of the previous task.
    pub(crate) fn restarted(write_back: Arc<WriteBack>, tenants: Arc<Tenants>) -> Self {
        Self {
            write_back,
            tenants,
            changes: None,
            broken: true,
            panics: 0,
            subscribed: true,
            load: Some(Load::now()),
            catching_up: true,
            rested: None,
        }
    }

    /// Runs until the store has no other writers.
    pub(crate) async fn run(mut self) {
        while self.changes.is_some() || self.load.is_some() {
            tokio::select! {
                // A change is applied before a tenant is written that it may cover.
                biased;
                () = due(self.load) => {
                    self.set_catching_up(true);
                    self.reload().await;
                }
                change = next(&mut self.changes) => {
                    self.set_catching_up(true);
                    self.follow(change);
                }
                () = std::future::ready(()), if self.catching_up => self.set_catching_up(false),
            }
        }
        self.set_catching_up(false);
    }

    fn set_catching_up(&mut self, catching_up: bool) {
        if std::mem::replace(&mut self.catching_up, catching_up) != catching_up {
            self.write_back.set_catching_up(catching_up);
        }
    }

    fn follow(&mut self, change: Result<Option<Change>, StoreError>) {
        match change {
            Ok(Some(Change::Merged(tenant, record))) => {
                let unreadable = record.is_unreadable();
                // Only a dirty tenant can be covered. One that becomes dirty now is written once
                // more.
                let stored = (self.write_back.dirty() > 0).then(|| record.clone());
                let forgotten = self.tenants.apply(&tenant, Update::Stored(record)).forgotten;
                let registry = self.tenants.registry();
                registry.adopt_spelling(&tenant);
                if forgotten {
                    // Another replica stored it again, or it was sent before the removal.
                    self.write_back.read_again(&tenant);
                } else if let Some(record) = stored {
                    // A change of the tenant marks it under the same lock, before or after this.
                    registry.read(&tenant, |own| {
                        if *own == record {
                            self.write_back.covered(&tenant);
                        }
                    });
                }
                // What is known here replaces a malformed record.
                if unreadable && registry.read(&tenant, Record::is_empty) == Some(false) {
                    self.write_back.mark(&tenant);
                }
            }
            Ok(Some(Change::Removed(tenant, record))) => {
                if self.tenants.forget(&tenant, &record) {
                    // A write of this replica may have stored it after the removal.
                    self.write_back.read_again(&tenant);
                } else {
                    // What is newer here belongs in the store.
                    self.write_back.mark(&tenant);
                }
            }
            Ok(Some(Change::Resync)) => {
                self.subscribed = true;
                // One that is due covers this gap too.
                self.load = self.load.filter(|load| load.gap).or_else(|| Some(self.after_gap()));
            }
            Ok(Some(Change::Resumed)) => {
                self.subscribed = true;
                if self.load.is_none_or(|load| !load.gap) {
                    self.load = None;
                    self.write_back.loaded(true);
                }
            }
            Ok(Some(Change::Disconnected)) => {
                self.subscribed = false;
                self.load.get_or_insert_with(Load::while_disconnected);
                self.write_back.disconnected();
            }
            Ok(None) => self.changes = None,
            Err(panicked) => {
                self.changes = None;
                self.broken = true;
                self.load = Some(Load::after(self.panics, true));
                self.panics = self.panics.saturating_add(1);
                self.write_back.load_failed(&panicked);
            }
        }
    }

    /// Schedules the load after a gap.
    fn after_gap(&self) -> Load {
        let tenants = u32::try_from(self.tenants.registry().len()).unwrap_or(u32::MAX);
        let spread = SPREAD_PER_TENANT.saturating_mul(tenants).min(MAX_SPREAD);
        let due = Instant::now() + spread.mul_f64(fastrand::f64());
        Load { due: self.rested.map_or(due, |rested| rested.max(due)), ..Load::now() }
    }

    async fn reload(&mut self) {
        let began = Instant::now();
        let loading = async {
            if self.broken {
                self.changes = Some(self.write_back.store()?.changes());
                self.broken = false;
            }
            load(&self.write_back, &self.tenants).await
        };
        match catch_store_panic(loading).await.flatten() {
            Ok(()) => {
                let took = began.elapsed();
                self.rested = Some(Instant::now() + took.saturating_mul(REST).min(MAX_REST));
                self.load = (!self.subscribed).then(Load::while_disconnected);
                self.write_back.loaded(self.subscribed);
            }
            Err(error) => {
                // What an operator has to fix is retried until it is fixed, even if no change is
                // lost.
                let permanent = !error.is_unavailable();
                let retry = |load: Load| Load::after(load.failures, load.gap || permanent);
                self.load = self.load.map(retry);
                self.write_back.load_failed(&error);
            }
        }
    }
}

/// Returns the next change; pending while there is no stream.
async fn next(
    changes: &mut Option<BoxStream<'static, Change>>,
) -> Result<Option<Change>, StoreError> {
    match changes {
        Some(changes) => catch_store_panic(changes.next()).await,
        None => std::future::pending().await,
    }
}

async fn due(load: Option<Load>) {
    match load {
        Some(load) => tokio::time::sleep_until(load.due).await,
        None => std::future::pending().await,
    }
}
