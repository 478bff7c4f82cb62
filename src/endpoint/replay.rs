//! Which requests can be sent a second time.

use http_body::Body;

/// Makes the copy of a request that is sent when the request itself was misdirected.
///
/// It is asked for each request to a tenant *before* that is sent. The built-in policies are
/// [`ReplayEmpty`], [`ReplayCloned`], [`ReplayWith`] and [`NoReplay`]; an
/// [`EndpointLayer`](crate::EndpointLayer) has a setter for each.
pub trait Replay<R> {
    /// A copy of `request`; `None` when there can be none: its 421 is then handed on.
    fn copy(&self, request: &R) -> Option<R>;
}

/// Replays requests without a body, or with one that ends before it is sent. The default.
///
/// Takes `http::Request<B>` where an empty `B` can be made, with `Default`; and, with the feature
/// `reqwest`, every `reqwest::Request` that its `try_clone` can copy, which is all but those with a
/// streamed body.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayEmpty {
    _private: (),
}

/// Replays requests whose type of body can be cloned.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayCloned {
    _private: (),
}

/// Replays what a function copies.
#[derive(Debug, Clone, Copy)]
pub struct ReplayWith<F>(pub(super) F);

/// Replays nothing. The state API is asked all the same, so that the next call goes right.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReplay {
    _private: (),
}

impl<B: Body + Default> Replay<http::Request<B>> for ReplayEmpty {
    fn copy(&self, request: &http::Request<B>) -> Option<http::Request<B>> {
        if !request.body().is_end_stream() {
            return None;
        }
        let body = B::default();
        // A default that is not empty would send what nobody asked to be sent.
        body.is_end_stream().then(|| with_body(request, body))
    }
}

impl<B: Clone> Replay<http::Request<B>> for ReplayCloned {
    fn copy(&self, request: &http::Request<B>) -> Option<http::Request<B>> {
        Some(request.clone())
    }
}

impl<R, F: Fn(&R) -> Option<R>> Replay<R> for ReplayWith<F> {
    fn copy(&self, request: &R) -> Option<R> {
        (self.0)(request)
    }
}

impl<R> Replay<R> for NoReplay {
    fn copy(&self, _: &R) -> Option<R> {
        None
    }
}

#[cfg(feature = "reqwest")]
impl Replay<reqwest::Request> for ReplayEmpty {
    fn copy(&self, request: &reqwest::Request) -> Option<reqwest::Request> {
        request.try_clone()
    }
}

#[cfg(feature = "reqwest")]
impl Replay<reqwest::Request> for ReplayCloned {
    fn copy(&self, request: &reqwest::Request) -> Option<reqwest::Request> {
        request.try_clone()
    }
}

/// A copy of `request` with `body` in place of its own.
fn with_body<B>(request: &http::Request<B>, body: B) -> http::Request<B> {
    let mut copy = http::Request::new(body);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    copy
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{Request, Version};
    use http_body_util::{Empty, Full};

    use super::*;

    fn post(body: &'static str) -> Request<Full<Bytes>> {
        Request::post("https://online2.superoffice.com/Cust1")
            .version(Version::HTTP_2)
            .header("authorization", "Bearer x")
            .extension(7_u8)
            .body(Full::from(body))
            .unwrap()
    }

    #[test]
    fn a_request_without_content_is_copied_whole() {
        let copy = ReplayEmpty::default().copy(&post("")).unwrap();
        let (copy, _) = copy.into_parts();
        assert_eq!(copy.method, "POST");
        assert_eq!(copy.uri, "https://online2.superoffice.com/Cust1");
        assert_eq!(copy.version, Version::HTTP_2);
        assert_eq!(copy.headers["authorization"], "Bearer x");
        assert_eq!(copy.extensions.get(), Some(&7_u8));
        assert!(ReplayEmpty::default().copy(&Request::new(Empty::<Bytes>::new())).is_some());
    }

    #[test]
    fn content_is_copied_only_when_told_so() {
        assert!(ReplayEmpty::default().copy(&post("x")).is_none());
        assert!(NoReplay::default().copy(&post("")).is_none());
        assert!(ReplayCloned::default().copy(&post("x")).is_some());
        let never = ReplayWith(|_: &Request<Full<Bytes>>| None);
        assert!(never.copy(&post("")).is_none());
    }

    #[test]
    fn a_default_body_with_content_is_not_sent_in_place_of_an_empty_one() {
        use std::{
            convert::Infallible,
            pin::Pin,
            task::{Context, Poll},
        };

        struct Loud(bool);

        impl Default for Loud {
            fn default() -> Self {
                Self(true)
            }
        }

        impl Body for Loud {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
                Poll::Ready(None)
            }

            fn is_end_stream(&self) -> bool {
                !self.0
            }
        }

        assert!(ReplayEmpty::default().copy(&Request::new(Loud(false))).is_none());
    }
}
