//! Guards as users write them by hand: the peers of the guard.

use std::{
    collections::hash_map::RandomState,
    future::Future,
    hash::BuildHasher,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use dashmap::DashMap;
use pin_project_lite::pin_project;
use tower::Service;

use crate::client::Call;

/// The closed tenants, by id in lower case, with the hasher `H`.
pub type ClosedTenants<H = RandomState> = Arc<DashMap<String, Closed, H>>;

#[derive(Clone, Copy)]
#[allow(dead_code, reason = "for the caller, who is not part of this")]
pub struct Closed {
    pub reason: Reason,
    pub since: SystemTime,
}

#[derive(Clone, Copy)]
pub enum Reason {
    Suspended,
}

/// The error of a refused call.
#[allow(dead_code, reason = "for the caller, who is not part of this")]
pub struct Refused {
    pub tenant: String,
    pub closed: Closed,
}

#[allow(dead_code, reason = "for the caller, who is not part of this")]
pub enum Error<E> {
    Refused(Refused),
    Inner(E),
}

/// Guards with the care of an afternoon: the host is checked, and no case matters.
#[derive(Clone)]
pub struct Careful<S> {
    pub inner: S,
    pub closed: ClosedTenants,
}

/// Guards with the first segment of the path alone, looked up as it is.
#[derive(Clone)]
pub struct Quick<S, H = RandomState> {
    pub inner: S,
    pub closed: ClosedTenants<H>,
}

impl<S> Careful<S> {
    #[inline]
    fn refusal(&self, call: &Call) -> Option<Refused> {
        const END: &[u8] = b".superoffice.com";
        let host = call.uri().host()?.as_bytes();
        let end = host.len().checked_sub(END.len())?;
        if !host[end..].eq_ignore_ascii_case(END) {
            return None;
        }
        let tenant = call.uri().path().split('/').find(|segment| !segment.is_empty())?;
        let tenant = tenant.to_ascii_lowercase();
        let closed = *self.closed.get(&tenant)?;
        Some(Refused { tenant, closed })
    }
}

impl<S, H: BuildHasher + Clone> Quick<S, H> {
    #[inline]
    fn refusal(&self, call: &Call) -> Option<Refused> {
        let tenant = call.uri().path().split('/').nth(1)?;
        let closed = *self.closed.get(tenant)?;
        Some(Refused { tenant: tenant.to_owned(), closed })
    }
}

macro_rules! service {
    ($guard:ident$(, $hasher:ident)?) => {
        impl<S: Service<Call>, $($hasher: BuildHasher + Clone)?> Service<Call> for $guard<S, $($hasher)?> {
            type Response = S::Response;
            type Error = Error<S::Error>;
            type Future = ByHandFuture<S::Future>;

            #[inline]
            fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
                self.inner.poll_ready(cx).map_err(Error::Inner)
            }

            #[inline]
            fn call(&mut self, call: Call) -> Self::Future {
                match self.refusal(&call) {
                    None => ByHandFuture::Forwarded { call: self.inner.call(call) },
                    Some(refused) => ByHandFuture::Refused { refused: Some(refused) },
                }
            }
        }
    };
}

service!(Careful);
service!(Quick, H);

pin_project! {
    #[project = Projected]
    pub enum ByHandFuture<F> {
        Forwarded { #[pin] call: F },
        Refused { refused: Option<Refused> },
    }
}

impl<F, T, E> Future for ByHandFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, Error<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Forwarded { call } => call.poll(cx).map_err(Error::Inner),
            Projected::Refused { refused } => match refused.take() {
                Some(refused) => Poll::Ready(Err(Error::Refused(refused))),
                None => panic!("polled after completion"),
            },
        }
    }
}
