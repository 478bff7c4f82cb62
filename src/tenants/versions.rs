//! Counts of the changes of tenants, for what is remembered of them elsewhere.

use std::sync::atomic::{AtomicU32, Ordering};

/// The counts of changes. Tenants share a count: a change of one outdates what is remembered of all
/// of them.
///
/// A count is read before the tenant is looked up, and raised while a tenant that changed is still
/// locked. So what was looked up is current as long as the count is the same.
#[derive(Debug)]
pub(super) struct Versions([AtomicU32; COUNTS]);

/// A power of two.
const COUNTS: usize = 256;

impl Versions {
    pub(super) fn new() -> Self {
        Self([const { AtomicU32::new(0) }; COUNTS])
    }

    /// Returns the count of the tenant with this hash.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> u32 {
        // Acquire pairs with the release in `raise`: what is looked up later has the change.
        self.count(hash).map_or(0, |count| count.load(Ordering::Acquire))
    }

    /// Raises the count of the tenant with this hash, which must be locked.
    pub(super) fn raise(&self, hash: u64) {
        if let Some(count) = self.count(hash) {
            count.fetch_add(1, Ordering::Release);
        }
    }

    #[inline]
    fn count(&self, hash: u64) -> Option<&AtomicU32> {
        self.0.get((hash >> 32) as usize & (COUNTS - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{
        clock::Clock,
        status::{ChangeType, Record, notified::Notified, settle::Settle},
        tenant_id::TenantId,
        tenants::{Tenants, Update},
    };

    #[test]
    fn each_change_outdates_what_calls_remember() {
        let tenants = Tenants::new(Settle::default(), 16, Clock::system());
        let (registry, id) = (tenants.registry(), TenantId::new("Cust12345").unwrap());
        let version = || registry.version(registry.hash(id.folded()));
        let outdates = |what: &str, change: &dyn Fn()| {
            let before = version();
            change();
            assert_ne!(version(), before, "{what}");
        };
        let notify = |change| {
            let notified = Notified::new(change, 5, 1, Arc::default());
            tenants.apply(&id, Update::Notification(notified));
        };
        outdates("a move", &|| notify(ChangeType::Move));
        outdates("a closing", &|| notify(ChangeType::Delete));
        outdates("a pull that is scheduled", &|| assert!(registry.set_due(&id, None)));
        let record = registry.record(&id).unwrap();
        outdates("that it is forgotten", &|| assert!(tenants.forget(&id, &record)));
        let before = version();
        assert_eq!(registry.record(&id).unwrap_or_default(), Record::default());
        assert_eq!(version(), before, "a look changes nothing");
    }
}
