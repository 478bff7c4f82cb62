//! The store in a PostgreSQL database keeps the contract, whatever happens to the server.

mod access;
mod changes;
mod conformance;
mod failover;
mod full_disk;
mod outages;
mod pooler;

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use tower_superoffice::{
    Environment, TenantId,
    status::Record,
    store::{Change, PostgresStore, Store, StoreError},
};

/// The table of records.
const TENANTS: &str = "tower_superoffice_production_tenants";

fn open(url: &str) -> PostgresStore {
    PostgresStore::connect(url, &Environment::Production).unwrap()
}

async fn load(store: &PostgresStore) -> Result<Vec<(TenantId, Record)>, StoreError> {
    let mut all: Vec<_> = store.load().try_concat().await?;
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

async fn next(changes: &mut BoxStream<'static, Change>) -> Change {
    let next = tokio::time::timeout(Duration::from_secs(20), changes.next()).await;
    next.expect("no change arrived").expect("the stream of changes ended")
}

/// Repeats a merge until the store is available.
async fn merge_eventually(store: &PostgresStore, tenant: &TenantId, record: &Record) -> Record {
    let began = Instant::now();
    loop {
        match store.merge(tenant, record).await {
            Ok(merged) => return merged,
            Err(error) => {
                assert!(error.is_unavailable(), "{error:?}");
                assert!(began.elapsed() < Duration::from_secs(20), "{error:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
