//! How often tenants have changed, for what is remembered of them elsewhere.

use std::sync::atomic::{AtomicU32, Ordering};

/// A number of tenants to each count: a change of one outdates what is remembered of all of them.
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
