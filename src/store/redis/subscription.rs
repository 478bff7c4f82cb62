//! The first subscription, which loads wait for: otherwise they would have to be repeated.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::timeout;

use super::{Shared, connection};

impl Shared {
    /// Waits until each first subscription has been made, or has failed once.
    pub(super) async fn begin_load(&self) {
        let mut starting = self.starting.subscribe();
        // After the time-out the load starts anyway, and the subscription requests another one.
        let longest = connection::ANSWER.max(self.endpoint.connect_timeout);
        let _ = timeout(longest, starting.wait_for(|&count| count == 0)).await;
        self.loads.fetch_add(1, Ordering::SeqCst);
    }
}

/// A first subscription in progress. Loads wait while there is one.
pub(super) struct FirstSubscription {
    shared: Arc<Shared>,
    loads: u64,
}

impl FirstSubscription {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.starting.send_modify(|count| *count += 1);
        Self { loads: shared.loads.load(Ordering::SeqCst), shared: shared.clone() }
    }

    /// Returns whether a load has started without waiting for it.
    pub(super) fn has_loaded(&self) -> bool {
        self.shared.loads.load(Ordering::SeqCst) != self.loads
    }
}

impl Drop for FirstSubscription {
    fn drop(&mut self) {
        self.shared.starting.send_modify(|count| *count -= 1);
    }
}
