//! Removals beside other writes of the same tenant.

use std::{sync::Arc, time::Duration};

use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::sleep;

use super::{WriteBack, resync::Resync};
use crate::{
    clock::Clock,
    status::{ChangeType, Record, notified::Notified, settle::Settle},
    store::{Change, MemoryStore, Store, StoreError},
    tenant_id::TenantId,
    tenants::{Tenants, Update, events::TenantEvent},
};

const TIMEOUT: Duration = Duration::from_secs(2);

/// A store that makes a merge after half a second, and whose answer to a removal comes a second
/// late.
struct Slow(MemoryStore);

impl Store for Slow {
    fn name(&self) -> String {
        "slow".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        self.0.load()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        async move {
            sleep(Duration::from_millis(500)).await;
            self.0.merge(tenant, record).await
        }
        .boxed()
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        async move {
            let left = self.0.remove(tenant, record).await;
            sleep(Duration::from_secs(1)).await;
            left
        }
        .boxed()
    }
}

struct Fixture {
    store: MemoryStore,
    tenants: Arc<Tenants>,
    write_back: Arc<WriteBack>,
    tenant: TenantId,
}

impl Fixture {
    /// A tenant whose deletion is stored.
    async fn new() -> Self {
        let store = MemoryStore::new();
        let slow = Arc::new(Slow(store.clone()));
        let clock = Clock::system();
        let write_back = Arc::new(WriteBack::new(slow, clock.clone(), TIMEOUT));
        let tenants = Arc::new(Tenants::new(Settle::default(), 16, clock));
        tenants.observe(vec![Arc::clone(&write_back) as _]);
        tokio::spawn(Arc::clone(&write_back).run(Arc::clone(&tenants)));
        let own = Self { store, tenants, write_back, tenant: TenantId::new("Cust1").unwrap() };
        own.notify(5);
        own.write_back.flush().await;
        assert_eq!(own.store.len(), 1);
        own
    }

    fn notify(&self, token_time: i64) {
        self.notify_of(ChangeType::Delete, token_time);
    }

    fn notify_of(&self, change: ChangeType, token_time: i64) {
        let notified = Notified::new(change, token_time, 0, Arc::default());
        self.tenants.apply(&self.tenant, Update::Notification(notified));
    }

    fn record(&self) -> Record {
        self.tenants.registry().record(&self.tenant).unwrap_or_default()
    }

    async fn forget(&self, record: &Record) -> Result<bool, StoreError> {
        self.write_back.forget(&self.tenants, &self.tenant, record).await
    }
}

#[tokio::test(start_paused = true)]
async fn write_beside_a_removal_is_noticed() {
    let own = Fixture::new().await;
    let record = own.record();
    let beside = async {
        sleep(Duration::from_millis(200)).await;
        // A load that began earlier finds that the store lacks the tenant.
        own.write_back.mark_lacking(std::slice::from_ref(&own.tenant));
        own.write_back.flush().await;
        assert_eq!(own.store.len(), 1, "it was not stored again");
    };
    let (forgotten, ()) = tokio::join!(own.forget(&record), beside);
    assert!(!forgotten.unwrap());
    assert_eq!(own.record(), record, "the store has it");
    assert!(own.forget(&record).await.unwrap());
    own.write_back.flush().await;
    assert_eq!((own.store.len(), own.tenants.registry().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn notification_beside_a_removal_stores_all_again() {
    let own = Fixture::new().await;
    let record = own.record();
    let beside = async {
        sleep(Duration::from_millis(200)).await;
        own.notify(6);
    };
    let (forgotten, ()) = tokio::join!(own.forget(&record), beside);
    assert!(!forgotten.unwrap());
    own.write_back.flush().await;
    let stored = own.store.merge(&own.tenant, &Record::default()).await.unwrap();
    assert!(stored == own.record() && stored != record);
}

#[tokio::test(start_paused = true)]
async fn removal_that_is_dropped_stores_the_record_again() {
    let own = Fixture::new().await;
    let record = own.record();
    let broken_off = tokio::time::timeout(Duration::from_millis(500), own.forget(&record));
    assert!(broken_off.await.is_err());
    own.write_back.flush().await;
    assert_eq!((own.store.len(), own.record()), (1, record.clone()));
    assert!(own.forget(&record).await.unwrap());
    assert_eq!(own.store.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn write_that_is_to_come_is_made_before_a_removal() {
    let own = Fixture::new().await;
    let events = own.tenants.events();
    own.notify(6);
    assert!(own.forget(&own.record()).await.unwrap());
    own.write_back.flush().await;
    assert_eq!((own.store.len(), own.tenants.registry().len()), (0, 0));
    let published: Vec<_> = events.take_until(sleep(Duration::from_secs(60))).collect().await;
    let published: Vec<_> =
        published.iter().map(|event| matches!(event, TenantEvent::Changed { .. })).collect();
    assert_eq!(published, [false, true], "the notification, and the end of the deletion");
}

/// The writer of a removal does not receive it, so nothing follows what was sent before.
#[tokio::test(start_paused = true)]
async fn change_from_before_a_removal_is_stored_with_the_new_record() {
    let own = Fixture::new().await;
    let old = own.record();
    assert!(own.forget(&old).await.unwrap());
    own.notify_of(ChangeType::Suspend, 6);
    own.write_back.flush().await;
    let late = stream::iter([Change::Merged(own.tenant.clone(), old.clone())]).boxed();
    let (write_back, tenants) = (Arc::clone(&own.write_back), Arc::clone(&own.tenants));
    Resync::new(write_back, tenants, late, true).run().await;
    own.write_back.flush().await;
    let stored = own.store.merge(&own.tenant, &Record::default()).await.unwrap();
    assert_eq!(stored, own.record());
    assert!(stored.contains(&old));
}
