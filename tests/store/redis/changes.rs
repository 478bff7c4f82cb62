//! Merges and the changes that they send.

use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use harness::{Network, Proxy, RedisServer, suspended, tenant_number as tenant, until};
use tower_superoffice::store::{Change, Store};

use super::{load, next, open, round_trips};

#[tokio::test]
async fn merge_without_other_writers_takes_one_round_trip() {
    let Some(server) = RedisServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    // The first merge loads the script.
    here.merge(&tenant(0), &suspended(1)).await.unwrap();
    let before = round_trips(&server);
    for at in 1..=5 {
        here.merge(&tenant(1), &suspended(at)).await.unwrap();
        here.merge(&tenant(1), &suspended(1)).await.unwrap();
    }
    assert_eq!(round_trips(&server) - before, 10);

    // Loaded records and received changes are cached too.
    load(&there).await.unwrap();
    let before = round_trips(&server);
    there.merge(&tenant(1), &suspended(6)).await.unwrap();
    assert_eq!(round_trips(&server) - before, 1);
    let mut changes = here.changes();
    load(&here).await.unwrap();
    there.merge(&tenant(1), &suspended(7)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(7)));
    let before = round_trips(&server);
    assert_eq!(here.merge(&tenant(1), &suspended(2)).await.unwrap(), suspended(7));
    assert_eq!(round_trips(&server) - before, 1);
}

#[tokio::test]
async fn change_reaches_the_other_replicas_only() {
    let Some(server) = RedisServer::start() else { return };
    let stores = [open(&server.url()), open(&server.url()), open(&server.url())];
    let mut changes: Vec<_> = stores.iter().map(Store::changes).collect();
    for store in &stores {
        load(store).await.unwrap();
    }
    let mut took = Vec::new();
    for at in 1..=200 {
        let began = Instant::now();
        stores[0].merge(&tenant(1), &suspended(at)).await.unwrap();
        for changes in &mut changes[1..] {
            assert_eq!(next(changes).await, Change::Merged(tenant(1), suspended(at)));
        }
        took.push(began.elapsed());
    }
    took.sort();
    println!("a change reaches both others in {:?}, at worst {:?}", took[100], took[199]);
    assert_eq!(changes[0].next().now_or_never(), None);
}

#[tokio::test]
async fn load_after_changes_needs_no_second_load() {
    let Some(server) = RedisServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    for at in 1..20 {
        let mut changes = here.changes();
        load(&here).await.unwrap();
        there.merge(&tenant(1), &suspended(at)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(at)));
    }
}

#[tokio::test]
async fn change_in_another_database_is_not_received() {
    let Some(server) = RedisServer::start() else { return };
    let in_database = |n| open(&format!("redis://127.0.0.1:{}/{n}", server.port()));
    let (here, there) = (in_database(3), in_database(3));
    let mut changes = here.changes();
    load(&here).await.unwrap();
    for other in [0, 1] {
        in_database(other).merge(&tenant(1), &suspended(2)).await.unwrap();
    }
    there.merge(&tenant(2), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(2), suspended(1)));
}

#[tokio::test]
async fn slow_subscription_leaves_no_gap() {
    let Some(server) = RedisServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let (slow, other) = (open(&proxy.url()), open(&server.url()));
    slow.merge(&tenant(0), &suspended(1)).await.unwrap();

    // The load waits for the subscription.
    proxy.set(Network::NewSlow);
    let mut changes = slow.changes();
    load(&slow).await.unwrap();
    other.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(1)));

    // It times out, and a resync follows.
    proxy.set(Network::NewSilent);
    let mut changes = slow.changes();
    let began = Instant::now();
    load(&slow).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    other.merge(&tenant(1), &suspended(2)).await.unwrap();
    proxy.set(Network::Up);
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    assert_eq!(next(&mut changes).await, Change::Resync);
}

#[tokio::test]
async fn subscription_ends_with_its_stream() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    let readers = || {
        let clients: String =
            redis::cmd("CLIENT").arg("LIST").query(&mut server.connection()).unwrap();
        clients.matches("cmd=xread").count()
    };
    let changes = store.changes();
    load(&store).await.unwrap();
    until!(readers() == 1);
    drop(changes);
    until!(readers() == 0);
}

#[test]
fn changes_can_be_created_outside_a_runtime() {
    let Some(server) = RedisServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    let mut changes = here.changes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(load(&here).await.unwrap(), []);
        there.merge(&tenant(1), &suspended(1)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Resync);
        assert_eq!(load(&here).await.unwrap(), [(tenant(1), suspended(1))]);
    });
}
