//! The start of a gate: loads the store and starts the tasks.

use std::sync::Arc;

use super::BuildError;
use crate::{
    gate::tasks::Tasks,
    persist::{
        WriteBack,
        resync::{self, Resync},
    },
    pull::Pulls,
    tenants::Tenants,
};

/// Loads the store and starts the tasks.
pub(super) async fn start(
    tenants: &Arc<Tenants>,
    write_back: Option<&Arc<WriteBack>>,
    pulls: Option<&Arc<Pulls>>,
    without_store: bool,
) -> Result<Tasks, BuildError> {
    let mut tasks = Tasks::default();
    if let Some(write_back) = write_back {
        // Subscribed before it is loaded, so that no change is lost in between.
        let changes = write_back.store().changes();
        let loaded = resync::load(write_back, tenants).await;
        if let Err(error) = &loaded {
            if !(without_store && error.is_unavailable()) {
                return Err(BuildError::Store(error.clone()));
            }
            write_back.load_failed(error);
        }
        let mut first = Some((changes, loaded.is_ok()));
        let shared = (Arc::clone(write_back), Arc::clone(tenants));
        tasks.supervise("resync", move || {
            let (write_back, tenants) = shared.clone();
            match first.take() {
                Some((changes, loaded)) => Resync::new(write_back, tenants, changes, loaded),
                None => Resync::restarted(write_back, tenants),
            }
            .run()
        });
        let shared = (Arc::clone(write_back), Arc::clone(tenants));
        tasks.supervise("write_back", move || {
            let (write_back, tenants) = shared.clone();
            write_back.run(tenants)
        });
    }
    let expiring = Arc::clone(tenants);
    tasks.supervise("override_expiry", move || {
        let tenants = Arc::clone(&expiring);
        async move { tenants.expire_overrides().await }
    });
    if let Some(pulls) = pulls {
        let shared = (Arc::clone(pulls), Arc::clone(tenants));
        tasks.supervise("pulls", move || {
            let (pulls, tenants) = shared.clone();
            pulls.run(tenants)
        });
    }
    Ok(tasks)
}
