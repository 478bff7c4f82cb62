//! The reader of a bounded body before a deadline.

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

/// The limits of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most bytes.
    pub(crate) size: usize,
    /// The time within which the whole body must arrive.
    pub(crate) deadline: Duration,
}

pin_project! {
    /// Reads a body to its end, unless it is too large, too slow or breaks off.
    ///
    /// Requires nothing of the body but the trait: it need not be `Send`, `Unpin` or `'static`, and
    /// its error may be any type.
    pub(super) struct Collect<B> {
        #[pin]
        body: B,
        // Made when the body is first pending: most arrive with their headers.
        sleep: Option<Pin<Box<Sleep>>>,
        deadline: tokio::time::Instant,
        limit: usize,
        spent: usize,
        collected: BytesMut,
    }
}

/// The reason for which a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CollectError {
    TooLarge,
    TooSlow,
    Broken,
}

impl<B: Body> Collect<B> {
    pub(super) fn new(body: B, limits: Limits) -> Self {
        Self {
            body,
            sleep: None,
            deadline: tokio::time::Instant::now() + limits.deadline,
            limit: limits.size,
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
            // A frame without data (trailers) counts as one byte, so that this loop ends for every
            // body.
            let length = data.as_ref().map_or(0, Buf::remaining);
            *this.spent = this.spent.saturating_add(length.max(1));
            if *this.spent > *this.limit {
                return Poll::Ready(Err(CollectError::TooLarge));
            }
            if let Ok(data) = data {
                this.collected.put(data);
            }
            // A body may know its end before the connection says so. The sender is free to close it
            // by then, which must not turn a whole body into a broken one.
            if this.body.is_end_stream() {
                return Poll::Ready(Ok(this.collected.split().freeze()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http::HeaderMap;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use tokio::time::Instant;

    use super::*;

    const LIMITS: Limits = Limits { size: 10, deadline: Duration::from_secs(5) };

    async fn read(
        frames: impl IntoIterator<Item = Result<Frame<Bytes>, ()>>,
    ) -> Result<Bytes, CollectError> {
        let body = StreamBody::new(stream::iter(frames));
        Collect::new(body, LIMITS).await
    }

    fn data(bytes: &'static [u8]) -> Result<Frame<Bytes>, ()> {
        Ok(Frame::data(Bytes::from_static(bytes)))
    }

    #[tokio::test]
    async fn body_is_read_up_to_the_limit_and_no_further() {
        assert_eq!(read([]).await.unwrap(), "");
        assert_eq!(read([data(b"12345"), data(b"67890")]).await.unwrap(), "1234567890");
        assert_eq!(read([data(b"12345"), data(b"678901")]).await, Err(CollectError::TooLarge));
    }

    #[tokio::test]
    async fn endless_empty_frames_are_too_large() {
        assert_eq!(read(std::iter::repeat_with(|| data(b""))).await, Err(CollectError::TooLarge));
        let trailers = || Ok(Frame::trailers(HeaderMap::new()));
        assert_eq!(read(std::iter::repeat_with(trailers)).await, Err(CollectError::TooLarge));
        assert_eq!(read([data(b"123456789"), trailers()]).await.unwrap(), "123456789");
    }

    /// A body of known length whose connection breaks right behind it.
    struct Announced(Option<Bytes>);

    impl Body for Announced {
        type Data = Bytes;
        type Error = ();

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
            Poll::Ready(Some(self.0.take().map(Frame::data).ok_or(())))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_none()
        }
    }

    #[tokio::test]
    async fn whole_body_is_read_though_its_connection_breaks() {
        let body = Announced(Some(Bytes::from_static(b"1234")));
        assert_eq!(Collect::new(body, LIMITS).await.unwrap(), "1234");
    }

    #[tokio::test]
    async fn broken_body_is_an_error() {
        assert_eq!(read([data(b"1"), Err(())]).await, Err(CollectError::Broken));
    }

    #[tokio::test(start_paused = true)]
    async fn deadline_covers_the_whole_body() {
        let began = Instant::now();
        let trickle = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((data(b"1"), ()))
        });
        let body = StreamBody::new(trickle.boxed());
        assert_eq!(Collect::new(body, LIMITS).await, Err(CollectError::TooSlow));
        assert_eq!(began.elapsed(), LIMITS.deadline);
    }
}
