//! Detects that a server lost data while it was running.

use super::{Shared, cache::Cache, connection};

impl Shared {
    /// Waits until the server has fewer tenants than before. Tenants are never removed, so its data
    /// was removed, or an old state was restored.
    pub(super) async fn emptied(&self) {
        let mut size = 0;
        loop {
            let asked = async {
                tokio::time::sleep(connection::HEARTBEAT).await;
                self.link.ask::<u64>(redis::cmd("HLEN").arg(&self.names.tenants) as &_).await
            };
            tokio::select! {
                () = self.gone.notified() => return,
                now = asked => match now {
                    Ok(now) if now < size => return,
                    Ok(now) => size = now,
                    // An outage is detected by the heartbeats.
                    Err(error) => crate::log::debug!(%error, "store size unknown"),
                },
            }
        }
    }

    /// Empties the cache of stored values. Otherwise each tenant that is stored again would be
    /// reported as lost once more.
    pub(super) fn forget(&self) {
        *self.cache() = Cache::default();
    }
}
