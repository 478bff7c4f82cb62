//! A cache of the stored values, so that most merges take one round trip.

use std::collections::HashMap;

use crate::{
    status::{Record, intern::Interner},
    tenant_id::TenantId,
};

/// A stored record, and the mark by which the store tells whether it is still the stored one.
#[derive(Debug, Clone)]
pub(super) struct Cached<M> {
    pub(super) record: Record,
    pub(super) mark: M,
}

/// A cache of the values of at least `GENERATION` tenants.
///
/// When the young generation is full, the old one is dropped and the young one becomes the old:
/// values in use stay, with two maps and no list. A missing or outdated value costs one more round
/// trip. The keys are spelled as in the store.
#[derive(Debug)]
pub(super) struct Cache<M> {
    young: Generation<M>,
    old: Generation<M>,
    interner: Interner,
}

type Generation<M> = HashMap<TenantId, Cached<M>, foldhash::fast::RandomState>;

/// Tenants per generation. At some 250 bytes each, both generations take at most about 65 MB.
const GENERATION: usize = 128 * 1024;

impl<M> Default for Cache<M> {
    fn default() -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            interner: Interner::default(),
        }
    }
}

impl<M: Clone> Cache<M> {
    pub(super) fn get(&mut self, tenant: &TenantId) -> Option<(TenantId, Cached<M>)> {
        let found = self.young.get_key_value(tenant);
        if let Some((spelling, seen)) = found {
            return Some((spelling.clone(), seen.clone()));
        }
        let (spelling, seen) = self.old.get_key_value(tenant)?;
        let found = (spelling.clone(), seen.clone());
        self.put(found.0.clone(), found.1.clone());
        Some(found)
    }

    /// Removes the value of a tenant that is no longer stored.
    pub(super) fn remove(&mut self, tenant: &TenantId) {
        self.young.remove(tenant);
        self.old.remove(tenant);
    }

    pub(super) fn put(&mut self, spelling: TenantId, mut seen: Cached<M>) {
        seen.record.intern(&mut self.interner);
        if let Some(there) = self.young.get_mut(&spelling) {
            *there = seen;
            return;
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(spelling, seen);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::status::ChangeType;

    fn seen(mark: &'static str) -> Cached<&'static str> {
        Cached { record: Record::default(), mark }
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut known = Cache::default();
        let tenant = |n: usize| TenantId::new(format!("Cust{n}")).unwrap();
        for n in 0..4 * GENERATION {
            known.put(tenant(n), seen(""));
            assert!(known.get(&tenant(0)).is_some());
        }
        assert!(known.young.len() + known.old.len() <= 2 * GENERATION);
        assert!(known.get(&tenant(1)).is_none());
        for n in 3 * GENERATION..4 * GENERATION {
            assert!(known.get(&tenant(n)).is_some());
        }
    }

    #[test]
    fn the_latest_value_is_known_and_the_first_spelling() {
        let mut known = Cache::default();
        let (first, other) = (TenantId::new("Cust1").unwrap(), TenantId::new("CUST1").unwrap());
        known.put(first, seen("a"));
        known.put(other.clone(), seen("abc"));
        let (spelling, seen) = known.get(&other).unwrap();
        assert_eq!(spelling.as_str(), "Cust1");
        assert_eq!(seen.mark, "abc");
    }

    #[test]
    fn details_that_records_share_are_kept_once() {
        let mut known = Cache::default();
        let value =
            br#"{"v":"1.0","upgrade":{"at":1,"seen":1,"version":"11.10","file":"11.10.24"}}"#;
        let details = [1, 2].map(|n| {
            let tenant = TenantId::new(format!("Cust{n}")).unwrap();
            known.put(tenant.clone(), Cached { record: Record::decode(value).unwrap(), mark: () });
            let (_, seen) = known.get(&tenant).unwrap();
            seen.record.notified(ChangeType::Upgrade).unwrap().details.clone()
        });
        assert!(Arc::ptr_eq(&details[0], &details[1]));
    }
}
