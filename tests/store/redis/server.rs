//! The checks of the server: its configuration, clock and role.

use std::time::Duration;

use harness::{RedisServer, RedisVersion, libfaketime, suspended, tenant_number as tenant};
use tower_superoffice::{
    Environment, TenantGate,
    store::{RedisStore, Store, StoreWarning},
};

use super::{load, open};

#[tokio::test]
async fn well_configured_server_has_no_warnings() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    assert_eq!(store.warnings(), []);
    load(&store).await.unwrap();
    assert_eq!(store.warnings(), []);
    assert_eq!(store.environment(), Some("production"));
}

#[tokio::test]
async fn policy_that_evicts_records_is_a_warning_in_health() {
    let Some(server) = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]) else {
        return;
    };
    let gate = TenantGate::builder(Environment::Production)
        .any_audience()
        .state_api(false)
        .store(open(&server.url()))
        .build()
        .await
        .unwrap();
    let eviction = StoreWarning::Eviction { policy: "allkeys-lru".to_owned() };
    assert_eq!(gate.health().store_warnings(), [eviction]);
    for policy in ["volatile-lru", "noeviction"] {
        server.configure("maxmemory-policy", policy);
        let store = open(&server.url());
        load(&store).await.unwrap();
        assert_eq!(store.warnings(), [], "{policy}");
    }
}

#[tokio::test]
async fn clock_of_the_server_that_is_wrong_is_a_warning() {
    let Some(library) = libfaketime() else { return };
    let Some(mut server) = RedisServer::stopped_version(RedisVersion::Six, &[]) else { return };
    server.run_at("-1h", &library);
    let store = open(&server.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    let warnings = store.warnings();
    let [StoreWarning::Clock { ahead }] = *warnings else { panic!("{warnings:?}") };
    assert!((-3620..=-3580).contains(&ahead), "{ahead}");
}

#[tokio::test]
async fn user_without_info_and_time_has_no_warnings() {
    let Some(server) = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]) else {
        return;
    };
    let store = open(&server.user("gate", "+@all -info -time"));
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(store.warnings(), []);
    // A replica is noticed by its answer then.
    server.replicate(harness::free_port());
    for _ in 0..3 {
        let error = store.merge(&tenant(1), &suspended(2)).await.unwrap_err();
        assert!(error.is_unavailable() && error.to_string().contains("is a replica"), "{error}");
    }
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut server.connection()).unwrap();
    super::merge_eventually(&store, &tenant(1), &suspended(3)).await;
}

#[tokio::test]
async fn store_of_another_environment_is_refused() {
    let store = RedisStore::connect("redis://127.0.0.1:1", &Environment::Sod).unwrap();
    let refused = TenantGate::builder(Environment::Production)
        .any_audience()
        .state_api(false)
        .store(store)
        .start_without_store(true)
        .build()
        .await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("opened for the environment sod"), "{error}");
}

#[tokio::test]
async fn connections_to_a_replica_back_off() {
    let Some(server) = RedisServer::start() else { return };
    // Without this right only the answers to writes tell.
    let store = open(&server.user("gate", "+@all -info"));
    server.replicate(harness::free_port());
    let connections = || {
        let info: String = redis::cmd("INFO").arg("stats").query(&mut server.connection()).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = connections();
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        store.merge(&tenant(1), &suspended(1)).await.unwrap_err();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let made = connections() - before;
    assert!(made < 30, "{made} connections in 2 s");
}
