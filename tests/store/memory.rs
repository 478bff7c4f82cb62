//! The store in memory keeps the contract.

use futures::{FutureExt, StreamExt};
use harness::suspended;
use tower_superoffice::{
    TenantId,
    store::{Change, MemoryStore, Store, conformance::Conformance},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let shared = MemoryStore::new();
    let (switch, damaged, lost) = (shared.clone(), shared.clone(), shared.clone());
    let report = Conformance::new(move || std::future::ready(Ok(shared.clone())))
        .outage(move |up| {
            switch.set_available(up);
            std::future::ready(())
        })
        .data_loss(move || {
            lost.clear();
            std::future::ready(())
        })
        .damage(move |tenant| {
            damaged.damage(&tenant);
            std::future::ready(())
        })
        .run()
        .await
        .unwrap();
    println!("{report}");
    assert_eq!(report.skipped().count(), 1, "no log to lose: {report}");
}

#[tokio::test]
async fn changes_of_others_are_received_and_own_are_not() {
    let here = MemoryStore::new();
    let there = here.clone();
    let tenant = TenantId::new("Cust1").unwrap();
    let mut changes = here.changes();
    here.merge(&tenant, &suspended(1)).await.unwrap();
    assert_eq!(changes.next().now_or_never(), None);
    there.merge(&tenant, &suspended(2)).await.unwrap();
    assert_eq!(
        changes.next().now_or_never(),
        Some(Some(Change::Merged(tenant.clone(), suspended(2))))
    );
    there.merge(&tenant, &suspended(1)).await.unwrap();
    assert_eq!(changes.next().now_or_never(), None, "nothing was stored");
}

#[tokio::test]
async fn lagging_subscriber_receives_a_resync() {
    let here = MemoryStore::new();
    let there = here.clone();
    let mut changes = here.changes();
    for at in 0..10_000 {
        there.merge(&TenantId::new("Cust1").unwrap(), &suspended(at)).await.unwrap();
    }
    assert_eq!(changes.next().now_or_never(), Some(Some(Change::Resync)));
}

#[tokio::test]
async fn cleared_store_sends_a_resync_and_accepts_records() {
    let store = MemoryStore::new();
    let tenant = TenantId::new("Cust1").unwrap();
    store.merge(&tenant, &suspended(1)).await.unwrap();
    let mut changes = store.changes();
    store.clear();
    assert!(store.is_empty());
    assert_eq!(changes.next().now_or_never(), Some(Some(Change::Resync)));
    assert_eq!(store.merge(&tenant, &suspended(0)).await.unwrap(), suspended(0));
}
