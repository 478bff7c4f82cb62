//! Serialises the merges of one tenant within this process.
//!
//! The server would resolve conflicts by itself, but each conflict repeats a merge: of a hundred
//! concurrent merges of one tenant, nearly all would be repeated a hundred times.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A lock per tenant that is being merged.
#[derive(Debug, Default)]
pub(super) struct KeyedLock(DashMap<String, Arc<Mutex<()>>>);

impl KeyedLock {
    /// Locks `key`, until the returned guard is dropped.
    pub(super) async fn take<'a>(&'a self, key: &'a str) -> KeyGuard<'a> {
        let queue = self.0.entry(key.to_owned()).or_default().clone();
        // Created first, so that a cancelled wait is cleaned up too.
        let mut turn = KeyGuard { turns: self, key, guard: None };
        turn.guard = Some(queue.lock_owned().await);
        turn
    }
}

pub(super) struct KeyGuard<'a> {
    turns: &'a KeyedLock,
    key: &'a str,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for KeyGuard<'_> {
    fn drop(&mut self) {
        drop(self.guard.take());
        // A waiter holds a reference of its own, which it gets while the entry is locked.
        self.turns.0.remove_if(self.key, |_, queue| Arc::strong_count(queue) == 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::join_all};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left() {
        let turns = KeyedLock::default();
        let first = turns.take("a").await;
        assert!(turns.take("b").now_or_never().is_some());
        let mut second = Box::pin(turns.take("a"));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert!(second.now_or_never().is_some());
        let first = turns.take("a").await;
        let given_up = turns.take("a").now_or_never();
        assert!(given_up.is_none());
        drop(first);
        join_all((0..10).map(|_| async { drop(turns.take("a").await) })).await;
        assert!(turns.0.is_empty(), "{turns:?}");
    }
}
