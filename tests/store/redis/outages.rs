//! A server or network that fails, and data that are lost.

use std::time::{Duration, Instant};

use harness::{Network, Proxy, RedisServer, suspended, tenant_number as tenant};
use tower_superoffice::store::{Change, Store};

use super::{load, merge_eventually, next, open};

#[tokio::test]
async fn missed_changes_arrive_without_a_resync() {
    let Some(server) = RedisServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let (cut_off, other) = (open(&proxy.url()), open(&server.url()));
    let mut changes = cut_off.changes();
    assert_eq!(load(&cut_off).await.unwrap(), []);
    let mut at = 0;
    for network in [Network::Cut, Network::Silent, Network::OldSilent] {
        at += 10;
        proxy.set(network);
        other.merge(&tenant(1), &suspended(at)).await.unwrap();
        if network != Network::OldSilent {
            let began = Instant::now();
            for _ in 0..3 {
                let error = cut_off.merge(&tenant(1), &suspended(at + 1)).await.unwrap_err();
                assert!(error.is_unavailable(), "{error:?}");
            }
            assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
            proxy.set(Network::Up);
        }
        assert_eq!(next(&mut changes).await, Change::Disconnected, "{network:?}");
        let missed = Change::Merged(tenant(1), suspended(at));
        assert_eq!(next(&mut changes).await, missed, "{network:?}");
        assert_eq!(next(&mut changes).await, Change::Resumed, "{network:?}");
        other.merge(&tenant(1), &suspended(at + 2)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(at + 2)));
        let merged = merge_eventually(&cut_off, &tenant(1), &suspended(at + 3)).await;
        assert_eq!(merged, suspended(at + 3));
    }
}

#[tokio::test]
async fn silent_connection_is_replaced_despite_short_waits() {
    let Some(server) = RedisServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let store = open(&proxy.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    proxy.set(Network::OldSilent);
    let began = Instant::now();
    loop {
        let (tenant, record) = (tenant(1), suspended(2));
        let merge = store.merge(&tenant, &record);
        if let Ok(merged) = tokio::time::timeout(Duration::from_millis(200), merge).await {
            assert_eq!(merged.unwrap(), record);
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(15));
    }
}

#[tokio::test]
async fn restarted_server_without_data_is_filled_again() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    load(&store).await.unwrap();
    store.merge(&tenant(1), &suspended(5)).await.unwrap();
    store.merge(&tenant(2), &suspended(5)).await.unwrap();
    server.restart_without_data();
    // A connection that was lost while idle is replaced, and the merge succeeds.
    assert_eq!(store.merge(&tenant(2), &suspended(5)).await.unwrap(), suspended(5));
    server.restart_without_data();
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&store).await.unwrap(), []);
    // Cached records do not count as stored, and the script is loaded again.
    assert_eq!(merge_eventually(&store, &tenant(1), &suspended(1)).await, suspended(1));
    assert_eq!(load(&store).await.unwrap(), [(tenant(1), suspended(1))]);
}

#[tokio::test]
async fn data_loss_of_a_running_server_is_noticed() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    load(&store).await.unwrap();
    for number in 0..3 {
        store.merge(&tenant(number), &suspended(5)).await.unwrap();
    }
    redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
    // By a merge.
    assert_eq!(store.merge(&tenant(1), &suspended(6)).await.unwrap(), suspended(6));
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&store).await.unwrap(), [(tenant(1), suspended(6))]);

    // The others are stored again, without another resync.
    for number in [0, 2] {
        store.merge(&tenant(number), &suspended(5)).await.unwrap();
    }
    let other = open(&server.url());
    other.merge(&tenant(9), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(9), suspended(1)));

    // And without any merge.
    redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&store).await.unwrap(), []);
}

#[tokio::test]
async fn server_down_at_the_start_is_found_later() {
    let Some(mut server) = RedisServer::stopped(&[]) else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    let began = Instant::now();
    let error = load(&store).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "it waited for a refused connection");
    server.run();
    merge_eventually(&open(&server.url()), &tenant(1), &suspended(1)).await;
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(merge_eventually(&store, &tenant(1), &suspended(0)).await, suspended(1));
}

#[tokio::test]
async fn paused_server_delays_no_merge_beyond_its_timeout() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    server.pause();
    let longest = async |count: usize| {
        let began = Instant::now();
        let tenants: Vec<_> = (0..count).map(tenant).collect();
        let record = suspended(1);
        let merges = tenants.iter().map(|tenant| store.merge(tenant, &record));
        for merged in futures::future::join_all(merges).await {
            assert!(merged.unwrap_err().is_unavailable());
        }
        began.elapsed()
    };
    let first = longest(200).await;
    assert!(first < Duration::from_secs(4), "{first:?}");
    let later = longest(200).await;
    assert!(later < Duration::from_secs(2), "{later:?}: each merge waited for its own time-out");
    server.resume();
    assert_eq!(merge_eventually(&store, &tenant(1), &suspended(2)).await, suspended(2));
}
