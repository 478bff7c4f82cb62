//! A gate and its store: what a 204 promises, and what an outage changes.

use std::time::Duration;

use harness::{gate_builder, post, tenant, until};
use http::{StatusCode, header};
use tokio::time::{Instant, timeout};
use tower_superoffice::{
    BuildError, ChangeType, TenantGate, TenantGateBuilder, TenantId, TenantStatus,
    health::StoreHealth,
    simulator::{Notification, Simulator},
    status::Record,
    store::{MemoryStore, Store},
};

/// A SuperOffice and a store, for gates that a test builds.
struct StoreEnv {
    simulator: Simulator,
    store: MemoryStore,
    tenant: TenantId,
}

impl StoreEnv {
    async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        Self { simulator, store: MemoryStore::new(), tenant: tenant("Cust1") }
    }

    fn builder(&self) -> TenantGateBuilder {
        gate_builder(&self.simulator).state_api(false).store(self.store.clone())
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

fn closed(gate: &TenantGate, tenant: &TenantId) -> bool {
    !TenantStatus::is_available(&gate.status(tenant))
}

#[tokio::test(start_paused = true)]
async fn accepted_notification_is_stored_before_its_204() {
    let env = StoreEnv::new().await;
    let gate = env.gate().await;
    let began = Instant::now();
    assert_eq!(post(&gate, env.suspend().body()).await.status(), StatusCode::NO_CONTENT);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(!env.stored().await.is_empty());
    assert_eq!(gate.health().dirty(), 0);
    drop(gate);
    assert!(closed(&env.gate().await, &env.tenant), "a restart opened the tenant");
}

#[tokio::test(start_paused = true)]
async fn change_during_an_outage_is_503_in_force_and_stored_later() {
    let env = StoreEnv::new().await;
    let gate = env.gate().await;
    env.store.set_available(false);
    let (suspend, began) = (env.suspend(), Instant::now());
    // Twice at the same time: the duplicate waits for the store too.
    let (first, second) = tokio::join!(post(&gate, suspend.body()), post(&gate, suspend.body()));
    assert!(began.elapsed() < Duration::from_millis(2100), "{:?}", began.elapsed());
    for answer in [first, second, post(&gate, suspend.body()).await] {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
    }
    assert!(closed(&gate, &env.tenant));
    assert_eq!(gate.health().dirty(), 1);
    assert!(matches!(gate.health().store(), StoreHealth::Stale { .. }));

    env.store.set_available(true);
    until!(gate.health().dirty() == 0);
    assert_eq!(gate.health().store(), StoreHealth::Fresh);
    assert!(!env.stored().await.is_empty(), "it is stored without another notification");
    assert_eq!(post(&gate, suspend.body()).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test(start_paused = true)]
async fn notification_of_an_aborted_request_is_stored() {
    let env = StoreEnv::new().await;
    let gate = env.gate().await;
    env.store.set_available(false);
    let suspend = env.suspend();
    let gone = timeout(Duration::from_millis(20), post(&gate, suspend.body())).await;
    assert!(gone.is_err(), "it waits for the store");
    env.store.set_available(true);
    until!(gate.health().dirty() == 0);
    assert!(!env.stored().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn unavailable_store_at_start_is_an_error_unless_allowed() {
    let env = StoreEnv::new().await;
    assert_eq!(
        post(&env.gate().await, env.suspend().body()).await.status(),
        StatusCode::NO_CONTENT
    );
    env.store.set_available(false);
    let failed = env.builder().build().await;
    assert!(matches!(failed, Err(BuildError::Store(error)) if error.is_unavailable()));
    let gate = env.builder().start_without_store(true).build().await.unwrap();
    assert!(matches!(gate.health().store(), StoreHealth::Stale { .. }));
    assert!(!closed(&gate, &env.tenant));
    env.store.set_available(true);
    until!(closed(&gate, &env.tenant));
    assert_eq!(gate.health().store(), StoreHealth::Fresh);
}

#[tokio::test(start_paused = true)]
async fn lost_data_is_written_again() {
    let env = StoreEnv::new().await;
    let gate = env.gate().await;
    post(&gate, env.suspend().body()).await;
    let before = env.stored().await;
    env.store.clear();
    until!(!env.store.is_empty());
    assert_eq!(env.stored().await, before);
    assert!(closed(&gate, &env.tenant));
}

#[tokio::test(start_paused = true)]
async fn replicas_share_notifications_and_overrides() {
    let env = StoreEnv::new().await;
    let (here, there) = (env.gate().await, env.gate().await);
    post(&here, env.suspend().body()).await;
    until!(closed(&there, &env.tenant));
    there.open(&env.tenant, "it runs").await.unwrap();
    until!(!closed(&here, &env.tenant));
    there.release(&env.tenant, "it does not").await.unwrap();
    until!(closed(&here, &env.tenant));
}

#[tokio::test(start_paused = true)]
async fn replicas_agree_on_the_spelling_of_a_tenant() {
    let env = StoreEnv::new().await;
    let (here, there) = (env.gate().await, env.gate().await);
    env.store.set_available(false);
    for (gate, id) in [(&here, "Spell"), (&there, "SPELL")] {
        let tenant = tenant(id);
        post(gate, env.simulator.notification(ChangeType::Suspend, &tenant).body()).await;
    }
    let spelled = |gate: &TenantGate| gate.snapshot()[0].0.to_string();
    assert_ne!(spelled(&here), spelled(&there));
    env.store.set_available(true);
    until!(spelled(&here) == spelled(&there));
    until!(here.health().dirty() + there.health().dirty() == 0);
    assert_eq!(spelled(&here), spelled(&there));
    assert_eq!(here.snapshot(), there.snapshot());
}
