//! Responses whose status can be read.

use http::{HeaderMap, StatusCode};

/// A response with a status.
///
/// Implemented for `http::Response` and, with the feature `reqwest`, `reqwest::Response`; sealed.
#[diagnostic::on_unimplemented(
    message = "the status of a `{Self}` can't be read",
    note = "it is implemented for `http::Response`, and for reqwest 0.13's with tower-superoffice's feature `reqwest`"
)]
pub trait HasStatus: sealed::HasStatus {}

mod sealed {
    use http::{HeaderMap, StatusCode};

    #[expect(unnameable_types, reason = "a sealed trait is one that can't be named")]
    pub trait HasStatus {
        fn status(&self) -> StatusCode;

        fn headers(&self) -> &HeaderMap;
    }
}

/// Returns whether `response` says that the tenant is not served there: *421 Misdirected Request*.
pub(super) fn is_misdirected(response: &impl HasStatus) -> bool {
    response.status() == StatusCode::MISDIRECTED_REQUEST
}

impl<B> HasStatus for http::Response<B> {}

impl<B> sealed::HasStatus for http::Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }
}

#[cfg(feature = "reqwest")]
impl HasStatus for reqwest::Response {}

#[cfg(feature = "reqwest")]
impl sealed::HasStatus for reqwest::Response {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }
}
