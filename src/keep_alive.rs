//! The handle that keeps the background tasks of a gate running.

use std::{any::Any, fmt, sync::Arc};

/// Keeps the tasks of a gate running for as long as it, or a clone of it, lives.
///
/// Each layer, service and handle of a gate holds one. It is opaque, so that these do not depend on
/// the tasks.
#[derive(Clone)]
pub(crate) struct KeepAlive {
    /// Ends the tasks when it is dropped.
    _tasks: Arc<dyn Any + Send + Sync>,
}

impl KeepAlive {
    pub(crate) fn new(tasks: Arc<dyn Any + Send + Sync>) -> Self {
        Self { _tasks: tasks }
    }

    /// Creates one without tasks, for tests.
    #[cfg(test)]
    pub(crate) fn nothing() -> Self {
        Self::new(Arc::new(()))
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepAlive")
    }
}
