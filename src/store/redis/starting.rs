//! The first subscription: a load that comes after it needs no second one.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::timeout;

use super::{Shared, link};

impl Shared {
    /// Waits until subscriptions that are being made are made, or have failed for a first time.
    pub(super) async fn begin_load(&self) {
        let mut starting = self.starting.subscribe();
        // When it takes too long the load goes ahead, and the subscription asks for another.
        let _ = timeout(link::ANSWER, starting.wait_for(|&count| count == 0)).await;
        self.loads.fetch_add(1, Ordering::SeqCst);
    }
}

/// A subscription that is being made. Loads wait while there is one.
pub(super) struct Starting {
    shared: Arc<Shared>,
    loads: u64,
}

impl Starting {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.starting.send_modify(|count| *count += 1);
        Self { loads: shared.loads.load(Ordering::SeqCst), shared: shared.clone() }
    }

    /// Whether a load has begun without waiting for it.
    pub(super) fn has_loaded(&self) -> bool {
        self.shared.loads.load(Ordering::SeqCst) != self.loads
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.shared.starting.send_modify(|count| *count -= 1);
    }
}
