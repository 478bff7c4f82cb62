//! Warnings about the configuration of a store.

use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer};

/// A configuration with which a store works, but may lose records or mislead.
///
/// Its [`Display`](fmt::Display) says what to do, and contains no secret. With serde it is that
/// text.
///
/// ```
/// use tower_superoffice::store::StoreWarning;
///
/// let warning = StoreWarning::Eviction { policy: "allkeys-lru".to_owned() };
/// assert_eq!(
///     warning.to_string(),
///     "the store's server may evict records under its maxmemory-policy allkeys-lru: set it to noeviction"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreWarning {
    /// The server evicts records when its memory is full.
    Eviction {
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// The clock of the server differs from this machine's by more than a minute. No stored record
    /// depends on it, but one of the clocks is wrong.
    Clock {
        /// Seconds by which the server's clock is ahead, negative when behind.
        ahead: i64,
    },
    /// The version of the server is older than the oldest supported one.
    Version {
        /// The version of the server.
        version: String,
    },
    /// A warning of another store, with its advice.
    Other(Cow<'static, str>),
}

impl fmt::Display for StoreWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eviction { policy } => write!(
                f,
                "the store's server may evict records under its maxmemory-policy {policy}: set it to noeviction"
            ),
            Self::Clock { ahead } => {
                let side = if *ahead < 0 { "behind" } else { "ahead of" };
                let seconds = ahead.unsigned_abs();
                write!(
                    f,
                    "the clock of the store's server is {side} this machine's by {seconds} s: synchronise both clocks"
                )
            }
            Self::Version { version } => {
                write!(f, "the store's server has the unsupported version {version}: upgrade it")
            }
            Self::Other(warning) => f.write_str(warning),
        }
    }
}

impl Serialize for StoreWarning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_is_ahead_or_behind_by_a_positive_number() {
        let text = |ahead| StoreWarning::Clock { ahead }.to_string();
        assert!(text(-600).contains("server is behind this machine's by 600 s:"));
        assert!(text(61).contains("server is ahead of this machine's by 61 s:"));
    }
}
