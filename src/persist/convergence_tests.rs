//! Replicas that forget tenants while others change them agree in the end, with the store too.

use std::{sync::Arc, time::Duration};

use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::time::sleep;

use super::{WriteBack, resync, resync::Resync};
use crate::{
    clock::Clock,
    status::{ChangeType, Record, notified::Notified, settle::Settle},
    store::{Change, MemoryStore, Store, StoreError},
    tenant_id::TenantId,
    tenants::{Tenants, Update},
};

/// A store whose requests, answers and changes take a random time each.
struct Far(MemoryStore);

async fn travel() {
    sleep(Duration::from_millis(fastrand::u64(..30))).await;
}

impl Store for Far {
    fn name(&self) -> String {
        "far".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        self.0.load().then(|page| travel().map(|()| page)).boxed()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        async move {
            travel().await;
            let merged = self.0.merge(tenant, record).await;
            travel().await;
            merged
        }
        .boxed()
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        async move {
            travel().await;
            let left = self.0.remove(tenant, record).await;
            travel().await;
            left
        }
        .boxed()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        self.0.changes().then(|change| travel().map(|()| change)).boxed()
    }
}

struct Replica {
    tenants: Arc<Tenants>,
    write_back: Arc<WriteBack>,
}

impl Replica {
    async fn new(store: &MemoryStore) -> Self {
        let (clock, store) = (Clock::system(), Arc::new(Far(store.clone())));
        let write_back = Arc::new(WriteBack::new(store, clock.clone(), Duration::from_secs(2)));
        let tenants = Arc::new(Tenants::new(Settle::default(), 1, clock));
        tenants.observe(vec![Arc::clone(&write_back) as _]);
        let (changes, loaded) = resync::start(&write_back, &tenants).await.unwrap();
        loaded.unwrap();
        let shared = (Arc::clone(&write_back), Arc::clone(&tenants));
        tokio::spawn(Resync::new(shared.0, shared.1, changes, true).run());
        tokio::spawn(Arc::clone(&write_back).run(Arc::clone(&tenants)));
        Self { tenants, write_back }
    }

    fn record(&self, tenant: &TenantId) -> Record {
        self.tenants.registry().record(tenant).unwrap_or_default()
    }

    fn change(&self, tenant: &TenantId, token_time: i64) {
        let changes = [ChangeType::Delete, ChangeType::Suspend, ChangeType::Resume];
        let change = changes[fastrand::usize(..3)];
        let notified = Notified::new(change, token_time, 0, Arc::default());
        self.tenants.apply(tenant, Update::Notification(notified));
    }

    /// Forgets all that is known, and perhaps breaks off.
    fn forget(&self, tenant: &TenantId) {
        let (write_back, tenants) = (Arc::clone(&self.write_back), Arc::clone(&self.tenants));
        let (tenant, record) = (tenant.clone(), self.record(tenant));
        let within = Duration::from_millis(fastrand::u64(20..300));
        tokio::spawn(async move {
            let forgetting = write_back.forget(&tenants, &tenant, &record);
            if let Ok(forgotten) = tokio::time::timeout(within, forgetting).await {
                forgotten.unwrap();
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_and_store_agree_after_random_removals() {
    let seeds = std::env::var("SEEDS").map_or(60, |seeds| seeds.parse().unwrap());
    let (mut gone, mut kept) = (0, 0);
    for seed in 0..seeds {
        fastrand::seed(seed);
        let store = MemoryStore::new();
        let replicas = [0; 3].map(|_| Replica::new(&store));
        let replicas = futures_util::future::join_all(replicas).await;
        let ids = ["Cust1", "Cust2"].map(|id| TenantId::new(id).unwrap());
        for step in 0..80 {
            let (replica, tenant) = (&replicas[fastrand::usize(..3)], &ids[fastrand::usize(..2)]);
            match fastrand::u8(..12) {
                0..4 => replica.change(tenant, step + fastrand::i64(-5..5)),
                4..7 => replica.forget(tenant),
                7 if fastrand::u8(..4) == 0 => store.clear(),
                _ => sleep(Duration::from_millis(fastrand::u64(..80))).await,
            }
        }
        sleep(Duration::from_secs(60)).await;
        for tenant in &ids {
            let stored = store.merge(tenant, &Record::default()).await.unwrap();
            *(if stored.is_empty() { &mut gone } else { &mut kept }) += 1;
            for replica in &replicas {
                assert_eq!(replica.write_back.dirty(), 0, "seed {seed}");
                assert_eq!(replica.record(tenant), stored, "seed {seed}");
                let registry = replica.tenants.registry();
                assert!(stored.is_empty() <= registry.read(tenant, |_| ()).is_none());
            }
        }
    }
    assert!(gone > 10 && kept > 10, "{gone} gone, {kept} kept");
}
