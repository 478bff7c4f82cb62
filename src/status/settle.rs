//! The settle time: the time after a notification in which a pull may still show the state before
//! it.

use std::time::Duration;

use super::notified::OpenClose;

/// The settle times of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settle {
    /// After a Suspend, Resume or Delete.
    pub(crate) usual: Duration,
    /// After an Upgrade, whose notification comes before the tenant goes down.
    pub(crate) upgrade: Duration,
}

impl Default for Settle {
    fn default() -> Self {
        Self { usual: Duration::from_secs(60), upgrade: Duration::from_secs(900) }
    }
}

impl Settle {
    /// Returns how long a notification of type `change` takes to settle.
    pub(crate) fn after(&self, change: OpenClose) -> Duration {
        match change {
            OpenClose::Upgrade => self.upgrade,
            OpenClose::Resume | OpenClose::Suspend | OpenClose::Delete => self.usual,
        }
    }
}
