//! Tests of the moments at which a store is loaded again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{sleep, timeout};

use super::{WriteBack, resync::Resync};
use crate::{
    clock::Clock,
    status::{Record, settle::Settle},
    store::{Change, MemoryStore, Store, StoreError},
    tenant_id::TenantId,
    tenants::Tenants,
};

/// A store whose load takes a second, and which sends these changes every 100 ms, over and over.
struct Flapping {
    changes: &'static [Change],
    loads: Arc<AtomicUsize>,
}

impl Store for Flapping {
    fn name(&self) -> String {
        "flapping".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let page = async {
            sleep(Duration::from_secs(1)).await;
            Ok(Vec::new())
        };
        stream::once(page).boxed()
    }

    fn merge<'a>(
        &'a self,
        _: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        async { Ok(record.clone()) }.boxed()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let next = |change: &'static Change| async move {
            sleep(Duration::from_millis(100)).await;
            change.clone()
        };
        stream::iter(self.changes).cycle().then(next).boxed()
    }
}

/// Returns the number of loads in a minute.
async fn loads_in_a_minute(changes: &'static [Change]) -> usize {
    let loads = Arc::new(AtomicUsize::new(0));
    let store = Arc::new(Flapping { changes, loads: loads.clone() });
    let write_back = WriteBack::new(store, Clock::system(), Duration::from_secs(2));
    let tenants = Tenants::new(Settle::default(), 1, Clock::system());
    tenants.observe(Vec::new());
    let resync = Resync::restarted(Arc::new(write_back), Arc::new(tenants));
    timeout(Duration::from_secs(60), resync.run()).await.unwrap_err();
    loads.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn full_loads_are_followed_by_a_pause() {
    let loads = loads_in_a_minute(&[Change::Resync]).await;
    // A second, and ten of rest.
    assert!((5..=6).contains(&loads), "{loads} loads in a minute");
}

#[tokio::test(start_paused = true)]
async fn interruptions_without_a_gap_lead_to_no_load() {
    let loads = loads_in_a_minute(&[Change::Disconnected, Change::Resumed]).await;
    assert_eq!(loads, 1, "the first");
}

#[tokio::test(start_paused = true)]
async fn store_is_loaded_while_disconnected() {
    let loads = loads_in_a_minute(&[Change::Disconnected]).await;
    // The first, and one every 15 to 30 s.
    assert!((3..=5).contains(&loads), "{loads} loads in a minute");
}

/// A store with these pages.
struct Pages(Vec<Vec<(TenantId, Record)>>);

impl Store for Pages {
    fn name(&self) -> String {
        "pages".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        stream::iter(&self.0).map(|page| Ok(page.clone())).boxed()
    }

    fn merge<'a>(
        &'a self,
        _: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        async { Ok(record.clone()) }.boxed()
    }
}

/// The first load compares nothing, except where a tenant comes twice.
#[tokio::test]
async fn first_load_marks_only_what_comes_in_parts() {
    let tenant = |number: u32| TenantId::new(format!("Cust{number}")).unwrap();
    let record = |change: &str| {
        let fact = r#"{"at":5,"seen":1,"version":"","file":""}"#;
        Record::decode(format!(r#"{{"v":"1.1","{change}":{fact}}}"#).as_bytes()).unwrap()
    };
    let mut both = record("suspend");
    both.merge(&record("upgrade"));
    let entry = |number, record: &Record| (tenant(number), record.clone());
    let (suspend, upgrade) = (record("suspend"), record("upgrade"));
    let pages = vec![
        vec![entry(1, &suspend), entry(2, &suspend), entry(3, &suspend), entry(4, &suspend)],
        vec![entry(2, &suspend), entry(3, &upgrade), entry(4, &upgrade), entry(4, &both)],
    ];
    let write_back =
        WriteBack::new(Arc::new(Pages(pages)), Clock::system(), Duration::from_secs(2));
    let tenants = Tenants::new(Settle::default(), 1, Clock::system());
    tenants.observe(Vec::new());
    let (_, loaded) = super::resync::start(&write_back, &tenants).await.unwrap();
    loaded.unwrap();
    assert_eq!(tenants.registry().closed_count(), 4);
    assert_eq!(write_back.dirty(), 1, "the store has no record with all facts of Cust3");
    assert!(write_back.stored(&tenant(3)).is_some());
}

/// A store whose answers to merges come a second late.
struct Late(MemoryStore);

impl Store for Late {
    fn name(&self) -> String {
        "late".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        self.0.load()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        let merged = async move {
            let merged = self.0.merge(tenant, record).await;
            sleep(Duration::from_secs(1)).await;
            merged
        };
        merged.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn record_that_was_read_before_a_loss_is_stored_again() {
    let (store, tenant) = (MemoryStore::new(), TenantId::new("Cust1").unwrap());
    let fact = br#"{"v":"1.1","suspend":{"at":5,"seen":1,"version":"","file":""}}"#;
    let suspended = Record::decode(fact).unwrap();
    store.merge(&tenant, &suspended).await.unwrap();
    let late = Arc::new(Late(store.clone()));
    let write_back = Arc::new(WriteBack::new(late, Clock::system(), Duration::from_secs(2)));
    let tenants = Arc::new(Tenants::new(Settle::default(), 1, Clock::system()));
    tenants.observe(Vec::new());
    tokio::spawn(Arc::clone(&write_back).run(Arc::clone(&tenants)));

    // It requests the record, the data is lost, and the load finds nothing here that it lacks.
    write_back.read_again(&tenant);
    sleep(Duration::from_millis(500)).await;
    store.clear();
    super::resync::start(&write_back, &tenants).await.unwrap().1.unwrap();
    assert!(tenants.registry().record(&tenant).is_none());
    write_back.flush().await;
    assert_eq!(tenants.registry().record(&tenant), Some(suspended.clone()));
    assert_eq!(store.merge(&tenant, &Record::default()).await.unwrap(), suspended);
}
