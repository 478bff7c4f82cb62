//! Waiting until a gate is ready.

use std::time::Duration;

use futures_util::future::OptionFuture;

use super::TenantGate;
use crate::health::Readiness;

impl TenantGate {
    /// Waits until the store was loaded, a key to verify notifications is at hand, something is
    /// known of each [tracked](Self::track) tenant and no background task is down, for at most
    /// `within`. Returns what is still awaited, with [`Duration::ZERO`] at once.
    ///
    /// A gate decides on calls and takes notifications whether it is ready or not. While it is not,
    /// a closed tenant may not be known to be closed, or a notification is answered with 503.
    /// A store that is unavailable later, or keys that are too old, leave it ready: see
    /// [`health`](Self::health) for these. After [`shutdown`](Self::shutdown) it is never ready.
    ///
    /// ```
    /// # async fn run(gate: tower_superoffice::TenantGate) {
    /// let readiness = gate.ready(std::time::Duration::from_secs(10)).await;
    /// if !readiness.is_ready() {
    ///     eprintln!("not ready: {readiness:?}");
    /// }
    /// # }
    /// ```
    pub async fn ready(&self, within: Duration) -> Readiness {
        // What is missing in the end is read below.
        let _ = tokio::time::timeout(within, self.wait_until_ready()).await;
        self.readiness()
    }

    async fn wait_until_ready(&self) {
        let parts = &*self.parts;
        loop {
            // Before the state is read, or a change in between goes unnoticed.
            let task = parts.tasks.changed().notified();
            let known = parts.awaited.known();
            let fetch = parts.handler.verifier().next_fetch();
            let load = parts.write_back.as_ref().map(|write_back| write_back.next_load());
            let load = OptionFuture::from(load);
            let readiness = self.readiness();
            if readiness.is_ready() || readiness.is_shut_down() {
                return;
            }
            tokio::select! {
                () = task => {}
                () = known => {}
                () = fetch => {}
                Some(()) = load => {}
            }
        }
    }

    fn readiness(&self) -> Readiness {
        let parts = &*self.parts;
        let tasks = parts.tasks.health();
        let down = tasks.iter().filter(|task| task.down);
        Readiness {
            store: parts.write_back.as_ref().is_none_or(|write_back| write_back.is_loaded()),
            key: parts.handler.verifier().had_key(),
            tracked: parts.awaited.len(),
            tasks_down: down.map(|task| task.name).collect(),
            shut_down: parts.handler.is_stopped(),
        }
    }
}
