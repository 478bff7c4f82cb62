//! The futures of the inbound side.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::future::BoxFuture;
use http::{Method, Request, Response, Version, header};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    answer::{Accepted, Refusal, into_response},
    body::{Collect, CollectError},
    handler::{Handled, NotificationHandler},
};
use crate::http_client::EmptyBody;

pin_project! {
    /// The future of the answer to one notification.
    pub struct NotificationFuture<B> {
        #[pin]
        state: State<B>,
        handler: NotificationHandler,
        version: Version,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<B> {
        /// Refused by its head alone.
        Refused { refusal: Refusal },
        Reading { #[pin] body: Collect<B> },
        /// Waits for a key or the store. A notification that waits for neither is not boxed.
        Waiting { handled: BoxFuture<'static, Result<Accepted, Refusal>> },
    }
}

impl<B: Body> NotificationFuture<B> {
    pub(super) fn new(handler: NotificationHandler, request: Request<B>) -> Self {
        let version = request.version();
        let state = match refuse_head(&handler, &request) {
            Some(refusal) => State::Refused { refusal },
            None => State::Reading { body: handler.collect(request.into_body()) },
        };
        Self { state, handler, version }
    }
}

/// Returns the reason for refusing a request before its body is read.
fn refuse_head<B: Body>(handler: &NotificationHandler, request: &Request<B>) -> Option<Refusal> {
    if request.method() != Method::POST {
        return Some(Refusal::Method);
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0);
    let least = request.body().size_hint().lower().max(length);
    (least > handler.body_limit() as u64).then_some(Refusal::BodyTooLarge)
}

impl<B: Body> Future for NotificationFuture<B> {
    type Output = Result<Response<EmptyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = loop {
            match this.state.as_mut().project() {
                StateProj::Refused { refusal } => break Err(this.handler.refuse(*refusal)),
                StateProj::Waiting { handled } => break ready!(handled.as_mut().poll(cx)),
                StateProj::Reading { body } => match ready!(body.poll(cx)) {
                    Err(error) => break Err(this.handler.refuse(error.into())),
                    Ok(body) => match this.handler.handle(&body) {
                        Handled::Ready(result) => break result,
                        Handled::Pending(handled) => this.state.set(State::Waiting { handled }),
                    },
                },
            }
        };
        Poll::Ready(Ok(into_response(result, *this.version)))
    }
}

impl From<CollectError> for Refusal {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::TooLarge => Self::BodyTooLarge,
            CollectError::TooSlow => Self::BodyTooSlow,
            CollectError::Broken => Self::BodyBroken,
        }
    }
}

impl<B> fmt::Debug for NotificationFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotificationFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Notifications`](super::Notifications): the answer of the inner service, or of
    /// the notification route.
    pub struct ResponseFuture<F, B> {
        #[pin]
        kind: Kind<F, B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F, B> {
        Passed { #[pin] future: F },
        Handled { #[pin] future: NotificationFuture<B> },
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn passed(future: F) -> Self {
        Self { kind: Kind::Passed { future } }
    }

    pub(super) fn handled(future: NotificationFuture<B>) -> Self {
        Self { kind: Kind::Handled { future } }
    }
}

impl<F, B, ResBody, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    B: Body,
    ResBody: Default,
{
    type Output = Result<Response<ResBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Passed { future } => future.poll(cx),
            KindProj::Handled { future } => {
                let Ok(response) = ready!(future.poll(cx));
                Poll::Ready(Ok(response.map(|_: EmptyBody| ResBody::default())))
            }
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
