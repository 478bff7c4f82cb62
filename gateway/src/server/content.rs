//! The content of a request, which notes whether it was read to its end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};

use super::activity::Activity;

/// The content of a request of a connection with this activity.
pub(super) struct Content {
    inner: Incoming,
    ended: bool,
    activity: Arc<Activity>,
}

impl Content {
    pub(super) fn new(inner: Incoming, activity: Arc<Activity>) -> Self {
        Self { inner, ended: false, activity }
    }
}

impl HttpBody for Content {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        self.ended |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.activity.set_unread(!self.ended && !self.inner.is_end_stream());
    }
}
