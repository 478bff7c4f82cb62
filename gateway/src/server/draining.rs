//! The end of the gateway: no more connections, the requests in flight, the store.

use std::time::Duration;

use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::served::Served;

/// How long the gateway still takes connections while it says that it is not ready.
const NOTICE: Duration = Duration::from_secs(1);

/// How long requests in flight keep the gate from ending: longer than a notification may take, with
/// 5 s for its body, 2 s for a key and 2 s for the store.
const NOTIFICATIONS: Duration = Duration::from_secs(10);

/// Time from the signal to the end of all that is waited for. The gate may take 2 s more, so that
/// the process ends within 25 s.
const END: Duration = Duration::from_secs(22);

/// Whether the gateway has received the signal to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draining(watch::Sender<bool>);

impl Draining {
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the gateway drains.
    pub(crate) async fn begun(&self) {
        // The sender is here, so there is no error.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }

    /// Marks the gateway as draining, and leaves probes time to notice.
    pub(super) async fn announce(&self) {
        self.0.send_replace(true);
        sleep(NOTICE).await;
    }
}

/// Waits for the requests in flight, which have ended when `drained` does, and has the gates write
/// what their stores lack. All of it shares one deadline, which counts from when the signal was
/// `received`.
///
/// The gates end when the requests have, or when those that are left can't be notifications: calls
/// are decided from memory, and the store may need the time.
pub(super) async fn end(served: Served, drained: impl Future<Output = ()>, received: Instant) {
    let deadline = received + END;
    let (no_requests, without_requests) = oneshot::channel::<()>();
    let drain = async move {
        if timeout_at(deadline, drained).await.is_err() {
            tracing::warn!("requests in flight cut off at shutdown");
        }
        drop(no_requests);
    };
    let write = async {
        // Its sender is dropped, never used.
        let _ = timeout(NOTIFICATIONS, without_requests).await;
        served.shutdown(deadline.saturating_duration_since(Instant::now())).await
    };
    let ((), unwritten) = tokio::join!(drain, write);
    // Each gate has logged a warning with what is unwritten.
    tracing::info!(unwritten, "stopped");
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tower_superoffice::{Environment, TenantGate, TenantId, store::MemoryStore};

    use super::*;

    async fn gate(store: MemoryStore) -> TenantGate {
        let environment = Environment::custom("http://127.0.0.1:1".parse().unwrap());
        let gate = TenantGate::builder(environment).any_audience().state_api(false);
        gate.store(store).build().await.unwrap()
    }

    fn tenant() -> TenantId {
        TenantId::new("Cust1").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn endless_requests_and_a_lost_store_end_in_25_s() {
        let store = MemoryStore::new();
        let gate = gate(store.clone()).await;
        store.set_available(false);
        gate.close(&tenant(), "").await.unwrap_err();
        let received = Instant::now();
        end(Served::One(gate), pending(), received).await;
        assert!(received.elapsed() <= Duration::from_secs(25), "{:?}", received.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn store_that_is_back_while_a_call_drains_is_written() {
        let store = MemoryStore::new();
        let gate = gate(store.clone()).await;
        store.set_available(false);
        gate.close(&tenant(), "").await.unwrap_err();
        let back = store.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(15)).await;
            back.set_available(true);
        });
        end(Served::One(gate), pending(), Instant::now()).await;
        assert!(self::gate(store).await.check(&tenant()).is_err(), "the closing is lost");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_gateway_ends_at_once() {
        let received = Instant::now();
        end(Served::One(gate(MemoryStore::new()).await), ready(()), received).await;
        assert_eq!(received.elapsed(), Duration::ZERO);
    }
}
