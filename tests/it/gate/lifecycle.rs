//! Health, Debug output, and the end of a gate's tasks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use harness::tenant;
use tower_superoffice::health::StoreHealth;

use super::{builder, gate};

#[tokio::test]
async fn health_counts_tenants() {
    let (gate, tenant) = (gate().await, tenant("Cust1"));
    gate.close(&tenant, "").await.unwrap();
    let health = gate.health();
    assert_eq!((health.tenants(), health.closed(), health.dirty()), (1, 1, 0));
    assert_eq!(health.store(), StoreHealth::Fresh);
    assert!(health.pulls().is_none());
    assert_eq!(gate.keys().keys().len(), 1);
}

#[tokio::test]
async fn tasks_end_with_the_last_handle_or_guard() {
    let ticks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&ticks);
    // The clock is held by the gate and by its tasks: when it is gone, they are.
    let clock = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        SystemTime::now()
    };
    let gate = builder().any_audience().clock(clock).build().await.unwrap();
    let guard = gate.guard_layer();
    let service = gate.notification_service();
    drop(gate);
    tokio::task::yield_now().await;
    assert!(Arc::strong_count(&ticks) > 1);
    drop(service);
    tokio::task::yield_now().await;
    assert!(Arc::strong_count(&ticks) > 1, "a guard in use keeps its gate");
    drop(guard);
    while Arc::strong_count(&ticks) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn debug_output_contains_no_note() {
    let gate = gate().await;
    gate.close(&tenant("Cust1"), "secret note").await.unwrap();
    let refusal = gate.check(&tenant("Cust1")).unwrap_err();
    let text = format!(
        "{gate:?} {refusal} {refusal:?} {:?} {:?} {:?}",
        gate.guard_layer(),
        gate.notification_layer(),
        builder()
    );
    assert!(!text.contains("secret"), "{text}");
}
