//! The store on a Redis server keeps the contract, whatever happens to the server.

mod access;
mod change_log;
mod changes;
mod conformance;
mod connect;
mod cuts;
mod failover;
mod outages;
mod refill;
mod removal;
mod sentinel;
mod server;

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use harness::RedisServer;
use tower_superoffice::{
    Environment, TenantId,
    status::Record,
    store::{Change, RedisStore, Store, StoreError},
};

fn open(url: &str) -> RedisStore {
    RedisStore::connect(url, &Environment::Production).unwrap()
}

async fn load(store: &RedisStore) -> Result<Vec<(TenantId, Record)>, StoreError> {
    let mut all: Vec<_> = store.load().try_concat().await?;
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

async fn next(changes: &mut BoxStream<'static, Change>) -> Change {
    let next = tokio::time::timeout(Duration::from_secs(20), changes.next()).await;
    next.expect("no change arrived").expect("the stream of changes ended")
}

/// Waits for the end of a subscription and for the next one.
async fn resubscribed(changes: &mut BoxStream<'static, Change>) {
    // The data that the other server lacks may have been noticed before.
    while next(changes).await != Change::Disconnected {}
    while !matches!(next(changes).await, Change::Resync | Change::Resumed) {}
}

/// Repeats a merge until the store is available.
async fn merge_eventually(store: &RedisStore, tenant: &TenantId, record: &Record) -> Record {
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

/// The number of merges that the server has run: nothing else reads a single field.
fn round_trips(server: &RedisServer) -> usize {
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query(&mut server.connection()).unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_hget:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}
