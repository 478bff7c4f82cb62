//! Bringing a gate to life: the store is loaded, the tasks begin.

use std::sync::Arc;

use super::BuildError;
use crate::{
    gate::tasks::Tasks,
    persist::{WriteBack, resync},
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
        // Subscribed before it is loaded, so that nothing falls in between.
        let changes = write_back.store().changes();
        let loaded = resync::load(write_back, tenants).await;
        if let Err(error) = &loaded {
            if !(without_store && error.is_unavailable()) {
                return Err(BuildError::Store(error.clone()));
            }
            write_back.unread(error);
        }
        let loaded = loaded.is_ok();
        let [own, others] = [write_back, write_back].map(Arc::clone);
        tasks.spawn(resync::follow(others, Arc::clone(tenants), changes, loaded));
        tasks.spawn(own.run(Arc::clone(tenants)));
    }
    let expiring = Arc::clone(tenants);
    tasks.spawn(async move { expiring.expire_overrides().await });
    if let Some(pulls) = pulls {
        tasks.spawn(Arc::clone(pulls).run(Arc::clone(tenants)));
    }
    Ok(tasks)
}
