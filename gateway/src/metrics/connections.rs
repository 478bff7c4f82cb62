//! The connections of a listener, in numbers.

use metrics::{Counter, Gauge};

/// Counts the connections of one listener.
#[derive(Clone)]
pub(crate) struct Connections {
    open: Gauge,
    accepted: Counter,
}

impl Connections {
    pub(super) fn new(open: Gauge, accepted: Counter) -> Self {
        open.set(0.0);
        Self { open, accepted }
    }

    /// Counts the connection that `serve` serves, for as long as it does.
    pub(crate) async fn count(self, serve: impl Future<Output = ()>) {
        self.accepted.increment(1);
        self.open.increment(1.0);
        let _open = Open(self.open);
        serve.await;
    }
}

/// Counts one connection less when it is dropped, by a panic too.
struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
