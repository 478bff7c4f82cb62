//! The activity of a connection: whether it is busy, since when it is idle, and whether its peer
//! reads the responses.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

/// The requests of one connection. One without any is idle, whatever bytes it sends.
#[derive(Debug)]
pub(super) struct Activity {
    accepted: Instant,
    in_flight: AtomicUsize,
    /// Requests in flight whose next bytes have yet to be made. All others wait for the peer.
    awaited: AtomicUsize,
    /// When the last request ended, in milliseconds since the connection was accepted.
    ended: AtomicU64,
    /// When a response last moved, in milliseconds since the connection was accepted.
    moved: AtomicU64,
    /// Whether the peer sent more than the requests that were read to their end.
    unread: AtomicBool,
    end: Notify,
    evicted: Notify,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted: Instant::now(),
            in_flight: AtomicUsize::new(0),
            awaited: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            end: Notify::new(),
            evicted: Notify::new(),
        })
    }

    /// Counts a request, until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.awaited.fetch_add(1, Ordering::SeqCst);
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight { activity: Arc::clone(self), awaited: true }
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

    /// Waits until, for `limit`, the peer has read nothing of the responses that are ready.
    ///
    /// Over HTTP/1 such a peer blocks a write; over HTTP/2 it gives no leave for one, and nothing
    /// else would tell that from a connection at work.
    pub(super) async fn stalled_for(&self, limit: Duration) {
        loop {
            sleep(limit / 2).await;
            let waits_for_peer = self.in_flight.load(Ordering::SeqCst) > 0
                && self.awaited.load(Ordering::SeqCst) == 0;
            let moved = self.accepted + Duration::from_millis(self.moved.load(Ordering::SeqCst));
            if waits_for_peer && moved + limit <= Instant::now() {
                return;
            }
        }
    }

    /// Notes whether the peer may be in the middle of a request.
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Has the connection closed, so that another can take its place.
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
pub(super) struct InFlight {
    activity: Arc<Activity>,
    awaited: bool,
}

impl InFlight {
    /// Notes whether the next bytes of the response have yet to be made.
    fn note(&mut self, awaited: bool) {
        if !awaited {
            self.activity.moved.store(self.activity.milliseconds(), Ordering::SeqCst);
        }
        match (std::mem::replace(&mut self.awaited, awaited), awaited) {
            (true, false) => self.activity.awaited.fetch_sub(1, Ordering::SeqCst),
            (false, true) => self.activity.awaited.fetch_add(1, Ordering::SeqCst),
            _ => return,
        };
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.note(false);
        self.activity.ended.store(self.activity.milliseconds(), Ordering::SeqCst);
        self.activity.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.activity.end.notify_one();
    }
}

/// The body of a response, whose end is the end of its request.
#[derive(Debug)]
pub(super) struct CountedBody {
    inner: Body,
    request: InFlight,
}

impl CountedBody {
    pub(super) fn new(inner: Body, mut request: InFlight) -> Self {
        request.note(false);
        Self { inner, request }
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        self.request.note(frame.is_pending());
        frame
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
    use http_body_util::BodyExt;

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

    #[tokio::test(start_paused = true)]
    async fn peer_that_does_not_read_stalls_and_a_slow_tenant_does_not() {
        const LIMIT: Duration = Duration::from_secs(60);
        let activity = Activity::new();
        let (tx, rx) = tokio::sync::mpsc::channel::<Result<Bytes, axum::BoxError>>(1);
        let chunks = futures::stream::unfold(rx, async |mut rx| Some((rx.recv().await?, rx)));
        let request = activity.begin();
        let long = Duration::from_secs(3600);
        let stalls = tokio::time::timeout(long, activity.stalled_for(LIMIT)).await;
        assert!(stalls.is_err(), "no response is ready yet");

        let mut body = CountedBody::new(Body::from_stream(chunks), request);
        let mut read = std::pin::pin!(body.frame());
        assert!(futures::poll!(read.as_mut()).is_pending());
        let stalls = tokio::time::timeout(long, activity.stalled_for(LIMIT)).await;
        assert!(stalls.is_err(), "the tenant pauses");

        tx.send(Ok(Bytes::from_static(b"chunk"))).await.unwrap();
        assert!(read.await.is_some());
        // From here on the peer does not ask for more.
        let start = Instant::now();
        activity.stalled_for(LIMIT).await;
        assert!(start.elapsed() <= LIMIT * 3 / 2, "{:?}", start.elapsed());
        drop(body);
        let stalls = tokio::time::timeout(long, activity.stalled_for(LIMIT)).await;
        assert!(stalls.is_err(), "an idle connection");
    }
}
