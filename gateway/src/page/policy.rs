//! Headers that restrict what a browser does with the page.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// The style sheet, which stands in the page.
pub(super) const CSS: &str = include_str!("page.css");

/// The script, which stands in the page.
pub(super) const SCRIPT: &str = include_str!("page.js");

/// Style and script are named by their hashes. `'self'` would do for files of the gateway, and
/// would let in whatever else its origin serves: the answers of every tenant.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        source(SCRIPT),
        source(CSS),
    );
    // Letters, digits and punctuation make a header.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// Returns the headers of the page.
pub(super) fn headers() -> HeaderMap {
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // For browsers that do not know frame-ancestors.
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let fixed = fixed.map(|(name, value)| (name, HeaderValue::from_static(value)));
    let mut headers: HeaderMap = fixed.into_iter().collect();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_that_of_the_standard() {
        // From the specification, Content Security Policy Level 2.
        let hash = "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=";
        assert_eq!(source("alert('Hello, world.');"), hash);
    }

    #[test]
    fn policy_names_no_origin_but_its_own() {
        let policy = headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        for directive in [
            "default-src 'none'",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.split("; ").any(|own| own == directive), "{directive}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'));
        // Either would end the element that it stands in.
        assert!(!CSS.contains("</") && !SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
    }
}
