//! The report of a gate's signing keys.

use std::time::Duration;

use super::key::Key;

/// The signing keys a gate holds, and how fresh they are. From `TenantGate::keys`.
#[derive(Debug, Clone)]
pub struct KeysReport {
    pub(super) keys: Vec<KeyReport>,
    pub(super) url: Option<String>,
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

/// One signing key of a [`KeysReport`].
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeySource {
    /// It was given when the gate was built.
    Given,
    /// It was fetched from the key URL.
    Url,
}
