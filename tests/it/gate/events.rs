//! The stream of events.

use futures::{FutureExt, StreamExt};
use harness::{TestEnv, tenant};
use http::StatusCode;
use tower_superoffice::{ChangeType, TenantEvent, UnavailableReason};

use super::builder;

#[tokio::test]
async fn lagging_event_stream_reports_missed_events() {
    let gate = builder().any_audience().event_capacity(2).build().await.unwrap();
    let tenant = tenant("Cust1");
    let mut events = gate.events();
    gate.close(&tenant, "").await.unwrap();
    let Some(TenantEvent::Changed { tenant: changed, status }) = events.next().await else {
        panic!()
    };
    assert_eq!((changed, status.reason()), (tenant.clone(), Some(UnavailableReason::Operator)));
    for _ in 0..3 {
        gate.open(&tenant, "").await.unwrap();
        gate.close(&tenant, "").await.unwrap();
    }
    assert_eq!(events.next().await, Some(TenantEvent::Missed(4)));
    drop(gate);
    assert_eq!(events.by_ref().count().await, 2, "the last two, and then the end");
}

#[tokio::test]
async fn notification_publishes_its_events_only() {
    let env = TestEnv::with(|builder| builder.state_api(false)).await;
    let TestEnv { simulator, gate, tenant, .. } = &env;
    let mut events = gate.events();
    let first = env.notification(ChangeType::Suspend);
    assert_eq!(env.post(first.body()).await.status(), StatusCode::NO_CONTENT);
    let expected = TenantEvent::Notified {
        tenant: tenant.clone(),
        change: ChangeType::Suspend,
        version_name: gate.status(tenant).version_name().map(ToOwned::to_owned),
        file_version: gate.status(tenant).file_version().map(ToOwned::to_owned),
    };
    assert!(gate.status(tenant).version_name().is_some());
    assert_eq!(events.next().await, Some(expected));
    assert!(matches!(events.next().await, Some(TenantEvent::Changed { .. })));
    let mut notified = async |expected: ChangeType| match events.next().await {
        Some(TenantEvent::Notified { change, .. }) if change == expected => {
            events.next().now_or_never()
        }
        event => panic!("{event:?}"),
    };
    // A duplicate, and a notification that changes nothing.
    env.post(first.body()).await;
    simulator.notify(ChangeType::BackupRestored, tenant).await.unwrap();
    let epoch = gate.status(tenant).epoch();
    let restored = TenantEvent::Restored { tenant: tenant.clone(), epoch };
    assert_eq!(notified(ChangeType::BackupRestored).await, Some(Some(restored)));
    simulator.notify(ChangeType::Move, tenant).await.unwrap();
    let moved = TenantEvent::Moved { tenant: tenant.clone() };
    assert_eq!(notified(ChangeType::Move).await, Some(Some(moved)));
    simulator.notify(ChangeType::Other(77), tenant).await.unwrap();
    let unknown = TenantEvent::Unknown { tenant: tenant.clone(), number: 77 };
    assert_eq!(notified(ChangeType::Other(77)).await, Some(Some(unknown)));
    assert!(events.next().now_or_never().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_changes_are_published_in_order() {
    let gate = builder().any_audience().event_capacity(100_000).build().await.unwrap();
    let mut events = gate.events();
    let operators = (0..4).map(|_| {
        let gate = gate.clone();
        tokio::spawn(async move {
            for _ in 0..5000 {
                gate.close(&tenant("Cust1"), "").await.unwrap();
                gate.release(&tenant("Cust1"), "").await.unwrap();
            }
        })
    });
    futures::future::try_join_all(operators).await.unwrap();
    gate.close(&tenant("Cust1"), "the last").await.unwrap();
    // To the end of the stream: a poll that is not awaited stops at tokio's budget for one task,
    // after some hundred events.
    drop(gate);
    let (mut count, mut available) = (0, true);
    while let Some(event) = events.next().await {
        let TenantEvent::Changed { status, .. } = event else { panic!("{event:?}") };
        assert_ne!(status.is_available(), available, "change {count}");
        available = status.is_available();
        count += 1;
    }
    assert!(!available, "the last change is missing");
    assert!(count > 10_000, "{count}");
}
