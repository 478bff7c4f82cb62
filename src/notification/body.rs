//! Reading a bounded body before a deadline.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

pin_project! {
    /// Reads a body to its end, unless it is too large, too slow or breaks off.
    ///
    /// Asks nothing of the body but to be one: it need not be `Send`, `Unpin` or `'static`, and its
    /// error may be anything.
    pub(super) struct Collect<B> {
        #[pin]
        body: B,
        // Armed when the body first keeps us waiting: most arrive with their headers.
        sleep: Option<Pin<Box<Sleep>>>,
        deadline: tokio::time::Instant,
        limit: usize,
        spent: usize,
        collected: BytesMut,
    }
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CollectError {
    TooLarge,
    TooSlow,
    Broken,
}

impl<B: Body> Collect<B> {
    pub(super) fn new(body: B, limit: usize, deadline: Duration) -> Self {
        Self {
            body,
            sleep: None,
            deadline: tokio::time::Instant::now() + deadline,
            limit,
            spent: 0,
            collected: BytesMut::new(),
        }
    }
}

impl<B: Body> Future for Collect<B> {
    type Output = Result<Bytes, CollectError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let frame = match this.body.as_mut().poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    let sleep = || Box::pin(tokio::time::sleep_until(*this.deadline));
                    ready!(this.sleep.get_or_insert_with(sleep).as_mut().poll(cx));
                    return Poll::Ready(Err(CollectError::TooSlow));
                }
            };
            let data = match frame {
                None => return Poll::Ready(Ok(this.collected.split().freeze())),
                Some(Err(_)) => return Poll::Ready(Err(CollectError::Broken)),
                Some(Ok(frame)) => frame.into_data(),
            };
            // A frame without data (trailers) counts as one byte, so that no body can keep this loop
            // going.
            let length = data.as_ref().map_or(0, Buf::remaining);
            *this.spent = this.spent.saturating_add(length.max(1));
            if *this.spent > *this.limit {
                return Poll::Ready(Err(CollectError::TooLarge));
            }
            if let Ok(data) = data {
                this.collected.put(data);
            }
        }
    }
}
