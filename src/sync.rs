//! Keeps the directory and a store in step: loads at the start, follows what others write, and
//! reads everything again after a gap.

use std::{collections::HashSet, sync::Weak};

use futures_core::stream::BoxStream;
use futures_util::StreamExt;

use crate::{
    gate::Shared,
    persist::back_off,
    store::{Change, StoreError},
};

impl Shared {
    /// Joins in all that the store holds, and marks for writing what it lacks.
    ///
    /// A store that lost its data is filled again by this: each tenant is compared by its record, so
    /// nothing that others stored meanwhile is overwritten.
    pub(crate) async fn load(&self) -> Result<(), StoreError> {
        let Some(persister) = &self.persister else { return Ok(()) };
        let mut complete = HashSet::new();
        let mut pages = persister.store().load();
        while let Some(page) = pages.next().await {
            for (tenant, record) in page? {
                self.learn(&tenant, &record);
                let knows_all = self.directory.read(&tenant, |own| *own == record);
                if knows_all == Some(true) {
                    complete.insert(tenant);
                } else {
                    complete.remove(&tenant);
                }
            }
        }
        persister.answered();
        let mut lacking = Vec::new();
        self.directory.for_each(|tenant, _, record| {
            if !record.is_empty() && !complete.contains(tenant) {
                lacking.push(tenant.clone());
            }
        });
        for tenant in &lacking {
            persister.mark(tenant);
        }
        Ok(())
    }
}

/// Loads until it succeeds, for as long as the gate lives.
async fn load_again(gate: &Weak<Shared>) -> Option<()> {
    let mut tries = 0;
    loop {
        let loaded = {
            let gate = gate.upgrade()?;
            let loaded = gate.load().await;
            if let (Err(error), Some(persister)) = (&loaded, &gate.persister) {
                persister.failed(error);
            }
            loaded
        };
        if loaded.is_ok() {
            return Some(());
        }
        tokio::time::sleep(back_off(tries)).await;
        tries += 1;
    }
}

/// Follows what others write. `loaded` tells whether the start has read the store already.
///
/// Ends when the gate does, or when the store says that nobody else can write to it.
pub(crate) async fn follow(
    gate: Weak<Shared>,
    mut changes: BoxStream<'static, Change>,
    loaded: bool,
) -> Option<()> {
    if !loaded {
        load_again(&gate).await?;
    }
    while let Some(change) = changes.next().await {
        match change {
            Change::Merged(tenant, record) => gate.upgrade()?.learn(&tenant, &record),
            Change::Reload => load_again(&gate).await?,
        }
    }
    Some(())
}
