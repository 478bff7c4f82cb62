//! A gate on a store that is broken in one way or another.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, TenantGate, TenantId,
    health::StoreHealth,
    simulator::Simulator,
    status::Record,
    store::{Change, MemoryStore, Store, StoreError},
    token::SigningKeys,
};

/// A memory store that is broken for some tenants.
#[derive(Clone, Default)]
struct Faulty {
    inner: MemoryStore,
    fault: Arc<Mutex<Fault>>,
    deaf: Arc<AtomicBool>,
    /// How often changes were asked for.
    followed: Arc<AtomicUsize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    /// The stored record of `bad` is damaged: it can be neither merged nor loaded.
    Damaged,
    /// Merges of `bad`, loads and changes panic.
    Panics,
    /// Nothing is ever answered.
    Hangs,
}

impl Faulty {
    fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// From now on nothing is told.
    fn deafen(&self) {
        self.deaf.store(true, Ordering::Relaxed);
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
            Fault::Panics if bad => panic!("merge"),
            Fault::Hangs => Box::pin(std::future::pending()),
            _ => self.inner.merge(tenant, record),
        }
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let fault = Arc::clone(&self.fault);
        let deaf = Arc::clone(&self.deaf);
        self.followed.fetch_add(1, Ordering::Relaxed);
        let changes = self.inner.changes();
        let changes = match self.fault() {
            // From the first look at it on.
            Fault::Panics => stream::poll_fn(|_| panic!("changes")).boxed(),
            _ => changes,
        };
        changes
            .filter(move |_| std::future::ready(!deaf.load(Ordering::Relaxed)))
            .map(move |change| {
                let fault = *fault.lock().unwrap();
                assert_ne!(fault, Fault::Panics, "changes");
                change
            })
            .boxed()
    }
}

struct World {
    simulator: Simulator,
    store: Faulty,
    gate: TenantGate,
}

impl World {
    async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let store = Faulty::default();
        let gate = gate(&simulator, store.clone()).await;
        Self { simulator, store, gate }
    }

    async fn suspend(&self, tenant: &str) -> StatusCode {
        post(&self.simulator, &self.gate, ChangeType::Suspend, &id(tenant)).await
    }
}

async fn gate(simulator: &Simulator, store: impl Store) -> TenantGate {
    TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
        .state_api(false)
        .store(store)
        .build()
        .await
        .unwrap()
}

async fn post(
    simulator: &Simulator,
    gate: &TenantGate,
    change: ChangeType,
    tenant: &TenantId,
) -> StatusCode {
    let body = simulator.notification(change, tenant).body();
    let request = Request::post("/").body(Full::<Bytes>::new(body)).unwrap();
    gate.notification_service().oneshot(request).await.unwrap().status()
}

fn id(tenant: &str) -> TenantId {
    TenantId::new(tenant).unwrap()
}

async fn until(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), met).await.expect("it comes about");
}

#[tokio::test(start_paused = true)]
async fn damaged_record_affects_its_own_tenant_only() {
    let world = World::new().await;
    world.store.set(Fault::Damaged);
    let began = Instant::now();
    assert_eq!(world.suspend("bad").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.suspend("bad").await, StatusCode::SERVICE_UNAVAILABLE);
    assert!(began.elapsed() < Duration::from_millis(100), "waiting would not mend it");
    assert!(world.gate.check(&id("bad")).is_err(), "it is in force all the same");
    for tenant in ["a", "b", "c"] {
        assert_eq!(world.suspend(tenant).await, StatusCode::NO_CONTENT, "{tenant}");
        assert_eq!(world.gate.health().store(), StoreHealth::Failed, "it is not forgotten");
    }
    assert_eq!(world.gate.health().dirty(), 1);

    world.store.set(Fault::None);
    until(|| world.gate.health().dirty() == 0).await;
    assert_eq!(world.gate.health().store(), StoreHealth::Fresh);
    assert_eq!(world.suspend("bad").await, StatusCode::NO_CONTENT);
}

#[tokio::test(start_paused = true)]
async fn changes_are_followed_while_the_load_fails() {
    let world = World::new().await;
    let there = world.store.inner.clone();
    world.store.set(Fault::Damaged);
    there.set_available(false);
    there.set_available(true);
    until(|| world.gate.health().store() == StoreHealth::Failed).await;
    let other = gate(&world.simulator, there).await;
    let (simulator, tenant) = (&world.simulator, id("a"));
    let answer = post(simulator, &other, ChangeType::Suspend, &tenant).await;
    assert_eq!(answer, StatusCode::NO_CONTENT);
    until(|| world.gate.check(&tenant).is_err()).await;
    assert_eq!(world.gate.health().store(), StoreHealth::Failed);
    world.store.set(Fault::None);
    until(|| world.gate.health().store() == StoreHealth::Fresh).await;
}

#[tokio::test(start_paused = true)]
async fn panicking_store_stops_no_task() {
    let world = World::new().await;
    let there = world.store.inner.clone();
    world.store.set(Fault::Panics);
    assert_eq!(world.suspend("bad").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.suspend("good").await, StatusCode::NO_CONTENT);
    // The stream of changes panics on this, and so does each load that follows.
    let stored = there.merge(&id("good"), &Record::default()).await.unwrap();
    there.merge(&id("far"), &stored).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.gate.health().store(), StoreHealth::Failed);
    assert_eq!(world.suspend("fine").await, StatusCode::NO_CONTENT);
    let followed = world.store.followed.load(Ordering::Relaxed);
    assert!((3..30).contains(&followed), "changes were asked for {followed} times in 30 s");

    world.store.set(Fault::None);
    until(|| world.gate.check(&id("far")).is_err()).await;
    until(|| world.gate.health().dirty() == 0).await;
    assert_eq!(world.gate.health().store(), StoreHealth::Fresh);
}

#[tokio::test(start_paused = true)]
async fn hanging_store_delays_no_call() {
    let world = World::new().await;
    world.store.set(Fault::Hangs);
    let began = Instant::now();
    let suspended = world.suspend("a");
    let calls = async {
        until(|| world.gate.check(&id("a")).is_err()).await;
        for tenant in ["a", "b"] {
            let call = Request::get(format!("https://online.superoffice.com/{tenant}/x")).body(());
            let calls_through = tower::service_fn(|_| async { Ok::<_, std::io::Error>(()) });
            let layer = world.gate.guard_layer().key_fn(move |_: &Request<()>| Some(id(tenant)));
            let guard = tower::Layer::layer(&layer, calls_through);
            assert_eq!(guard.oneshot(call.unwrap()).await.is_ok(), tenant == "b");
        }
        let _ = (world.gate.health(), world.gate.snapshot(), world.gate.status(&id("a")));
        began.elapsed()
    };
    let (answer, calls) = tokio::join!(suspended, calls);
    assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
    assert!(calls < Duration::from_millis(50), "{calls:?}");
    until(|| matches!(world.gate.health().store(), StoreHealth::Stale { .. })).await;
    world.store.set(Fault::None);
    until(|| world.gate.health().dirty() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn disconnected_replica_is_stale_without_writes() {
    let world = World::new().await;
    assert_eq!(world.gate.health().store(), StoreHealth::Fresh);
    world.store.inner.set_available(false);
    until(|| matches!(world.gate.health().store(), StoreHealth::Stale { .. })).await;
    assert_eq!(world.gate.health().dirty(), 0);
    world.store.inner.set_available(true);
    until(|| world.gate.health().store() == StoreHealth::Fresh).await;
}

#[tokio::test(start_paused = true)]
async fn disconnected_replica_resyncs_periodically() {
    let world = World::new().await;
    let other = gate(&world.simulator, world.store.inner.clone()).await;
    // It can be read and written, and nothing is heard of it.
    world.store.inner.set_available(false);
    until(|| matches!(world.gate.health().store(), StoreHealth::Stale { .. })).await;
    world.store.deafen();
    world.store.inner.set_available(true);
    let suspended = post(&world.simulator, &other, ChangeType::Suspend, &id("a")).await;
    assert_eq!(suspended, StatusCode::NO_CONTENT);
    until(|| world.gate.check(&id("a")).is_err()).await;
    assert!(matches!(world.gate.health().store(), StoreHealth::Stale { .. }));
}

#[tokio::test]
async fn override_expires_on_every_replica() {
    let world = World::new().await;
    let other = gate(&world.simulator, world.store.inner.clone()).await;
    let tenant = id("a");
    let end = std::time::SystemTime::now() + Duration::from_secs(1);
    world.gate.close_until(&tenant, "for a moment", end).await.unwrap();
    until(|| other.check(&tenant).is_err()).await;
    drop(world.gate);
    until(|| other.check(&tenant).is_ok()).await;
}
