//! The client under the middleware, and the `Identity` middleware they are compared with.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use pin_project_lite::pin_project;
use tower::Service;
use tower_superoffice::{GuardError, TenantUnavailable};

pub type Call = Request<Empty<Bytes>>;

/// A client that answers at once.
#[derive(Clone)]
pub struct Client;

impl Service<Call> for Client {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    // A real client is too large to be inlined into the middleware.
    #[inline(never)]
    fn call(&mut self, _: Call) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

/// Forwards everything, in a future of the same shape as the guard's: the lower bound for a
/// middleware that *may* refuse.
#[derive(Clone)]
pub struct Identity<S> {
    pub inner: S,
    /// Always `None`, hidden from the optimiser.
    pub refusal: Option<TenantUnavailable>,
}

impl<S: Service<Call>> Service<Call> for Identity<S> {
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = IdentityFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(GuardError::Inner)
    }

    #[inline]
    fn call(&mut self, call: Call) -> Self::Future {
        match &self.refusal {
            None => IdentityFuture::Forwarded { call: self.inner.call(call) },
            Some(refusal) => IdentityFuture::Refused { refusal: refusal.clone() },
        }
    }
}

pin_project! {
    #[project = Projected]
    pub enum IdentityFuture<F> {
        Forwarded { #[pin] call: F },
        Refused { refusal: TenantUnavailable },
    }
}

impl<F, T, E> Future for IdentityFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, GuardError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Forwarded { call } => call.poll(cx).map_err(GuardError::Inner),
            Projected::Refused { refusal } => Poll::Ready(Err(refusal.clone().into())),
        }
    }
}
