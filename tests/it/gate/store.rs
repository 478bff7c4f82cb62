//! The gate and its store: what is in force, what is answered, and what an outage changes.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_superoffice::{
    BuildError, ChangeType, TenantGate, TenantGateBuilder, TenantId, TenantStatus,
    health::StoreHealth,
    notification::EmptyBody,
    simulator::{Notification, Simulator},
    status::Record,
    store::{MemoryStore, Store},
    token::SigningKeys,
};

struct World {
    simulator: Simulator,
    store: MemoryStore,
    tenant: TenantId,
}

impl World {
    async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        Self { simulator, store: MemoryStore::new(), tenant: TenantId::new("Cust1").unwrap() }
    }

    fn builder(&self) -> TenantGateBuilder {
        TenantGate::builder(self.simulator.environment())
            .audience(self.simulator.application_id())
            .signing_keys(SigningKeys::from_pem(self.simulator.certificate_pem()).unwrap())
            .state_api(false)
            .store(self.store.clone())
    }

    async fn gate(&self) -> TenantGate {
        self.builder().build().await.unwrap()
    }

    fn suspend(&self) -> Notification {
        self.simulator.notification(ChangeType::Suspend, &self.tenant)
    }

    async fn stored(&self) -> Record {
        self.store.merge(&self.tenant, &Record::default()).await.unwrap()
    }
}

async fn post(gate: &TenantGate, notification: &Notification) -> Response<EmptyBody> {
    let request = Request::post("/").body(Full::<Bytes>::new(notification.body())).unwrap();
    gate.notification_service().oneshot(request).await.unwrap()
}

async fn until(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), met).await.expect("it comes about");
}

fn closed(gate: &TenantGate, tenant: &TenantId) -> bool {
    !TenantStatus::is_available(&gate.status(tenant))
}

#[tokio::test(start_paused = true)]
async fn accepted_notification_is_stored_before_its_204() {
    let world = World::new().await;
    let gate = world.gate().await;
    let began = Instant::now();
    assert_eq!(post(&gate, &world.suspend()).await.status(), StatusCode::NO_CONTENT);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(!world.stored().await.is_empty());
    assert_eq!(gate.health().dirty(), 0);
    drop(gate);
    assert!(closed(&world.gate().await, &world.tenant), "a restart opened the tenant");
}

#[tokio::test(start_paused = true)]
async fn change_during_an_outage_is_503_in_force_and_stored_later() {
    let world = World::new().await;
    let gate = world.gate().await;
    world.store.set_available(false);
    let (suspend, began) = (world.suspend(), Instant::now());
    // The same one twice at once: the duplicate waits for the store like the first.
    let (first, second) = tokio::join!(post(&gate, &suspend), post(&gate, &suspend));
    assert!(began.elapsed() < Duration::from_millis(2100), "{:?}", began.elapsed());
    for answer in [first, second, post(&gate, &suspend).await] {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
    }
    assert!(closed(&gate, &world.tenant));
    assert_eq!(gate.health().dirty(), 1);
    assert!(matches!(gate.health().store(), StoreHealth::Stale { .. }));

    world.store.set_available(true);
    until(|| gate.health().dirty() == 0).await;
    assert_eq!(gate.health().store(), StoreHealth::Fresh);
    assert!(!world.stored().await.is_empty(), "nobody sent it again, and it is stored");
    assert_eq!(post(&gate, &suspend).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test(start_paused = true)]
async fn notification_of_an_aborted_request_is_stored() {
    let world = World::new().await;
    let gate = world.gate().await;
    world.store.set_available(false);
    let suspend = world.suspend();
    let gone = tokio::time::timeout(Duration::from_millis(20), post(&gate, &suspend)).await;
    assert!(gone.is_err(), "it waits for the store");
    world.store.set_available(true);
    until(|| gate.health().dirty() == 0).await;
    assert!(!world.stored().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn unavailable_store_at_start_is_an_error_unless_allowed() {
    let world = World::new().await;
    assert_eq!(post(&world.gate().await, &world.suspend()).await.status(), StatusCode::NO_CONTENT);
    world.store.set_available(false);
    let failed = world.builder().build().await;
    assert!(matches!(failed, Err(BuildError::Store(error)) if error.is_unavailable()));
    let gate = world.builder().start_without_store(true).build().await.unwrap();
    assert!(matches!(gate.health().store(), StoreHealth::Stale { .. }));
    assert!(!closed(&gate, &world.tenant));
    world.store.set_available(true);
    until(|| closed(&gate, &world.tenant)).await;
    assert_eq!(gate.health().store(), StoreHealth::Fresh);
}

#[tokio::test(start_paused = true)]
async fn lost_data_is_written_again() {
    let world = World::new().await;
    let gate = world.gate().await;
    post(&gate, &world.suspend()).await;
    let before = world.stored().await;
    world.store.clear();
    until(|| !world.store.is_empty()).await;
    assert_eq!(world.stored().await, before);
    assert!(closed(&gate, &world.tenant));
}

#[tokio::test(start_paused = true)]
async fn replicas_share_notifications_and_overrides() {
    let world = World::new().await;
    let (here, there) = (world.gate().await, world.gate().await);
    post(&here, &world.suspend()).await;
    until(|| closed(&there, &world.tenant)).await;
    there.open(&world.tenant, "it runs, they say").await.unwrap();
    until(|| !closed(&here, &world.tenant)).await;
    there.release(&world.tenant, "it did not").await.unwrap();
    until(|| closed(&here, &world.tenant)).await;
}

#[tokio::test(start_paused = true)]
async fn replicas_agree_on_the_spelling_of_a_tenant() {
    let world = World::new().await;
    let (here, there) = (world.gate().await, world.gate().await);
    world.store.set_available(false);
    for (gate, id) in [(&here, "Spell"), (&there, "SPELL")] {
        let tenant = TenantId::new(id).unwrap();
        post(gate, &world.simulator.notification(ChangeType::Suspend, &tenant)).await;
    }
    let spelled = |gate: &TenantGate| gate.snapshot()[0].0.to_string();
    assert_ne!(spelled(&here), spelled(&there));
    world.store.set_available(true);
    until(|| spelled(&here) == spelled(&there)).await;
    until(|| here.health().dirty() + there.health().dirty() == 0).await;
    assert_eq!(spelled(&here), spelled(&there));
    assert_eq!(here.snapshot(), there.snapshot());
}
