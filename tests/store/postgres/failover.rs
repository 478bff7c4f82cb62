//! A standby that takes over.

use std::time::{Duration, Instant};

use harness::{Network, PostgresServer, Proxy, suspended, tenant_number as tenant, until};
use tower_superoffice::store::{Change, Store};

use super::{load, merge_eventually, next, open};

/// Returns where the log of `primary` ends.
fn position(primary: &PostgresServer) -> String {
    primary.execute("SELECT pg_current_wal_lsn()")
}

/// Whether `standby` has all that was written before `position`. Asked for a row instead, it may
/// not even have the table yet.
fn has_replayed(standby: &PostgresServer, position: &str) -> bool {
    standby.execute(&format!("SELECT pg_last_wal_replay_lsn() >= '{position}'")) == "t"
}

#[tokio::test]
async fn writes_go_on_at_the_server_that_takes_over() {
    let Some(mut primary) = PostgresServer::start() else { return };
    let mut standby = primary.standby();
    let url = format!(
        "postgres://gate@127.0.0.1:{},127.0.0.1:{}/postgres",
        standby.port(),
        primary.port()
    );
    let store = open(&url);
    let mut changes = store.changes();
    load(&store).await.unwrap();
    // The standby comes first in the URL and takes no writes.
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    let written = position(&primary);
    until!(has_replayed(&standby, &written));
    primary.kill();
    standby.execute("SELECT pg_promote()");
    let began = Instant::now();
    assert_eq!(merge_eventually(&store, &tenant(1), &suspended(2)).await, suspended(2));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    assert_eq!(next(&mut changes).await, Change::Resumed);
    let other = open(&standby.url());
    other.merge(&tenant(2), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(2), suspended(1)));
    standby.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_that_the_new_server_lacks_is_noticed() {
    let Some(mut primary) = PostgresServer::start() else { return };
    let line = Proxy::start(primary.port()).await;
    let standby = {
        let (primary, port) = (&primary, line.port());
        // It waits for the line, which this runtime serves.
        tokio::task::block_in_place(|| primary.standby_through(port))
    };
    let url = format!(
        "postgres://gate@127.0.0.1:{},127.0.0.1:{}/postgres",
        primary.port(),
        standby.port()
    );
    let store = open(&url);
    let mut changes = store.changes();
    load(&store).await.unwrap();
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    let count = "SELECT count(*) FROM tower_superoffice_production_tenants";
    let written = position(&primary);
    until!(has_replayed(&standby, &written));
    // The standby does not receive the last write.
    line.set(Network::Cut);
    store.merge(&tenant(2), &suspended(1)).await.unwrap();
    primary.kill();
    standby.execute("SELECT pg_promote()");
    until!(standby.execute("SELECT pg_is_in_recovery()") == "f");
    assert_eq!(standby.execute(count), "2", "the standby got the write");
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&store).await.unwrap(), [(tenant(1), suspended(1))]);
    assert_eq!(merge_eventually(&store, &tenant(2), &suspended(1)).await, suspended(1));
}

#[tokio::test]
async fn server_that_turns_read_only_is_left() {
    let (Some(one), Some(other)) = (PostgresServer::start(), PostgresServer::start()) else {
        return;
    };
    // A name that leads to another server from now on.
    let proxy = Proxy::start(one.port()).await;
    let store = open(&one.url_at(proxy.port()));
    let mut changes = store.changes();
    load(&store).await.unwrap();
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    one.execute("ALTER DATABASE postgres SET default_transaction_read_only = on");
    one.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tower-superoffice'",
    );
    let error = store.merge(&tenant(1), &suspended(2)).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("no writes"), "{error:?}");
    proxy.forward_to(other.port());
    let began = Instant::now();
    assert_eq!(merge_eventually(&store, &tenant(1), &suspended(2)).await, suspended(2));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    assert_eq!(next(&mut changes).await, Change::Resync);
}
