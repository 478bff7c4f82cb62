//! Whether a connection is busy, and since when it is not.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The requests of one connection. One without any is idle, whatever bytes it sends.
#[derive(Debug)]
pub(super) struct Activity {
    accepted: Instant,
    in_flight: AtomicUsize,
    /// When the last request ended, in milliseconds since the connection was accepted.
    ended: AtomicU64,
    end: Notify,
    evicted: Notify,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted: Instant::now(),
            in_flight: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            end: Notify::new(),
            evicted: Notify::new(),
        })
    }

    /// Counts a request, until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(Arc::clone(self))
    }

    /// Returns since when there is no request; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if self.in_flight.load(Ordering::SeqCst) > 0 {
            return None;
        }
        Some(self.accepted + Duration::from_millis(self.ended.load(Ordering::SeqCst)))
    }

    /// Waits until the connection has been idle for `limit`.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            match self.idle_since().map(|since| since + limit) {
                Some(due) if due <= Instant::now() => return,
                Some(due) => sleep_until(due).await,
                None => self.end.notified().await,
            }
        }
    }

    /// Asks the connection to close, for another to take its place.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Waits until the connection is to close.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

/// A request whose response is not complete.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let ended = u64::try_from(self.0.accepted.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended.store(ended, Ordering::SeqCst);
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.0.end.notify_one();
    }
}

/// The body of a response, whose end is the end of its request.
#[derive(Debug)]
pub(super) struct CountedBody {
    inner: Body,
    _request: InFlight,
}

impl CountedBody {
    pub(super) fn new(inner: Body, request: InFlight) -> Self {
        Self { inner, _request: request }
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_time_starts_at_the_end_of_the_last_request() {
        let activity = Activity::new();
        let (first, second) = (activity.begin(), activity.begin());
        drop(first);
        assert_eq!(activity.idle_since(), None);
        let start = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            drop(second);
        });
        activity.idle_for(Duration::from_secs(20)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(50));
    }
}
