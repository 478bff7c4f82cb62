//! A server that becomes a replica, or refuses writes, while its connections stay up.

use std::time::{Duration, Instant};

use harness::{
    Proxy, RedisServer, RedisVersion, gate_builder, post, suspended, tenant_number as tenant, until,
};
use http::StatusCode;
use tower_superoffice::{
    ChangeType, TenantId,
    simulator::Simulator,
    store::{Change, RedisStore, Store},
};

use super::{load, merge_eventually, next, open, resubscribed};

/// A merge after which a failover must have been noticed.
const FAILOVER: Duration = Duration::from_secs(10);

async fn merge_within_failover(store: &RedisStore, tenant: &TenantId, at: i64) {
    let began = Instant::now();
    merge_eventually(store, tenant, &suspended(at)).await;
    assert!(began.elapsed() < FAILOVER, "{:?}", began.elapsed());
}

async fn primary_is_found(version: RedisVersion) {
    let (Some(old), Some(new)) =
        (RedisServer::start_version(version), RedisServer::start_version(version))
    else {
        return;
    };
    let proxy = Proxy::start(old.port()).await;
    let store = open(&proxy.url());
    let mut changes = store.changes();
    load(&store).await.unwrap();
    store.merge(&tenant(1), &suspended(1)).await.unwrap();

    // A replica of a server that is not there: what others store elsewhere does not arrive by it.
    old.replicate(harness::free_port());
    for _ in 0..3 {
        let error = store.merge(&tenant(1), &suspended(2)).await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
        assert!(error.to_string().contains("is a replica"), "{error}");
    }

    proxy.forward_to(new.port());
    merge_within_failover(&store, &tenant(1), 3).await;
    assert_eq!(load(&open(&new.url())).await.unwrap(), [(tenant(1), suspended(3))]);
    // The subscription follows.
    resubscribed(&mut changes).await;
    load(&store).await.unwrap();
    open(&new.url()).merge(&tenant(2), &suspended(4)).await.unwrap();
    let mut change = next(&mut changes).await;
    // The data that the other server lacks may be noticed once more.
    while change == Change::Resync {
        change = next(&mut changes).await;
    }
    assert_eq!(change, Change::Merged(tenant(2), suspended(4)));
}

#[tokio::test]
async fn primary_at_the_address_is_found() {
    primary_is_found(RedisVersion::Installed).await;
}

#[tokio::test]
async fn primary_at_the_address_is_found_by_redis_6() {
    primary_is_found(RedisVersion::Six).await;
}

#[tokio::test]
async fn notifications_are_stored_again_after_a_failover() {
    let (Some(old), Some(new)) = (RedisServer::start(), RedisServer::start()) else { return };
    let proxy = Proxy::start(old.port()).await;
    let simulator = Simulator::start().await.unwrap();
    let store = RedisStore::connect(&proxy.url(), &simulator.environment()).unwrap();
    let gate = gate_builder(&simulator).state_api(false).store(store).build().await.unwrap();
    let suspend = |number| simulator.notification(ChangeType::Suspend, &tenant(number)).body();
    assert_eq!(post(&gate, suspend(1)).await.status(), StatusCode::NO_CONTENT);

    old.replicate(harness::free_port());
    let began = Instant::now();
    // Long enough for all back-off to have grown.
    while began.elapsed() < Duration::from_secs(8) {
        assert_eq!(post(&gate, suspend(2)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    proxy.forward_to(new.port());
    let began = Instant::now();
    while post(&gate, suspend(2)).await.status() != StatusCode::NO_CONTENT {
        assert!(began.elapsed() < FAILOVER, "{:?}", began.elapsed());
    }
    // Also those that were stored at the former primary alone.
    until!(gate.health().dirty() == 0);
    let store = RedisStore::connect(&new.url(), &simulator.environment()).unwrap();
    until!(load(&store).await.unwrap().len() == 2);
}

/// Errors of a script are as those of a command, in each version.
async fn refusals_are_told_apart(version: RedisVersion) {
    let Some(server) = RedisServer::start_version(version) else { return };
    let store = open(&server.url());
    for (parameter, value, usual, advice) in [
        ("maxmemory", "100", "0", "is out of memory"),
        ("min-replicas-to-write", "1", "0", "has too few replicas"),
    ] {
        server.configure(parameter, value);
        let error = store.merge(&tenant(1), &suspended(1)).await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
        assert!(error.to_string().contains(advice), "{error}");
        server.configure(parameter, usual);
    }
    server.configure("save", "3600 1");
    // A file can't replace a directory.
    std::fs::create_dir(server.file("dump.rdb")).unwrap();
    let failed = || {
        let _ = redis::cmd("BGSAVE").exec(&mut server.connection());
        let info: String = redis::cmd("INFO").query(&mut server.connection()).unwrap();
        info.contains("rdb_last_bgsave_status:err")
    };
    until!(failed());
    let error = store.merge(&tenant(1), &suspended(1)).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(error.to_string().contains("can't save"), "{error}");
    server.configure("stop-writes-on-bgsave-error", "no");
    store.merge(&tenant(1), &suspended(1)).await.unwrap();

    let store = open(&server.user("gate", "+@all -hset"));
    let error = store.merge(&tenant(1), &suspended(2)).await.unwrap_err();
    assert!(error.is_misconfigured(), "{error:?}");
    assert!(error.to_string().contains("forbids a command"), "{error}");
}

#[tokio::test]
async fn refusals_are_told_apart_with_the_installed_redis() {
    refusals_are_told_apart(RedisVersion::Installed).await;
}

#[tokio::test]
async fn refusals_are_told_apart_with_redis_6() {
    refusals_are_told_apart(RedisVersion::Six).await;
}

#[tokio::test]
async fn connection_is_replaced_while_writes_are_refused() {
    let (Some(old), Some(new)) = (RedisServer::start(), RedisServer::start()) else { return };
    let proxy = Proxy::start(old.port()).await;
    let store = open(&proxy.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    // As a primary that has been cut off from the others.
    old.configure("min-replicas-to-write", "1");
    store.merge(&tenant(1), &suspended(2)).await.unwrap_err();
    proxy.forward_to(new.port());
    merge_within_failover(&store, &tenant(1), 3).await;
}

/// A full server stores nothing and publishes nothing.
async fn full_server_tells_nothing(version: RedisVersion) {
    let Some(server) = RedisServer::start_version(version) else { return };
    let (full, other) = (open(&server.url()), open(&server.url()));
    let mut changes = other.changes();
    load(&other).await.unwrap();
    full.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(1)));
    server.configure("maxmemory", "100");
    for number in [1, 2] {
        let error = full.merge(&tenant(number), &suspended(2)).await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
    }
    server.configure("maxmemory", "0");
    full.merge(&tenant(3), &suspended(3)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(3), suspended(3)), "told only");
    let stored = [(tenant(1), suspended(1)), (tenant(3), suspended(3))];
    assert_eq!(load(&other).await.unwrap(), stored);
}

#[tokio::test]
async fn full_server_stores_and_publishes_nothing() {
    full_server_tells_nothing(RedisVersion::Installed).await;
}

#[tokio::test]
async fn full_redis_6_stores_and_publishes_nothing() {
    full_server_tells_nothing(RedisVersion::Six).await;
}
