//! The gateway's name in `Via`, by which it knows a call that comes back: RFC 9110, section 7.6.3.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use axum::http::{HeaderMap, HeaderValue, Version, header::VIA};

/// The name of this process, unlike that of any other.
#[derive(Debug, Clone)]
pub(super) struct Via(Arc<str>);

impl Via {
    pub(super) fn new() -> Self {
        // Seeded by the system.
        let random = RandomState::new().hash_one(std::process::id());
        Self(format!("superoffice-gateway-{random:016x}").into())
    }

    /// Whether a request with `headers` has passed this process.
    pub(super) fn has_passed(&self, headers: &HeaderMap) -> bool {
        let fields = headers.get_all(VIA).iter();
        let mut words = fields
            .flat_map(|field| field.as_bytes().split(|byte| matches!(byte, b',' | b' ' | b'\t')));
        words.any(|word| word.eq_ignore_ascii_case(self.0.as_bytes()))
    }

    /// Adds the name to a message that arrived over `version`.
    pub(super) fn add(&self, headers: &mut HeaderMap, version: Version) {
        let version = match version {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2.0",
            _ => "1.1",
        };
        if let Ok(value) = HeaderValue::try_from(format!("{version} {}", self.0)) {
            headers.append(VIA, value);
        }
    }
}
