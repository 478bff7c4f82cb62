//! Bringing a gate to life: the store is loaded, the tasks begin.

use std::sync::{Arc, Weak};

use super::BuildError;
use crate::{gate::Shared, reconcile::Tenants, sync};

/// Loads the store and starts the tasks.
pub(super) async fn start(shared: &Arc<Shared>, without_store: bool) -> Result<(), BuildError> {
    let mut tasks = Vec::new();
    if let Some(persister) = &shared.persister {
        // Subscribed before it is loaded, so that nothing falls in between.
        let changes = persister.store().changes();
        let loaded = shared.load().await;
        if let Err(error) = &loaded {
            if !(without_store && error.is_unavailable()) {
                return Err(BuildError::Store(error.clone()));
            }
            persister.unread(error);
        }
        let gate = Arc::downgrade(shared);
        tasks
            .push(tokio::spawn(sync::follow(gate.clone(), changes, loaded.is_ok())).abort_handle());
        let directory = Arc::clone(&shared.directory);
        let learn = move |tenant: &_, record: &_| {
            if let Some(gate) = gate.upgrade() {
                gate.learn(tenant, record);
            }
        };
        tasks.push(tokio::spawn(Arc::clone(persister).run(directory, learn)).abort_handle());
    }
    let (gate, ends, clock) =
        (Arc::downgrade(shared), Arc::clone(&shared.ends), shared.clock.clone());
    let end_words = async move {
        loop {
            ends.due(&clock).await;
            let Some(gate) = gate.upgrade() else { return };
            gate.end_words();
        }
    };
    tasks.push(tokio::spawn(end_words).abort_handle());
    if let Some(reconciler) = &shared.reconciler {
        let gate: Weak<dyn Tenants> = Arc::<Shared>::downgrade(shared);
        tasks.push(tokio::spawn(Arc::clone(reconciler).run(gate)).abort_handle());
    }
    shared.tasks.keep(tasks);
    Ok(())
}
