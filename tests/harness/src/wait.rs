//! Waiting for a condition instead of for a while.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Bound on any wait for another program or task: far above what a busy machine needs.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// Pause between two evaluations of a condition. With tokio's clock paused it takes no time.
const POLL: Duration = Duration::from_millis(2);

/// Waits until `condition` holds.
///
/// # Panics
///
/// After [`MAX_WAIT`], naming `what` did not come about.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let met = async {
        while !condition().await {
            sleep(POLL).await;
        }
    };
    let met = timeout(MAX_WAIT, met).await;
    assert!(met.is_ok(), "not within {MAX_WAIT:?}: {what}");
}

/// Waits for `future`, and returns how long it took by tokio's clock.
///
/// # Panics
///
/// When it takes longer than `bound`.
pub async fn within(bound: Duration, future: impl Future) -> Duration {
    let start = Instant::now();
    let done = timeout(bound, future).await;
    assert!(done.is_ok(), "it took longer than {bound:?}");
    start.elapsed()
}

/// Waits until an expression, which may await, is true. The panic after [`MAX_WAIT`] shows it.
#[macro_export]
macro_rules! until {
    ($condition:expr) => {
        $crate::until(stringify!($condition), async || $condition).await
    };
}
