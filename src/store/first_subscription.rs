//! The first subscription to changes, which loads wait for: otherwise they would have to be
//! repeated.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

/// The loads and first subscriptions of a store.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// Number of loads so far.
    loads: AtomicU64,
    /// Number of first subscriptions in progress.
    starting: watch::Sender<usize>,
}

impl Subscriptions {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { loads: AtomicU64::new(0), starting: watch::Sender::new(0) })
    }

    /// Waits until each first subscription has been made, or has failed once, and notes a load.
    ///
    /// After `longest` the load starts anyway, and the subscription requests another one.
    pub(super) async fn begin_load(&self, longest: Duration) {
        let mut starting = self.starting.subscribe();
        let _ = timeout(longest, starting.wait_for(|&count| count == 0)).await;
        self.loads.fetch_add(1, Ordering::SeqCst);
    }
}

/// A first subscription in progress. Loads wait while there is one.
pub(super) struct FirstSubscription {
    subscriptions: Arc<Subscriptions>,
    loads: u64,
}

impl FirstSubscription {
    pub(super) fn new(subscriptions: &Arc<Subscriptions>) -> Self {
        subscriptions.starting.send_modify(|count| *count += 1);
        let loads = subscriptions.loads.load(Ordering::SeqCst);
        Self { subscriptions: subscriptions.clone(), loads }
    }

    /// Returns whether a load has started without waiting for it.
    pub(super) fn has_loaded(&self) -> bool {
        self.subscriptions.loads.load(Ordering::SeqCst) != self.loads
    }
}

impl Drop for FirstSubscription {
    fn drop(&mut self) {
        self.subscriptions.starting.send_modify(|count| *count -= 1);
    }
}
