//! What a gate tells about its keys.

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
    /// The keys that tokens are checked with at present.
    #[must_use]
    pub fn keys(&self) -> &[KeyReport] {
        &self.keys
    }

    /// Where keys are fetched; `None` when only given keys are used.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// How long ago keys were fetched for the last time; `None` when they never were.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Why the last fetch failed; `None` when it didn't. Fit for logs: nothing received is in it.
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

    /// Its `kid`, else its `x5t`; `None` for a bare public key.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Its size in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Where it comes from.
    #[must_use]
    pub fn source(&self) -> KeySource {
        self.source
    }
}

/// Where a signing key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeySource {
    /// It was given when the gate was built.
    Given,
    /// It was fetched from the key URL.
    Url,
}
