//! Headers that restrict what a browser does with the page.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

/// The style sheet, which stands in the page. Its look is that of the gateway's page; it is a file
/// of its own because neither crate contains the other, and most rules there are for what is not
/// here.
pub(super) const CSS: &str = include_str!("page.css");

/// Nothing but the style sheet, by its hash, and forms. There is no script.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(CSS));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    // Letters, digits and punctuation make a header.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Returns the headers that the page has besides those of every answer.
pub(crate) fn headers() -> HeaderMap {
    let fixed = [
        // With none at all, browsers would send `Origin: null` with the page's own forms.
        (header::REFERRER_POLICY, "same-origin"),
        // For browsers that do not know frame-ancestors.
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let fixed = fixed.map(|(name, value)| (name, HeaderValue::from_static(value)));
    let mut headers: HeaderMap = fixed.into_iter().collect();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    headers
}
