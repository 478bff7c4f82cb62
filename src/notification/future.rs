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
    answer::{Accepted, Refusal, answer},
    body::{Collect, CollectError},
    receiver::{Receiver, Taken},
};
use crate::http_client::EmptyBody;

pin_project! {
    /// The answer to one notification.
    pub struct NotificationFuture<B> {
        #[pin]
        state: State<B>,
        receiver: Receiver,
        version: Version,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<B> {
        /// Refused by its head alone.
        Refused { refusal: Refusal },
        Reading { #[pin] body: Collect<B> },
        /// Waits for a key or the store. Only what waits is boxed.
        Waiting { taken: BoxFuture<'static, Result<Accepted, Refusal>> },
    }
}

impl<B: Body> NotificationFuture<B> {
    pub(super) fn new(receiver: Receiver, request: Request<B>) -> Self {
        let version = request.version();
        let state = match refuse_head(&receiver, &request) {
            Some(refusal) => State::Refused { refusal },
            None => State::Reading { body: receiver.collect(request.into_body()) },
        };
        Self { state, receiver, version }
    }
}

/// What can be refused before the body is read.
fn refuse_head<B: Body>(receiver: &Receiver, request: &Request<B>) -> Option<Refusal> {
    if request.method() != Method::POST {
        return Some(Refusal::Method);
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0);
    let least = request.body().size_hint().lower().max(length);
    (least > receiver.body_limit() as u64).then_some(Refusal::BodyTooLarge)
}

impl<B: Body> Future for NotificationFuture<B> {
    type Output = Result<Response<EmptyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = loop {
            match this.state.as_mut().project() {
                StateProj::Refused { refusal } => break Err(this.receiver.refused(*refusal)),
                StateProj::Waiting { taken } => break ready!(taken.as_mut().poll(cx)),
                StateProj::Reading { body } => match ready!(body.poll(cx)) {
                    Err(error) => break Err(this.receiver.refused(error.into())),
                    Ok(body) => match this.receiver.take(&body) {
                        Taken::Now(result) => break result,
                        Taken::Later(taken) => this.state.set(State::Waiting { taken }),
                    },
                },
            }
        };
        Poll::Ready(Ok(answer(result, *this.version)))
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
    /// The answer of a service behind the [`NotificationLayer`](super::NotificationLayer), or of the
    /// notification route.
    pub struct ResponseFuture<F, B> {
        #[pin]
        kind: Kind<F, B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F, B> {
        Passed { #[pin] future: F },
        Own { #[pin] future: NotificationFuture<B> },
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn passed(future: F) -> Self {
        Self { kind: Kind::Passed { future } }
    }

    pub(super) fn own(future: NotificationFuture<B>) -> Self {
        Self { kind: Kind::Own { future } }
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
            KindProj::Own { future } => {
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
