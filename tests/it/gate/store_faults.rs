//! A gate whose store is damaged, panics, hangs or sends no changes.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use harness::{gate_builder, post, tenant, until};
use http::{Request, StatusCode};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, TenantGate, TenantId,
    health::StoreHealth,
    simulator::Simulator,
    status::Record,
    store::{Change, MemoryStore, Store, StoreError},
};

/// A memory store that is broken for some tenants.
#[derive(Clone, Default)]
pub(super) struct Faulty {
    pub(super) inner: MemoryStore,
    fault: Arc<Mutex<Fault>>,
    disconnected: Arc<AtomicBool>,
    /// The number of subscriptions.
    subscriptions: Arc<AtomicUsize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    #[default]
    None,
    /// The stored record of `bad` is damaged: it can be neither merged nor loaded.
    Damaged,
    /// Merges of `bad`, loads and changes panic.
    Panics,
    /// Merges and loads fail.
    Away,
    /// Nothing returns.
    Hangs,
}

impl Faulty {
    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Sends no change from now on.
    fn disconnect(&self) {
        self.disconnected.store(true, Ordering::Relaxed);
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }
}

impl Store for Faulty {
    fn name(&self) -> String {
        "faulty".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        match self.fault() {
            Fault::None => self.inner.load(),
            Fault::Damaged => stream::iter([Err(StoreError::corrupt("damaged"))]).boxed(),
            Fault::Away => stream::iter([Err(StoreError::unavailable("away"))]).boxed(),
            Fault::Panics => panic!("load"),
            Fault::Hangs => stream::pending().boxed(),
        }
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        let bad = tenant.as_str() == "bad";
        match self.fault() {
            Fault::Damaged if bad => {
                Box::pin(std::future::ready(Err(StoreError::corrupt("damaged"))))
            }
            Fault::Away => Box::pin(std::future::ready(Err(StoreError::unavailable("away")))),
            Fault::Panics if bad => panic!("merge"),
            Fault::Hangs => Box::pin(std::future::pending()),
            _ => self.inner.merge(tenant, record),
        }
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        match self.fault() {
            Fault::Away => Box::pin(std::future::ready(Err(StoreError::unavailable("away")))),
            Fault::Panics => panic!("remove"),
            Fault::Hangs => Box::pin(std::future::pending()),
            _ => self.inner.remove(tenant, record),
        }
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let fault = Arc::clone(&self.fault);
        let disconnected = Arc::clone(&self.disconnected);
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
        let changes = self.inner.changes();
        let changes = match self.fault() {
            // From the first poll on.
            Fault::Panics => stream::poll_fn(|_| panic!("changes")).boxed(),
            _ => changes,
        };
        changes
            .filter(move |_| std::future::ready(!disconnected.load(Ordering::Relaxed)))
            .map(move |change| {
                let fault = *fault.lock().unwrap();
                assert_ne!(fault, Fault::Panics, "changes");
                change
            })
            .boxed()
    }
}

struct FaultyEnv {
    simulator: Simulator,
    store: Faulty,
    gate: TenantGate,
}

impl FaultyEnv {
    async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let store = Faulty::default();
        let gate = gate(&simulator, store.clone()).await;
        Self { simulator, store, gate }
    }

    /// A gate on the same store without its faults.
    async fn other_gate(&self) -> TenantGate {
        gate(&self.simulator, self.store.inner.clone()).await
    }

    async fn suspend(&self, id: &str) -> StatusCode {
        self.suspend_at(&self.gate, id).await
    }

    async fn suspend_at(&self, gate: &TenantGate, id: &str) -> StatusCode {
        let body = self.simulator.notification(ChangeType::Suspend, &tenant(id)).body();
        post(gate, body).await.status()
    }
}

async fn gate(simulator: &Simulator, store: impl Store) -> TenantGate {
    gate_builder(simulator).state_api(false).store(store).build().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn damaged_record_affects_its_own_tenant_only() {
    let env = FaultyEnv::new().await;
    env.store.set(Fault::Damaged);
    let began = Instant::now();
    assert_eq!(env.suspend("bad").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(env.suspend("bad").await, StatusCode::SERVICE_UNAVAILABLE);
    assert!(began.elapsed() < Duration::from_millis(100), "it waited, which mends nothing");
    assert!(env.gate.check(&tenant("bad")).is_err(), "not in force");
    for id in ["a", "b", "c"] {
        assert_eq!(env.suspend(id).await, StatusCode::NO_CONTENT, "{id}");
        assert_eq!(env.gate.health().store(), StoreHealth::Failed, "the failure is forgotten");
    }
    assert_eq!(env.gate.health().dirty(), 1);

    env.store.set(Fault::None);
    until!(env.gate.health().dirty() == 0);
    assert_eq!(env.gate.health().store(), StoreHealth::Fresh);
    assert_eq!(env.suspend("bad").await, StatusCode::NO_CONTENT);
}

#[tokio::test(start_paused = true)]
async fn changes_are_followed_while_the_load_fails() {
    let env = FaultyEnv::new().await;
    let there = &env.store.inner;
    env.store.set(Fault::Damaged);
    there.set_available(false);
    there.set_available(true);
    until!(env.gate.health().store() == StoreHealth::Failed);
    let other = env.other_gate().await;
    assert_eq!(env.suspend_at(&other, "a").await, StatusCode::NO_CONTENT);
    until!(env.gate.check(&tenant("a")).is_err());
    assert_eq!(env.gate.health().store(), StoreHealth::Failed);
    env.store.set(Fault::None);
    until!(env.gate.health().store() == StoreHealth::Fresh);
}

#[tokio::test(start_paused = true)]
async fn panicking_store_stops_no_task() {
    let env = FaultyEnv::new().await;
    let there = env.store.inner.clone();
    env.store.set(Fault::Panics);
    assert_eq!(env.suspend("bad").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(env.suspend("good").await, StatusCode::NO_CONTENT);
    // The stream of changes panics on this, and so does each load that follows.
    let stored = there.merge(&tenant("good"), &Record::default()).await.unwrap();
    there.merge(&tenant("far"), &stored).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(env.gate.health().store(), StoreHealth::Failed);
    assert_eq!(env.suspend("fine").await, StatusCode::NO_CONTENT);
    let subscriptions = env.store.subscriptions.load(Ordering::Relaxed);
    assert!((3..30).contains(&subscriptions), "{subscriptions} subscriptions in 30 s");

    env.store.set(Fault::None);
    until!(env.gate.check(&tenant("far")).is_err());
    until!(env.gate.health().dirty() == 0);
    assert_eq!(env.gate.health().store(), StoreHealth::Fresh);
}

#[tokio::test(start_paused = true)]
async fn hanging_store_delays_no_call() {
    let env = FaultyEnv::new().await;
    env.store.set(Fault::Hangs);
    let began = Instant::now();
    let suspended = env.suspend("a");
    let calls = async {
        until!(env.gate.check(&tenant("a")).is_err());
        for id in ["a", "b"] {
            let client = service_fn(|_| async { Ok::<_, std::io::Error>(()) });
            let layer = env.gate.guard_layer().key_fn(move |_: &Request<()>| Some(tenant(id)));
            let call = layer.layer(client).oneshot(Request::new(()));
            assert_eq!(call.await.is_ok(), id == "b");
        }
        let _ = (env.gate.health(), env.gate.snapshot(), env.gate.status(&tenant("a")));
        began.elapsed()
    };
    let (answer, calls) = tokio::join!(suspended, calls);
    assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
    assert!(calls < Duration::from_millis(50), "{calls:?}");
    until!(matches!(env.gate.health().store(), StoreHealth::Stale { .. }));
    env.store.set(Fault::None);
    until!(env.gate.health().dirty() == 0);
}

#[tokio::test(start_paused = true)]
async fn disconnected_replica_is_stale_without_writes() {
    let env = FaultyEnv::new().await;
    assert_eq!(env.gate.health().store(), StoreHealth::Fresh);
    env.store.inner.set_available(false);
    until!(matches!(env.gate.health().store(), StoreHealth::Stale { .. }));
    assert_eq!(env.gate.health().dirty(), 0);
    env.store.inner.set_available(true);
    until!(env.gate.health().store() == StoreHealth::Fresh);
}

#[tokio::test(start_paused = true)]
async fn disconnected_replica_resyncs_periodically() {
    let env = FaultyEnv::new().await;
    let other = env.other_gate().await;
    // The store can be read and written, and sends no changes.
    env.store.inner.set_available(false);
    until!(matches!(env.gate.health().store(), StoreHealth::Stale { .. }));
    env.store.disconnect();
    env.store.inner.set_available(true);
    assert_eq!(env.suspend_at(&other, "a").await, StatusCode::NO_CONTENT);
    until!(env.gate.check(&tenant("a")).is_err());
    assert!(matches!(env.gate.health().store(), StoreHealth::Stale { .. }));
}

#[tokio::test]
async fn override_expires_on_every_replica() {
    let env = FaultyEnv::new().await;
    let other = env.other_gate().await;
    let tenant = tenant("a");
    let end = std::time::SystemTime::now() + Duration::from_secs(1);
    env.gate.close_until(&tenant, "for a moment", end).await.unwrap();
    until!(other.check(&tenant).is_err());
    drop(env.gate);
    until!(other.check(&tenant).is_ok());
}
