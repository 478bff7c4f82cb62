//! Merges of one tenant take turns within this process.
//!
//! The server settles who comes first anyhow, but each loser of a race has to come again: of a
//! hundred merges of one tenant at once, nearly all would come a hundred times.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The tenants being merged.
#[derive(Debug, Default)]
pub(super) struct Turns(DashMap<String, Arc<Mutex<()>>>);

impl Turns {
    /// Waits for the turn of `key`, which ends when the answer is dropped.
    pub(super) async fn take<'a>(&'a self, key: &'a str) -> Turn<'a> {
        let queue = self.0.entry(key.to_owned()).or_default().clone();
        // Made first, so that a wait that is given up tidies up as well.
        let mut turn = Turn { turns: self, key, guard: None };
        turn.guard = Some(queue.lock_owned().await);
        turn
    }
}

pub(super) struct Turn<'a> {
    turns: &'a Turns,
    key: &'a str,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.guard.take());
        // Who waits holds a count of its own, and takes it while the entry is locked.
        self.turns.0.remove_if(self.key, |_, queue| Arc::strong_count(queue) == 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::join_all};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left() {
        let turns = Turns::default();
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
