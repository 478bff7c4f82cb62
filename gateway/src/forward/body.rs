//! The bodies of a call, which note its progress.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::Version,
};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::progress::Progress;
use crate::BoxError;

/// The content of a request on its way to the tenant.
pub(super) struct RequestBody {
    inner: Body,
    version: Version,
    progress: Progress,
}

impl RequestBody {
    /// Wraps the body of a request that arrived over `version`.
    pub(super) fn wrap(inner: Body, version: Version, progress: Progress) -> Body {
        if inner.is_end_stream() {
            return inner;
        }
        Body::new(Self { inner, version, progress })
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        self.progress.note_caller(frame.is_pending());
        let frame = ready!(frame);
        self.progress.note();
        // hyper reads RST_STREAM with NO_ERROR as the end of a body.
        if frame.is_none() && self.version == Version::HTTP_2 && !self.inner.is_end_stream() {
            return Poll::Ready(Some(Err(Abandoned.into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The caller gave the request up before its end.
#[derive(Debug)]
struct Abandoned;

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("request abandoned before its end")
    }
}

impl Error for Abandoned {}

/// The content of a response on its way to the caller, cut off when the tenant pauses for too long.
pub(super) struct ResponseBody {
    inner: Incoming,
    progress: Progress,
    /// Set while the tenant is awaited; time that the caller takes to read does not count.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(super) fn wrap(inner: Incoming, progress: Progress) -> Body {
        Body::new(Self { inner, progress, deadline: None })
    }

    /// Waits for the deadline, which moves with the progress of the call.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline.is_none() {
            self.progress.note();
        }
        loop {
            let Some(deadline) = self.progress.deadline() else { return Poll::Pending };
            let sleep = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if sleep.deadline() < deadline {
                sleep.as_mut().reset(deadline);
            }
            ready!(sleep.as_mut().poll(cx));
            if self.progress.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                return Poll::Ready(());
            }
        }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.progress.note();
            self.deadline = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.poll_deadline(cx));
        tracing::debug!("response cut off: not continued in time");
        Poll::Ready(Some(Err(self.progress.to_expired().into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
