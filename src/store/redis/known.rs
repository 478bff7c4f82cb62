//! What this process last saw in the store, so that most merges take one round trip.

use std::{collections::HashMap, sync::Arc};

/// The values of up to about `2 * GENERATION` tenants.
///
/// When the young generation is full the old one is dropped and the young one becomes the old: what
/// is used stays, at the price of two maps and no list. A value that is missing or outdated costs a
/// round trip, no more.
#[derive(Debug, Default)]
pub(super) struct Known {
    young: HashMap<String, Arc<[u8]>>,
    old: HashMap<String, Arc<[u8]>>,
}

/// With values of some 250 bytes both generations take about 20 MB.
const GENERATION: usize = 32 * 1024;

impl Known {
    pub(super) fn get(&mut self, key: &str) -> Option<Arc<[u8]>> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.get(key)?.clone();
        self.put(key.to_owned(), Some(value.clone()));
        Some(value)
    }

    /// Notes the value of `key`; `None` when the store has none.
    pub(super) fn put(&mut self, key: String, value: Option<Arc<[u8]>>) {
        let Some(value) = value else {
            self.young.remove(&key);
            self.old.remove(&key);
            return;
        };
        if self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut known = Known::default();
        let value = |n: usize| Some(Arc::from(n.to_string().as_bytes()));
        for n in 0..10 * GENERATION {
            known.put(n.to_string(), value(n));
            assert_eq!(known.get("0"), value(0));
        }
        assert!(known.young.len() + known.old.len() <= 2 * GENERATION);
        assert_eq!(known.get("1"), None);
        known.put("0".to_owned(), value(7));
        assert_eq!(known.get("0"), value(7));
        known.put("0".to_owned(), None);
        assert_eq!(known.get("0"), None);
    }
}
