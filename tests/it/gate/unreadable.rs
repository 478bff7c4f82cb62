//! Tenants whose stored record is malformed, while a gate runs.

use harness::{MAX_WAIT, TestEnv, tenant_number as tenant, until};
use http::StatusCode;
use tokio::time::{Duration, timeout};
use tower_superoffice::{
    ChangeType, UnavailableReason,
    simulator::Fault,
    status::{Record, State},
    store::{MemoryStore, Store},
};

const HOUR: Duration = Duration::from_secs(3600);

/// A gate that has just loaded a malformed record of `Cust1`.
async fn env(store: &MemoryStore, fault: Fault) -> TestEnv {
    let store = store.clone();
    let clock = harness::tokio_clock();
    let simulator = harness::simulator_on(&clock).await;
    simulator.state_api(fault);
    let gate = harness::gate_builder_on(&simulator, &clock).store(store).build().await.unwrap();
    simulator.notify_service(gate.notification_service());
    TestEnv { simulator, gate, tenant: tenant(1), clock }
}

fn damaged_store() -> MemoryStore {
    let store = MemoryStore::new();
    store.damage(&tenant(1));
    store
}

async fn is_replaced(store: &MemoryStore) -> bool {
    !store.merge(&tenant(1), &Record::default()).await.unwrap().is_unreadable()
}

#[tokio::test(start_paused = true)]
async fn pull_of_an_unreadable_tenant_is_made_until_answered() {
    let store = damaged_store();
    let env = env(&store, Fault::Status(StatusCode::BAD_GATEWAY)).await;
    assert_eq!(env.reason(&env.tenant), Some(UnavailableReason::Unreadable));
    tokio::time::sleep(HOUR).await;
    assert_eq!(env.reason(&env.tenant), Some(UnavailableReason::Unreadable));
    assert!(!is_replaced(&store).await, "a pull that failed replaced it");
    let failed = env.simulator.state_requests(&env.tenant);
    assert!(failed > 3, "{failed}");

    env.simulator.state_api(Fault::None);
    let opened = env.gate.available(&env.tenant);
    assert!(matches!(timeout(MAX_WAIT * 10, opened).await, Ok(Ok(()))), "no pull opened it");
    until!(is_replaced(&store).await);
    assert!(env.pulls().corrections().is_empty(), "the first fact corrects nothing");
}

#[tokio::test(start_paused = true)]
async fn unreadable_tenant_of_a_silent_state_api_is_pulled_hourly() {
    let store = damaged_store();
    let env = env(&store, Fault::Unknown).await;
    tokio::time::sleep(24 * HOUR).await;
    assert_eq!(env.reason(&env.tenant), Some(UnavailableReason::Unreadable));
    let before = env.simulator.state_requests(&env.tenant);
    tokio::time::sleep(24 * HOUR).await;
    let pulls = env.simulator.state_requests(&env.tenant) - before;
    assert!((20..=60).contains(&pulls), "{pulls} pulls in a day");
}

#[tokio::test(start_paused = true)]
async fn settled_pull_of_a_closed_state_replaces_an_unreadable_record() {
    let store = damaged_store();
    let env = env(&store, Fault::Unknown).await;
    env.simulator.set_state(&env.tenant, State::Suspended);
    env.simulator.state_api(Fault::None);
    let status = env.gate.refresh(&env.tenant).await.unwrap();
    assert_eq!(status.reason(), Some(UnavailableReason::Suspended));
    assert_eq!((env.gate.health().unreadable(), env.gate.health().closed()), (0, 1));
    until!(is_replaced(&store).await);
}

#[tokio::test(start_paused = true)]
async fn each_order_of_an_operator_replaces_an_unreadable_record() {
    for order in ["open", "close", "release"] {
        let store = damaged_store();
        let env = env(&store, Fault::Unknown).await;
        match order {
            "open" => env.gate.open(&env.tenant, "").await,
            "close" => env.gate.close(&env.tenant, "").await,
            _ => env.gate.release(&env.tenant, "").await,
        }
        .unwrap();
        let closed = (order == "close").then_some(UnavailableReason::Operator);
        assert_eq!(env.reason(&env.tenant), closed, "{order}");
        assert!(is_replaced(&store).await, "{order}");
        assert_eq!(env.gate.health().unreadable(), 0, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn duplicate_of_a_lost_notification_replaces_unreadable_record() {
    let store = damaged_store();
    let env = env(&store, Fault::Unknown).await;
    let suspend = env.notification(ChangeType::Suspend);
    for _ in 0..2 {
        assert_eq!(env.post(suspend.body()).await.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(env.reason(&env.tenant), Some(UnavailableReason::Suspended));
    assert!(is_replaced(&store).await);
}

#[tokio::test(start_paused = true)]
async fn tracked_tenant_that_is_unreadable_stays_so() {
    let store = damaged_store();
    let env = env(&store, Fault::Unknown).await;
    let gate =
        env.another_gate(|builder| builder.store(store.clone()).close_tracked_until_known()).await;
    gate.track([tenant(1), tenant(2)]);
    assert_eq!(gate.status(&tenant(1)).reason(), Some(UnavailableReason::Unreadable));
    assert_eq!(gate.status(&tenant(2)).reason(), Some(UnavailableReason::NotReady));
    store.clone().damage(&tenant(2));
    until!(gate.status(&tenant(2)).reason() == Some(UnavailableReason::Unreadable));
}
