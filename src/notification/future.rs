//! The futures of the inbound side.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Method, Request, Response, Version, header};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    answer::{Accepted, Refusal, into_response},
    body::{Collect, CollectError, Limits},
    detached::Detached,
    handler::Handled,
    route::Route,
};
use crate::http_client::EmptyBody;

pin_project! {
    /// The future of the answer to one notification.
    pub struct NotificationFuture<B> {
        #[pin]
        state: State<B>,
        route: Route,
        version: Version,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<B> {
        /// Refused by its head alone.
        Refused { refusal: Refusal },
        Reading { #[pin] body: Collect<B>, is_encoded: bool },
        /// Waits for a key or the store. A notification that waits for neither needs no task.
        Waiting { handled: Detached<Result<Accepted, Refusal>> },
    }
}

impl<B: Body> NotificationFuture<B> {
    pub(super) fn new(route: Route, request: Request<B>) -> Self {
        let version = request.version();
        let limits = route.limits();
        let state = match refuse_head(limits, &request) {
            Some(refusal) => State::Refused { refusal },
            None => State::Reading {
                is_encoded: is_encoded(request.headers()),
                body: Collect::new(request.into_body(), limits),
            },
        };
        Self { state, route, version }
    }
}

/// Returns the reason for refusing a request before its body is read.
fn refuse_head<B: Body>(limits: Limits, request: &Request<B>) -> Option<Refusal> {
    if request.method() != Method::POST {
        return Some(Refusal::Method);
    }
    let announced = request.headers().get(header::CONTENT_LENGTH).map(|length| length.as_bytes());
    let announced = announced.map_or(0, parse_length);
    let least = request.body().size_hint().lower().max(announced);
    (least > limits.size as u64).then_some(Refusal::BodyTooLarge)
}

/// Parses a `Content-Length`. One with too many digits is the largest number; one that is
/// malformed, which servers refuse anyway, announces nothing.
fn parse_length(digits: &[u8]) -> u64 {
    let digits = str::from_utf8(digits).unwrap_or_default().trim_ascii();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    digits.parse().unwrap_or(u64::MAX)
}

/// Returns whether any `Content-Encoding` is named but `identity`.
fn is_encoded(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

impl<B: Body> Future for NotificationFuture<B> {
    type Output = Result<Response<EmptyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = loop {
            match this.state.as_mut().project() {
                StateProj::Refused { refusal } => break Err(this.route.refuse(*refusal)),
                StateProj::Waiting { handled } => {
                    let handled = ready!(Pin::new(handled).poll(cx));
                    break handled.unwrap_or_else(|_| Err(this.route.refuse_interrupted()));
                }
                StateProj::Reading { body, is_encoded } => match ready!(body.poll(cx)) {
                    Err(error) => break Err(this.route.refuse(error.into())),
                    // Only now: a body that is also too large or too slow is refused for that.
                    Ok(_) if *is_encoded => break Err(this.route.refuse(Refusal::Encoded)),
                    Ok(body) => match this.route.handle(&body) {
                        Handled::Ready(result) => break result,
                        Handled::Pending(handled) => {
                            let handled = Detached::new(handled);
                            this.state.set(State::Waiting { handled });
                        }
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
    /// The future of [`Notifications`](super::Notifications): the answer of the inner service, or
    /// of the notification route.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_length_is_parsed_or_nothing() {
        for (text, length) in [
            ("0", 0),
            ("16384", 16_384),
            (" 16385 ", 16_385),
            ("18446744073709551615", u64::MAX),
            ("18446744073709551616", u64::MAX),
            ("", 0),
            (" ", 0),
            ("+5", 0),
            ("-5", 0),
            ("5, 5", 0),
            ("0x5", 0),
            ("five", 0),
            ("\u{665}", 0),
        ] {
            assert_eq!(parse_length(text.as_bytes()), length, "{text:?}");
        }
        assert_eq!(parse_length(b"5\xff"), 0);
    }

    #[test]
    fn every_content_encoding_but_identity_counts() {
        for (values, encoded) in [
            (&[][..], false),
            (&[""], false),
            (&["identity"], false),
            (&["IDENTITY , identity,"], false),
            (&["identity", "identity"], false),
            (&["gzip"], true),
            (&["identity", "gzip"], true),
            (&["identity,br"], true),
            (&["identity;q=1"], true),
            (&["x-identity"], true),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(is_encoded(&headers), encoded, "{values:?}");
        }
        let mut headers = HeaderMap::new();
        let opaque = http::HeaderValue::from_bytes(b"\xff").unwrap();
        headers.insert(header::CONTENT_ENCODING, opaque);
        assert!(is_encoded(&headers));
    }
}
