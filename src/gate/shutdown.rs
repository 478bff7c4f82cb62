//! The orderly end of a gate.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::TenantGate;
use crate::log;

/// The least time to wait for the end of the tasks, and then for that of the store, when no more is
/// left: a task may be inside a call that does not yield, and a disk may hang.
const GRACE: Duration = Duration::from_secs(1);

impl TenantGate {
    /// Writes what is not stored yet, ends the background tasks and frees the store. Returns the
    /// number of tenants that are left unwritten.
    ///
    /// From the start of it no pulls are made, [`refresh`](Self::refresh) fails, and notifications
    /// are answered with 503; what they say is still applied, and written if time allows. What the
    /// store lacks is written at once, and until `within` has passed it is tried again four times a
    /// second. Then the gate frees the store, so that its file can be opened again: this may take
    /// up to 2 s more when a task or a disk hangs. A `Store` of which you keep an
    /// [`Arc`](std::sync::Arc) stays open.
    ///
    /// Other handles, layers and services of the gate go on deciding from memory. Nothing changes
    /// there by itself any more: [`available`](Self::available) may wait for ever.
    ///
    /// Stop your server first, so that notifications in flight are stored. A gate that is dropped
    /// without this loses what is not stored, and logs a warning with the number of tenants.
    ///
    /// ```no_run
    /// # async fn run(gate: tower_superoffice::TenantGate) {
    /// let left = gate.shutdown(std::time::Duration::from_secs(10)).await;
    /// if left > 0 {
    ///     eprintln!("{left} tenants could not be written");
    /// }
    /// # }
    /// ```
    pub async fn shutdown(self, within: Duration) -> usize {
        let (parts, began) = (&*self.parts, Instant::now());
        let left = || within.saturating_sub(began.elapsed()).max(GRACE);
        parts.handler.stop();
        parts.tasks.changed().notify_waiters();
        if let Some(pulls) = &parts.pulls {
            pulls.end();
        }
        let write = async {
            parts.tasks.end_task("pulls").await;
            if let Some(write_back) = &parts.write_back {
                write_back.begin_end();
                parts.tasks.hurry();
                write_back.flush().await;
            }
        };
        // What is left when it takes too long is counted below.
        let _ = timeout(within, write).await;
        if timeout(left(), parts.tasks.end()).await.is_err() {
            log::warn!("background tasks still busy after shutdown");
        }
        if let Some(pulls) = &parts.pulls {
            // A pull that began in between.
            pulls.end();
        }
        let Some(write_back) = &parts.write_back else { return 0 };
        if !write_back.free_store(left()).await {
            log::warn!("store still busy after shutdown");
        }
        let dirty = write_back.dirty();
        parts.tasks.reported();
        if dirty > 0 {
            let tenants = write_back.dirty_names();
            log::warn!(dirty, %tenants, "gate shut down with unwritten tenants");
        }
        dirty
    }
}
