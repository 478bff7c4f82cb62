//! The load of a store into the registry.

use super::Registry;
use crate::{status::Record, tenant_id::TenantId, tenants::entry::Entry};

/// The tenants that got an entry by the load of a store.
#[derive(Debug, Default)]
pub(crate) struct Inserted {
    pub(crate) tenants: Vec<TenantId>,
    /// The ends of their overrides, ms since the epoch.
    pub(in crate::tenants) expires: Vec<(u64, TenantId)>,
}

impl Registry {
    /// Moves the records of a store in for tenants without an entry, and leaves the others in
    /// `page`. Returns what it moved in.
    pub(in crate::tenants) fn insert(&self, page: &mut Vec<(TenantId, Record)>) -> Inserted {
        let now = self.clock.elapsed();
        let mut interner = self.interner();
        for (_, record) in page.iter_mut() {
            record.intern(&mut interner);
        }
        drop(interner);
        let mut inserted = Inserted::default();
        inserted.tenants.reserve(page.len());
        for (tenant, record) in std::mem::take(page) {
            // These have effects that a plain record has not.
            if record.is_empty() || record.is_unreadable() {
                page.push((tenant, record));
                continue;
            }
            match self.tenants.entry(tenant.clone()) {
                // What receives events gets those of the merge, and one that was forgotten may stay
                // so.
                dashmap::Entry::Vacant(vacant)
                    if !self.events.has_receivers() && self.forgotten.is_empty() =>
                {
                    let expires = record.latest_override().and_then(|latest| latest.end());
                    let entry = Entry::loaded(record, now);
                    self.closed.change(&tenant, None, entry.reason());
                    vacant.insert(entry);
                    inserted.expires.extend(expires.map(|expires| (expires, tenant.clone())));
                    inserted.tenants.push(tenant);
                }
                _ => page.push((tenant, record)),
            }
        }
        inserted
    }
}
