//! Bringing a gate to life: the store is loaded, the tasks begin.

use std::sync::{Arc, Weak};

use super::BuildError;
use crate::{gate::Shared, persist::resync, pull::Tenants};

/// Loads the store and starts the tasks.
pub(super) async fn start(shared: &Arc<Shared>, without_store: bool) -> Result<(), BuildError> {
    let mut tasks = Vec::new();
    if let Some(write_back) = &shared.write_back {
        // Subscribed before it is loaded, so that nothing falls in between.
        let changes = write_back.store().changes();
        let loaded = shared.load().await;
        if let Err(error) = &loaded {
            if !(without_store && error.is_unavailable()) {
                return Err(BuildError::Store(error.clone()));
            }
            write_back.unread(error);
        }
        let gate = Arc::downgrade(shared);
        tasks.push(
            tokio::spawn(resync::follow(gate.clone(), changes, loaded.is_ok())).abort_handle(),
        );
        let registry = Arc::clone(&shared.registry);
        let learn = move |tenant: &_, record: &_| {
            if let Some(gate) = gate.upgrade() {
                gate.learn(tenant, record);
            }
        };
        tasks.push(tokio::spawn(Arc::clone(write_back).run(registry, learn)).abort_handle());
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
    if let Some(pulls) = &shared.pulls {
        let gate: Weak<dyn Tenants> = Arc::<Shared>::downgrade(shared);
        tasks.push(tokio::spawn(Arc::clone(pulls).run(gate)).abort_handle());
    }
    shared.tasks.keep(tasks);
    Ok(())
}
