//! Errors of building a gate.

use std::{error::Error, fmt};

use crate::{store::StoreError, token::KeyError};

/// The reason why a gate could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// Neither [`audience`](crate::TenantGateBuilder::audience) nor
    /// [`any_audience`](crate::TenantGateBuilder::any_audience) was called.
    NoAudience,
    /// Both were called.
    TwoAudiences,
    /// An audience is empty.
    EmptyAudience,
    /// A custom environment is invalid.
    Environment(&'static str),
    /// The key URL is neither https nor on a loopback address, or carries a user name.
    KeyUrl,
    /// The leeway is longer than 300 s.
    Leeway,
    /// The notification path is invalid.
    NotificationPath,
    /// There is no client for fetching keys and for pulls.
    NoClient,
    /// A client was given with [`client`](crate::TenantGateBuilder::client) beside settings of the
    /// built-in one.
    ClientSettings,
    /// Certificate authorities for the built-in client can't be used.
    Roots(&'static str),
    /// The environment variables name a proxy that can't be used.
    Proxy(&'static str),
    /// The built-in client could not be created.
    Client(Box<dyn Error + Send + Sync>),
    /// The future was not polled in a tokio runtime.
    NoRuntime,
    /// A [key file](crate::TenantGateBuilder::key_file) can't be used.
    Keys(KeyError),
    /// The store was opened for another environment than the gate's.
    StoreEnvironment {
        /// The name of the store's environment.
        store: String,
        /// The name of the gate's environment.
        gate: String,
    },
    /// The store could not be loaded.
    Store(StoreError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAudience => f.write_str(
                "no audience: call .audience(\"your application id\"), or .any_audience() until you know it",
            ),
            Self::TwoAudiences => {
                f.write_str("both .audience(..) and .any_audience() were called: keep one of them")
            }
            Self::EmptyAudience => f.write_str("an audience is empty: give the application id"),
            Self::Environment(fault) => write!(f, "the custom environment can't be used: {fault}"),
            Self::KeyUrl => f.write_str(
                "the key URL can't be used: give an https URL without a user name (http on loopback only)",
            ),
            Self::Leeway => f.write_str("the leeway is longer than 300 s: set the clock right instead"),
            Self::NotificationPath => f.write_str(
                "the notification path can't be matched: give an absolute path without query, such as /NotifyCustomerStateChange",
            ),
            Self::NoClient => f.write_str(
                "no client for fetching keys and for pulls: enable the feature `client` or call .client(..), or give keys with .signing_keys(..) and turn pulls off with .state_api(false)",
            ),
            Self::ClientSettings => f.write_str(
                "both .client(..) and settings of the built-in client were given: trust certificates and use the proxy in your client",
            ),
            Self::Roots(advice) => write!(f, "no certificate authorities to trust: {advice}"),
            Self::Proxy(advice) => write!(f, "the proxy can't be used: {advice}"),
            Self::Client(error) => write!(f, "the built-in client could not be created: {error}"),
            Self::Keys(error) => error.fmt(f),
            Self::NoRuntime => f.write_str("not in a tokio runtime: build the gate inside one"),
            Self::StoreEnvironment { store, gate } => write!(
                f,
                "the store was opened for the environment {store}, and the gate is {gate}'s: open it for {gate}"
            ),
            Self::Store(error) => write!(f, "the store could not be loaded: {error}"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The text has that of the error inside: what follows is what that one names in turn.
        match self {
            Self::Keys(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::Client(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_of_sources_names_each_cause_once() {
        let store = StoreError::unavailable("redis://127.0.0.1:1 can't be reached");
        let client = std::io::Error::other("no entropy");
        for (error, causes) in [
            (BuildError::Keys(KeyError::TooLong), &["larger than 1 MiB"][..]),
            (
                BuildError::Store(store.caused_by("connection refused")),
                &["can't be reached", "connection refused"],
            ),
            (BuildError::Client(Box::new(client)), &["no entropy"]),
        ] {
            let mut chain = error.to_string();
            let mut source = error.source();
            while let Some(error) = source {
                chain += &format!(": {error}");
                source = error.source();
            }
            for cause in causes {
                assert_eq!(chain.matches(cause).count(), 1, "{chain}");
            }
        }
    }
}
