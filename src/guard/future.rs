//! The future of a guarded call.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{GuardError, TenantUnavailable};

pin_project! {
    /// The result of a call through a [`Guard`](super::Guard): the wrapped client's, or a refusal.
    ///
    /// It is `Send`, `Sync`, `Unpin` and `'static` when the wrapped client's future is.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Allowed { #[pin] call: F },
        Refused { unavailable: TenantUnavailable },
    }
}

impl<F> ResponseFuture<F> {
    #[inline]
    pub(super) fn allowed(call: F) -> Self {
        Self { state: State::Allowed { call } }
    }

    #[inline]
    pub(super) fn refused(unavailable: TenantUnavailable) -> Self {
        Self { state: State::Refused { unavailable } }
    }
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, GuardError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Allowed { call } => call.poll(cx).map_err(GuardError::Inner),
            // A copy, so that polling once more, against the rules, neither panics nor hangs.
            StateProj::Refused { unavailable } => {
                Poll::Ready(Err(GuardError::Unavailable(unavailable.clone())))
            }
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Allowed { .. } => "allowed",
            State::Refused { .. } => "refused",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
