//! The report of a gate's signing keys.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::key::Key;

/// The signing keys a gate holds, and how fresh they are. From `TenantGate::keys`.
///
/// With serde it is an object of `keys`, each with `id`, `bits` and `source` (`given` or `url`),
/// and of `url`, `age_seconds` and `last_error`; `null` is `None`.
#[derive(Debug, Clone, Serialize)]
pub struct KeysReport {
    pub(super) keys: Vec<KeyReport>,
    pub(super) url: Option<String>,
    #[serde(rename = "age_seconds", serialize_with = "serialize_seconds")]
    pub(super) age: Option<Duration>,
    pub(super) last_error: Option<String>,
}

impl KeysReport {
    /// Returns the keys that verify tokens at present.
    #[must_use]
    pub fn keys(&self) -> &[KeyReport] {
        &self.keys
    }

    /// Returns the URL that keys are fetched from; `None` when only given keys are used.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Returns the time since the last successful fetch; `None` when there was none.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Returns the reason for which the last fetch failed; `None` when it succeeded. It repeats
    /// nothing that was received, so it may be logged.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

/// Writes a duration in whole seconds.
fn serialize_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.as_ref().map(Duration::as_secs).serialize(serializer)
}

/// One signing key of a [`KeysReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyReport {
    id: Option<String>,
    bits: usize,
    source: KeySource,
}

impl KeyReport {
    pub(super) fn new(key: &Key, source: KeySource) -> Self {
        Self { id: key.ids().name().map(str::to_owned), bits: key.bits(), source }
    }

    /// Returns its `kid`, else its `x5t`; `None` for a bare public key.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns its size in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Returns its source.
    #[must_use]
    pub fn source(&self) -> KeySource {
        self.source
    }
}

/// The source of a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeySource {
    /// It was given when the gate was built.
    Given,
    /// It was fetched from the key URL.
    Url,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn report_is_serialized_with_documented_names() {
        let given = KeyReport { id: None, bits: 2048, source: KeySource::Given };
        let fetched = KeyReport { id: Some("kid-1".into()), bits: 4096, source: KeySource::Url };
        let report = KeysReport {
            keys: vec![given, fetched],
            url: Some("https://online.superoffice.com/keys".into()),
            age: Some(Duration::from_millis(61_900)),
            last_error: None,
        };
        let expected = json!({
            "keys": [
                { "id": null, "bits": 2048, "source": "given" },
                { "id": "kid-1", "bits": 4096, "source": "url" },
            ],
            "url": "https://online.superoffice.com/keys", "age_seconds": 61, "last_error": null,
        });
        assert_eq!(serde_json::to_value(report).unwrap(), expected);
    }

    #[test]
    fn report_without_a_fetch_is_serialized_with_null() {
        let report = KeysReport { keys: Vec::new(), url: None, age: None, last_error: None };
        let expected = json!({ "keys": [], "url": null, "age_seconds": null, "last_error": null });
        assert_eq!(serde_json::to_value(report).unwrap(), expected);
    }
}
