//! Requests of browsers, to which everything that tenants answer has the gateway's own origin.
//!
//! A page of a tenant could read the list of tenants, give orders where none needs a token, and with
//! a service worker take the place of the gateway's own page. In a sandbox it has an origin of its
//! own, to which the gateway is another site.

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Response, StatusCode,
        header::{CONTENT_SECURITY_POLICY, UPGRADE_INSECURE_REQUESTS, VARY},
    },
};

use super::problem::problem;

/// Several policies are all in force, so it adds to the tenant's own.
const SANDBOX: HeaderValue =
    HeaderValue::from_static("sandbox allow-scripts allow-forms allow-popups allow-downloads");

/// The use that a browser has for the response to a request. Services name none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Destination {
    /// A page, in a window or in a frame.
    Document,
    /// The script that then answers in the place of the origin.
    ServiceWorker,
    /// An image, a script, a `fetch` and the like.
    Part,
    Unknown,
}

impl Destination {
    /// Returns the destination of a request with these headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let has = |name: &str, values: &[&str]| {
            headers.get_all(name).iter().any(|value| values.iter().any(|own| value == own))
        };
        let dest = "sec-fetch-dest";
        if has(dest, &["serviceworker"]) || has("service-worker", &["script"]) {
            return Self::ServiceWorker;
        }
        // Without TLS and off loopback, browsers leave out all headers but the last of these.
        if has(dest, &["document", "iframe", "frame", "embed", "object", "fencedframe"])
            || has("sec-fetch-mode", &["navigate"])
            || has(UPGRADE_INSECURE_REQUESTS.as_str(), &["1"])
        {
            return Self::Document;
        }
        if headers.contains_key(dest) { Self::Part } else { Self::Unknown }
    }

    /// Adds what keeps the content of a tenant's response apart from the gateway's.
    pub(super) fn restrict(self, headers: &mut HeaderMap) {
        if self == Self::Unknown {
            return;
        }
        if self == Self::Document {
            headers.append(CONTENT_SECURITY_POLICY, SANDBOX);
        }
        // A copy that a browser keeps of a part is not to be shown as a page.
        headers.append(VARY, HeaderValue::from_static("Sec-Fetch-Dest"));
    }
}

/// The response to a request for a service worker.
pub(super) fn for_service_worker() -> Response<Body> {
    problem(
        StatusCode::FORBIDDEN,
        "A service worker of a tenant would answer for the gateway: it is not forwarded.",
    )
}
