//! The policies by which requests are cloned, so that they can be repeated.

use http_body::Body;

/// A policy: which requests are cloned before they are sent, so that a misdirected one is repeated.
///
/// The built-in policies are [`CloneSmall`], [`CloneEmpty`], [`CloneBody`], [`CloneWith`] and
/// [`NoRetry`]; an [`EndpointLayer`](crate::EndpointLayer) has a setter for each. A policy runs for
/// each request to a tenant.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't clone a `{R}`",
    label = "no `CloneRequest<{R}>`",
    note = "the default needs a body that is `Clone`: choose `.clone_empty()`, `.clone_request(..)` or `.no_retry()` for others",
    note = "for `reqwest::Request` of reqwest 0.13, enable tower-superoffice's feature `reqwest`"
)]
pub trait CloneRequest<R> {
    /// Clones `request`; `None` when that is impossible or unwanted: its 421 is then returned.
    fn clone_request(&self, request: &R) -> Option<R>;
}

/// Clones requests with a body of known size up to 64 KiB, for bodies that are `Clone`. The
/// default.
///
/// With the feature `reqwest`, it clones every `reqwest::Request` that `try_clone` can: all but
/// those with a streamed body.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneSmall {
    _private: (),
}

/// The largest body that [`CloneSmall`] clones, in bytes.
const SMALL: u64 = 64 * 1024;

/// Clones requests whose body is empty.
///
/// For `http::Request<B>` the empty body of the clone is made with `B: Default`. With the feature
/// `reqwest`, it clones every `reqwest::Request` that `try_clone` can: all but those with a
/// streamed body.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneEmpty {
    _private: (),
}

/// Clones every request: for bodies that are `Clone`.
///
/// With the feature `reqwest`, it clones every `reqwest::Request` that `try_clone` can: all but
/// those with a streamed body.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneBody {
    _private: (),
}

/// Clones requests with a function.
#[derive(Debug, Clone, Copy)]
pub struct CloneWith<F>(pub(super) F);

/// Clones nothing: every 421 is returned. The tenant is pulled all the same, for later calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRetry {
    _private: (),
}

impl<B: Body + Clone> CloneRequest<http::Request<B>> for CloneSmall {
    fn clone_request(&self, request: &http::Request<B>) -> Option<http::Request<B>> {
        let size = request.body().size_hint().exact()?;
        (size <= SMALL).then(|| request.clone())
    }
}

impl<B: Body + Default> CloneRequest<http::Request<B>> for CloneEmpty {
    fn clone_request(&self, request: &http::Request<B>) -> Option<http::Request<B>> {
        if !request.body().is_end_stream() {
            return None;
        }
        let body = B::default();
        // A default body with content would be sent in place of none.
        body.is_end_stream().then(|| with_body(request, body))
    }
}

impl<B: Clone> CloneRequest<http::Request<B>> for CloneBody {
    fn clone_request(&self, request: &http::Request<B>) -> Option<http::Request<B>> {
        Some(request.clone())
    }
}

impl<R, F: Fn(&R) -> Option<R>> CloneRequest<R> for CloneWith<F> {
    fn clone_request(&self, request: &R) -> Option<R> {
        (self.0)(request)
    }
}

impl<R> CloneRequest<R> for NoRetry {
    fn clone_request(&self, _: &R) -> Option<R> {
        None
    }
}

#[cfg(feature = "reqwest")]
impl CloneRequest<reqwest::Request> for CloneSmall {
    fn clone_request(&self, request: &reqwest::Request) -> Option<reqwest::Request> {
        request.try_clone()
    }
}

#[cfg(feature = "reqwest")]
impl CloneRequest<reqwest::Request> for CloneEmpty {
    fn clone_request(&self, request: &reqwest::Request) -> Option<reqwest::Request> {
        request.try_clone()
    }
}

#[cfg(feature = "reqwest")]
impl CloneRequest<reqwest::Request> for CloneBody {
    fn clone_request(&self, request: &reqwest::Request) -> Option<reqwest::Request> {
        request.try_clone()
    }
}

/// Clones `request` with `body` in place of its own.
fn with_body<B>(request: &http::Request<B>, body: B) -> http::Request<B> {
    let mut clone = http::Request::new(body);
    clone.method_mut().clone_from(request.method());
    clone.uri_mut().clone_from(request.uri());
    *clone.version_mut() = request.version();
    clone.headers_mut().clone_from(request.headers());
    clone.extensions_mut().clone_from(request.extensions());
    clone
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
    fn empty_request_is_cloned_whole() {
        let clone = CloneEmpty::default().clone_request(&post("")).unwrap();
        let (clone, _) = clone.into_parts();
        assert_eq!(clone.method, "POST");
        assert_eq!(clone.uri, "https://online2.superoffice.com/Cust1");
        assert_eq!(clone.version, Version::HTTP_2);
        assert_eq!(clone.headers["authorization"], "Bearer x");
        assert_eq!(clone.extensions.get(), Some(&7_u8));
        assert!(
            CloneEmpty::default().clone_request(&Request::new(Empty::<Bytes>::new())).is_some()
        );
    }

    #[test]
    fn content_is_cloned_only_on_demand() {
        assert!(CloneEmpty::default().clone_request(&post("x")).is_none());
        assert!(NoRetry::default().clone_request(&post("")).is_none());
        assert!(CloneBody::default().clone_request(&post("x")).is_some());
        let never = CloneWith(|_: &Request<Full<Bytes>>| None);
        assert!(never.clone_request(&post("")).is_none());
    }

    #[test]
    fn small_body_of_known_size_is_cloned() {
        let small = CloneSmall::default();
        for (size, cloned) in [(0, true), (65_536, true), (65_537, false)] {
            let request = Request::new(Full::new(Bytes::from(vec![7; size])));
            assert_eq!(small.clone_request(&request).is_some(), cloned, "{size}");
        }
    }

    #[test]
    fn default_body_with_content_is_never_sent() {
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

        assert!(CloneEmpty::default().clone_request(&Request::new(Loud(false))).is_none());
    }
}
