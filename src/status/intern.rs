//! Interning of details that many records share.
//!
//! In an upgrade night every tenant gets the same two versions, and there are few hosts. Copies in
//! each of a million records would be most of their memory.

use std::sync::Arc;

use serde_json::Map;
use smol_str::SmolStr;

use super::{notified::Details, pulled::PullDetails};

/// The most recent details of facts.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    notified: Latest<Details>,
    pulled: Latest<PullDetails>,
}

impl Interner {
    /// Returns `details`, or equal ones of another fact.
    pub(crate) fn intern_notified(&mut self, details: &Arc<Details>) -> Arc<Details> {
        self.notified.intern(details)
    }

    /// Does the same for pulls.
    pub(crate) fn intern_pulled(&mut self, details: &Arc<PullDetails>) -> Arc<PullDetails> {
        self.pulled.intern(details)
    }

    /// Returns the details with these texts, new ones only if they are not among those kept.
    pub(super) fn notified(
        &mut self,
        version_name: &str,
        file_version: &str,
        endpoint: Option<&str>,
    ) -> Arc<Details> {
        let is_same = |own: &Arc<Details>| {
            own.version_name == version_name
                && own.file_version == file_version
                && own.endpoint.as_deref() == endpoint
                && own.extra.is_empty()
        };
        self.notified.find_or_insert(is_same, || {
            Arc::new(Details {
                version_name: version_name.into(),
                file_version: file_version.into(),
                endpoint: endpoint.map(SmolStr::new),
                extra: Map::new(),
            })
        })
    }

    /// Does the same for pulls.
    pub(super) fn pulled(
        &mut self,
        endpoint: Option<&str>,
        version: Option<&str>,
    ) -> Arc<PullDetails> {
        let is_same = |own: &Arc<PullDetails>| {
            own.endpoint.as_deref() == endpoint
                && own.version.as_deref() == version
                && own.extra.is_empty()
        };
        self.pulled.find_or_insert(is_same, || {
            let (endpoint, version) = (endpoint.map(SmolStr::new), version.map(SmolStr::new));
            Arc::new(PullDetails { endpoint, version, extra: Map::new() })
        })
    }
}

/// The distinct values that were used last, the latest first.
#[derive(Debug)]
struct Latest<T>(Vec<Arc<T>>);

/// The number of values kept. A fleet has fewer hosts; records made over the years name more
/// versions, the oldest of them seldom.
const KEPT: usize = 16;

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq> Latest<T> {
    fn intern(&mut self, value: &Arc<T>) -> Arc<T> {
        let is_same = |own: &Arc<T>| Arc::ptr_eq(own, value) || own == value;
        self.find_or_insert(is_same, || Arc::clone(value))
    }

    fn find_or_insert(
        &mut self,
        is_same: impl Fn(&Arc<T>) -> bool,
        make: impl FnOnce() -> Arc<T>,
    ) -> Arc<T> {
        if let Some(index) = self.0.iter().position(is_same)
            && let Some(upto) = self.0.get_mut(..=index)
        {
            // To the front, where frequent values are found soonest.
            upto.rotate_right(1);
            if let Some(found) = upto.first() {
                return Arc::clone(found);
            }
        }
        let value = make();
        self.0.truncate(KEPT - 1);
        self.0.insert(0, Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_values_are_kept_once() {
        let mut latest = Latest::default();
        let first = latest.intern(&Arc::new(0));
        for round in 0..100 {
            // As many kinds as are kept, in turn, of which one comes every time.
            latest.intern(&Arc::new(1 + round % (KEPT - 1)));
            assert!(Arc::ptr_eq(&latest.intern(&Arc::new(0)), &first));
        }
        let kept = latest.0.clone();
        for value in &kept {
            assert!(Arc::ptr_eq(&latest.intern(&Arc::new(**value)), value));
        }
        for other in 100..100 + KEPT {
            latest.intern(&Arc::new(other));
        }
        assert_eq!(latest.0.len(), KEPT);
        assert!(!Arc::ptr_eq(&latest.intern(&Arc::new(0)), &first));
    }
}
