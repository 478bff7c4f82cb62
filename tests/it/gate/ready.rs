//! Readiness: what a gate waits for after its start, and when it stops waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use harness::{TestEnv, gate_builder, tenant_number as tenant};
use tokio::time::{Instant, sleep};
use tower_superoffice::{
    TenantGate,
    simulator::{Fault, Simulator},
    store::MemoryStore,
};

use super::builder;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn gate_with_keys_and_no_store_is_ready_at_once() {
    let (gate, began) = (super::gate().await, Instant::now());
    assert!(gate.ready(Duration::ZERO).await.is_ready());
    assert!(gate.ready(Duration::MAX).await.is_ready());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn store_is_awaited_until_it_was_loaded_once() {
    let store = MemoryStore::new();
    store.set_available(false);
    let gate = builder().any_audience().store(store.clone()).start_without_store(true);
    let gate = gate.build().await.unwrap();
    let began = Instant::now();
    let readiness = gate.ready(MINUTE).await;
    assert!(readiness.is_store_awaited() && !readiness.is_ready(), "{readiness:?}");
    assert_eq!(began.elapsed(), MINUTE);

    let back = store.clone();
    tokio::spawn(async move {
        sleep(MINUTE).await;
        back.set_available(true);
    });
    let began = Instant::now();
    assert!(gate.ready(10 * MINUTE).await.is_ready());
    // Loads are tried again within seconds.
    let took = began.elapsed();
    assert!((MINUTE..MINUTE + Duration::from_secs(10)).contains(&took), "{took:?}");
    store.set_available(false);
    sleep(MINUTE).await;
    assert!(gate.ready(Duration::ZERO).await.is_ready(), "a stale store is no reason");
}

#[tokio::test(start_paused = true)]
async fn key_is_awaited_until_one_is_fetched() {
    let simulator = Simulator::start().await.unwrap();
    simulator.key_server(Fault::Hang);
    let gate = TenantGate::builder(simulator.environment()).audience(simulator.application_id());
    let gate = gate.state_api(false).client(simulator.network()).build().await.unwrap();
    let readiness = gate.ready(Duration::ZERO).await;
    assert!(readiness.is_key_awaited() && !readiness.is_store_awaited(), "{readiness:?}");
    assert!(!readiness.is_ready());
    let (readiness, ()) = tokio::join!(gate.ready(MINUTE), async {
        tokio::task::yield_now().await;
        simulator.key_server(Fault::None);
    });
    assert!(readiness.is_ready(), "{readiness:?}");
}

#[tokio::test(start_paused = true)]
async fn tracked_tenants_are_awaited_until_known() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.suspend(&tenant(1)).await.unwrap();
    env.simulator.state_api(Fault::Status(http::StatusCode::INTERNAL_SERVER_ERROR));
    env.gate.track((0..5).map(tenant));
    let readiness = env.gate.ready(MINUTE).await;
    assert_eq!((readiness.tracked_awaited(), readiness.is_ready()), (4, false), "one is known");
    env.simulator.state_api(Fault::None);
    let began = Instant::now();
    let readiness = env.gate.ready(60 * MINUTE).await;
    assert!(readiness.is_ready() && readiness.tracked_awaited() == 0, "{readiness:?}");
    assert!(began.elapsed() < 10 * MINUTE, "{:?}", began.elapsed());
    env.gate.track([tenant(1)]);
    assert!(env.gate.ready(Duration::ZERO).await.is_ready(), "it is known already");
}

#[tokio::test(start_paused = true)]
async fn task_that_is_down_is_awaited() {
    let panics = Arc::new(AtomicBool::new(false));
    let clock_panics = Arc::clone(&panics);
    let clock = move || {
        assert!(!clock_panics.load(Ordering::Relaxed), "no time can be had");
        SystemTime::now()
    };
    let gate = builder().any_audience().clock(clock).build().await.unwrap();
    let end = SystemTime::now() + MINUTE;
    gate.close_until(&tenant(1), "", end).await.unwrap();
    panics.store(true, Ordering::Relaxed);
    sleep(10 * MINUTE).await;
    let readiness = gate.ready(Duration::ZERO).await;
    assert_eq!(readiness.tasks_down(), ["override_expiry"]);
    assert!(!readiness.is_ready());
    panics.store(false, Ordering::Relaxed);
    let began = Instant::now();
    assert!(gate.ready(10 * MINUTE).await.is_ready());
    assert!(began.elapsed() <= 2 * MINUTE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn gate_that_shuts_down_is_not_ready() {
    let store = MemoryStore::new();
    store.set_available(false);
    let simulator = Simulator::start().await.unwrap();
    let gate = gate_builder(&simulator).state_api(false).store(store).start_without_store(true);
    let gate = gate.build().await.unwrap();
    let ending = gate.clone();
    let began = Instant::now();
    let (readiness, _) = tokio::join!(gate.ready(60 * MINUTE), async {
        sleep(MINUTE).await;
        ending.shutdown(Duration::ZERO).await
    });
    assert!(readiness.is_shut_down() && !readiness.is_ready(), "{readiness:?}");
    assert!(began.elapsed() < 2 * MINUTE, "it no longer waits");
    assert!(!gate.ready(60 * MINUTE).await.is_ready());
    assert!(began.elapsed() < 2 * MINUTE);
}
