//! Noticing that a server lost data while it ran.

use super::{Shared, known::Known, link};

impl Shared {
    /// Waits until the server holds less than it did: tenants are never removed, so somebody has
    /// removed them all or put an old state back.
    pub(super) async fn emptied(&self) {
        let mut size = 0;
        loop {
            let asked = async {
                tokio::time::sleep(link::HEARTBEAT).await;
                self.link.ask::<u64>(redis::cmd("HLEN").arg(&self.names.tenants) as &_).await
            };
            tokio::select! {
                () = self.gone.notified() => return,
                now = asked => match now {
                    Ok(now) if now < size => return,
                    Ok(now) => size = now,
                    // Others notice that the server is away; this is not what it is asked for.
                    Err(error) => crate::log::debug!(%error, "the size of the store is not known"),
                },
            }
        }
    }

    /// Takes nothing for stored any more that was seen before: what is stored again must not be missed
    /// again, tenant by tenant.
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }
}
