//! Deleted tenants that are forgotten, here, in the store and at other replicas.

use std::time::{Duration, SystemTime};

use futures::{FutureExt, StreamExt};
use harness::{Directory, RedisServer, TestEnv, post, tenant, until};
use http::StatusCode;
use tokio::time::sleep;
use tower_superoffice::{
    ChangeType, TenantEvent, TenantGate, TenantId, UnavailableReason,
    events::{Deletion, Events, ForgetError},
    simulator::Fault,
    status::Record,
    store::{Change, MemoryStore, RedbStore, RedisStore, Store},
};

use super::{
    replica_events::Cut,
    store_faults::{Fault as StoreFault, Faulty},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A gate with the state API that keeps its records in `store`, on tokio's clock.
async fn env(store: impl Store) -> TestEnv {
    TestEnv::on_tokio_clock_with(|builder| builder.store(store)).await
}

/// Another replica, which makes no pull.
async fn replica(env: &TestEnv, store: impl Store) -> TenantGate {
    env.another_gate(|builder| builder.state_api(false).store(store)).await
}

/// Has SuperOffice delete the tenant of `env`, and a pull agree.
async fn delete(env: &TestEnv) {
    assert_eq!(env.simulator.delete(&env.tenant).await.unwrap(), StatusCode::NO_CONTENT);
    assert!(env.gate.refresh(&env.tenant).await.unwrap().is_confirmed());
    until!(env.gate.health().dirty() == 0);
}

fn is_deleted(gate: &TenantGate, tenant: &TenantId) -> bool {
    gate.status(tenant).reason() == Some(UnavailableReason::Deleted)
}

/// Returns whether nothing is left of any tenant.
fn is_empty(gate: &TenantGate) -> bool {
    let health = gate.health();
    gate.snapshot().is_empty() && (health.tenants(), health.closed()) == (0, 0)
}

async fn stored(store: &MemoryStore, tenant: &TenantId) -> Record {
    store.merge(tenant, &Record::default()).await.unwrap()
}

/// The reasons of the statuses that were published.
fn changed(events: &mut Events) -> Vec<Option<UnavailableReason>> {
    let mut seen = Vec::new();
    while let Some(Some(event)) = events.next().now_or_never() {
        if let TenantEvent::Changed { status, .. } = event {
            seen.push(status.reason());
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn only_a_confirmed_deletion_is_forgotten() {
    let env = TestEnv::on_tokio_clock().await;
    let (gate, one) = (&env.gate, &env.tenant);
    let refused = || async { gate.forget(one).await.unwrap_err() };
    assert!(matches!(refused().await, ForgetError::Unknown));
    env.simulator.notify(ChangeType::Suspend, one).await.unwrap();
    assert!(matches!(refused().await, ForgetError::NotDeleted));
    env.simulator.notify(ChangeType::Delete, one).await.unwrap();
    assert!(matches!(refused().await, ForgetError::Unconfirmed));
    delete(&env).await;
    for opens in [true, false] {
        match opens {
            true => gate.open(one, "an error").await.unwrap(),
            false => gate.close(one, "an audit").await.unwrap(),
        }
        assert!(matches!(refused().await, ForgetError::Overridden));
    }
    gate.release(one, "").await.unwrap();
    gate.forget(one).await.unwrap();
    assert!(is_empty(gate));
    let error = refused().await;
    assert_eq!(error.to_string(), "the tenant has no record: there is nothing to forget");
}

#[tokio::test(start_paused = true)]
async fn forgotten_tenant_is_gone_everywhere_until_later_news() {
    let store = MemoryStore::new();
    let env = env(store.clone()).await;
    let other = replica(&env, store.clone()).await;
    let repeated = env.notification(ChangeType::Delete);
    assert_eq!(env.post(repeated.body()).await.status(), StatusCode::NO_CONTENT);
    env.simulator.delete(&env.tenant).without_notification();
    assert!(env.gate.refresh(&env.tenant).await.unwrap().is_confirmed());
    until!(other.status(&env.tenant).is_confirmed());
    let mut streams = [env.gate.events(), other.events()];

    env.gate.forget(&env.tenant).await.unwrap();
    until!(is_empty(&other));
    for (gate, events) in [&env.gate, &other].into_iter().zip(&mut streams) {
        // The same again, at each replica: it is answered, and changes nothing.
        assert_eq!(post(gate, repeated.body()).await.status(), StatusCode::NO_CONTENT);
        assert_eq!(gate.health().notifications().stale(), 1);
        assert!(is_empty(gate) && gate.check(&env.tenant).is_ok());
        assert_eq!(gate.deletion_confirmed(&env.tenant).await, Deletion::NotDeleted);
        assert_eq!(changed(events), [None]);
        assert_eq!(gate.health().dirty(), 0);
    }
    assert!(store.is_empty());

    sleep(Duration::from_secs(5)).await;
    env.simulator.notify(ChangeType::Suspend, &env.tenant).await.unwrap();
    until!(other.status(&env.tenant).reason() == Some(UnavailableReason::Suspended));
    assert_eq!(env.reason(&env.tenant), Some(UnavailableReason::Suspended));
    assert_eq!(other.snapshot(), [(env.tenant.clone(), other.status(&env.tenant))]);
}

#[tokio::test(start_paused = true)]
async fn forgotten_tenant_is_pulled_no_more() {
    let env = TestEnv::on_tokio_clock().await;
    delete(&env).await;
    // A request that was never answered, and is made again and again.
    env.simulator.state_api(Fault::Status(StatusCode::BAD_GATEWAY));
    env.gate.track([env.tenant.clone()]);
    until!(env.pulls().failed() > 1);
    env.gate.forget(&env.tenant).await.unwrap();
    env.simulator.state_api(Fault::None);
    until!(env.pulls().in_flight() == 0);
    let before = env.simulator.all_state_requests();
    sleep(2 * DAY).await;
    assert_eq!(env.simulator.all_state_requests(), before);
    assert_eq!((env.pulls().waiting(), env.pulls().awaiting()), (0, 0));
    assert!(is_empty(&env.gate));
}

#[tokio::test(start_paused = true)]
async fn pull_in_flight_brings_no_tenant_back() {
    let store = MemoryStore::new();
    let env = env(store.clone()).await;
    delete(&env).await;
    env.simulator.state_api(Fault::Slow(Duration::from_secs(5)));
    let (gate, one) = (env.gate.clone(), env.tenant.clone());
    let refresh = tokio::spawn(async move { gate.refresh(&one).await });
    until!(env.pulls().in_flight() == 1);
    // A second one would follow.
    env.gate.track([env.tenant.clone()]);
    env.gate.forget(&env.tenant).await.unwrap();
    assert!(refresh.await.unwrap().unwrap().is_available(), "it tells of what holds now");
    sleep(2 * DAY).await;
    assert!(is_empty(&env.gate) && store.is_empty());
    // One that is requested now tells that it is deleted.
    assert!(env.gate.refresh(&env.tenant).await.unwrap().is_confirmed());
    env.gate.forget(&env.tenant).await.unwrap();
    assert!(is_empty(&env.gate) && store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn refill_of_a_store_leaves_forgotten_tenants_out() {
    let store = MemoryStore::new();
    let env = env(store.clone()).await;
    delete(&env).await;
    let kept = tenant("Cust2");
    env.simulator.notify(ChangeType::Suspend, &kept).await.unwrap();
    env.gate.forget(&env.tenant).await.unwrap();
    store.clear();
    until!(!stored(&store, &kept).await.is_empty() && env.gate.health().dirty() == 0);
    assert_eq!(store.len(), 1);
    assert_eq!(env.gate.health().tenants(), 1);
}

#[tokio::test(start_paused = true)]
async fn replica_that_was_cut_off_may_bring_a_tenant_back() {
    let store = MemoryStore::new();
    let env = env(store.clone()).await;
    let cut = Cut::around(&store);
    let other = replica(&env, cut.clone()).await;
    delete(&env).await;
    until!(other.status(&env.tenant).is_confirmed());
    cut.set(true);
    env.gate.forget(&env.tenant).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(is_empty(&env.gate) && is_deleted(&other, &env.tenant));

    // It stores again what the store lacks.
    cut.set(false);
    until!(is_deleted(&env.gate, &env.tenant));
    assert!(env.gate.status(&env.tenant).is_confirmed() && is_deleted(&other, &env.tenant));
    env.gate.forget(&env.tenant).await.unwrap();
    until!(is_empty(&other));
    assert!(is_empty(&env.gate) && store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn change_from_before_the_removal_counts_if_it_is_stored() {
    let shared = MemoryStore::new();
    let cut = Cut::around(&shared);
    let env = env(cut.clone()).await;
    delete(&env).await;
    let record = stored(&shared, &env.tenant).await;
    env.gate.forget(&env.tenant).await.unwrap();
    // It was on its way: the store is read, and has none.
    cut.send(Change::Merged(env.tenant.clone(), record.clone()));
    sleep(Duration::from_secs(1)).await;
    assert!(is_empty(&env.gate) && env.gate.health().dirty() == 0);
    shared.merge(&env.tenant, &record).await.unwrap();
    until!(is_deleted(&env.gate, &env.tenant));
}

/// The store knows more than the gate, which is cut off from its changes.
#[tokio::test(start_paused = true)]
async fn forget_heeds_what_only_the_store_knows() {
    let (shared, one) = (MemoryStore::new(), tenant("Cust1"));
    let cut = Cut::around(&shared);
    let env = env(cut.clone()).await;
    let other = replica(&env, shared.clone()).await;
    delete(&env).await;
    until!(is_deleted(&other, &one));
    cut.set(true);
    let restored = env.simulator.notification(ChangeType::BackupRestored, &one);
    assert_eq!(post(&other, restored.body()).await.status(), StatusCode::NO_CONTENT);
    other.close(&one, "the customer may come back").await.unwrap();
    assert!(matches!(env.gate.forget(&one).await, Err(ForgetError::Overridden)));
    assert!(env.gate.status(&one).epoch() > 0, "it knows now");
    other.release(&one, "").await.unwrap();
    env.gate.release(&one, "").await.unwrap();
    env.gate.forget(&one).await.unwrap();
    until!(is_empty(&other));
    assert!(shared.is_empty());
}

#[tokio::test(start_paused = true)]
async fn tenant_is_kept_while_the_store_fails() {
    let store = Faulty::default();
    let env = env(store.clone()).await;
    delete(&env).await;
    for fault in [StoreFault::Away, StoreFault::Hangs] {
        store.set(fault);
        let error = env.gate.forget(&env.tenant).await.unwrap_err();
        assert!(matches!(&error, ForgetError::Store(error) if error.is_unavailable()), "{error}");
        assert!(is_deleted(&env.gate, &env.tenant));
    }
    store.set(StoreFault::None);
    // A removal whose answer was lost: what is known here is stored again.
    store.inner.clear();
    until!(env.gate.health().dirty() == 0);
    assert!(!stored(&store.inner, &env.tenant).await.is_empty());
    env.gate.forget(&env.tenant).await.unwrap();
    assert!(is_empty(&env.gate) && store.inner.is_empty());
}

#[tokio::test]
async fn forgotten_tenant_stays_so_after_a_restart() {
    let (directory, env) = (Directory::new(), TestEnv::new().await);
    let (path, environment) = (directory.join("tenants.redb"), env.simulator.environment());
    let open = || RedbStore::open(&path, &environment).unwrap();
    let kept = tenant("Cust2");
    let gate = harness::gate_builder(&env.simulator).store(open()).build().await.unwrap();
    env.simulator.notify_service(gate.notification_service());
    for tenant in [&env.tenant, &kept] {
        env.simulator.delete(tenant).await.unwrap();
        gate.refresh(tenant).await.unwrap();
    }
    gate.forget(&env.tenant).await.unwrap();
    assert_eq!(gate.shutdown(Duration::from_secs(10)).await, 0);
    let gate = harness::gate_builder(&env.simulator).state_api(false).store(open()).build();
    let gate = gate.await.unwrap();
    assert_eq!(gate.health().tenants(), 1);
    assert!(is_deleted(&gate, &kept));
}

#[tokio::test]
async fn redis_replicas_forget_a_tenant_together() {
    let Some(server) = RedisServer::start() else { return };
    let env = TestEnv::new().await;
    let environment = env.simulator.environment();
    let open = || RedisStore::connect(&server.url(), &environment).unwrap();
    let gate = harness::gate_builder(&env.simulator).store(open()).build().await.unwrap();
    let other = harness::gate_builder(&env.simulator).state_api(false).store(open()).build();
    let other = other.await.unwrap();
    env.simulator.delete(&env.tenant).without_notification();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    for round in 0..4 {
        let delete = env.notification(ChangeType::Delete).issued_at(now - 10 + round);
        assert_eq!(post(&other, delete.body()).await.status(), StatusCode::NO_CONTENT);
        until!(is_deleted(&gate, &env.tenant));
        gate.refresh(&env.tenant).await.unwrap();
        until!(other.status(&env.tenant).is_confirmed());
        // By turns: each replica removes it from the store, and follows the other.
        let (first, second) = if round % 2 == 0 { (&gate, &other) } else { (&other, &gate) };
        first.forget(&env.tenant).await.unwrap();
        until!(is_empty(second));
        assert!(is_empty(first));
    }
}
