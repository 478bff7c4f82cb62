//! Watching one tenant, and waiting for the proof of its deletion.

use futures::{FutureExt, StreamExt};
use harness::{MAX_WAIT, TestEnv, tenant_number as tenant};
use tokio::time::{Duration, Instant, timeout};
use tower_superoffice::{
    ChangeType, TenantId, TenantStatus, UnavailableReason,
    events::{Deletion, Watch},
    store::MemoryStore,
};

use super::gate;

const HOUR: Duration = Duration::from_secs(3600);

async fn next(watch: &mut Watch) -> TenantStatus {
    timeout(MAX_WAIT, watch.next()).await.expect("no status").expect("it ended")
}

#[tokio::test]
async fn watch_yields_the_status_and_each_change_of_it() {
    let (gate, one) = (gate().await, tenant(1));
    let mut watch = gate.watch(&one);
    assert!(next(&mut watch).await.is_available());
    assert_eq!(watch.next().now_or_never(), None);
    gate.close(&tenant(2), "").await.unwrap();
    assert_eq!(watch.next().now_or_never(), None, "that was another tenant");

    gate.close(&one, "first").await.unwrap();
    let status = next(&mut watch).await;
    assert_eq!(
        (status.reason(), status.note()),
        (Some(UnavailableReason::Operator), Some("first"))
    );
    gate.close(&one, "second").await.unwrap();
    assert_eq!(next(&mut watch).await.note(), Some("second"), "its reason stays");

    gate.open(&one, "").await.unwrap();
    gate.close(&one, "").await.unwrap();
    gate.release(&one, "third").await.unwrap();
    let status = next(&mut watch).await;
    assert_eq!((status.is_available(), status.note()), (true, None), "what was in between is over");
    assert_eq!(watch.next().now_or_never(), None);
}

#[tokio::test]
async fn watch_ends_with_the_gate() {
    let gate = gate().await;
    let mut watch = gate.watch(&tenant(1));
    next(&mut watch).await;
    let mut waiting = tokio_test::task::spawn(watch.next());
    tokio_test::assert_pending!(waiting.poll());
    drop(gate);
    assert_eq!(timeout(MAX_WAIT, waiting).await.expect("it waits for good"), None);
}

#[tokio::test]
async fn wait_for_an_opening_ends_with_the_gate() {
    let (gate, one) = (gate().await, tenant(1));
    gate.close(&one, "").await.unwrap();
    let mut waiting = tokio_test::task::spawn(gate.available(&one));
    tokio_test::assert_pending!(waiting.poll());
    drop(gate);
    let closed = timeout(MAX_WAIT, waiting).await.expect("it waits for good").unwrap_err();
    assert_eq!(closed.reason(), UnavailableReason::Operator);
}

/// A tenant whose deletion was announced, at a replica that makes no pull.
async fn deleted(env: &TestEnv, one: &TenantId) {
    env.simulator.notify(ChangeType::Delete, one).await.unwrap();
    harness::until!(env.reason(one) == Some(UnavailableReason::Deleted));
}

#[tokio::test(start_paused = true)]
async fn deletion_is_confirmed_by_a_pull_at_every_replica() {
    let (store, one) = (MemoryStore::new(), tenant(1));
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store.clone())).await;
    let other = env.another_gate(|builder| builder.state_api(false).store(store.clone())).await;
    assert_eq!(env.gate.deletion_confirmed(&one).await, Deletion::NotDeleted, "nothing is known");
    env.simulator.delete(&one).await.unwrap();
    harness::until!(other.check(&one).is_err());
    let began = Instant::now();
    let (here, there) = (env.gate.deletion_confirmed(&one), other.deletion_confirmed(&one));
    let both = timeout(HOUR, async { tokio::join!(here, there) }).await;
    assert_eq!(both.unwrap(), (Deletion::Confirmed, Deletion::Confirmed));
    assert!(began.elapsed() > Duration::from_secs(1), "no pull can have been made");
    assert!(other.status(&one).is_confirmed());
    assert_eq!(other.deletion_confirmed(&one).now_or_never(), Some(Deletion::Confirmed));
}

#[tokio::test(start_paused = true)]
async fn untrue_deletion_is_never_confirmed() {
    let (env, one) = (TestEnv::on_tokio_clock().await, tenant(1));
    deleted(&env, &one).await;
    let ended = timeout(HOUR, env.gate.deletion_confirmed(&one)).await;
    assert_eq!(ended.unwrap(), Deletion::NotDeleted);
    assert!(env.gate.status(&one).is_available());
}

#[tokio::test(start_paused = true)]
async fn operator_who_opens_a_deleted_tenant_ends_the_wait() {
    let (env, one) = (TestEnv::on_tokio_clock().await, tenant(1));
    deleted(&env, &one).await;
    let mut waiting = tokio_test::task::spawn(env.gate.deletion_confirmed(&one));
    tokio_test::assert_pending!(waiting.poll());
    env.gate.open(&one, "an error").await.unwrap();
    assert!(waiting.is_woken());
    assert_eq!(tokio_test::assert_ready!(waiting.poll()), Deletion::NotDeleted);
}
