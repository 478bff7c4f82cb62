//! The errors of a requested pull.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use super::state_api::Failure;

/// The reason why [`TenantGate::refresh`](crate::TenantGate::refresh) has no status that was
/// pulled.
///
/// The status from before stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RefreshError {
    /// The gate was built with `.state_api(false)`.
    StateApiOff,
    /// The state API did not answer, or its answer is invalid.
    Failed(PullError),
    /// The state API has no state of the tenant, such as `Unknown`.
    UnknownState,
    /// The state API asked for a pause.
    RateLimited {
        /// Duration of the pause.
        retry_after: Duration,
    },
    /// Too many tenants wait for a requested pull.
    Busy,
    /// The gate was shut down.
    ShutDown,
}

/// A pull without a valid answer, the [source](Error::source) of a [`RefreshError`].
#[derive(Clone)]
pub struct PullError(Arc<Failure>);

impl PullError {
    pub(super) fn new(failure: Failure) -> Self {
        Self(Arc::new(failure))
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Debug for PullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PullError").field(&self.0.why).finish()
    }
}

impl fmt::Display for PullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for PullError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateApiOff => {
                f.write_str("the state API is off: build the gate without .state_api(false)")
            }
            Self::Failed(_) => f.write_str("the pull failed: try again later"),
            Self::UnknownState => f.write_str(
                "the state API has no state of the tenant: check its id and the environment",
            ),
            Self::RateLimited { retry_after } => {
                let seconds = retry_after.as_secs();
                write!(f, "the state API asked for a pause: try again in {seconds} s")
            }
            Self::Busy => f.write_str("too many requested pulls wait: try again later"),
            Self::ShutDown => f.write_str("the gate was shut down"),
        }
    }
}

impl Error for RefreshError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(source) => Some(source),
            _ => None,
        }
    }
}
