//! Time limits of one call: on the wait for its response, and on pauses of its bodies.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// The progress of a call, shared by its future and its two bodies.
///
/// One rule covers both limits: a call expires when nothing has moved for the time-out. The end of
/// the request is its last move before the response, so from there the same time bounds the wait.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    timeout: Duration,
    start: Instant,
    /// Time of the last move, in microseconds since the start.
    last: AtomicU64,
    /// Whether the next move is the caller's: more of the request.
    awaits_caller: AtomicBool,
}

impl Progress {
    pub(super) fn new(timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            timeout,
            start: Instant::now(),
            last: AtomicU64::new(0),
            awaits_caller: AtomicBool::new(false),
        }))
    }

    /// Notes that something moved.
    pub(super) fn note(&self) {
        let now = self.0.start.elapsed().as_micros();
        self.0.last.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Notes whether the next move is the caller's.
    pub(super) fn note_caller(&self, awaited: bool) {
        self.0.awaits_caller.store(awaited, Ordering::Relaxed);
    }

    /// When the call expires if nothing moves until then; `None` for never.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let last = Duration::from_micros(self.0.last.load(Ordering::Relaxed));
        self.0.start.checked_add(last)?.checked_add(self.0.timeout)
    }

    /// Waits until the call has expired.
    pub(super) async fn expired(&self) -> Expired {
        loop {
            let Some(deadline) = self.deadline() else { return std::future::pending().await };
            sleep_until(deadline).await;
            if self.deadline() == Some(deadline) {
                return self.to_expired();
            }
        }
    }

    pub(super) fn to_expired(&self) -> Expired {
        let awaits_caller = self.0.awaits_caller.load(Ordering::Relaxed);
        if awaits_caller { Expired::Request } else { Expired::Response }
    }
}

/// The part of a call that did not move in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Expired {
    /// The caller sent no more of its request.
    Request,
    /// The tenant read no more of the request, or sent no more of its response.
    Response,
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request not continued in time",
            Self::Response => "response not continued in time",
        })
    }
}

impl Error for Expired {}
