//! The connections that a listener may hold at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};

use super::activity::Activity;

/// Idle time after which a connection may be closed in favour of another. It gives every connection
/// time to send its request, and bounds how fast clients that reconnect at once can be cycled.
const MIN_IDLE: Duration = Duration::from_secs(1);

/// A fixed number of slots, each for one connection.
#[derive(Debug)]
pub(super) struct Slots {
    total: usize,
    free: Arc<Semaphore>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    connections: HashMap<u64, Arc<Activity>>,
}

/// A slot that waits for its connection.
#[derive(Debug)]
pub(super) struct FreeSlot {
    taken: Arc<Mutex<Taken>>,
    permit: OwnedSemaphorePermit,
}

/// The slot of one connection; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) activity: Arc<Activity>,
    number: u64,
    taken: Arc<Mutex<Taken>>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new(total: usize) -> Self {
        let total = total.clamp(1, Semaphore::MAX_PERMITS);
        Self { total, free: Arc::new(Semaphore::new(total)), taken: Arc::default() }
    }

    /// Waits for a slot. While all are taken, the connections that are idle longest are closed:
    /// otherwise silent connections could keep all others out.
    pub(super) async fn acquire(&self) -> FreeSlot {
        let permit = self.permit().await;
        FreeSlot { taken: Arc::clone(&self.taken), permit }
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            let free = Arc::clone(&self.free);
            if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
                return permit;
            }
            self.evict_idle(Instant::now());
            tokio::select! {
                // The semaphore is never closed.
                Ok(permit) = free.acquire_owned() => return permit,
                () = sleep(MIN_IDLE) => {}
            }
        }
    }

    /// Waits until no slot is taken.
    pub(super) async fn all_free(&self) {
        // Permits are counted in u32 here, and no process has so many connections.
        let total = u32::try_from(self.total).unwrap_or(u32::MAX);
        let _all = self.free.acquire_many(total).await;
    }

    /// Closes the connections that are idle longest, several at once, because each search looks at
    /// all of them.
    fn evict_idle(&self, now: Instant) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle: Vec<_> = (taken.connections.values())
            .filter_map(|connection| Some((connection.idle_since()?, connection)))
            .filter(|(since, _)| *since + MIN_IDLE <= now)
            .collect();
        let several = (self.total / 32).max(1);
        if several < idle.len() {
            idle.select_nth_unstable_by_key(several, |(since, _)| *since);
        }
        for (_, connection) in idle.into_iter().take(several) {
            connection.evict();
        }
    }
}

impl FreeSlot {
    /// Takes the slot for a connection that was accepted now: its idle time begins here, not when
    /// the listener began to wait for it.
    pub(super) fn take(self) -> Slot {
        let activity = Activity::new();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = taken.next;
        taken.next += 1;
        taken.connections.insert(number, Arc::clone(&activity));
        drop(taken);
        Slot { activity, number, taken: self.taken, _permit: self.permit }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn full_listener_closes_the_connection_idle_longest() {
        let slots = Slots::new(3);
        let busy = slots.acquire().await.take();
        let _request = busy.activity.begin();
        let oldest = slots.acquire().await.take();
        sleep(Duration::from_millis(500)).await;
        let newest = slots.acquire().await.take();

        let start = Instant::now();
        let closing = async {
            oldest.activity.evicted().await;
            drop(oldest);
        };
        let (slot, ()) = tokio::join!(slots.acquire(), closing);
        assert!(start.elapsed() <= MIN_IDLE, "{:?}", start.elapsed());
        assert!(newest.activity.evicted().now_or_never().is_none());
        assert!(busy.activity.evicted().now_or_never().is_none());
        drop((slot, newest));
    }

    #[tokio::test(start_paused = true)]
    async fn full_listener_of_busy_connections_waits() {
        let slots = Slots::new(1);
        let busy = slots.acquire().await.take();
        let request = busy.activity.begin();
        let waiting = tokio::time::timeout(Duration::from_secs(3600), slots.acquire()).await;
        assert!(waiting.is_err());
        drop(request);
        drop(busy);
        slots.acquire().await;
        slots.all_free().await;
    }
}
