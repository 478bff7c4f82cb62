//! Interning of details that many records share.
//!
//! In an upgrade night every tenant gets the same two versions, and there are few hosts. Copies in
//! each of a million records would be most of their memory.

use std::sync::Arc;

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
}

/// The newest distinct values first.
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
        match self.0.iter().position(|own| own == value) {
            // The most frequent ends up first.
            Some(index) => {
                if let Some(upto) = self.0.get_mut(..=index) {
                    upto.rotate_right(1);
                }
            }
            None => {
                self.0.truncate(KEPT - 1);
                self.0.insert(0, Arc::clone(value));
            }
        }
        Arc::clone(self.0.first().unwrap_or(value))
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
