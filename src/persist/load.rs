//! The load of the whole store.

use std::{collections::HashSet, sync::atomic::Ordering};

use futures_util::StreamExt;

use super::WriteBack;
use crate::{
    status::Record,
    store::StoreError,
    tenant_id::TenantId,
    tenants::{Tenants, Update, registry::Registry},
};

/// Merges all stored records, and marks the tenants dirty whose facts the store lacks.
///
/// This fills a store that lost its data: tenants are compared record by record, so that concurrent
/// changes of others are not overwritten. Nothing is compared while the registry knows only what
/// comes from the store.
pub(super) async fn load(write_back: &WriteBack, tenants: &Tenants) -> Result<(), StoreError> {
    let (registry, store) = (tenants.registry(), write_back.store()?);
    write_back.loads.fetch_add(1, Ordering::AcqRel);
    let mut found = Found::new(registry);
    let mut pages = store.load();
    while let Some(page) = pages.next().await {
        let mut page = page?;
        found.complete(tenants.insert(&mut page));
        for (tenant, record) in page {
            let knows_all = |own: &Record| *own == record;
            if registry.read(&tenant, knows_all) != Some(true)
                && tenants.apply(&tenant, Update::Loaded(record.clone())).forgotten
            {
                write_back.read_again(&tenant);
            }
            registry.adopt_spelling(&tenant);
            if registry.read(&tenant, knows_all) == Some(true) {
                found.complete([tenant]);
            } else {
                found.lacks(tenant);
            }
        }
    }
    let mut lacking = found.lacking(registry);
    // Other replicas fill the same store: in the same order, each would store every tenant.
    fastrand::shuffle(&mut lacking);
    write_back.mark_lacking(&lacking);
    registry.loaded();
    Ok(())
}

/// The tenants of the registry that a load found to be complete in the store.
enum Found {
    /// All of these are complete in the store.
    Complete(HashSet<TenantId>),
    /// The registry was empty: all but these are complete.
    AllBut(HashSet<TenantId>),
}

impl Found {
    fn new(registry: &Registry) -> Self {
        let none = HashSet::new();
        // What else changes a tenant during the load marks it dirty.
        if registry.len() == 0 { Self::AllBut(none) } else { Self::Complete(none) }
    }

    /// Notes that the store has all facts of `tenants`.
    fn complete(&mut self, tenants: impl IntoIterator<Item = TenantId>) {
        match self {
            Self::Complete(complete) => complete.extend(tenants),
            Self::AllBut(lacking) if lacking.is_empty() => {}
            Self::AllBut(lacking) => {
                tenants.into_iter().for_each(|tenant| _ = lacking.remove(&tenant))
            }
        }
    }

    /// Notes that the store lacks a fact of `tenant`.
    fn lacks(&mut self, tenant: TenantId) {
        match self {
            Self::Complete(complete) => _ = complete.remove(&tenant),
            Self::AllBut(lacking) => _ = lacking.insert(tenant),
        }
    }

    /// Returns the tenants of the registry that the store lacks a fact of.
    fn lacking(self, registry: &Registry) -> Vec<TenantId> {
        match self {
            Self::AllBut(lacking) => lacking.into_iter().collect(),
            Self::Complete(complete) => {
                let mut lacking = Vec::new();
                registry.for_each(|tenant, _, record| {
                    if !record.is_empty() && !complete.contains(tenant) {
                        lacking.push(tenant.clone());
                    }
                });
                lacking
            }
        }
    }
}
